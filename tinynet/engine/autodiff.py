"""Derivatives: the tape, walked backwards.

Every function here uses `cotangents`: it gives the result a cotangent, goes through the equations
from the last to the first, and applies each primitive's rules to get the cotangents of its inputs.
Rules are tensor operations, so a derivative can be differentiated like anything else.

Imports `vmap.py`. Read next: `operators.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from . import functional
from .bind import bind, grad_mode, modes, refuse_if_recorded
from .primitives import elementwise, products, shapes
from .tensor import Operand, Tensor, as_tensor, wrap
from .vmap import vmap


def tape(root: Tensor, stop: Iterable[Tensor] = ()) -> list[Tensor]:
    """Return the tracked tensors behind `root`, each before its inputs; those in `stop` are leaves.

    Takes time linear in the number of equations, and no recursion.
    """
    leaves = set(stop)
    inputs: dict[Tensor, list[Tensor]] = {}  # the tracked inputs of each tensor
    uses: dict[Tensor, int] = {}  # how many times a tensor is such an input
    pending = [root]
    while pending:
        t = pending.pop()
        equation = None if t in leaves else t.equation
        inputs[t] = [x for x in equation.inputs if x.tracked] if equation else []
        for x in inputs[t]:
            if x not in uses:
                uses[x] = 0
                pending.append(x)
            uses[x] += 1
    order = [root]
    for t in order:  # grows on the way: a tensor is appended after everything that used it
        for x in inputs[t]:
            uses[x] -= 1
            if not uses[x]:
                order.append(x)
    return order


def cotangents(
    order: list[Tensor], ct: Tensor, wrt: Iterable[Tensor] | None = None
) -> dict[Tensor, Tensor]:
    """Return the cotangents of the tensors `wrt`, by default of all leaves, along the tape.

    `ct` is the cotangent of ``order[0]``. Only the rules on paths to `wrt` are run.
    """
    wanted = {t for t in order if t.equation is None} if wrt is None else set(wrt)
    needed = set(order) if wrt is None else _dependent(order, wanted)
    cts = {order[0]: ct}
    for t in order:
        if t not in cts or t in wanted or t not in needed or t.equation is None:
            continue
        primitive, inputs, params = t.equation
        ct = cts.pop(t)
        for i, x in enumerate(inputs):
            rule = primitive.rule(i) if x in needed else None
            if rule is not None:
                part = unbroadcast(rule(ct, t, *inputs, **params), x)
                cts[x] = cts[x] + part if x in cts else part
    return {x: cts[x] for x in wanted if x in cts}


def _dependent(order: list[Tensor], wanted: set[Tensor]) -> set[Tensor]:
    """Return the tensors of the tape that are wanted or depend on one that is."""
    found = set(wanted)
    for t in reversed(order):
        if t.equation is not None and not found.isdisjoint(t.equation.inputs):
            found.add(t)
    return found


def unbroadcast(ct: Tensor, primal: Tensor) -> Tensor:
    """Return `ct` in the shape and dtype of `primal`: summed over the axes that were broadcast."""
    shape = primal.data.shape
    if ct.data.shape != shape:
        new = ct.data.ndim - len(shape)
        kept = enumerate(shape, start=new)
        axes = (*range(new), *(i for i, n in kept if n == 1 and ct.data.shape[i] != 1))
        ct = products.sum(ct, axes)
        if ct.data.shape != shape:
            ct = shapes.reshape(ct, shape)
    return ct if ct.data.dtype is primal.data.dtype else elementwise.cast(ct, primal.dtype)


def backward(self: Operand, ct: Any = None) -> None:
    """Add the gradient of this tensor to the `grad` of each leaf with ``requires_grad``.

    `zero_grad` resets it.

    Parameters
    ----------
    ct : array of this tensor's shape, optional
        The cotangent to start from; 1 for a scalar.

    Raises
    ------
    ValueError
        If this tensor was not computed from one that requires a gradient, or if it is not a scalar
        and `ct` is missing or has another shape.
    TypeError
        While a function is recorded to be compiled, since gradients are numbers.

    >>> import tinynet as tn
    >>> w = tn.tensor(3.0, requires_grad=True)
    >>> (w * w).backward()
    >>> w.grad
    array(6., dtype=float32)
    """
    root = as_tensor(self)
    refuse_if_recorded("backward()", "Use tn.grad or tn.vjp, which return gradients")
    if not root.tracked:
        raise ValueError("backward(): no input has requires_grad=True, or it ran under no_grad.")
    if ct is None and root.shape != ():
        raise ValueError(
            f"backward(): expected a scalar, received shape {root.shape}. Use .sum() or pass ct."
        )
    start = as_tensor(1.0, root.dtype) if ct is None else _cotangent(ct, root)
    with grad_mode(False):
        found = cotangents(tape(root), start)
    for leaf, part in found.items():
        leaf.grad = part.data.copy() if leaf.grad is None else np.asarray(leaf.grad + part.data)


def gradients(y: Tensor, xs: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradient of the scalar `y` in each of `xs`; None where `y` does not depend on it.

    Changes no tensor. The gradients have no tape.
    """
    with grad_mode(False):
        found = cotangents(tape(y), functional.ones_like(y), xs) if y.tracked else {}
    return [found.get(x) for x in xs]


def _cotangent(ct: Any, y: Tensor, argument: str = "ct", of: str = "the result") -> Tensor:
    ct = elementwise.cast(as_tensor(ct, y.dtype), y.dtype)
    if ct.shape != y.shape:
        raise ValueError(f"{argument}: expected the shape of {of}, {y.shape}, received {ct.shape}.")
    return ct


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Tensor, Callable[[Any], tuple[Tensor, ...]]]:
    """Return ``f(*primals)`` and its pullback: from a cotangent of it to those of `primals`.

    The vector-Jacobian product: ``pullback(ct)[i]`` is ``ct @ J`` for the Jacobian J in argument i.
    It has the argument's shape and dtype and can be differentiated again.

    Raises
    ------
    ValueError
        For a primal of integers or bools, and for a `ct` whose shape is not the result's.

    >>> import tinynet as tn
    >>> y, pullback = tn.vjp(lambda a, b: a * b, 2.0, 3.0)
    >>> y, pullback(1.0)
    (tensor(6., dtype=float32), (tensor(3., dtype=float32), tensor(2., dtype=float32)))
    """
    given = [as_tensor(x) for x in primals]
    xs = [_argument(x) for x in given]
    with grad_mode(True):
        y = as_tensor(f(*xs))
    order = tape(y, stop=xs)
    # y may depend on more than these arguments. Only then can it be differentiated further.
    known = set(xs)
    outer = any(x.tracked for x in given)
    outer = outer or any(t.tracked and t.equation is None and t not in known for t in order)

    def pullback(ct: Any) -> tuple[Tensor, ...]:
        start = _cotangent(ct, y)
        with grad_mode(modes.grad and (outer or start.tracked)):
            found = cotangents(order, start, known) if y.tracked else {}
        return tuple(found[x] if x in found else functional.zeros_like(x) for x in xs)

    return y if outer and modes.grad else y.detach(), pullback


def _argument(x: Tensor) -> Tensor:
    """Return a tensor equal to `x`: other uses of `x` do not count as uses of the argument."""
    if x.tracked and modes.grad:
        return bind(elementwise.alias, x)
    out = x.detach()
    out.requires_grad = True
    return out


def _vjp_at(f: Callable[..., Any], argnums: Any, args: Any, kwargs: Any) -> Any:
    """Return `vjp` of `f` in its arguments `argnums` alone."""
    chosen = [i + len(args) * (i < 0) for i in shapes.ints(argnums, "argnums")]
    if not set(chosen) <= set(range(len(args))):
        raise ValueError(f"argnums: expected positions below {len(args)}, received {argnums}.")

    def of_chosen(*xs: Tensor) -> Any:
        full = dict(enumerate(args)) | dict(zip(chosen, xs, strict=True))
        return f(*full.values(), **kwargs)

    return vjp(of_chosen, *(args[i] for i in chosen))


def _like_argnums(argnums: Any, values: tuple[Any, ...]) -> Any:
    return values if isinstance(argnums, (tuple, list)) else values[0]


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return a function that computes ``f(*args)`` and its gradient in the arguments `argnums`.

    `f` takes tensors (arrays are converted) and returns a scalar. The gradient is a tensor with the
    argument's shape and dtype, or a tuple of them if `argnums` is a tuple. Calls can be nested.

    Raises
    ------
    ValueError
        If `f` does not return a scalar, or an argument of `argnums` has no floating dtype.

    >>> import tinynet as tn
    >>> tn.value_and_grad(lambda x: x**3)(2.0)
    (tensor(8., dtype=float32), tensor(12., dtype=float32))
    """

    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        y, pullback = _vjp_at(f, argnums, args, kwargs)
        if y.shape != ():
            raise ValueError(
                f"grad: expected a scalar, received shape {y.shape}. Use .sum() or tn.jacobian."
            )
        return y, _like_argnums(argnums, pullback(1.0))

    return value_and_gradient


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return a function that computes the gradient of `f`: `value_and_grad` without the value.

    >>> import tinynet as tn
    >>> tn.grad(tn.grad(lambda x: x**3))(2.0)
    tensor(12., dtype=float32)
    """
    both = value_and_grad(f, argnums)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return a function that computes the Jacobian of `f` in the arguments `argnums`.

    Its shape is the shape of the result followed by that of the argument. The tape is walked
    once, for all elements of the result at the same time (see `vmap`).

    >>> import tinynet as tn
    >>> tn.jacobian(lambda x: x * x)([1.0, 2.0])
    tensor([[2., 0.],
            [0., 4.]], dtype=float32)
    """

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        y, pullback = _vjp_at(f, argnums, args, kwargs)
        units = wrap(np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape))
        parts = vmap(pullback)(units)
        return _like_argnums(argnums, tuple(p.reshape(y.shape + p.shape[1:]) for p in parts))

    return jacobian_of


def hessian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """Return a function that computes the second derivatives of the scalar `f` in one argument.

    Its shape is the argument's shape, twice.

    >>> import tinynet as tn
    >>> tn.hessian(lambda x: x[0] * x[0] * x[1])([1.0, 2.0])
    tensor([[4., 2.],
            [2., 0.]], dtype=float32)
    """
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Callable[..., Any], primals: Any, vectors: Any) -> Any:
    """Return the Hessian of the scalar `f` at `primals`, times `vectors`, without forming it.

    Both are one array, or tuples with one array per argument of `f`; so is the result. It is the
    gradient of the slope along the vectors (Pearlmutter, 1994) and takes two walks.

    >>> import tinynet as tn
    >>> tn.hvp(lambda x: (x**3).sum(), [1.0, 2.0], [1.0, 1.0])
    tensor([ 6., 12.], dtype=float32)
    """
    several = isinstance(primals, tuple)
    xs, vs = (primals, vectors) if several else ((primals,), (vectors,))
    if len(xs) != len(vs):
        raise ValueError(f"hvp: expected {len(xs)} vectors, one per primal, received {len(vs)}.")
    everywhere = tuple(range(len(xs)))

    def slope(*at: Tensor) -> Tensor:
        parts = zip(grad(f, everywhere)(*at), vs, strict=True)
        products = (g * _cotangent(v, g, "vectors", "the primal") for g, v in parts)
        return reduce(elementwise.add, (product.sum() for product in products))

    products = grad(slope, everywhere)(*xs)
    return products if several else products[0]
