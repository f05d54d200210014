"""Models: networks of layers, which are layers themselves; and those of a graph.

Imports `layers`, `graph.py`, `training.py` and `saving`. Read next: `training.py`, if you have not;
then `sequential.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import ops, tree
from ..configs.lookup import publish
from ..configs.serialization import CustomObjectScope
from ..engine.tensor import Tensor
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.symbolic import KerasTensor
from . import graph
from .model import Model


class Functional(Model):
    """A model of a graph of layers: what ``Model(inputs, outputs)`` returns."""

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        for argument, value in (("inputs", inputs), ("outputs", outputs)):
            if not tree.flatten(value):
                raise ValueError(f"`{argument}` argument cannot be empty. Received: {value}")
            for x in tree.flatten(value):
                if not isinstance(x, KerasTensor):
                    raise ValueError(
                        f"All `{argument}` values must be KerasTensors. Received: "
                        f"{argument}={value} including invalid value {x} of type {type(x)}"
                    )
        nodes, met = graph.sorted_nodes(tree.flatten(inputs), tree.flatten(outputs))
        # The first attribute: so a copy begins with the first node and never has far to go back.
        self._plan = [node for node in nodes if not isinstance(node.layer, InputLayer)]
        self.input, self.output = inputs, outputs
        self.inputs, self.outputs = tree.flatten(inputs), tree.flatten(outputs)
        self._layers = graph.by_depth(nodes, met, self.inputs)
        names = [layer.name for layer in self._layers]
        for repeated in names:
            if names.count(repeated) > 1:
                raise ValueError(
                    f'The name "{repeated}" is used {names.count(repeated)} times in the model. '
                    "All operation names should be unique."
                )
        self.built = True

    @property
    def layers(self) -> list[Layer]:
        """The layers, from the inputs to the outputs, in Keras's order."""
        return self._layers

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of the inputs' shapes."""
        return _alone([x.shape for x in self.inputs])

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of the outputs' shapes."""
        return _alone([x.shape for x in self.outputs])

    @property
    def graph(self) -> Any:
        return self

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that give the outputs."""
        return [x.node.layer.name for x in self.outputs]

    def get_config(self) -> dict[str, Any]:
        """Return the name, the layers with their calls, and which tensors are in- and outputs."""
        described = graph.to_config(
            self._plan, self._layers, self.input, self.output, (Functional,)
        )
        return {"name": self.name, "trainable": self.trainable, **described}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a model, of new layers, made from what `get_config` returned."""
        with CustomObjectScope(custom_objects):
            inputs, outputs = graph.from_config(config, (Functional,))
        trainable = config.get("trainable") is not False
        return cls(inputs, outputs, name=config.get("name"), trainable=trainable)

    def get_build_config(self) -> dict[str, Any]:
        """Return what Keras does: a graph is built as soon as it is there."""
        return {"input_shape": None}

    def call(self, inputs: Any) -> Any:
        """Return the outputs, one without a list around it: run the graph on tensors."""
        values = dict(zip(self.inputs, self.fitted(inputs), strict=True))
        for layer, arguments, outputs, options in self._plan:
            found = layer(tree.map_structure(values.__getitem__, arguments), **options)
            values.update(zip(outputs, tree.flatten(found), strict=True))
        return _alone(tree.map_structure(values.__getitem__, self.output))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for inputs of `input_shape`, structured as given."""
        shape = super().compute_output_shape(input_shape)
        listed = isinstance(self.output, (list, tuple)) and len(self.outputs) == 1
        return [shape] if listed else shape

    def fitted(self, inputs: Any) -> list[Tensor]:
        """Return the inputs in order, of the declared ranks: (n,) for (n, 1) and the reverse."""
        flat = self._by_name(inputs) if isinstance(inputs, dict) else tree.flatten(inputs)
        if len(flat) != len(self.inputs):
            raise ValueError(
                f"Model '{self.name}' expects {len(self.inputs)} inputs "
                f"({', '.join(x.node.layer.name for x in self.inputs)}), received {len(flat)}."
            )
        return [self._fitted(x, declared) for x, declared in zip(flat, self.inputs, strict=True)]

    def _by_name(self, inputs: dict[str, Any]) -> list[Tensor]:
        """Return the inputs that are called as the model's, or as the layers that begin it."""
        layers = [x.node.layer.name for x in self.inputs]
        names = sorted(self.input) if isinstance(self.input, dict) else layers
        for name in names:
            if name not in inputs:
                raise ValueError(
                    f'Missing data for input "{name}". You passed a data dictionary with keys '
                    f"{list(inputs)}. Expected the following keys: {names}"
                )
        return [x for name in names for x in tree.flatten(inputs[name])]

    def _fitted(self, x: Tensor, declared: KerasTensor) -> Tensor:
        if x.ndim == declared.ndim:
            return x
        if x.ndim == declared.ndim + 1 and x.shape[-1] == 1:
            return ops.squeeze(x, -1)
        if x.ndim == declared.ndim - 1 and declared.shape[-1] == 1:
            return ops.expand_dims(x, -1)
        raise ValueError(
            f"Invalid input shape for input '{declared.node.layer.name}' of model '{self.name}'. "
            f"Expected shape {declared.shape}, but input has incompatible shape {x.shape}"
        )


def _alone(things: Any) -> Any:
    """Return the only thing in a list, or the structure that is no list of one thing."""
    return things[0] if isinstance(things, (list, tuple)) and len(things) == 1 else things


Model._functional = Functional
publish("keras.src.models.functional", Functional)
