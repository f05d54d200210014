"""Derivatives of functions: `vjp`, and what follows from it.

`vjp` runs a function on arguments of its own and keeps the tape; its pullback walks it backwards.
Every other derivative calls pullbacks. Arguments and results are trees (see `../tree.py`).

Imports `tape.py` and `vmap.py`. Read next: `vmap.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from . import functional
from .bind import bind, modes
from .primitives import elementwise, shapes
from .tape import cotangent_of, cotangents, tape
from .temporarily import temporarily
from .tensor import Tensor, as_tensor, wrap
from .vmap import vmap


class _Linearized(NamedTuple):
    """A function at one point: its result there, and its pullback."""

    y: Any  # a tree of tensors, as tracked as the arguments
    aux: Any
    pull: Callable[[Sequence[Tensor | None]], list[Tensor]]  # from and to lists of leaves
    pack: Callable[[list[Tensor]], tuple[Any, ...]]  # such a list as trees like the primals


def _linearized(
    f: Callable[..., Any], primals: Sequence[Any], names: Sequence[str], has_aux: bool = False
) -> _Linearized:
    """Return `f` linearized at `primals`, which errors call `names`."""
    given = tuple([tree.map_leaves(as_tensor, x) for x in primals])
    places = [p for x, name in zip(given, names, strict=True) for p in tree.parts_like(x, x, name)]
    xs = [_argument(x, name) for name, x in places]
    with temporarily(modes, grad=True, arguments=modes.arguments.union(xs)):
        result = f(*tree.pack_sequence_as(given, xs))
        result, aux = _with_aux(result) if has_aux else (result, None)
        y = tree.map_leaves(as_tensor, result)
    if y is None:
        raise ValueError("f: expected a function that returns tensors, received NoneType.")
    ys = tree.leaves(y)
    order = tape(*ys, *(t for t in tree.leaves(aux) if isinstance(t, Tensor)), stop=xs)
    _release(order, xs)

    def pull(cts: Sequence[Tensor | None]) -> list[Tensor]:
        starts: dict[Tensor, Tensor] = {}
        for t, ct in zip(ys, cts, strict=True):
            if ct is not None:
                starts[t] = starts[t] + ct if t in starts else ct
        found = cotangents(order, starts, xs)
        return [found[x] if x in found else functional.zeros_like(x) for x in xs]

    y, aux = tree.map_leaves(_released, y), tree.map_leaves(_released, aux)
    return _Linearized(y, aux, pull, lambda cts: tree.pack_sequence_as(given, cts))


def _argument(x: Tensor, name: str) -> Tensor:
    """Return a tensor equal to `x`: other uses of `x` do not count as uses of the argument."""
    if x.data.dtype.kind != "f":
        expected = "expected a floating dtype, as a gradient needs"
        raise ValueError(f"{name}: {expected}, received {x.dtype}. Use .astype, or other argnums.")
    if x.tracked and modes.grad:
        return bind(elementwise.alias, x)
    out = x.detach()
    out.requires_grad = True
    return out


def _with_aux(result: Any) -> tuple[Any, Any]:
    if isinstance(result, tuple) and len(result) == 2:
        return result
    received = type(result).__name__
    raise ValueError(f"has_aux: expected a function that returns (y, aux), received {received}.")


def _release(order: list[Tensor], xs: list[Tensor]) -> None:
    """Let only those tensors stay tracked that depend on tracked tensors besides the leaves `xs`.

    So derivatives, and whatever is computed from them, are as tracked as the arguments were.
    """
    for x in xs:
        x.tracked = x.equation is not None
    for t in reversed(order):
        if (
            t.equation is not None
        ):  # which stays as it is if `t` is from outside: no thread sees less
            primitive, inputs, _ = t.equation
            flows = [x.tracked and i in primitive.differentiable for i, x in enumerate(inputs)]
            t.tracked = any(flows)


def _released(t: Any) -> Any:
    """Return a result of a function without its tape, unless it is still tracked."""
    return t.detach() if isinstance(t, Tensor) and not (t.tracked and modes.grad) else t


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return ``f(*primals)`` and its pullback: from a cotangent of it to those of `primals`.

    The vector-Jacobian product: ``pullback(ct)[i]`` is ``ct @ J`` for the Jacobian J in argument i.
    It has the argument's shape and dtype and can be differentiated again. Primals and results may
    be trees; `ct` is a tree like the result, ``pullback(ct)`` a tuple of trees like the primals.

    Raises
    ------
    ValueError
        For integers or bools in a primal, and for a `ct` that differs from the result in its
        structure or in a shape.

    >>> import tinynet as tn
    >>> y, pullback = tn.vjp(lambda a, b: a * b, 2.0, 3.0)
    >>> y, pullback(1.0)
    (tensor(6., dtype=float32), (tensor(3., dtype=float32), tensor(2., dtype=float32)))
    >>> y, pullback = tn.vjp(lambda w: {"y": w["a"] * w["b"]}, {"a": 2.0, "b": 3.0})
    >>> pullback({"y": 1.0})
    ({'a': tensor(3., dtype=float32), 'b': tensor(2., dtype=float32)},)
    """
    at = _linearized(f, primals, [f"argument {i}" for i in range(len(primals))])

    def pullback(ct: Any) -> tuple[Any, ...]:
        return at.pack(at.pull(_cotangents(ct, at.y)))

    return at.y, pullback


def _cotangents(cts: Any, y: Any, argument: str = "ct", of: str = "the result") -> list[Tensor]:
    """Return the leaves of `cts`, which must be like the leaves of the tree `y`."""
    parts = zip(tree.parts_like(y, cts, argument), tree.leaves(y), strict=True)
    return [cotangent_of(ct, t, name, of) for (name, ct), t in parts]


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Return ``f(*primals)`` and its derivative along `tangents`: the Jacobian-vector product.

    `primals` and `tangents` are tuples with one array or tree per argument of `f`. A pullback is
    linear in its cotangent, and its derivative is the wanted product; so it takes two walks.

    Raises
    ------
    TypeError
        Unless `primals` and `tangents` are tuples or lists.
    ValueError
        For integers or bools in `primals`, and for `tangents` that differ from them in structure or
        in a shape.

    >>> import tinynet as tn
    >>> tn.jvp(lambda x: x**3, (2.0,), (1.0,))
    (tensor(8., dtype=float32), tensor(12., dtype=float32))
    """
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            kind = type(value).__name__
            raise TypeError(f"jvp: expected {name} in a tuple, one per argument, received {kind}.")
    at = _linearized(f, primals, [f"primals[{i}]" for i in range(len(primals))])
    ys = tree.leaves(at.y)
    given = at.pack(at.pull([None] * len(ys)))  # zeros like the primals
    vs = _cotangents(tuple(tangents), given, "tangents", "the primal")
    smooth = [i for i, t in enumerate(ys) if t.data.dtype.kind == "f"]

    def pulled(*cts: Tensor) -> list[Tensor]:
        by_place = dict(zip(smooth, cts, strict=True))
        return at.pull([by_place.get(i) for i in range(len(ys))])

    found = [functional.zeros_like(t) for t in ys]
    push = _linearized(pulled, [found[i] for i in smooth], [""] * len(smooth)).pull
    for i, tangent in zip(smooth, push(vs), strict=True):
        found[i] = tangent
    return at.y, tree.pack_sequence_as(at.y, found)


# -- gradients and matrices -------------------------------------------------------------------


def _in_argnums(
    f: Callable[..., Any], argnums: Any, args: Any, kwargs: Any, has_aux: bool = False
) -> tuple[_Linearized, Callable[[list[Tensor]], Any]]:
    """Return `f` linearized in the arguments `argnums` alone, and how to pack derivatives in them.

    They are packed as a tuple of trees like the arguments, or as one tree if `argnums` is a number.
    """
    chosen = [i + len(args) * (i < 0) for i in shapes.ints(argnums, "argnums")]
    if not set(chosen) <= set(range(len(args))):
        raise ValueError(f"argnums: expected positions below {len(args)}, received {argnums}.")

    def of_chosen(*xs: Any) -> Any:
        full = [*args]
        for i, x in zip(chosen, xs, strict=True):
            full[i] = x
        return f(*full, **kwargs)

    names = [f"argument {i}" for i in chosen]
    at = _linearized(of_chosen, [args[i] for i in chosen], names, has_aux)
    several = isinstance(argnums, (tuple, list))
    return at, lambda cts: at.pack(cts) if several else at.pack(cts)[0]


def value_and_grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that computes ``f(*args)`` and its gradient in the arguments `argnums`.

    Parameters
    ----------
    f : function of tensors or trees of them that returns a scalar
        Arrays and numbers among its arguments `argnums` are converted.
    argnums : int or tuple of int
        The gradient is a tree like that argument, with its shapes and dtypes, or a tuple of trees
        if `argnums` is a tuple. Calls can be nested.
    has_aux : bool
        Whether `f` returns ``(scalar, aux)``; then ``((scalar, aux), gradient)`` is computed. `aux`
        is any tree. Its tensors have no tape that leads to the arguments.

    Raises
    ------
    ValueError
        If `f` does not return a scalar, or an argument of `argnums` has no floating dtype.

    >>> import tinynet as tn
    >>> tn.value_and_grad(lambda x: x**3)(2.0)
    (tensor(8., dtype=float32), tensor(12., dtype=float32))
    >>> tn.value_and_grad(lambda w: w["a"] * w["b"])({"a": 2.0, "b": 3.0})[1]
    {'a': tensor(3., dtype=float32), 'b': tensor(2., dtype=float32)}
    """

    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        at, pack = _in_argnums(f, argnums, args, kwargs, has_aux)
        if not isinstance(at.y, Tensor) or at.y.shape != ():
            is_tensor = isinstance(at.y, Tensor)
            received = f"shape {at.y.shape}" if is_tensor else f"a {type(at.y).__name__}"
            raise ValueError(
                f"grad: expected a scalar, received {received}. Use .sum() or tn.jacobian."
            )
        gradient = pack(at.pull([cotangent_of(1.0, at.y)]))
        return (at.y, at.aux) if has_aux else at.y, gradient

    return value_and_gradient


def grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that computes the gradient of `f`: `value_and_grad` without the value.

    With `has_aux`, ``(gradient, aux)``.

    >>> import tinynet as tn
    >>> tn.grad(tn.grad(lambda x: x**3))(2.0)
    tensor(12., dtype=float32)
    """
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def elementwise_grad(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """Return a function that computes the derivative of each element of `f` in its own argument.

    For an `f` that works on each element alone: the gradient of the sum of the result, which may
    have any shape.

    >>> import tinynet as tn
    >>> tn.elementwise_grad(tn.ops.square)([1.0, 2.0, 3.0])
    tensor([2., 4., 6.], dtype=float32)
    """

    def slopes(*args: Any, **kwargs: Any) -> Any:
        at, pack = _in_argnums(f, argnum, args, kwargs)
        return pack(at.pull([functional.ones_like(t) for t in tree.leaves(at.y)]))

    return slopes


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return a function that computes the Jacobian of `f` in the arguments `argnums`.

    Its shape is the shape of the result followed by that of the argument. Of a tree of results it
    is a tree like the result, with trees like the argument in it. The tape is walked once for
    all elements of a result at the same time (see `vmap`), which takes memory for all rows.

    >>> import tinynet as tn
    >>> tn.jacobian(lambda x: x * x)([1.0, 2.0])
    tensor([[2., 0.],
            [0., 4.]], dtype=float32)
    >>> tn.jacobian(lambda x: {"sum": x.sum()})([1.0, 2.0])
    {'sum': tensor([1., 1.], dtype=float32)}
    """

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        at, pack = _in_argnums(f, argnums, args, kwargs)
        ys = tree.leaves(at.y)

        def of_leaf(i: int, y: Tensor) -> Any:
            before, after = [None] * i, [None] * (len(ys) - i - 1)
            units = wrap(np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape))
            parts = vmap(lambda unit: at.pull([*before, unit, *after]))(units)
            return pack([p.reshape(y.shape + p.shape[1:]) for p in parts])

        return tree.pack_sequence_as(at.y, [of_leaf(i, y) for i, y in enumerate(ys)])

    return jacobian_of


def hessian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """Return a function that computes the second derivatives of the scalar `f` in one argument.

    Its shape is the argument's shape, twice; for a tree, a tree of trees.

    >>> import tinynet as tn
    >>> tn.hessian(lambda x: x[0] * x[0] * x[1])([1.0, 2.0])
    tensor([[4., 2.],
            [2., 0.]], dtype=float32)
    """
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Callable[..., Any], primals: Any, vectors: Any) -> Any:
    """Return the Hessian of the scalar `f` at `primals`, times `vectors`, without forming it.

    Both are one array or tree, or tuples with one per argument of `f`; so is the result. It is the
    gradient of the slope along the vectors (Pearlmutter, 1994) and takes two walks.

    >>> import tinynet as tn
    >>> tn.hvp(lambda x: (x**3).sum(), [1.0, 2.0], [1.0, 1.0])
    tensor([ 6., 12.], dtype=float32)
    """
    several = isinstance(primals, tuple) and not hasattr(primals, "_fields")
    xs, vs = (primals, vectors) if several else ((primals,), (vectors,))
    if len(xs) != len(vs):
        raise ValueError(f"hvp: expected {len(xs)} vectors, one per primal, received {len(vs)}.")
    everywhere = tuple(range(len(xs)))

    def slope(*at: Any) -> Tensor:
        found = grad(f, everywhere)(*at)
        along = _cotangents(vs, found, "vectors", "the primal")
        parts = [(g * v).sum() for g, v in zip(tree.leaves(found), along, strict=True)]
        return reduce(elementwise.add, parts or [as_tensor(0.0)])

    products = grad(slope, everywhere)(*xs)
    return products if several else products[0]
