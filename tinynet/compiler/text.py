"""Text that every printer needs: expressions with precedence, numbers, indices.

The NumPy printer, the exporters and the formulas of `explain` use them. Nothing parses text that
was printed before: an expression knows its own precedence.

Imports the engine and `program.py`. Read next: `numpy_printer.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from ..engine.primitives.shapes import Slice
from .program import Names as Names, Program, Var

COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)  # precedence, the lowest first

SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
COMPARISONS = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
COMPARISONS |= {"equal": "==", "not_equal": "!="}
INFIX = {name: (sign, SUM if sign in "+-" else PRODUCT) for name, sign in SIGNS.items()}
INFIX |= {name: (sign, COMPARISON) for name, sign in COMPARISONS.items()}


class Expr(NamedTuple):
    """An expression: its text and its precedence, from `COMPARISON` to `ATOM`.

    >>> total = infix("add", Expr("a"), Expr("b"))
    >>> print(infix("multiply", total, Expr("c")), total.atom, sep="; ")
    (a + b) * c; (a + b)
    """

    text: str
    rank: int = ATOM  # a name, a number without sign, a call, brackets

    def __str__(self) -> str:
        return self.text

    def within(self, rank: int) -> str:
        """Return the text, in brackets if its precedence is lower than `rank`."""
        return self.text if self.rank >= rank else f"({self.text})"

    @property
    def atom(self) -> str:
        """The text as something that has methods or an index."""
        return self.within(ATOM)


def infix(name: str, left: Expr, right: Expr, regroup: bool = False) -> Expr:
    """Return the primitive `name` of two operands, as one of the operators of `INFIX`.

    With `regroup`, ``a + (b + c)`` is ``a + b + c``: the same formula, but rounded differently.
    """
    sign, rank = INFIX[name]
    left_rank = rank + (rank == COMPARISON)  # Python chains comparisons
    right_rank = rank + (not (regroup and sign in "+*"))
    return Expr(f"{left.within(left_rank)} {sign} {right.within(right_rank)}", rank)


def used_once(program: Program) -> set[Var]:
    """Return the computed variables that one equation reads once, and that are not outputs.

    Their expressions can stand within the one that uses them.
    """
    uses = Counter(x for equation in program.equations.values() for x in equation.inputs)
    outputs = {*program.outputs}
    return {v for v in program.equations if uses[v] == 1 and v not in outputs}


def number_text(number: Any) -> str:
    """Return the shortest text that NumPy reads back as the same number of this dtype."""
    if isinstance(number, np.floating) and not np.isfinite(number):
        return "np.nan" if np.isnan(number) else "np.inf" if number > 0 else "-np.inf"
    text = str(number)
    exact = not isinstance(number, np.floating) or type(number)(float(text)) == number
    return text if exact else repr(float(number))


def index_text(index: tuple[Any, ...]) -> str:
    """Return a static index as text, without its brackets.

    >>> index_text((0, ..., None, Slice(1, None, None), Slice(None, None, -1)))
    '0, ..., None, 1:, ::-1'
    """
    return ", ".join(map(_item_text, index))


def _item_text(i: Any) -> str:
    if not isinstance(i, Slice):
        return "..." if i is Ellipsis else str(i)
    parts = ["" if n is None else str(n) for n in i]
    return ":".join(parts[: 2 + (i.step is not None)])
