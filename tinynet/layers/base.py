"""The base of layers: weights, and a function of them and the inputs.

A layer called on tensors computes; called on a `KerasTensor`, a placeholder that knows its shape
alone, it notes the call as a `Node`, and the notes are the graph that `models.Model` runs.

Imports the engine, `initializers.py`, `tree.py`. Read next: `core.py`, with `Dense`.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from .. import initializers, ops, regularizers, tree
from ..configs.configurable import Configurable, plain_arguments
from ..configs.lookup import automatic_name
from ..engine.bind import modes, no_grad
from ..engine.tensor import Tensor, as_dtype, as_tensor, floatx, to_array
from ..engine.variable import Variable, stateless, structure
from ..random import SeedGenerator
from .symbolic import KerasTensor, Node, claim, common_shape, context, map_shapes, to_shape, within


class Layer(Configurable):
    """Base of layers: weights, and a `call` that computes with them.

    Subclass it with ``call(self, inputs)`` and, where the weights depend on the shape of the
    inputs, ``build(self, input_shape)``. Variables and layers among the attributes, also in lists
    and dicts, belong to the layer. A `call` that names `training` is told whether it is.

    Parameters
    ----------
    name : str, optional
        Without ``/``; by default the class's name in snake_case, numbered.
    dtype : str, optional
        The dtype of weights, `floatx` by default.
    trainable : bool
        Whether training changes the weights.
    activity_regularizer : regularizer or str, optional
        What it returns for the output, divided by the length of the batch, is added to the loss.

    Raises
    ------
    ValueError
        For a `name` that is no such string, an unsuitable `dtype`, or an unknown keyword.

    >>> import tinynet as tn
    >>> class Scale(tn.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=input_shape[-1:], initializer="ones")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> scale = Scale()
    >>> scale([[1.0, 2.0]]), scale.count_params()
    (tensor([[1., 2.]], dtype=float32, requires_grad=True), 2)
    """

    built = False
    noted_shape: Any = None  # of the outputs of the last call on placeholders
    noted_calls: tuple[int, ...] = ()  # the numbers of the first output of each
    _takes_training = False
    activity_regularizer: Any = None
    _arguments: Any = None  # what a layer without `get_config` was made with, if it is plain data

    _unwatched = frozenset(
        {"built", "noted_shape", "noted_calls", "_called", "_built_shape", "_arguments"}
        | {"_own", "_frozen", "_regularizers"}
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = object.__new__(cls)
        if not _overrides(cls, "get_config"):
            layer._arguments = plain_arguments(cls, args, kwargs)
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        **kwargs: Any,
    ) -> None:
        given = [kwargs.pop(key) for key in ("input_shape", "input_dim") if key in kwargs]
        kwargs.pop("autocast", None)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. "
                f"Received: name={name} (of type {type(name)})"
            )
        if len(given) == 2:
            raise ValueError(f"Pass only one of input_shape and input_dim, received both: {given}.")
        self.name = name or automatic_name(self)
        self.dtype = as_dtype(dtype or floatx()).name
        self.declared_shape = (
            to_shape([given[0]] if isinstance(given[0], int) else given[0]) if given else None
        )
        if given:
            warnings.warn(
                "input_shape and input_dim are an old way to declare a model's input: begin the "
                "Sequential model with an `Input(shape)` instead.",
                stacklevel=3,
            )
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = bool(trainable)
        self._own: list[Variable] = []  # what add_weight made
        self._frozen: set[Variable] = set()  # those of them that never train
        self._regularizers: dict[Variable, Callable[[Tensor], Any]] = {}
        self._called = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._takes_training = "training" in inspect.signature(cls.call).parameters
        if "build" in vars(cls):
            cls.build = _noted(cls.build)  # type: ignore[method-assign]

    # -- what subclasses define ---------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of `input_shape` (a list of shapes for several inputs)."""
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the outputs for tensors `inputs`."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs).")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for inputs of `input_shape`, found by running `call`."""
        return self._probe(input_shape)

    def _probe(self, input_shape: Any, **options: Any) -> Any:
        def run(length: int) -> Any:
            zeros = map_shapes(
                lambda s: ops.zeros([n or length for n in s], self.dtype), input_shape
            )
            with no_grad(), np.errstate(all="ignore"):  # nobody sees these numbers
                return self._run(zeros, **{**options, "training": False})

        # A length that differs between batches of 2 and of 3 is one that varies with the batch.
        # Nothing of it is to be remembered.
        with within(losses={}), stateless({v: v.value for v in self.variables}):
            first = run(2)
            others = iter(tree.flatten(run(3)))
        return tree.map_structure(lambda x: common_shape(x.shape, next(others).shape), first)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        policy = {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": self.dtype},
            "registered_name": None,
        }
        found = {"name": self.name, "trainable": self.trainable, "dtype": policy}
        if self.activity_regularizer is not None:
            found["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if _overrides(type(self), "get_config"):
            return found
        if self._arguments is None:
            raise NotImplementedError(
                f"{type(self).__name__} was made with arguments that are no plain numbers or "
                "strings: define get_config(self), which returns all of them by name beside what "
                "super().get_config() returns, so that the layer can be saved and copied."
            )
        names = inspect.signature(type(self).__init__).parameters
        every = any(p.kind is p.VAR_KEYWORD for p in names.values())
        found = {key: value for key, value in found.items() if every or key in names}
        return {key: found.get(key) for key in ("name",) if key in found} | self._arguments | found

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Return a layer made from what `get_config` returned."""
        policy = config.get("dtype")
        if isinstance(policy, dict):
            config = {**config, "dtype": policy["config"]["name"]}
        return super().from_config(config)

    # -- calling ------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs: tensors for tensors or arrays, placeholders for placeholders."""
        if not context.inside:
            return self._from_outside(inputs, *args, **kwargs)
        if type(inputs) is Tensor:
            inputs = self._to_tensor(inputs)
        else:
            flat = tree.flatten(inputs)
            if any(isinstance(x, KerasTensor) for x in flat):
                return self._note(inputs, flat, *args, **kwargs)
            inputs = tree.map_structure(self._to_tensor, inputs)
        if self._called:
            self._check(inputs)
            return self._run(inputs, *args, **kwargs)
        with within(scope=(*context.scope, self)):
            self._build_for(inputs)
            inputs = tree.map_structure(self._to_tensor, inputs)  # as the weights are, now made
            outputs = self._run(inputs, *args, **kwargs)
        self._called = True
        return outputs

    def _from_outside(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer; what was added to the loss by an earlier such call is forgotten."""
        if context.losses:
            for layer in self._family():
                context.losses.pop(layer, None)
        context.inside = True
        try:
            return self(*args, **kwargs)
        finally:
            context.inside = False

    def _run(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if training is not None and training != context.training:
            with within(training=bool(training)):  # the layers within are told, too
                return self._run(inputs, *args, **kwargs)
        if self._takes_training:
            kwargs["training"] = context.training
        outputs = self.call(inputs, *args, **kwargs)
        if self.activity_regularizer is not None:
            for output in tree.flatten(outputs):
                share = max(output.shape[0], 1) if output.ndim else 1
                self.add_loss(self.activity_regularizer(output) / share)
        if modes.recorder is not None and isinstance(outputs, Tensor):
            modes.recorder.label(outputs, self.name)
        return outputs

    def _to_tensor(self, x: Any) -> Tensor:
        """Return `x` as a tensor: floating as the weights are, if there are any."""
        if x is None or isinstance(x, str):
            raise ValueError(f"Layer '{self.name}' expected an array as input, received: {x!r}.")
        x = as_tensor(x)
        for weight in self._own:
            if weight.array.dtype.kind == "f":
                return ops.cast(x, weight.value.dtype)
        return x if x.dtype.kind == "f" else ops.cast(x, self.dtype)

    def _build_for(self, inputs: Any) -> None:
        """Check `inputs`, tensors or placeholders, and build the layer if it is not yet built."""
        self._check(inputs)
        if not self.built:
            shape = tree.map_structure(lambda x: tuple(x.shape), inputs)
            self.build(shape)
            self.built = True
            if self.layers:
                self._built_shape = shape  # also where `build` is not defined

    def _check(self, inputs: Any) -> None:
        """Raise ValueError if `inputs`, tensors or placeholders, cannot be computed with."""

    def _note(self, inputs: Any, flat: list[Any], *args: Any, **options: Any) -> Any:
        """Return placeholders for the outputs, which remember this call."""
        if not all(isinstance(x, KerasTensor) for x in flat):
            raise ValueError(
                f"Layer '{self.name}' was called on placeholders and arrays together; expected "
                f"only one kind, received: {inputs}."
            )
        if args or any(isinstance(x, KerasTensor) for x in tree.flatten(options)):
            raise ValueError(
                f"Layer '{self.name}' was called on a placeholder and more: pass several inputs as "
                f"a list, and other arguments by keyword. Received: {(inputs, *args)}, {options}."
            )
        probes = type(self).compute_output_shape is Layer.compute_output_shape
        with within(scope=(*context.scope, self)):
            self._build_for(inputs)
            shape = tree.map_structure(lambda x: x.shape, inputs)
            shapes = self._probe(shape, **options) if probes else self.compute_output_shape(shape)
        node, self.noted_shape = Node(self, inputs, [], options), shapes
        outputs = map_shapes(lambda shape: KerasTensor(shape, self.dtype, node), shapes)
        self.noted_calls += (node.outputs[0].number,)
        return outputs

    # -- weights ------------------------------------------------------------------------------

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: None = None,
        name: str | None = None,
    ) -> Variable:
        """Return a new weight of `shape`, filled by `initializer` (glorot_uniform by default).

        What `regularizer` returns for it is added to the loss, while it trains. ValueError for a
        length that is not known, and for a constraint.
        """
        if constraint is not None:
            raise ValueError(out_of_scope("add_weight", {"constraint": constraint}))
        shape = () if shape is None else tuple(shape)
        if any(n is None for n in shape):
            raise ValueError(f"add_weight: expected a shape of known lengths, received {shape}.")
        claim(shape, dtype or self.dtype)
        if context.allowance is not None:
            initializer = "zeros"  # as a file says what the numbers are
        fill = initializers.get(initializer or "glorot_uniform")
        scope = context.scope if self in context.scope else (*context.scope, self)
        name = name or "variable"
        weight = Variable(
            fill(shape, dtype or self.dtype),
            dtype=dtype or self.dtype,
            trainable=trainable and self._trainable,
            name=name,
            path="/".join((*(layer.name for layer in scope), name)),
        )
        self._own.append(weight)
        structure.change()
        if regularizer is not None:
            self._regularizers[weight] = regularizers.get(regularizer)
        if not trainable:
            self._frozen.add(weight)
        return weight

    @property
    def layers(self) -> list[Layer]:
        """The layers among the attributes."""
        return list(dict.fromkeys(_among(vars(self), Layer)))

    @property
    def weights(self) -> list[Variable]:
        """All weights: the layer's own, those that train first, then those of its layers."""
        own = sorted(self._mine(), key=lambda w: w in self._frozen)
        return list(dict.fromkeys([*own, *(w for layer in self.layers for w in layer.weights)]))

    def _mine(self) -> dict[Variable, None]:
        """Return the layer's own variables, without those of the layers within."""
        return dict.fromkeys([*self._own, *_among(vars(self), Variable)])

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes: none if the layer is not `trainable`."""
        return [w for w in self.weights if w.trainable and self._trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone."""
        return [w for w in self.weights if not (w.trainable and self._trainable)]

    trainable_variables = trainable_weights

    @property
    def variables(self) -> list[Variable]:
        """The weights and, behind them, the states of the generators of random numbers."""
        family = self._family()
        seeds = (seed.state for layer in family for seed in _among(vars(layer), SeedGenerator))
        return list(dict.fromkeys([*self.weights, *seeds]))

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that training leaves alone, or that layers change by themselves."""
        return [v for v in self.variables if not (v.trainable and self._trainable)]

    def _family(self) -> list[Layer]:
        """Return the layer and all within, each once."""
        return list(dict.fromkeys([self, *(x for layer in self.layers for x in layer._family())]))

    # -- losses -------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar tensor, or several, to the loss that the model is trained on.

        To be called in `call`, of tensors computed there.

        >>> import tinynet as tn
        >>> class Watched(Layer):
        ...     def call(self, inputs):
        ...         self.add_loss(0.1 * tn.ops.sum(inputs))
        ...         return inputs
        >>> layer = Watched()
        >>> layer([[1.0, 2.0]]), layer.losses
        (tensor([[1., 2.]], dtype=float32), [tensor(0.3, dtype=float32)])
        """
        context.losses.setdefault(self, []).extend(map(as_tensor, tree.flatten(loss)))

    @property
    def losses(self) -> list[Tensor]:
        """The losses that the last call added, then those of regularizers of trainable weights."""
        family = self._family()
        added = [x for layer in family for x in context.losses.get(layer, ())]
        penalties = {w: f for layer in family for w, f in layer._regularizers.items()}
        trained = (w for w in self.trainable_weights if w in penalties) if penalties else ()
        return added + [as_tensor(penalties[w](w.value)) for w in trained]

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets it for the layers within too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        mine = self._mine()
        if self._trainable:  # those that do not train now are not to train later
            self._frozen.update(w for w in mine if not w.trainable)
        self._trainable = bool(value)
        for weight in set(mine) - self._frozen:
            weight.trainable = self._trainable
        for layer in self.layers:
            layer.trainable = self._trainable

    def get_weights(self) -> list[np.ndarray]:
        """Return the numbers of all weights, copied."""
        return [np.array(w) for w in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Give the weights new numbers, in the order of `get_weights`.

        Raises
        ------
        ValueError
            On another count or shape than `get_weights` returns, or something else than numbers;
            then nothing is changed.
        """
        mine = self.weights
        if len(weights) != len(mine):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of "
                f"length {len(weights)}, but the layer was expecting {len(mine)} weights."
            )
        for weight, value in zip(mine, weights, strict=True):
            if np.shape(value) != weight.shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {weight.shape} is not compatible with "
                    f"provided weight shape {np.shape(value)}."
                )
        arrays = [to_array(v, w.dtype) for w, v in zip(mine, weights, strict=True)]
        for weight, array in zip(mine, arrays, strict=True):
            weight.assign(array)

    def count_params(self) -> int:
        """Return the number of weights' elements; ValueError before the layer is built."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                "built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(w.size for w in self.weights)

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation: that of the weights."""
        return self.dtype

    variable_dtype = compute_dtype

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape that the layer was built for, if it was."""
        return None if self._built_shape is None else {"input_shape": self._built_shape}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer, and those within, for the shape that `get_build_config` returned."""
        shape = map_shapes(lambda s: s, config["input_shape"])
        with within(scope=(*context.scope, self)):
            if _overrides(type(self), "build"):
                self.build(shape)
            elif self.layers:
                self._probe(shape)
                self._built_shape = shape

    _built_shape: Any = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _overrides(cls: type, method: str) -> bool:
    """Return whether a class of layers has its own `method`."""
    return getattr(cls, method) is not getattr(Layer, method)


def _noted(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer's own `build`, noting that it ran, and for which shape."""

    @wraps(build)
    def noted(self: Layer, input_shape: Any = None) -> None:
        build(self, input_shape)
        self.built = True
        self._built_shape = input_shape

    return noted


INSTEAD = "Write a layer of your own, or use Keras, which reads the files that `model.save` writes."


def out_of_scope(name: str, options: dict[str, Any]) -> str:
    """Return the message that refuses options of Keras's for what is not here."""
    return f"{name}: out of tinynet's scope: {options}. {INSTEAD}"


def _among(attributes: dict[Any, Any] | Iterable[Any], kind: type) -> Iterator[Any]:
    """Yield the things of a kind among attributes, also in lists, tuples and dicts."""
    for value in attributes.values() if isinstance(attributes, dict) else attributes:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, (list, tuple, dict)):
            yield from _among(value, kind)
