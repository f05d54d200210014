"""The input layer, the dense layer, and an activation with a weight.

Imports `base.py`, `../activations.py`, `../initializers.py`, `../regularizers.py`,
`../constraints.py`. Read next: `weightless.py`.
"""

from __future__ import annotations

from typing import Any

from .. import activations, constraints, initializers, regularizers, tree
from ..configs.configurable import Configurable
from ..configs.lookup import publish
from ..engine.expect import expect, is_integer, warn
from ..engine.variable import Variable
from .base import Layer
from .module import refuse_options
from .shapes import to_shape
from .symbolic import KerasTensor, LayerCall

# The module that finds an argument's object by name, by the last word of the argument.
_MAKERS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


class Standard(Layer):
    """Base of layers whose config holds the arguments of their constructor, after Layer's own.

    The output has the shape of the input, unless a subclass overrides `compute_output_shape`.
    """

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Keep the initializers, regularizers and constraints among a constructor's arguments."""
        for name, value in arguments.items():
            if maker := _MAKERS.get(name.rpartition("_")[2]):
                setattr(self, name, maker.get(value))

    def _weight(self, name: str, *shape: int, trainable: bool = True) -> Variable:
        """Return a new weight, by the initializer, regularizer and constraint kept for `name`."""
        made: dict[str, Any] = {kind: getattr(self, f"{name}_{kind}", None) for kind in _MAKERS}
        return self.add_weight(shape, trainable=trainable, name=name, **made)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, functions by their names or configs."""
        own = Configurable.get_config(self).items()
        written = {k: activations.serialize(v) if callable(v) else v for k, v in own}
        return super().get_config() | written

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def _expect_one(self, inputs: Any) -> None:
        if tree.is_structure(inputs):
            count = len(tree.flatten(inputs))
            raise ValueError(f"Layer '{self.name}' expects one input, received {count}.")


class InputLayer(Layer):
    """The input of a model. Its `output` is the placeholder that `Input` returns.

    With `optional`, the model may be called with None for it.
    """

    built = True
    sparse = ragged = False  # options that only Keras has, which are refused if they are true
    _config_first = ("batch_shape", "dtype", "sparse", "ragged", "name", "optional")
    _config_without = ("shape", "batch_size", "input_tensor")

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **older: Any,
    ) -> None:
        if "input_shape" in older:
            warn("Argument `input_shape` is deprecated. Use `shape` instead.")
        shape = older.pop("input_shape", shape)
        batch_shape = older.pop("batch_input_shape", batch_shape)
        refuse_options("InputLayer", sparse=sparse or None, ragged=ragged or None)
        given = shape, batch_size, batch_shape, dtype
        if input_tensor is not None:
            is_one = isinstance(input_tensor, KerasTensor)
            expect(is_one, "input_tensor", "a KerasTensor", input_tensor)
            dtype, batch_shape = input_tensor.dtype, input_tensor.shape
            own = batch_shape[1:], batch_shape[0], batch_shape, dtype
            agree = all(x is None or x == y for x, y in zip(given, own, strict=True))
            expect(agree, "input_tensor", f"shape, batch_size, batch_shape, dtype: {given}", own)
        elif (shape is None) == (batch_shape is None) or None not in given[1:3]:
            text = "Pass shape, with or without batch_size, or batch_shape, received "
            raise ValueError(text + f"{shape}, {batch_size}, {batch_shape}.")
        super().__init__(name=name, dtype=dtype, **older)
        self.optional = optional
        full = (batch_size, *to_shape(shape)) if batch_shape is None else to_shape(batch_shape)
        self.batch_shape = self.symbolic_shape = full
        call = LayerCall(self, (), {})
        if input_tensor is None:
            KerasTensor(full, self.dtype, call, name)
        else:
            input_tensor.call = call
            call.outputs.append(input_tensor)

    def call(self, inputs: Any = None) -> Any:
        """Return the inputs unchanged."""
        return inputs

    get_config = Configurable.get_config


def Input(  # noqa: N802 (Keras's name)
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """Return the placeholder of a model's input.

    Parameters
    ----------
    shape : list or tuple
        The lengths of the axes after the batch axis; None is any length.
    batch_size : int, optional
    dtype : str, optional
    batch_shape : list or tuple
        The whole shape, instead of `shape` and `batch_size`.
    sparse, ragged : False or None
        Options that only Keras has.
    name : str, optional
    tensor : KerasTensor, optional
        A placeholder that becomes the input, instead of a new one.
    optional : bool
        Whether the model may be called with None for this input.

    Raises
    ------
    ValueError
        Without a shape, for a shape that is not a list or tuple of lengths, and for sparse or
        ragged tensors.

    >>> Input(shape=[1]).shape
    (None, 1)
    """
    given = shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name
    return InputLayer(*given).output


class Dense(Standard):
    """``activation(inputs @ kernel + bias)``: each output is a weighted sum of all inputs.

    Parameters
    ----------
    units : int
        The number of outputs.
    activation : str or function, optional
        None is linear.
    use_bias : bool
    kernel_initializer, bias_initializer : str, initializer or function
    kernel_regularizer, bias_regularizer, activity_regularizer : str, regularizer or function
        Penalties that are added to the loss: of the kernel, of the bias, and of the output, which
        is divided by the batch size.
    kernel_constraint, bias_constraint : str, constraint or function
        What kernel and bias must satisfy after each update (see `constraints`).
    name, dtype, trainable, input_shape, input_dim
        As for `Layer`; the last two declare the input of a Sequential model's first layer.

    Attributes
    ----------
    kernel : Variable of shape (inputs, units)
    bias : Variable of shape (units,), or None

    Raises
    ------
    ValueError
        When `units` is not a positive integer, a name is unknown, or an option out of tinynet's
        scope is given (LoRA, quantization).

    >>> import tinynet as tn
    >>> layer = Dense(2, kernel_initializer="ones")
    >>> layer([[1.0, 2.0, 3.0]]).numpy()
    array([[6., 6.]], dtype=float32)
    >>> layer.kernel.shape, layer.count_params()
    ((3, 2), 8)
    """

    bias: Variable | None
    quantization_config = None
    _config_without = ("activity_regularizer", "lora_rank", "lora_alpha")

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        quantization_config: None = None,
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        absent = ("lora_rank", "lora_alpha", "quantization_config")
        refuse_options("Dense", **{name: arguments[name] for name in absent})
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        expect(is_integer(units) and units > 0, "units", "a positive integer", units)
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._keep(arguments)

    def build(self, input_shape: Any) -> None:
        """Create kernel and bias for inputs with the last axis of `input_shape`."""
        width = input_shape[-1] if input_shape else None
        if width is None:
            raise ValueError(f"Layer '{self.name}' needs a known width, received {input_shape}.")
        self._kernel = self._weight("kernel", width, self.units)
        self.bias = self._weight("bias", self.units) if self.use_bias else None

    @property
    def kernel(self) -> Variable:
        """The weights that inputs are multiplied by; AttributeError before the layer is built."""
        if not self.built:
            raise AttributeError(f"Build layer '{self.name}' before accessing its `kernel`.")
        return self._kernel

    def call(self, inputs: Any) -> Any:
        """Return ``activation(inputs @ kernel + bias)``."""
        y = inputs @ self.kernel
        return self.activation(y if self.bias is None else y + self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape` with the last length replaced by `units`."""
        return (*input_shape[:-1], self.units)

    def _check(self, inputs: Any) -> None:
        self._expect_one(inputs)
        shape, expected = inputs.shape, ""
        if len(shape) < 2:
            expected = f"min_ndim=2, received ndim={len(shape)}"
        elif self.built and shape[-1] != self.kernel.shape[0]:
            expected = f"axis -1 to have value {self.kernel.shape[0]}"
        if expected:
            raise ValueError(f"Layer '{self.name}': input shape {shape}, expected {expected}.")


class PReLU(Standard):
    """``inputs`` where they are positive, elsewhere ``alpha * inputs``, where `alpha` is a weight.

    Each feature has its own slope. Source: He et al., "Delving deep into rectifiers", 2015.

    Parameters
    ----------
    alpha_initializer, alpha_regularizer, alpha_constraint
        As for `Dense`.
    shared_axes : int or list of int, optional
        Axes, from 1 on, along which all features have the same slope.
    name, dtype, trainable
        As for `Layer`.

    Raises
    ------
    ValueError
        For an invalid axis; when an axis that is not shared has an unknown length.

    >>> PReLU(alpha_initializer="ones", shared_axes=1)([[-1.0, 2.0]])
    tensor([[-1.,  2.]], dtype=float32, requires_grad=True)
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        super().__init__(**kwargs)
        single = is_integer(shared_axes)
        self.shared_axes = [shared_axes] if single else shared_axes and [*shared_axes]
        self._keep(arguments)

    def build(self, input_shape: Any) -> None:
        """Create `alpha`, with the shape of one sample, and length 1 along shared axes."""
        rank, shared = len(input_shape), self.shared_axes or ()
        expect({*shared} <= {*range(1, rank)}, "shared_axes", f"axes from 1 to {rank - 1}", shared)
        lengths = (1 if i in shared else n for i, n in enumerate(input_shape))
        self.alpha = self._weight("alpha", *[*lengths][1:])

    def call(self, inputs: Any) -> Any:
        """Return each element, times its slope if it is negative."""
        return activations.relu(inputs) - self.alpha * activations.relu(-inputs)

    def _check(self, inputs: Any) -> None:
        self._expect_one(inputs)
        if self.built:
            shape, known, shared = inputs.shape[1:], self.alpha.shape, self.shared_axes or ()
            pairs = enumerate(zip(shape, known, strict=False), 1)
            fits = [n in (m, None) or i in shared for i, (n, m) in pairs]
            fits += [len(shape) == len(known)]
            expect(all(fits), f"Layer '{self.name}'", f"samples of shape {known}", shape)


publish("keras.layers", Layer, InputLayer, Dense, PReLU)
