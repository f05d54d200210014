"""Functions of `ops` as nodes of a graph of layers: ``tn.ops.exp(x)`` of a placeholder `x`.

A class for each function is made from its name and its signature; files name them as Keras does.
Imports `base.py`. Read next: `../losses/base.py`.
"""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import numpy as np

from .. import ops
from ..configs.lookup import publish
from ..engine.expect import expect
from ..engine.tensor import Operand, Tensor
from .base import Layer
from .symbolic import KerasTensor, placeholders_in

# The arguments that are tensors, and so belong to a call. The others belong to the operation.
_TENSORS = """x x1 x2 xs a b array condition variable operands sorted_sequence values fill_value
constant_values index indices"""
_CALLED = {"isclose": "rtol atol"}  # further ones of single functions
_NAMED = ("constant_values",)  # those that follow other arguments, and so are passed by keyword

# Keras's modules, except `keras.src.ops.numpy`, and the classes that are not named by the rule.
_MODULES = {
    "core": "cast convert_to_tensor stop_gradient",
    "linalg": "cholesky det eigh inv norm pinv solve svd",
    "math": "erf erfc erfinv logsumexp top_k",
    "nn": "log_softmax one_hot relu sigmoid softmax softplus",
}
_CLASSES = {"allclose": "AllClose", "getitem": "GetItem", "searchsorted": "SearchSorted"}
_CLASSES |= {"svd": "SVD"}


class Operation(Layer):
    """A function of `ops` in a graph: in `model.operations`, but not in `model.layers`."""

    built = True
    ops_name: str

    def __init__(self, name: str | None = None, **config: Any) -> None:
        super().__init__(name=name)
        known = self.arguments()
        extra = {k: v for k, v in config.items() if k not in known and v not in (None, False)}
        expect(not extra, f"ops.{self.ops_name} of a placeholder", f"{[*known]}", extra)
        self.config = {key: value for key, value in config.items() if key in known}

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """Return the function's parameters that are not tensors, with their defaults."""
        tensors = f"{_TENSORS} {_CALLED.get(cls.ops_name)}".split()
        found = signature(getattr(ops, cls.ops_name)).parameters.items()
        return {name: p.default for name, p in found if name not in tensors}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns for tensors, or placeholders for placeholders."""
        symbolic = placeholders_in((args, kwargs))
        return self._call_symbolically(args, kwargs) if symbolic else self._run(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns for tensors."""
        given = {key: _tupled(value) for key, value in (self.config | kwargs).items()}
        first = next(iter(signature(getattr(ops, self.ops_name)).parameters))
        args = (given.pop(first), *args) if first in given else args
        return getattr(ops, self.ops_name)(*map(_tupled, args), **given)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the function's arguments that are not tensors."""
        return {"name": self.name, **self.config}

    def __reduce__(self) -> tuple[Any, ...]:
        return _empty, (self.ops_name,), vars(self)  # pickle does not find the class by its name

    def _to_tensors(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args

    def _zeros(self, x: KerasTensor, size: int) -> Tensor:
        """Return zeros like a placeholder; for matrices identities, which can be inverted."""
        zeros = super()._zeros(x, size)
        is_matrix = x.ndim > 1 and zeros.dtype.kind == "f"
        rows, columns = (1, 1, *zeros.shape)[-2:]
        return zeros + np.eye(rows, columns, dtype=x.dtype) if is_matrix else zeros


def _empty(function: str) -> Operation:
    return object.__new__(OPERATIONS[function])


def _tupled(value: Any) -> Any:
    """Return a list as a tuple, which it was before it was saved, unless it holds tensors."""
    if isinstance(value, list) and not any(isinstance(x, Operand) for x in value):
        return tuple(map(_tupled, value))
    return value


def operation(function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return placeholders for the results of a function of `ops`, called with placeholders."""
    cls, form = OPERATIONS[function], signature(getattr(ops, function))
    own = cls.arguments()
    # Keras does not have all arguments whose defaults are None, False and 0; for the others it has
    # the same defaults.
    config = {k: v for k, v in own.items() if v not in (None, False, Parameter.empty)}
    called: list[Any] = []
    options = {}
    for name, value in form.bind(*args, **kwargs).arguments.items():
        if form.parameters[name].kind is Parameter.VAR_POSITIONAL:
            called += value
        elif name in own and not placeholders_in(value):
            config[name] = value
        elif name in own or name in _NAMED:
            options[name] = value
        else:
            is_list = name == "index" and isinstance(value, list)  # positions along one axis
            called.append(np.asarray(value) if is_list else value)
    return cls(**config)(*called, **options)


# -- the classes -----------------------------------------------------------------------------------


def _class_of(function: str) -> type[Operation]:
    name = _CLASSES.get(function) or "".join(map(str.capitalize, function.split("_")))
    made = type(name, (Operation,), {"ops_name": function, "__doc__": f"`ops.{function}`."})
    home = next((home for home, names in _MODULES.items() if function in names.split()), "numpy")
    publish(f"keras.src.ops.{home}", made)
    return made


_FUNCTIONS = [name for name, function in vars(ops).items() if hasattr(function, "__wrapped__")]
OPERATIONS = {name: _class_of(name) for name in _FUNCTIONS if name not in ops._OTHERS}
OPERATIONS |= {"abs": OPERATIONS["absolute"], "conj": OPERATIONS["conjugate"]}  # as in Keras
