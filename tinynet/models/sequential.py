"""Models of layers one after the other.

Imports `model.py`. Read next: `cloning.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from .. import tree
from ..configs.lookup import publish, unique_name
from ..configs.serialization import Config, deserialize_keras_object, serialize_keras_object
from ..configs.watched import all_or_nothing
from ..engine.expect import expect
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.shapes import map_shapes, to_shape
from ..layers.symbolic import KerasTensor, context, within
from .graph import Graph
from .model import GraphModel


class Sequential(GraphModel):
    """A model of layers one after the other.

    Parameters
    ----------
    layers : list of Layer, optional
        May begin with an `Input`, or a model that knows its inputs; without them the first call
        builds the model.
    trainable : bool
    name : str, optional

    Raises
    ------
    ValueError
        For anything but layers, two layers with the same name, or a second input.

    >>> import tinynet as tn
    >>> model = Sequential([tn.Input((2,)), tn.layers.Dense(3), tn.layers.Dense(1)])
    >>> [layer.count_params() for layer in model.layers]
    [9, 4]
    """

    is_line = True  # for the summary, whatever the layers are

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self._layers: list[Layer] = []  # with the input layer, if there is one
        self._append(layers or ())
        self._rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Append a layer; if it does not fit, the model stays as it is."""
        expect(isinstance(rebuild, int), "rebuild", "a bool", rebuild)
        with all_or_nothing(self):
            self._append([layer])
            if rebuild:
                self._rebuild()

    def _append(self, layers: Iterable[Any]) -> None:
        found, names = [*self._layers], {layer.name for layer in self._layers}
        for layer in layers:
            new = layer.call.layer if isinstance(layer, KerasTensor) else layer
            if not isinstance(new, Layer):
                raise ValueError(f"add: expected a layer, received {new} of type {type(new)}.")
            expect(new.name not in names, "add", "a layer with a unique name", new.name)
            if found and isinstance(new, InputLayer):
                first = f"{found[0]}, shape {found[0].symbolic_shape}"
                raise ValueError(f"Sequential model '{self.name}' already begins with {first}.")
            declares = new.declared_shape is not None and not found
            found += [*([InputLayer(new.declared_shape)] if declares else []), new]
            names.add(new.name)
        self._layers = found

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it; ValueError if there is none."""
        if not self.layers:
            raise ValueError(f"Sequential model '{self.name}' has no layers to remove.")
        with all_or_nothing(self):
            layer = self._layers.pop()
            if rebuild:
                self._rebuild()
        return layer

    @property
    def _input_layer(self) -> InputLayer | None:
        return next((x for x in self._layers[:1] if isinstance(x, InputLayer)), None)

    def _rebuild(self) -> None:
        self._graph, self.built, self._steps = None, False, {}
        if self._input_layer and self.layers:
            self._connect(self._input_layer)
        elif len(self._layers) > 1 and (shape := getattr(self._layers[0], "input_shape", None)):
            self.build(shape)  # a model that knows its inputs, as the first layer

    def _connect(self, input_layer: InputLayer) -> None:
        """Call the layers on a placeholder; if one of them refuses it, nothing changes."""
        x, layers = input_layer.output, self.layers
        with within(scope=(*(layer for layer in context.scope if layer is not self), self)):
            for layer in layers:
                x = layer(x)
        unique_name("functional")  # Keras has a model of this name inside the Sequential one
        self._graph = Graph(input_layer.output, x, self.name)
        self._layers, self.built = [input_layer, *layers], True

    def build(self, input_shape: Any = None) -> None:
        """Build the layers for inputs of `input_shape`, which includes the batch size.

        Raises
        ------
        ValueError
            When there are no layers, or the model is built for another shape.
        """
        if not self.layers:
            raise ValueError(f"Sequential model '{self.name}' has no layers: `add` a layer first.")
        known = self._input_layer
        if known is None and not isinstance(map_shapes(len, input_shape), int):
            return  # several inputs: the first call builds the layers
        if known is None:
            with suppress(NotImplementedError):  # of a layer that does not know its output's shape
                self._connect(InputLayer(batch_shape=input_shape))
                self._graph.is_declared = not context.inside  # a call takes it from samples
        elif input_shape is not None and to_shape(input_shape) != known.batch_shape:
            shapes = f"{known.batch_shape}, received {input_shape}"
            raise ValueError(f"Sequential model '{self.name}' is already built for {shapes}.")

    def call(self, inputs: Any, training: Any = None, mask: None = None) -> Any:
        """Return the outputs of the last layer."""
        if self._graph is None:
            self.build(tree.map_structure(lambda x: x.shape, inputs))
            if self._graph is None:
                for layer in self.layers:
                    inputs = layer(inputs)
                return inputs
        return super().call(inputs, training)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input layer."""
        return self._layers[1:] if self._input_layer else list(self._layers)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the layers, and the shape of the input if the model is built."""
        shape = {"build_input_shape": self.input_shape} if self._graph else {}
        return {**super().get_config(), "layers": serialize_keras_object(self._layers), **shape}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Return a model, with new layers, made from what `get_config` returned."""
        model = cls(name=config.get("name"))
        model._append(deserialize_keras_object(config["layers"], custom_objects))
        model._rebuild()
        if config.get("build_input_shape") and not model.built:
            model.build(config["build_input_shape"])
        model._trainable = config.get("trainable") is not False
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape of the input, if the model is built."""
        return {"input_shape": self.input_shape} if self._graph else None


publish("keras", Sequential)
