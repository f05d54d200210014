"""Models whose layer calls are known as a graph: ``Model(inputs, outputs)``.

Imports `graph.py`, `model.py`. Read next: `sequential.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..configs.lookup import publish
from ..configs.serialization import Config, CustomObjectScope
from ..engine.tensor import as_tensor
from ..layers.base import Layer
from ..layers.symbolic import context, within
from .graph import Graph, from_config
from .model import Model


def _of_graph(name: str, doc: str) -> Any:
    """Return a property of models: the attribute `name` of their graph."""

    def attribute(self: Model) -> Any:
        if self.graph is None:
            raise AttributeError(f"Model '{self.name}' has no {name} yet: call or build it first.")
        return getattr(self.graph, name)

    return property(attribute, doc=doc)


class GraphModel(Model):
    """Base of models that have a graph; a Sequential model may get it later."""

    input = _of_graph("input", "The placeholders of the inputs, structured as passed.")
    output = _of_graph("output", "The placeholders of the outputs, structured as returned.")
    inputs = _of_graph("inputs", "The placeholders of the inputs as a list.")
    outputs = _of_graph("outputs", "The placeholders of the outputs as a list.")
    input_shape = _of_graph("input_shape", "The shape of the input, or a list of shapes.")
    output_shape = _of_graph("output_shape", "The shape of the output, or a list of shapes.")

    def call(self, inputs: Any, training: Any = None, mask: None = None) -> Any:
        """Return the outputs for tensors; a single output without a list around it."""
        if training in (None, context.training):  # most often
            return self._graph(inputs)
        with within(training=bool(training)):
            return self._graph(inputs)

    def _to_tensor(self, x: Any) -> Any:
        return None if x is None else as_tensor(x)  # the graph knows the dtypes

    def _parts(self) -> tuple[list[Any], list[Layer]]:
        """Return the variables among the attributes, and the layers of the graph or stack."""
        return super()._parts()[0], self.layers


class Functional(GraphModel):
    """A model of a graph of layer calls: what ``Model(inputs, outputs)`` returns."""

    operations = _of_graph("operations", "The layers, and the functions of `ops` between them.")
    output_names = _of_graph("output_names", "The names of the layers that compute the outputs.")

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._graph = Graph(inputs, outputs, self.name)
        self.built = True

    @property
    def layers(self) -> list[Layer]:
        """The layers, from the inputs to the outputs, in Keras's order."""
        return self._graph.layers

    def get_config(self) -> dict[str, Any]:
        """Return the name, the layers with their calls, and which tensors are in- and outputs."""
        if type(self)._is_made_of_graph():
            found = {"name": self.name, "trainable": self.trainable}
            return found | self._graph.config(Functional)
        found = super().get_config()
        own = type(self).get_config is Functional.get_config
        return self._with_arguments(found) if own else found

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Return a model, with new layers, made from what `get_config` returned."""
        if "input_layers" not in config or not cls._is_made_of_graph():
            return super().from_config(config, custom_objects)
        with CustomObjectScope(custom_objects):
            inputs, outputs = from_config(config, Functional)
        known = ("layers", "input_layers", "output_layers", "trainable", "name")
        own = {key: value for key, value in config.items() if key not in known}
        trainable = config.get("trainable") is not False
        return cls(inputs, outputs, name=config.get("name"), trainable=trainable, **own)

    def get_build_config(self) -> dict[str, Any]:
        """Return what Keras returns: a graph is built from the start."""
        return {"input_shape": None}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for inputs of `input_shape`, structured as given."""
        shape = super().compute_output_shape(input_shape)
        listed = isinstance(self.output, (list, tuple)) and len(self.outputs) == 1
        return [shape] if listed else shape


Model._functional = Functional
publish("keras.src.models.functional", Functional)
