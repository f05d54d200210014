"""`primitive`: functions of NumPy with derivative rules that users write.

Imports `bind.py`. Read next: `gradcheck.py`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from .bind import PRIMITIVES, bind
from .dtypes import strong_dtype
from .expect import expect
from .primitives.shapes import broadcast_to
from .tensor import Primitive, Rule, Tensor, as_tensor


class CustomPrimitive(Primitive):
    """A primitive that users call like a function; made by `primitive`."""

    def __call__(self, *inputs: Any, **params: Any) -> Tensor:
        """Return the result for tensors, arrays and numbers by position, and params by keyword.

        Python numbers among the inputs take the floating dtype of the others.
        """
        for name, value in params.items():
            expected = "a number, text or tuple (pass arrays by position)"
            is_static = isinstance(value, Hashable)
            expect(is_static, f"{self.name}: {name}", expected, type(value), TypeError)
        if isinstance(self.vjps, tuple) and self.joint is None:
            n = len(self.vjps)
            expected = f"at most {n} inputs, one per rule (None: no gradient)"
            expect(len(inputs) <= n, self.name, expected, len(inputs), TypeError)
        like = strong_dtype(inputs)
        return bind(self, *(as_tensor(x, like) for x in inputs), **params)

    def rule(self, position: int) -> Rule | None:
        """Return the rule of the input at `position`, which checks the shape of its result."""
        rule: Any = super().rule(position)

        def checked(ct: Tensor, y: Tensor, *inputs: Tensor, **params: Any) -> Tensor:
            found, shape = as_tensor(rule(ct, y, *inputs, **params)), inputs[position].shape
            try:
                return broadcast_to(found, np.broadcast_shapes(found.shape, shape))
            except ValueError:
                what = f"shape {shape} from the rule of input {position}, received {found.shape}"
                raise ValueError(f"{self.name}: expected {what}.") from None

        return rule and checked


def primitive(name: str, impl: Rule, *vjps: Rule | None, each: Any = None, **traits: Any) -> Any:
    """Return a function of tensors that runs `impl` and has derivatives by rules of your own.

    It has gradients of any order, is compiled by `jit` and `fit`, and `check_grads` tests it.
    Primitives of one name do not disturb each other, so a notebook's cell can be run again.

    Parameters
    ----------
    name : str
        What programs, pictures and errors call it.
    impl : function of arrays (positional) and params (keyword) to an array
        It must not change its arguments.
    vjps : rules or None, one per input
        ``rule(ct, y, *inputs, **params)`` returns the cotangent of its input, where `ct` is that of
        the result `y`. It is written in tensor operations, so that it can be differentiated again;
        broadcasting is undone for it. None: the input has no gradient.
    each : function from the position of an input to its rule, optional
        In place of `vjps`, for any number of inputs.
    traits
        `elementwise`, `batched` and `joint`, as in `Primitive`.

    Raises
    ------
    ValueError
        If one of tinynet's own primitives has this name.

    >>> import numpy as np, tinynet as tn
    >>> cube = tn.primitive("cube", lambda x: x**3, lambda ct, y, x: ct * 3.0 * x**2)
    >>> cube([1.0, 2.0]), tn.grad(tn.grad(cube))(2.0)
    (tensor([1., 8.], dtype=float32), tensor(12., dtype=float32))
    >>> tn.check_grads(cube, ([0.5, -2.0],))
    """
    expect(name not in PRIMITIVES, "primitive", "a name that is not one of tinynet's own", name)
    return CustomPrimitive(name, impl, each or vjps, **traits)
