"""Models: networks of layers, which are layers themselves.

Imports `layers`, `graph.py`, `training.py` and `saving`. Read next: `training.py`, if you have not;
then the examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import graph, ops, tree
from .engine.tensor import Tensor
from .layers.base import KerasTensor, Layer, context, to_shape, within
from .layers.core import Input, InputLayer
from .objects import (
    CustomObjectScope,
    deserialize_keras_object,
    noting_custom_objects,
    publish,
    serialize_keras_object,
)
from .progress import write
from .saving import Saved, load_model, model_of, refusing, save_model  # noqa: F401 (Keras's path)
from .summary import summary_text


class Model(Layer, Saved):
    """A network: ``Model(inputs, outputs)``, or a subclass with layers and a `call`.

    Parameters
    ----------
    inputs, outputs : KerasTensor, or lists or dicts of them
        The placeholders that a graph of layer calls leads from and to. Any graph without cycles;
        a layer may be called several times and then shares its weights.
    name : str, optional

    Raises
    ------
    ValueError
        When something else is passed, the outputs are not connected to the inputs, or two layers
        have one name.

    >>> import tinynet as tn
    >>> inputs = tn.Input(shape=[1])
    >>> model = Model(inputs, tn.layers.Dense(1, use_bias=False)(inputs))
    >>> model.count_params(), model.output_shape
    (1, (None, 1))
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        is_graph = args or "inputs" in kwargs or "outputs" in kwargs
        return super().__new__(Functional if cls is Model and is_graph else cls, *args, **kwargs)

    def __init__(self, *, name: str | None = None, trainable: bool = True, **kwargs: Any) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of this name, or at this place among `layers`.

        Raises
        ------
        ValueError
            When there is none, or both or neither are given.
        """
        if (name is None) == (index is None):
            problem = "Provide either a layer name or layer index at `get_layer`."
            raise ValueError(problem if name is None else f"{problem} Received: {index=}, {name=}.")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self.layers)} layers."
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise ValueError(f"No such layer: {name}. Existing layers are: {names}.")

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of the layers, their output shapes and numbers of weights.

        In a graph that is no line of layers a further column says what each layer is called on.

        Parameters
        ----------
        line_length : int, optional
            By default the terminal's width less 4, at most 88, or 108 for a graph.
        positions : list of float, optional
            Where each column ends, as a share of the line.
        print_fn : function of the whole text, optional
            Called instead of `print`.
        expand_nested : bool
            Whether to list the layers of models within, too.
        show_trainable : bool
            Whether to say which layers train.
        layer_range : two names of layers, optional
            Or patterns of them: the first and the last to be listed.

        Raises
        ------
        ValueError
            When there is no room for the columns; for positions that are not one for each column;
            for a range of layers that are not there.
        """
        text = summary_text(
            self, line_length, positions, expand_nested, show_trainable, layer_range
        )
        (print_fn or write)(text)

    # -- configs and files ------------------------------------------------------------------------

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a model, of new weights, made from what `get_config` returned."""
        with CustomObjectScope(custom_objects):
            if cls is Model and "input_layers" in config:
                return Functional.from_config(config)
            return super().from_config(config)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write what `predict` computes to a file that does without tinynet.

        Parameters
        ----------
        filepath : str or path
            A file that is there is replaced, whole or not at all.
        format : "numpy" or "onnx"
            A Python file that needs NumPy alone, with a function ``predict`` that gives the same
            numbers to the last bit; or an ONNX model (this needs the extra ``onnx``).
        verbose : bool, optional
            Whether to say that the file was written, which is so by default.
        input_signature : list of placeholders or arrays, optional
            The shapes of the inputs, where the model does not know them itself.
        opset_version : int, optional
            Of ONNX, 18 by default.

        Raises
        ------
        ValueError
            For other formats; for a model that is not built; when a prediction depends on the
            number of samples, or the format cannot express what the model computes.

        >>> import os, runpy, tempfile, tinynet as tn
        >>> model = Sequential([tn.Input((2,)), tn.layers.Dense(1, kernel_initializer="ones")])
        >>> path = os.path.join(tempfile.mkdtemp(), "sum.py")
        >>> model.export(path, format="numpy", verbose=False)
        >>> runpy.run_path(path)["predict"]([[1.0, 2.0], [3.0, 4.0]])
        array([[3.],
               [7.]], dtype=float32)
        """
        from .export import export  # seldom needed, so not loaded before

        export(self, filepath, format, verbose, input_signature, **kwargs)


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


publish("keras", Model, Sequential)
publish("keras.src.models.functional", Functional)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a model, of new weights, made from what `to_json` returned.

    Raises
    ------
    ValueError
        For what is no JSON, or describes no model that can be made here.
    """
    with refusing("the JSON text"):
        return model_of(json.loads(json_string), custom_objects)


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model like this one, of new layers and so of new weights, compiled if it is.

    Parameters
    ----------
    model : Model
    input_tensors : KerasTensor, or a structure of them as the model's inputs, optional
        Placeholders to begin with instead of new ones.
    clone_function : function of a layer to a layer, optional
        By default ``type(layer).from_config(layer.get_config())``.
    call_function : function ``(layer, inputs, **options)`` to outputs, optional
        Instead of calling the layer; for functional models only.
    recursive : bool
        Whether to clone the layers of models within in the same way.

    Raises
    ------
    ValueError
        For a subclassed model with any of these arguments; for `call_function` with a Sequential.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)])
    >>> clone_model(model).get_weights()[0].shape
    (2, 1)
    """
    is_stack, is_graph = isinstance(model, Sequential), isinstance(model, Functional)
    if not (is_stack or is_graph) and (input_tensors or clone_function or call_function):
        raise ValueError(
            "Arguments `clone_function`, `call_function` and `input_tensors` are for Sequential "
            f"and functional models only. Received a model of type {type(model).__name__}."
        )
    if is_stack and call_function is not None:
        raise ValueError(
            "`call_function` is for functional models only. Received a model of type "
            f"{type(model).__name__}."
        )

    def copied(layer: Any) -> Any:
        if recursive and isinstance(layer, (Sequential, Functional)):
            call = call_function if isinstance(layer, Functional) else None
            return clone_model(layer, None, clone_function, call, True)
        return clone_function(layer) if clone_function else _like(layer)

    if is_graph:
        copies = {layer: copied(layer) for layer in graph.as_copied(model._plan)}
        made = graph.again(
            model._plan, model.input, model.output, copies, input_tensors, call_function
        )
        clone = type(model)(*made, name=model.name)
    elif is_stack:
        entrance = model._entrance
        if input_tensors is not None:
            (entrance,) = tree.flatten(input_tensors)
        elif entrance is not None:
            entrance = Input(
                batch_shape=entrance.batch_shape, dtype=entrance.dtype, name=entrance.name
            )
        layers = [copied(layer) for layer in model.layers]
        clone = Sequential([*([] if entrance is None else [entrance]), *layers], name=model.name)
    else:
        return _like(model)
    if model.compiled:
        with noting_custom_objects() as known:
            config = model.get_compile_config()
        with CustomObjectScope(known):
            clone.compile_from_config(config)
    return clone


def _like(layer: Any) -> Any:
    """Return a layer or model of the same config; users' own objects are known by their names."""
    with noting_custom_objects() as known:
        config = serialize_keras_object(layer)
    config.pop("build_config", None)
    with CustomObjectScope(known):
        return deserialize_keras_object(config)
