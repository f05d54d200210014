"""Models whose layer calls are known as a graph: ``Model(inputs, outputs)``.

Imports `graph.py`, `model.py`. Read next: `sequential.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..configs.lookup import publish
from ..configs.serialization import CustomObjectScope
from ..layers.base import Layer
from .graph import Graph, from_config
from .model import Model


class GraphModel(Model):
    """Base of models that have a graph; a Sequential model may get it later."""

    def _known_graph(self, attribute: str) -> Graph:
        """Return the graph; AttributeError, which names `attribute`, if it is not known yet."""
        if self._graph is None:
            raise AttributeError(
                f"Model '{self.name}' has no defined {attribute} yet: it is built by its first "
                "call. Begin it with an `Input(shape)`, or call `build(input_shape)`."
            )
        return self._graph

    @property
    def input(self) -> Any:
        """The placeholders of the inputs, in the structure in which they are passed."""
        return self._known_graph("input").input

    @property
    def output(self) -> Any:
        """The placeholders of the outputs, in the structure in which they are returned."""
        return self._known_graph("output").output

    @property
    def inputs(self) -> Any:
        """The placeholders of the inputs as a list."""
        return self._known_graph("inputs").inputs

    @property
    def outputs(self) -> Any:
        """The placeholders of the outputs as a list."""
        return self._known_graph("outputs").outputs

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of the inputs' shapes."""
        return self._known_graph("input_shape").input_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of the outputs' shapes."""
        return self._known_graph("output_shape").output_shape

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that compute the outputs."""
        return self._known_graph("output_names").output_names

    def _parts(self) -> tuple[list[Any], list[Layer]]:
        """Return the variables among the attributes, and the layers of the graph or stack."""
        return super()._parts()[0], self.layers

    def call(self, inputs: Any) -> Any:
        """Return the outputs for tensors; a single output without a list around it."""
        return self._known_graph("call")(inputs)


class Functional(GraphModel):
    """A model of a graph of layer calls: what ``Model(inputs, outputs)`` returns."""

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self._graph: Graph = Graph(inputs, outputs, self.name)
        self.built = True

    @property
    def layers(self) -> list[Layer]:
        """The layers, from the inputs to the outputs, in Keras's order."""
        return self._graph.layers

    def get_config(self) -> dict[str, Any]:
        """Return the name, the layers with their calls, and which tensors are in- and outputs."""
        described = self._graph.config(Functional)
        return {"name": self.name, "trainable": self.trainable, **described}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a model, with new layers, made from what `get_config` returned."""
        with CustomObjectScope(custom_objects):
            inputs, outputs = from_config(config, Functional)
        trainable = config.get("trainable") is not False
        return cls(inputs, outputs, name=config.get("name"), trainable=trainable)

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
