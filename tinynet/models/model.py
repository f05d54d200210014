"""Models: networks that can be trained, explained, saved and exported; functional models.

Imports `summary.py`, `training`, `saving`, `explain` and `export`. Read next: `sequential.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypeVar

from ..configs.lookup import publish
from ..configs.serialization import (
    Config,
    CustomObjectScope,
    deserialize_keras_object,
    serialize_keras_object,
)
from ..engine.expect import expect, warn
from ..engine.tensor import as_tensor
from ..layers.base import Layer
from ..layers.symbolic import context, within
from ..training.data import Dataset
from ..training.divergence import largest_curvature, max_learning_rate
from ..training.trainer import Trainer
from .graph import Graph, from_config
from .summary import print_summary

if TYPE_CHECKING:
    from ..explain import Explanation

M = TypeVar("M", bound="Model")


def _is_graph(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether a constructor is called with inputs and outputs."""
    return bool(args) or "inputs" in kwargs or "outputs" in kwargs


def _make_functional(cls: type) -> None:
    """Replace `Model` by `Functional` among the bases of a class, and among those of its bases."""
    if cls is not Model and not issubclass(cls, Functional):
        for base in cls.__bases__:
            if issubclass(base, Model):
                _make_functional(base)
        cls.__bases__ = tuple(Functional if x is Model else x for x in cls.__bases__)


class Model(Trainer):
    """A network: ``Model(inputs, outputs)``, or a subclass with layers and a `call`.

    A subclass may have a graph as well: ``super().__init__(inputs, outputs)``, or ``Mine(inputs,
    outputs)`` if it has no constructor. It is a functional model from then on.

    Parameters
    ----------
    inputs, outputs : KerasTensor, or lists or dicts of them
        The placeholders where a graph of layer calls begins and ends. Any graph without cycles; a
        layer that is called several times shares its weights between the calls.
    name : str, optional

    Raises
    ------
    ValueError
        For inputs or outputs that are not placeholders, outputs that are not connected to the
        inputs, or two layers with the same name.

    >>> import tinynet as tn
    >>> inputs = tn.Input(shape=[1])
    >>> model = Model(inputs, tn.layers.Dense(1, use_bias=False)(inputs))
    >>> model.count_params(), model.output_shape
    (1, (None, 1))
    """

    summary = print_summary

    _keeps_arguments = True

    def __new__(cls: type[M], *args: Any, **kwargs: Any) -> M:
        kind: Any = Functional if cls is Model and _is_graph(args, kwargs) else cls
        return super().__new__(kind, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _is_graph(args, kwargs):
            _make_functional(type(self))
            this: Any = self  # a functional model now
            Functional.__init__(this, *args, **kwargs)
        else:
            super().__init__(*args, **kwargs)

    @property
    def is_line(self) -> bool:
        """Whether the layers form a chain, which the summary lists without connections."""
        return self._graph is None or self._graph.is_line

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer with this name, or at this index in `layers`.

        Raises
        ------
        ValueError
            When there is no such layer, and when both or neither are given.
        """
        expect((name is None) != (index is None), "get_layer", "a name or an index", (name, index))
        layers = self.layers
        names = [layer.name for layer in layers]
        if name in names:
            return layers[names.index(name)]
        if index is None or not -len(layers) <= index < len(layers):
            asked = repr(name) if index is None else f"at index {index}"
            raise ValueError(f"get_layer: no layer {asked} among the {len(layers)} layers {names}.")
        return layers[index]

    def explain_step(self, x: Any, y: Any = None, sample_weight: Any = None) -> Explanation:
        """Explain one training step on these samples, without changing the model.

        Print the result, show it in a notebook, or use its data: `rows` has the value, gradient,
        optimizer state and new value of each element of the weights;
        ``gradient_of("dense/kernel", 0, 0)`` has the factors of the chain rule for each sample.

        Raises
        ------
        ValueError
            For arguments that `fit` refuses.
        TypeError
            When a layer reads the values of its tensors, as the step cannot be recorded then.

        >>> import tinynet as tn
        >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, use_bias=False, name="line")])
        >>> model.set_weights([[[3.0]]])
        >>> model.compile(tn.optimizers.SGD(0.25), "mse")
        >>> explanation = model.explain_step([1.0, 2.0], [2.0, 4.0])
        >>> print(explanation.gradient_of("line/kernel", 0, 0))
        backward: d loss / d line/kernel[0, 0]
          sample  x  d loss / d line  product
          0       1                1        1
          1       2                2        4
          sum                               5
        >>> explanation.rows[0]["new_value"]  # 3 - 0.25 * 5
        1.75
        """
        from ..explain import explain_step  # seldom needed

        return explain_step(self, x, y, sample_weight)

    def max_learning_rate(self, x: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the learning rate above which plain gradient descent on these samples diverges.

        It is 2 / the largest eigenvalue of the loss's Hessian at the current weights, computed in
        float64. It is exact where the loss is quadratic in the weights, as for a linear neuron and
        the mean squared error: below it full-batch gradient descent converges, above it the loss
        grows without bound. Elsewhere it holds near the current weights.

        >>> import numpy as np, tinynet as tn
        >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, use_bias=False)])
        >>> model.compile("sgd", "mse")
        >>> x = np.arange(200.0)  # the Hessian is 2 * mean(x ** 2)
        >>> print(f"{model.max_learning_rate(x, 2 * x):.9f} {1 / np.mean(x**2):.9f}")
        0.000075566 0.000075566
        """
        with self.prepared(Dataset.of_one_batch(x, y, sample_weight)) as batch:
            return max_learning_rate(largest_curvature(self, batch))

    # -- configs and files ------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Return a model, with new weights, made from what `get_config` returned."""
        with CustomObjectScope(custom_objects):
            if "input_layers" not in config or not cls._is_made_of_graph():
                return super().from_config(config)
            inputs, outputs = from_config(config, Functional)
        known = ("layers", "input_layers", "output_layers", "trainable", "name")
        own = {key: value for key, value in config.items() if key not in known}
        trainable = config.get("trainable") is not False
        return cls(inputs, outputs, name=config.get("name"), trainable=trainable, **own)

    @classmethod
    def _is_made_of_graph(cls) -> bool:
        """Return whether the constructor takes inputs and outputs, and not arguments of its own."""
        kinds = {p.kind for p in signature(cls.__init__).parameters.values()}
        own = cls.__init__ not in (Model.__init__, Functional.__init__)
        return not own or {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD} <= kinds

    def get_compile_config(self) -> dict[str, Any]:
        """Return the arguments of `compile`, with the current optimizer; {} before `compile`."""
        if not self.compiled:
            return {}
        names = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly")
        given = (self.optimizer, self.loss, self.loss_weights, *self._given_metrics)
        config = dict(zip(names, (*given, self.run_eagerly), strict=True))
        jit_compile = self.jit_compile if self.jit_compile != "auto" else not self.run_eagerly
        config |= {"steps_per_execution": 1, "jit_compile": jit_compile}
        return serialize_keras_object(config)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile the model by what `get_compile_config` returned, with a new optimizer state."""
        cls = type(self)
        if cls.compile is not Trainer.compile:
            problem = f"The model was not compiled, as {cls.__name__} defines `compile` itself"
            advice = "compile it, or define `get_compile_config` and `compile_from_config`, too"
            warn(f"{problem}: {advice}.")
            return
        given = deserialize_keras_object(config)
        if given.get("jit_compile") is True:  # which is what files have for "auto"
            given["jit_compile"] = "auto"
        self.compile(**given)
        if self.built and self.optimizer:
            self.optimizer.build(self.trainable_variables)

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Save the model to a ``.keras`` file; see `saving.save_model`."""
        from ..saving import save_model  # loaded when it is needed, as in the next methods

        save_model(self, filepath, overwrite, zipped, **kwargs)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: None = None
    ) -> None:
        """Save weights and optimizer state to a file; see `saving.save_weights`."""
        from ..saving import save_weights

        save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Load weights and optimizer state from a file; see `saving.load_weights`."""
        from ..saving import load_weights

        load_weights(self, filepath, skip_mismatch)

    def to_json(self, **kwargs: Any) -> str:
        """Return the model's config as JSON, without weights; `kwargs` are for `json.dumps`.

        >>> import tinynet as tn
        >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)], name="line")
        >>> tn.models.model_from_json(model.to_json())
        <Sequential name=line, built=True>
        """
        import json

        return json.dumps(serialize_keras_object(self), **kwargs)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write what `predict` computes to a file that does not need tinynet.

        Parameters
        ----------
        filepath : str or path
            An existing file is replaced, completely or not at all.
        format : "numpy", "onnx" or "c"
            A Python file that needs only NumPy, with a function ``predict`` that returns the same
            numbers bit for bit; an ONNX model (this needs the extra ``onnx``); or one C99 file with
            the weights inside, whose function ``predict`` takes pointers to the inputs and outputs
            of one sample. It needs only ``math.h`` and allocates nothing, for microcontrollers and
            other languages; its first lines say how to call it. Outputs of ONNX and C are equal up
            to rounding.
        verbose : bool, optional
            Whether to print that the file was written; True by default.
        input_signature : list of placeholders or arrays, optional
            The shapes of the inputs, for a model that does not know them.
        opset_version : int, optional
            The version of ONNX's operators, 18 by default.

        Raises
        ------
        ValueError
            For other formats; for a model that is not built; when a prediction depends on the
            batch size, or the format cannot express what the model computes; the message names the
            primitive.

        >>> import os, runpy, tempfile, tinynet as tn
        >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1, kernel_initializer="ones")])
        >>> path = os.path.join(tempfile.mkdtemp(), "sum.py")
        >>> model.export(path, format="numpy", verbose=False)
        >>> runpy.run_path(path)["predict"]([[1.0, 2.0], [3.0, 4.0]])
        array([[3.],
               [7.]], dtype=float32)
        """
        from ..export import export  # loaded when it is needed

        export(self, filepath, format, verbose, input_signature, **kwargs)


# -- models of a graph -----------------------------------------------------------------------------


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

    def get_build_config(self) -> dict[str, Any]:
        """Return what Keras returns: a graph is built from the start."""
        return {"input_shape": None}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for inputs of `input_shape`, structured as given."""
        shape = super().compute_output_shape(input_shape)
        listed = isinstance(self.output, (list, tuple)) and len(self.outputs) == 1
        return [shape] if listed else shape


publish("keras", Model)
publish("keras.src.models.functional", Functional)
