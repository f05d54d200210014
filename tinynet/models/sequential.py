"""Models of layers one after the other.

Imports `functional.py`. Read next: the examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import tree
from ..configs.lookup import publish
from ..configs.serialization import (
    CustomObjectScope,
    deserialize_keras_object,
    serialize_keras_object,
)
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.symbolic import KerasTensor, context, to_shape, within
from .functional import Functional
from .model import Model


class Sequential(Model):
    """A model of layers one after the other.

    Parameters
    ----------
    layers : list of Layer, optional
        May begin with an `Input`; without it the model is built when it first sees data.
    trainable : bool
    name : str, optional

    Raises
    ------
    ValueError
        For what is no layer, a name that is there already, or a second input.

    >>> import tinynet as tn
    >>> model = Sequential([tn.Input((2,)), tn.layers.Dense(3), tn.layers.Dense(1)])
    >>> [layer.count_params() for layer in model.layers]
    [9, 4]
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self._entrance: InputLayer | None = None
        self._stack: list[Layer] = []
        self._graph: Functional | None = None
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer at the end; if it does not go there, the model stays as it is."""
        before = self._entrance, list(self._stack)
        if isinstance(layer, KerasTensor):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise ValueError(
                "Only instances of `Layer` can be added to a Sequential model. Received: "
                f"{layer} (of type {type(layer)})"
            )
        if layer.name in (known.name for known in (self._entrance, *self._stack) if known):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f"'{layer.name}' is already the name of a layer in this model. Update the `name` "
                "argument to pass a unique name."
            )
        if isinstance(layer, InputLayer):
            self._enter(layer)
        else:
            if layer.declared_shape is not None and not self._stack and not self._entrance:
                self._enter(InputLayer(layer.declared_shape))
            self._stack.append(layer)
        try:
            if rebuild:
                self._rebuild()
        except Exception:
            self._entrance, self._stack = before
            self._rebuild()
            raise

    def _enter(self, layer: InputLayer) -> None:
        if self._entrance or self._stack:
            known = self._entrance.batch_shape if self._entrance else "that of its first layer"
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{known}. You cannot add a different Input layer to it."
            )
        self._entrance = layer

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it; ValueError if there is none."""
        if not self._stack:
            raise ValueError(f"Sequential model '{self.name}' has no layers to remove.")
        layer = self._stack.pop()
        if rebuild:
            self._rebuild()
        return layer

    def _rebuild(self) -> None:
        self._graph, self.built, self._steps = None, False, None
        if self._entrance and self._stack:
            self._connect(self._entrance)

    def _connect(self, entrance: InputLayer) -> None:
        """Lead a placeholder through the layers; nothing is kept if one of them refuses it."""
        x = entrance.output
        with within(scope=(*(layer for layer in context.scope if layer is not self), self)):
            for layer in self._stack:
                x = layer(x)
        self._graph = Functional(entrance.output, x)
        self._entrance, self.built = entrance, True

    def build(self, input_shape: Any = None) -> None:
        """Build the layers for inputs of `input_shape`, the batch's length included.

        Raises
        ------
        ValueError
            When there are no layers, or the model is built for another shape.
        """
        if not self._stack:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call "
                "`model.add(layer)`."
            )
        if self._entrance is None:
            self._connect(InputLayer(batch_shape=to_shape(input_shape)))
        elif input_shape is not None and to_shape(input_shape) != self._entrance.batch_shape:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{self._entrance.batch_shape}. You cannot build it with input_shape {input_shape}"
            )

    def call(self, inputs: Any) -> Any:
        """Return the outputs of the last layer."""
        if self._graph is None:
            self.build(tree.map_structure(lambda x: x.shape, inputs))
        (x,) = self._graph.fitted(inputs)  # type: ignore[union-attr]
        for layer in self._stack:
            x = layer(x)
        return x

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""
        return list(self._stack)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the layers, and the shape of the input if the model is built."""
        layers = [layer for layer in (self._entrance, *self._stack) if layer]
        found = {**super().get_config(), "layers": [*map(serialize_keras_object, layers)]}
        if self.built and self._entrance:
            found["build_input_shape"] = self._entrance.batch_shape
        return found

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a model, of new layers, made from what `get_config` returned."""
        model = cls(name=config.get("name"))
        with CustomObjectScope(custom_objects):
            for layer in config["layers"]:
                model.add(deserialize_keras_object(layer), rebuild=False)
        model._rebuild()
        if config.get("build_input_shape") and not model.built:
            model.build(config["build_input_shape"])
        model._trainable = config.get("trainable") is not False
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape of the input, if the model is built."""
        return {"input_shape": self._entrance.batch_shape} if self.built else None  # type: ignore[union-attr]

    @property
    def graph(self) -> Any:
        return self._graph

    def _defined(self, attribute: str) -> Any:
        if self._graph is None:
            raise AttributeError(
                f"Sequential model '{self.name}' has no defined {attribute} yet: it is built when "
                "it sees data. Begin it with an `Input(shape)`, or call `build(input_shape)`."
            )
        return getattr(self._graph, attribute)

    input_shape = property(lambda self: self._defined("input_shape"), doc="The shape of the input.")
    output_shape = property(
        lambda self: self._defined("output_shape"), doc="The shape of the output."
    )
    inputs = property(lambda self: self._defined("inputs"), doc="The placeholder of the input.")
    outputs = property(lambda self: self._defined("outputs"), doc="The placeholder of the output.")


publish("keras", Sequential)
