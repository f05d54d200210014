"""Derivatives of functions: `vjp`, and what follows from it.

`vjp` runs a function on new tensors equal to its arguments and keeps the tape, which the pullback
walks backwards. All other derivatives call pullbacks. Arguments and results are trees (`tree.py`).

Imports `tape.py`, `vmap.py` and `../tree.py`. Read next: `vmap.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, starmap
from typing import Any

import numpy as np

from .. import tree
from . import arrays
from .bind import active_arguments, bind, modes
from .expect import expect
from .primitives import elementwise, shapes
from .tape import cotangent_of, cotangents, tape
from .temporarily import temporarily
from .tensor import Operand, Tensor, as_tensor, wrap
from .vmap import P, R, vmap


class _Linearized:
    """A function at one point, `args`: its result there, and its pullback to some arguments.

    Attributes
    ----------
    y : tree of tensors
        The result, tracked only if it depends on tracked tensors outside.
    aux : tree
        The second result of `f`; None without `has_aux`.
    """

    def __init__(
        self, f: Any, args: Any, kwargs: Any = None, argnums: Any = None, has_aux: bool = False
    ) -> None:
        places = range(len(args))
        several = argnums is None or isinstance(argnums, (tuple, list))
        chosen = [*places] if argnums is None else shapes.ints(argnums, "argnums")
        chosen = [i + len(args) * (i < 0) for i in chosen]
        expect({*chosen} <= {*places}, "argnums", f"positions below {len(args)}", argnums)
        given = [tree.map_leaves(as_tensor, args[i]) for i in chosen]
        self.form: Any = tuple(given) if several else given[0]  # of the derivatives
        parts = [tree.parts_like(x, x, f"argument {i}") for i, x in zip(chosen, given, strict=True)]
        self.xs = [_argument(x, path) for path, x in chain(*parts)]
        own = dict(zip(chosen, tree.pack_sequence_as(tuple(given), self.xs), strict=True))
        active_arguments.update(self.xs)
        try:
            with temporarily(modes, grad=True, differentiating=True):
                result = f(*(own.get(i, x) for i, x in enumerate(args)), **(kwargs or {}))
                is_pair = not has_aux or (isinstance(result, tuple) and len(result) == 2)
                expect(is_pair, "has_aux", "a function that returns (y, aux)", type(result))
                result, aux = result if has_aux else (result, None)
                y = tree.map_leaves(as_tensor, result)
        finally:
            active_arguments.difference_update(self.xs)
        expect(y is not None, "f", "a function that returns tensors", type(y))
        self.ys = tree.leaves(y)
        noted = [t for t in tree.leaves(aux) if isinstance(t, Tensor)]
        self.order = tape(*self.ys, *noted, stop=self.xs)
        unused = {x.equation.inputs[0] for x in {*self.xs}.difference(self.order) if x.equation}
        if unused and not modes.differentiating:
            others = [x for i, x in enumerate(args) if i not in own], kwargs or {}
            _refuse_lost(unused, {*self.order}, others)
        _stop_tracking(self.order, self.xs)
        self.y, self.aux = tree.map_leaves(_without_tape, y), tree.map_leaves(_without_tape, aux)

    def pull(self, cts: dict[int, Tensor]) -> list[Tensor]:
        """Return the cotangents of the arguments' leaves for `cts`, those of the result's leaves.

        The keys of `cts` are positions of leaves; a leaf that is left out has the cotangent 0.
        """
        starts: dict[Tensor, Tensor] = {}
        for i, ct in cts.items():
            t = self.ys[i]
            starts[t] = starts[t] + ct if t in starts else ct
        found = cotangents(self.order, starts, self.xs)
        return [found[x] if x in found else arrays.zeros_like(x) for x in self.xs]

    def packed(self, cts: dict[int, Tensor]) -> Any:
        """Return the result of `pull` as a tree for an integer `argnums`, else a tuple of trees."""
        return tree.pack_sequence_as(self.form, self.pull(cts))


def _argument(x: Tensor, name: str) -> Tensor:
    """Return a tensor equal to `x` to pass to the function: other uses of `x` do not count."""
    expected = "a floating dtype, as a gradient needs (use .astype, or other argnums)"
    expect(x.data.dtype.kind == "f", name, expected, x.dtype)
    if x.tracked and modes.grad:
        return bind(elementwise.alias, x)
    out = x.detach()
    out.requires_grad = True
    return out


def _refuse_lost(unused: set[Tensor], used: set[Tensor], others: Any) -> None:
    """Raise a ValueError if `f` ignores an argument but uses the tensor that was passed for it.

    It may use the tensors in `others`, the arguments that are not differentiated.
    """
    known = getattr(modes.recorder, "known", {})
    used = used.difference(map(as_tensor, tree.instances(Operand, others)))
    both = {known.get(t, t) for t in unused} & {known.get(t, t) for t in used}
    expected = "a function that uses its arguments (model.stateless_call), not the tensors passed"
    expect(not both, "f, whose gradient would be 0", expected, [t.shape for t in both])


def _stop_tracking(order: list[Tensor], xs: list[Tensor]) -> None:
    """Stop tracking the tensors that depend on no tracked tensor but the leaves `xs`.

    So derivatives, and whatever is computed from them, are as tracked as the arguments were.
    """
    for x in xs:
        x.tracked = x.equation is not None
    for t in reversed(order):
        if t.equation is not None:  # tensors from outside, which other threads may use, stay as is
            inputs, places = enumerate(t.equation.inputs), t.equation.primitive.differentiable
            t.tracked = any(x.tracked and i in places for i, x in inputs)


def _without_tape(t: Any) -> Any:
    """Return a result without its tape, unless it is still tracked."""
    return t.detach() if isinstance(t, Tensor) and not (t.tracked and modes.grad) else t


def vjp(f: Callable[..., R], *primals: Any) -> tuple[R, Callable[[Any], tuple[Any, ...]]]:
    """Return ``f(*primals)`` and its pullback: from the result's cotangent to those of `primals`.

    The pullback is the vector-Jacobian product: ``pullback(ct)[i]`` is ``ct @ J`` for the Jacobian
    J with respect to argument i. It has the argument's shape and dtype and can be differentiated
    again. Primals and results may be trees; `ct` is a tree like the result, ``pullback(ct)`` a
    tuple of trees like the primals.

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
    at = _Linearized(f, primals)
    return at.y, lambda ct: at.packed(_cotangents(ct, at.y))


def _cotangents(cts: Any, y: Any, name: str = "ct", of: str = "the result") -> dict[int, Tensor]:
    """Return the leaves of `cts` by position; ValueError unless they are like those of `y`."""
    parts = zip(tree.parts_like(y, cts, name), tree.leaves(y), strict=True)
    return {i: cotangent_of(ct, t, path, of) for i, ((path, ct), t) in enumerate(parts)}


def jvp(f: Callable[..., R], primals: Any, tangents: Any) -> tuple[R, R]:
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
        is_tuple = isinstance(value, (tuple, list))
        expect(is_tuple, f"jvp: {name}", "a tuple, one per argument", type(value), TypeError)
    at = _Linearized(f, primals)
    vs = _cotangents(tuple(tangents), at.form, "tangents", "the primal")
    found = {i: arrays.zeros_like(t) for i, t in enumerate(tree.leaves(at.y))}
    smooth = {i: t for i, t in found.items() if t.data.dtype.kind == "f"}
    pulled = lambda *cts: at.pull(dict(zip(smooth, cts, strict=True)))  # noqa: E731
    found |= zip(smooth, _Linearized(pulled, [*smooth.values()]).pull(vs), strict=True)
    return at.y, tree.pack_sequence_as(at.y, found.values())


# -- gradients and matrices -------------------------------------------------------------------


def value_and_grad(
    f: Callable[P, R], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[P, tuple[R, Any]]:
    """Return a function that computes ``f(*args)`` and its gradient with respect to arguments.

    Parameters
    ----------
    f : function of tensors or trees of them that returns a scalar
        Arrays and numbers among its arguments `argnums` are converted.
    argnums : int or tuple of int
        The position of the argument that the gradient is with respect to. The gradient is a tree
        like that argument, with its shapes and dtypes; for a tuple of positions, a tuple of trees.
    has_aux : bool
        Whether `f` returns ``(scalar, aux)``; then ``((scalar, aux), gradient)`` is computed. `aux`
        is any tree. No gradient flows from its tensors to the arguments.

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

    def value_and_gradient(*args: P.args, **kwargs: P.kwargs) -> tuple[Any, Any]:
        at = _Linearized(f, args, kwargs, argnums, has_aux)
        shape = getattr(at.y, "shape", type(at.y))
        expect(shape == (), "grad", "a scalar (use .sum() or tn.jacobian)", shape)
        gradient = at.packed({0: cotangent_of(1.0, at.y)})
        return (at.y, at.aux) if has_aux else at.y, gradient

    return value_and_gradient


def grad(
    f: Callable[P, Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[P, Any]:
    """Return a function that computes the gradient of `f`: `value_and_grad` without the value.

    With `has_aux`, ``(gradient, aux)``.

    >>> import tinynet as tn
    >>> tn.grad(tn.grad(lambda x: x**3))(2.0)
    tensor(12., dtype=float32)
    """
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: P.args, **kwargs: P.kwargs) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def elementwise_grad(f: Callable[P, Any], argnum: int = 0) -> Callable[P, Any]:
    """Return a function that computes the derivative of an elementwise `f`, element by element.

    It is the gradient of the sum of the result, which may have any shape. So each element of the
    result must depend on the elements at its own position alone.

    >>> import tinynet as tn
    >>> tn.elementwise_grad(tn.ops.square)([1.0, 2.0, 3.0])
    tensor([2., 4., 6.], dtype=float32)
    """

    def slopes(*args: P.args, **kwargs: P.kwargs) -> Any:
        at = _Linearized(f, args, kwargs, argnum)
        return at.packed(dict(enumerate(map(arrays.ones_like, tree.leaves(at.y)))))

    return slopes


def jacobian(f: Callable[P, Any], argnums: int | tuple[int, ...] = 0) -> Callable[P, Any]:
    """Return a function that computes the Jacobian of `f` with respect to arguments (`argnums`).

    Its shape is the shape of the result followed by that of the argument. If the result is a tree,
    so is the Jacobian, with a tree like the argument at each leaf. The tape is walked once for all
    elements of a leaf of the result (see `vmap`), which takes memory for all rows.

    >>> import tinynet as tn
    >>> tn.jacobian(lambda x: x * x)([1.0, 2.0])
    tensor([[2., 0.],
            [0., 4.]], dtype=float32)
    >>> tn.jacobian(lambda x: {"sum": x.sum()})([1.0, 2.0])
    {'sum': tensor([1., 1.], dtype=float32)}
    """

    def jacobian_of(*args: P.args, **kwargs: P.kwargs) -> Any:
        at = _Linearized(f, args, kwargs, argnums)

        def of_leaf(i: int, y: Tensor) -> Any:
            units = wrap(np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape))
            rows = vmap(lambda unit: at.packed({i: unit}))(units)
            return tree.map_leaves(lambda x: x.reshape(y.shape + x.shape[1:]), rows)

        return tree.pack_sequence_as(at.y, starmap(of_leaf, enumerate(tree.leaves(at.y))))

    return jacobian_of


def hessian(f: Callable[P, Any], argnum: int = 0) -> Callable[P, Any]:
    """Return a function that computes the Hessian of a scalar `f` with respect to one argument.

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
    pullback of the gradient (the Hessian is symmetric), which takes two walks.

    >>> import tinynet as tn
    >>> tn.hvp(lambda x: (x**3).sum(), [1.0, 2.0], [1.0, 1.0])
    tensor([ 6., 12.], dtype=float32)
    """
    several = isinstance(primals, tuple) and not hasattr(primals, "_fields")
    xs, vs = (primals, vectors) if several else ((primals,), (vectors,))
    expect(len(xs) == len(vs), "hvp: vectors", f"{len(xs)} of them, one per primal", len(vs))
    at = _Linearized(grad(f, tuple(range(len(xs)))), xs)
    products = at.packed(_cotangents(tuple(vs), at.y, "vectors", "the primal"))
    return products if several else products[0]
