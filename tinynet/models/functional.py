"""Models: networks of layers, which are layers themselves; and those of a graph.

Imports `layers`, `graph.py`, `training.py` and `saving`. Read next: `training.py`, if you have not;
then `sequential.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import ops, tree
from ..callbacks.progbar import write
from ..configs.lookup import publish
from ..configs.serialization import CustomObjectScope
from ..engine.tensor import Tensor
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.symbolic import KerasTensor
from ..saving import Saved
from . import graph
from .summary import summary_text


class Model(Saved):
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
        >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1, kernel_initializer="ones")])
        >>> path = os.path.join(tempfile.mkdtemp(), "sum.py")
        >>> model.export(path, format="numpy", verbose=False)
        >>> runpy.run_path(path)["predict"]([[1.0, 2.0], [3.0, 4.0]])
        array([[3.],
               [7.]], dtype=float32)
        """
        from ..export import export  # seldom needed, so not loaded before

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


publish("keras", Model)
publish("keras.src.models.functional", Functional)
