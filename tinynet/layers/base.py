"""The base of layers: how they are built and called, on tensors and on placeholders.

A layer called on tensors computes. Called on a `KerasTensor`, a placeholder without numbers, it
remembers the call as a `LayerCall`; these calls are the graph that `models.Model` runs.

Imports the engine, `module.py` and `shapes.py`. Read next: `core.py`, with `Dense`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from .. import ops, regularizers, tree
from ..configs.configurable import Configurable, plain_arguments, refuse_unknown
from ..configs.lookup import automatic_name
from ..configs.serialization import deserialize_keras_object
from ..configs.watched import all_or_nothing
from ..engine.bind import modes
from ..engine.expect import expect, warn
from ..engine.tensor import Tensor, as_dtype, as_tensor, floatx
from ..engine.variable import paired, stateless
from .module import Module
from .shapes import map_shapes, probed, recorded, shapes_for, to_shape, training_of
from .symbolic import KerasTensor, LayerCall, building, context, of_first, placeholders_in, within

L = TypeVar("L", bound="Layer")
BY_NAME: Any = object()  # an argument that the keyword arguments hold
Placeholders = KerasTensor | Sequence[KerasTensor] | Mapping[str, KerasTensor]


class Layer(Module, Configurable):
    """Base of layers: weights, and a `call` that computes with them.

    Subclass it with ``call(self, inputs)`` and, where the weights depend on the shape of the
    inputs, ``build(self, input_shape)``. Variables and layers among the attributes, also in lists
    and dicts, belong to the layer. A `call` with an argument `training` is passed True in training
    and False otherwise. `fit` passes it to a model whose `call` has that argument, and the model
    passes it to the layers inside, as in Keras.

    Parameters
    ----------
    name : str, optional
        Without ``/``; by default the class's name in snake_case, with a number.
    dtype : str, optional
        The dtype of weights, `floatx` by default.
    trainable : bool
        Whether training changes the weights.
    activity_regularizer : regularizer or str, optional
        Its value for the output, divided by the batch size, is added to the loss.

    Raises
    ------
    ValueError
        For an invalid `name` or `dtype`, and for an unknown keyword.

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

    symbolic_shape: Any = None  # of the outputs of the last call on placeholders
    symbolic_calls: tuple[int, ...] = ()  # the numbers of all calls on placeholders
    first_call: LayerCall | None = None  # the first of these calls
    input, output = of_first("inputs"), of_first("outputs")
    activity_regularizer: Any = None
    declared_shape: Any = None  # of the inputs, by `input_shape` or `input_dim`
    _build_config: Any = None  # the shapes that `build` took, by the names of its arguments
    _arguments: Any = None  # the constructor's, if there is no `get_config` and they are plain data
    _called = _keeps_arguments = False  # whether `_arguments` are kept in spite of a `get_config`

    _unwatched = Module._unwatched | {
        *("built", "symbolic_shape", "symbolic_calls", "first_call", "_called", "_build_config"),
        "_arguments",
    }

    def __new__(cls: type[L], *args: Any, **kwargs: Any) -> L:
        layer = super().__new__(cls, *args, **kwargs)
        if cls._keeps_arguments or not _overrides(cls, "get_config"):
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
        refuse_unknown(self, kwargs)
        valid = name is None or (isinstance(name, str) and "/" not in name)
        expect(valid, "name", "a string without '/'", name)
        expect(len(given) < 2, type(self).__name__, "only one of input_shape and input_dim", given)
        is_bool = isinstance(trainable, (bool, np.bool_))
        expect(is_bool, f"{type(self).__name__}: trainable", "a bool", trainable)
        super().__init__(trainable)
        self.name = name or automatic_name(self)
        dtype = deserialize_keras_object(dtype) if isinstance(dtype, dict) else dtype
        self.dtype = as_dtype(dtype or floatx()).name
        self.activity_regularizer = regularizers.get(activity_regularizer)
        if given:
            self.declared_shape = to_shape([given[0]] if isinstance(given[0], int) else given[0])
            warn("Instead of input_shape and input_dim, begin the model with an `Input(shape)`.")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = recorded(cls.build)  # type: ignore[method-assign]
            cls.built = vars(cls).get("built", False)  # even if the base class needs no `build`

    # -- what subclasses define ---------------------------------------------------------------

    @recorded
    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of `input_shape`, which is a list for several inputs.

        A class without a `build` of its own builds the layers inside, by a call on placeholders.
        """
        if self.layers and input_shape and not (self.built or _overrides(type(self), "build")):
            with within(scope=(*context.scope, self)), all_or_nothing(*self._flatten_layers()):
                Layer.compute_output_shape(self, input_shape)

    def call(self, inputs: Any) -> Any:
        """Return the outputs for tensors `inputs`."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs).")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for inputs of `input_shape`, found by running `call`."""
        inputs = map_shapes(lambda shape: KerasTensor(shape, self.dtype, name="probe"), input_shape)
        return tree.map_structure(lambda x: x.shape, probed(self, (inputs,), {}))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return placeholders like the outputs of a call on placeholders, without recording it."""
        if not _overrides(type(self), "compute_output_shape"):
            return probed(self, args, kwargs)
        shapes, named = shapes_for(self.compute_output_shape, self.call, args, kwargs)
        found = self.compute_output_shape(*shapes, **named)
        return map_shapes(lambda shape: KerasTensor(shape, self.dtype, name="probe"), found)

    def _zeros(self, x: KerasTensor, size: int) -> Tensor:
        """Return a tensor like a placeholder, with `size` for each unknown length."""
        return ops.zeros([n or size for n in x.shape], x.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        policy: dict[str, Any] = {"module": "keras", "class_name": "DTypePolicy"}
        policy |= {"config": {"name": self.dtype}, "registered_name": None}
        found = {"name": self.name, "trainable": self.trainable, "dtype": policy}
        if self.activity_regularizer is not None:
            found["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if _overrides(type(self), "get_config"):
            return found
        return self._with_arguments(found)

    def _with_arguments(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return a config with the arguments that the constructor was called with."""
        if self._arguments is None:
            problem = f"{type(self).__name__} has arguments other than numbers and strings"
            advice = "which adds them by name to what super().get_config() returns"
            raise NotImplementedError(f"{problem}: define get_config(self), {advice}.")
        names = inspect.signature(type(self).__init__).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in names.values()):
            found = {key: value for key, value in found.items() if key in names}
        return dict([*found.items()][:1]) | self._arguments | found

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Return a layer made from what `get_config` returned."""
        policy = config.get("dtype")
        if isinstance(policy, dict):
            config = {**config, "dtype": policy["config"]["name"]}
        return super().from_config(config)

    # -- calling ------------------------------------------------------------------------------

    @overload
    def __call__(self, inputs: Placeholders, *args: Any, **kwargs: Any) -> KerasTensor: ...
    @overload
    def __call__(self, inputs: Any = BY_NAME, *args: Any, **kwargs: Any) -> Tensor: ...
    def __call__(self, inputs: Any = BY_NAME, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs: tensors for tensors or arrays, placeholders for placeholders."""
        if not context.inside:
            return self._from_outside(inputs, *args, **kwargs)
        given = self._first_by_name(kwargs) if inputs is BY_NAME else (inputs, *args)
        known = len(given) == 1 and type(given[0]) is Tensor and not kwargs
        if not known and placeholders_in((given, kwargs)):
            symbolic = all(x is None or isinstance(x, KerasTensor) for x in tree.flatten(given[0]))
            expect(symbolic, f"Layer '{self.name}'", "only placeholders or only arrays", given[0])
            return self._call_symbolically(given, kwargs)
        given = self._to_tensors(given)
        if self._called:
            self._check(given[0])
            return self._run(*given, **kwargs)
        with building, within(scope=(*context.scope, self)):
            self._build_for(given, kwargs)
            given = self._to_tensors(given)  # to the dtype of the new weights
            outputs = self._run(*given, **kwargs)
            self._called = True
        return outputs

    def _from_outside(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer as the outermost one: discard the losses added in earlier calls."""
        if context.losses:
            for layer in self._flatten_layers():
                context.losses.pop(layer, None)
        with within(inside=True):
            return self(*args, **kwargs)

    def _first_by_name(self, kwargs: dict[str, Any]) -> tuple[Any]:
        """Take the first argument of `call` from those that were given by name."""
        name = next(iter(inspect.signature(self.call).parameters), "")
        expect(name in kwargs, f"Layer '{self.name}'", f"an argument {name!r}", [*kwargs])
        return (kwargs.pop(name),)

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the outputs for given values of the variables, and the new non-trainable values.

        This is a pure function: the variables themselves do not change. So it can be compiled, and
        differentiated, also by `vjp` or `hessian`; see the training loop below. Pass
        ``training=True`` to let layers such as `Dropout` act as in training.

        Parameters
        ----------
        trainable_variables, non_trainable_variables : lists of arrays or tensors
            Values for the variables in the attributes of these names, in this order. They are
            converted to the variables' dtypes. In a loop, begin with ``v.numpy()`` of each: results
            that come from a trainable variable itself carry a tape of all steps before them.
        *args, **kwargs
            The arguments of a call of the layer.
        return_losses : bool
            Whether to return the layer's `losses`, too.

        Returns
        -------
        tuple (outputs, non_trainable_variables) or (outputs, non_trainable_variables, losses)

        Raises
        ------
        ValueError
            Before the layer is built, and for another number of values or other shapes.
        TypeError
            If the layer assigns to a trainable variable, since the new value would be lost.

        >>> import numpy as np, tinynet as tn
        >>> layer = tn.layers.Dense(1, kernel_initializer="zeros")
        >>> model = tn.Sequential([tn.Input((1,)), layer])
        >>> adam = tn.optimizers.Adam(0.1)
        >>> adam.build(model.trainable_variables)
        >>> def loss(weights, others, x, y):
        ...     y_pred, others = model.stateless_call(weights, others, x, training=True)
        ...     return tn.ops.mean((y_pred - y) ** 2), others
        >>> @tn.jit
        ... def step(weights, others, slots, x, y):
        ...     by_weights = tn.value_and_grad(loss, has_aux=True)
        ...     (value, others), grads = by_weights(weights, others, x, y)
        ...     weights, slots = adam.stateless_apply(slots, grads, weights)
        ...     return value, weights, others, slots
        >>> parts = model.trainable_variables, model.non_trainable_variables, adam.variables
        >>> state = [[v.numpy() for v in part] for part in parts]
        >>> x = np.linspace(0, 1, 32, dtype="float32")[:, None]
        >>> for _ in range(400):
        ...     value, *state = step(*state, x, 2 * x + 1)
        >>> [w.numpy().round(2) for w in state[0]], step.compilations
        ([array([[2.]], dtype=float32), array([1.], dtype=float32)], 1)
        >>> for variable, value in zip(model.trainable_variables, state[0]):
        ...     kept = variable.assign(value)  # the trained weights, back into the model
        """
        if not self.built:
            raise ValueError(f"stateless_call: layer '{self.name}' is not built: call it first.")
        others = self.non_trainable_variables
        given = paired("trainable_variables", self.trainable_variables, trainable_variables)
        held = paired("non_trainable_variables", others, non_trainable_variables)
        with stateless(given | held) as now, within(losses={}):
            outputs = self(*args, **kwargs)
            losses = [self.losses] if return_losses else []
        if assigned := [v.path for v, value in given.items() if now[v] is not value]:
            advice = "make it trainable=False, then its new value is returned"
            raise TypeError(f"stateless_call: the layer assigns to {assigned[0]}: {advice}.")
        return outputs, [now[v] for v in others], *losses

    def _run(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        takes, explicit = training_of(type(self).call), training is not None
        if not explicit:
            training = takes[0] if takes and context.training is None else context.training
        if (training or explicit) and training != context.training:
            with within(training=bool(training)):  # of the layers inside, too
                return self._run(inputs, *args, **kwargs)
        if training is not None and takes:
            kwargs["training"] = training
        outputs = self.call(inputs, *args, **kwargs)
        if self.activity_regularizer is not None:
            for output in tree.flatten(outputs):
                batch_size = max(output.shape[0], 1) if output.ndim else 1
                self.add_loss(self.activity_regularizer(output) / batch_size)
        if modes.recorder is not None and isinstance(outputs, Tensor):
            modes.recorder.label(outputs, self.name)
        return outputs

    def _to_tensors(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments of a call, arrays as tensors; all values in the first are arrays."""

        def further(x: Any) -> Any:
            x = as_tensor(x) if isinstance(x, np.ndarray) else x
            return self._to_tensor(x) if isinstance(x, Tensor) and x.dtype.kind == "f" else x

        each = tree.map_structure if args[0] is None else tree.map_leaves
        first = each(self._to_tensor, args[0])
        return (first, *(tree.map_structure(further, x) for x in args[1:]))

    def _to_tensor(self, x: Any) -> Any:
        """Return `x` as a floating tensor, of the weights' dtype if there are any."""
        if x is None or isinstance(x, str):
            raise ValueError(f"Layer '{self.name}' expected an array as input, received: {x!r}.")
        x = as_tensor(x)
        for weight in self._own:
            if weight.array.dtype.kind == "f":
                return ops.cast(x, weight.value.dtype)
        return x if x.dtype.kind == "f" else ops.cast(x, self.dtype)

    def _build_for(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Check the arguments of a call, and build the layer if it is not yet built."""
        self._check(args[0])
        if not self.built:
            shapes, named = shapes_for(self.build, self.call, args, options)
            build: Any = type(self).build if _overrides(type(self), "build") else _note_build
            build(self, *shapes, **named)

    def _check(self, inputs: Any) -> None:
        """Raise ValueError if `inputs`, tensors or placeholders, do not suit the layer."""

    def _call_symbolically(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return placeholders for the outputs, which remember this call."""
        with building, within(scope=(*context.scope, self)):
            self._build_for(args, options)
            found = self.compute_output_spec(*args, **options)
        call = LayerCall(self, args, options)
        self.symbolic_shape = tree.map_structure(lambda x: x.shape, found)
        return tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype, call), found)

    compute_dtype = variable_dtype = property(lambda self: self.dtype, doc="The same as `dtype`.")

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes that the layer was built for; None if there are none."""
        return self._build_config

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer, and those inside, for the shape that `get_build_config` returned."""
        shapes = {name: map_shapes(lambda s: s, shape) for name, shape in config.items()}
        with building, within(scope=(*context.scope, self)):
            if "input_shape" not in shapes:
                self.build(**shapes)
            elif _overrides(type(self), "build") or self.layers:
                self.build(shapes["input_shape"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


_note_build = recorded(lambda self, input_shape: None)  # the call then builds the layers inside


def _overrides(cls: type, method: str) -> bool:
    """Return whether a class of layers overrides `method` of `Layer`."""
    return getattr(cls, method) is not getattr(Layer, method)
