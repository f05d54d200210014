"""The tape of a tensor, and the backward walk along it, on which every derivative is based.

`cotangents` gives the results their cotangents, goes through the equations from the last to the
first, and applies each primitive's rules to get the cotangents of its inputs. Rules are tensor
operations, so a derivative can be differentiated like anything else.

Imports `arrays.py`. Read next: `autodiff.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import arrays
from .bind import active_arguments, grad_mode, modes, refuse_if_recorded
from .expect import expect
from .primitives import elementwise, reductions, shapes
from .tensor import Operand, Tensor, as_tensor


def tape(*roots: Tensor, stop: Iterable[Tensor] = ()) -> list[Tensor]:
    """Return the tracked tensors behind `roots`, each before its inputs; `stop` are leaves.

    Takes time linear in the number of equations, and no recursion.
    """
    leaves = set(stop)
    inputs: dict[Tensor, list[Tensor]] = {}  # the tracked inputs of each tensor
    uses = dict.fromkeys(roots, 0)  # how many times a tensor is such an input
    pending = [*uses]
    while pending:
        t = pending.pop()
        equation = None if t in leaves else t.equation
        inputs[t] = [x for x in equation.inputs if x.tracked] if equation else []
        for x in inputs[t]:
            if x not in uses:
                uses[x] = 0
                pending.append(x)
            uses[x] += 1
    order = [t for t in dict.fromkeys(roots) if not uses[t]]
    for t in order:  # grows on the way: a tensor is appended after everything that used it
        for x in inputs[t]:
            uses[x] -= 1
            if not uses[x]:
                order.append(x)
    return order


def cotangents(
    order: list[Tensor],
    starts: Mapping[Tensor, Tensor],
    wrt: Iterable[Tensor] | None = None,
    through: bool = False,
) -> dict[Tensor, Tensor]:
    """Return the cotangents of the tensors `wrt`, by default of all leaves, along a tape.

    `starts` are the cotangents of the roots. Only the rules on paths to `wrt` are run. Paths end at
    the tensors `wrt`, which are independent of each other; with `through` they go on.
    """
    wanted = {t for t in order if t.equation is None} if wrt is None else set(wrt)
    needed = set(order) if wrt is None else _dependent(order, wanted)
    cts = dict(starts)

    for t in order:
        is_wanted = t in wanted
        if t not in cts or (is_wanted and not through) or t not in needed or t.equation is None:
            continue
        (primitive, inputs, params), ct = t.equation, cts[t] if is_wanted else cts.pop(t)
        parts: dict[int, Any] = {}
        if primitive.joint is not None:
            places = tuple(i for i, x in enumerate(inputs) if x in needed)
            new = [*primitive.joint(ct, t, places, *inputs, **params)]
            expect(len(new) == len(places), primitive.name, f"{len(places)} cotangents", len(new))
            parts = dict(zip(places, new, strict=True))
        for i, x in enumerate(inputs):
            rule = primitive.rule(i) if x in needed else None
            part = rule(ct, t, *inputs, **params) if rule is not None else parts.get(i)
            if part is not None:
                part = unbroadcast(part, x)
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
        ct = reductions.sum(ct, axes)
        if ct.data.shape != shape:
            ct = shapes.reshape(ct, shape)
    return ct if ct.data.dtype is primal.data.dtype else elementwise.cast(ct, primal.dtype)


def refuse_to_cut(t: Tensor, what: str) -> None:
    """Raise a TypeError if the operation `what` would cut off a gradient that is being computed.

    It would if `t` depends on an argument of a function that is being differentiated.
    """
    may_cut = active_arguments and t.tracked and modes.grad
    if may_cut and not active_arguments.isdisjoint(tape(t, stop=active_arguments)):
        raise TypeError(
            f"{what}: received a tensor of shape {t.shape} that depends on an argument of the "
            "function being differentiated, so the gradient would be lost. Use functions of "
            "tensors instead: tn.ops.sin for math.sin, tn.ops.stack for np.array of a list, "
            "tn.ops.logsumexp for SciPy's. Or use t.detach(), which is a constant."
        )


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
    leaves: set[Tensor] = getattr(modes.recorder, "leaves", set())  # of a training step
    if not leaves:
        refuse_if_recorded("backward()", "Use tn.grad or tn.vjp, which return gradients")
    if not root.tracked:
        raise ValueError("backward(): no input has requires_grad=True, or it ran under no_grad.")
    is_scalar = root.shape == ()
    expect(is_scalar or ct is not None, "backward()", "a scalar (use .sum()) or ct", root.shape)
    start = cotangent_of(1.0 if ct is None else ct, root)
    with grad_mode(False):
        found = cotangents(tape(root), {root: start})
    for leaf, part in found.items():
        if leaf not in leaves:
            refuse_if_recorded("backward()", "Use tn.grad or tn.vjp, which return gradients")
            new = part.data.copy() if leaf.grad is None else np.asarray(leaf.grad + part.data)
        else:
            new = part if leaf.grad is None else leaf.grad + part
        leaf.grad = new


def gradients(y: Tensor, xs: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradients of `y` with respect to `xs`; None where `y` does not depend on one.

    If `y` is not a scalar, that of its sum. Some of `xs` may be computed from others. Changes no
    tensor. The gradients have no tape.
    """
    tracked, start = [x for x in xs if x.tracked], {y: arrays.ones_like(y)}
    with grad_mode(False):
        found = cotangents(tape(y), start, tracked, through=True) if y.tracked else {}
    return [found.get(x) for x in xs]


def cotangent_of(ct: Any, y: Tensor, argument: str = "ct", of: str = "the result") -> Tensor:
    """Return `ct` as a tensor of the shape and dtype of `y`; ValueError for another shape."""
    ct = elementwise.cast(as_tensor(ct, y.dtype), y.dtype)
    expect(ct.shape == y.shape, argument, f"the shape of {of}, {y.shape}", ct.shape)
    return ct
