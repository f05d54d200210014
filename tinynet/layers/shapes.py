"""Shapes around a call of a layer: those that its methods take, and those found by running it.

Imports `symbolic.py`. Read next: `module.py`, what layers own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, wraps
from inspect import Parameter, signature
from typing import Any

import numpy as np

from .. import tree
from ..configs.watched import all_or_nothing
from ..engine.bind import no_grad
from ..engine.expect import expect, is_integer
from ..engine.tensor import Tensor
from ..engine.variable import stateless
from .symbolic import KerasTensor, Shape, building, within


def map_shapes(f: Callable[[Shape], Any], shapes: Any) -> Any:
    """Return `f` of a shape, or of each in a structure of shapes, in the same structure."""
    if isinstance(shapes, dict):
        return {key: map_shapes(f, shape) for key, shape in sorted(shapes.items())}
    expect(isinstance(shapes, Iterable) and not isinstance(shapes, str), "shape", "lengths", shapes)
    if all(n is None or is_integer(n) for n in shapes):
        return f(tuple(shapes))
    return [map_shapes(f, shape) for shape in shapes]


def to_shape(value: Any, name: str = "shape", least: int = 0) -> Shape:
    """Return a shape, given as a list or tuple of lengths, as a tuple; None is an unknown length.

    ValueError for any other type, and for a length that is not an integer of at least `least`.
    """
    lengths = value if isinstance(value, (list, tuple)) else [value, -1]
    if not all(n is None or (is_integer(n) and n >= least) for n in lengths):
        text = f"Expected lengths of at least {least} or None, received {name}={value}."
        raise ValueError(text + f" Write ({value},)." * is_integer(value))
    return tuple(None if n is None else int(n) for n in value)


@cache
def training_of(call: Any) -> tuple[Any, ...]:
    """Return the default of a method's argument `training`, alone in a tuple; () if it has none."""
    found = [p.default for name, p in signature(call).parameters.items() if name == "training"]
    return tuple(None if default is Parameter.empty else default for default in found)


def probed(layer: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return placeholders for the outputs of a call, found by running the layer on zeros.

    A length that differs between batches of 2 and of 3 samples depends on the batch size.
    Losses and changes of variables are discarded.
    """

    def run(size: int) -> Any:
        def tensor(x: Any) -> Any:
            return layer._zeros(x, size) if isinstance(x, KerasTensor) else x

        given, named = tree.map_structure(tensor, (args, options))
        return layer._run(*layer._to_tensors(given), **{**named, "training": False})

    unchanged = stateless({v: v.value for v in layer.variables})
    with within(losses={}), unchanged, no_grad(), np.errstate(all="ignore"):
        first, second = run(2), iter(tree.flatten(run(3)))

    def common(x: Tensor) -> KerasTensor:
        expect(isinstance(x, Tensor), f"the result of {layer.name}.call", "tensors", x, TypeError)
        pairs = zip(x.shape, next(second).shape, strict=True)
        shape = tuple(a if a == b else None for a, b in pairs)
        return KerasTensor(shape, x.dtype.name, name="probe")

    return tree.map_structure(common, first)


def shapes_for(
    method: Callable[..., Any],
    call: Callable[..., Any],
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> tuple[list[Any], dict[str, Any]]:
    """Return what `build` or the like takes: the first argument's shape, or several by name.

    ``call(self, x, y)`` goes with ``build(self, x_shape, y_shape)``.
    """

    def shape(value: Any) -> Any:
        return tree.map_structure(lambda x: tuple(x.shape) if _has_shape(x) else x, value)

    if any(map(_has_shape, tree.flatten((args[1:], options)))):
        given = signature(call).bind(*args, **options).arguments.items()
        known = {f"{k}_shape": shape(x) for k, x in given if any(map(_has_shape, tree.flatten(x)))}
        taken = [*signature(method).parameters]
        if len(taken) > 1 and known.keys() & {*taken}:
            return [], {name: known[name] for name in taken if name in known}
    return [shape(args[0])], {}


def _has_shape(x: Any) -> bool:
    return hasattr(x, "shape")


def recorded(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method `build`, extended to record that it ran, and for which shapes."""

    @wraps(build)
    def run(self: Any, *shapes: Any, **named: Any) -> None:
        shapes = shapes or (() if named else (None,))
        with building, all_or_nothing(self):
            build(self, *shapes, **named)
            self.built = True
            taken, values = [*signature(build).parameters][1:], (*shapes, *named.values())
            given = {**dict(zip(taken, shapes, strict=False)), **named}
            given = given if len(values) > 1 else {"input_shape": values[0]}
            self._build_config = given if values != (None,) else None

    return run
