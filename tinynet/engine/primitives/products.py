"""Products: matmul, and einsum, which is written in indices.

Imports `shapes.py`. Read next: `reductions.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..bind import Case, bind, primitive
from ..expect import expect
from ..tensor import Rule, Tensor, wrap
from .elementwise import alike
from .shapes import aligned, all_alike, broadcast_to, column, reshape, row, swap_last_axes as _t

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# -- matrix products --------------------------------------------------------------------------


def _matmul_rule_1(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    if x2.ndim == 1:
        return column(ct) * x2
    return (row(ct) if x1.ndim == 1 < ct.ndim else ct) @ _t(x2)


def _matmul_rule_2(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    if x1.ndim == 1:
        return x1 * ct if x2.ndim == 1 else column(x1) * row(ct)
    if x2.ndim == 1:
        return (row(ct) if ct.ndim > 1 else ct) @ x1
    return _t(x1) @ ct


def _product(x1: Any, x2: Any) -> Any:
    # For small matrices np.dot gives the same numbers in half the time.
    return np.dot(x1, x2) if x1.ndim == x2.ndim == 2 else np.matmul(x1, x2)


_PAIRS: list[Any] = [((2, 3), (3, 4)), ((3, 3), (3, 3)), ((2, 1, 4, 3), (5, 3, 2))]
_PAIRS += [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,))]


def _batched(x1: Tensor, x2: Tensor) -> Tensor:
    vectors = x1.ndim == 2, x2.ndim == 2  # is an example a vector?
    left, right = row(x1) if vectors[0] else x1, column(x2) if vectors[1] else x2
    y = _product_of_batches(left, right)
    return reshape(y, y.shape[:-2] + y.shape[-2:][vectors[0] : 2 - vectors[1]])


def _product_of_batches(left: Tensor, right: Tensor) -> Tensor:
    if len(right) == 1 and right.ndim == 3:  # the same matrix for all: one large product
        rows = reshape(left, (math.prod(left.shape[:-1]), left.shape[-1]))
        y = matmul(rows, reshape(right, right.shape[1:]))
        return reshape(y, (*left.shape[:-1], y.shape[-1]))
    if len(left) == 1 and left.ndim == 3 and right.shape[-1] == 1:
        return _t(_product_of_batches(_t(right), _t(left)))
    rank = left.ndim if left.ndim > right.ndim else right.ndim
    return matmul(aligned(left, rank), aligned(right, rank))


_rules = _matmul_rule_1, _matmul_rule_2
_matmul = primitive("matmul", _product, *_rules, cases=tuple(map(Case, _PAIRS)), batched=_batched)


def matmul(x1: Any, x2: Any) -> Tensor:
    """Return the matrix product over the last axis of x1 and the second to last of x2.

    Ranks are NumPy's: vectors are rows on the left and columns on the right; leading axes broadcast
    and hold stacks of matrices. ValueError if the lengths do not match.
    """
    return bind(_matmul, *alike(x1, x2))


# -- sums of products of elements -------------------------------------------------------------


def _sums_of_products(*xs: Any, subscripts: str, optimize: bool) -> Any:
    # The last bits depend on the memory layout, and compiled functions choose another one.
    return np.einsum(subscripts, *[np.asarray(x, order="C") for x in xs], optimize=optimize)


def _einsum_rule(position: int) -> Rule:
    """Return the rule of one operand: the einsum of the cotangent with all other operands."""

    def rule(ct: Tensor, y: Tensor, *xs: Tensor, subscripts: str, optimize: bool) -> Tensor:
        left, _, out = subscripts.partition("->")
        terms, operands, term = left.split(","), list(xs), left.split(",")[position]
        terms[position], operands[position] = out, ct
        joined, lengths = "".join(terms), zip(term, xs[position].shape, strict=True)
        lost = {c: n for c, n in lengths if c not in joined}
        if lost:  # indices that only this operand has, and that are summed over
            terms.append("".join(lost))
            operands.append(wrap(np.ones([*lost.values()], ct.dtype)))
        subscripts = f"{','.join(terms)}->{term}"
        return bind(_einsum, *operands, subscripts=subscripts, optimize=optimize)

    return rule


def _einsum_batched(*xs: Tensor, subscripts: str, optimize: bool) -> Tensor:
    index = next(c for c in LETTERS if c not in subscripts)
    left, _, out = subscripts.partition("->")
    terms = ",".join(index + term for term in left.split(","))
    return einsum(f"{terms}->{index}{out}", *xs, optimize=optimize)


def _einsum_case(subscripts: str) -> Case:
    terms = subscripts.partition("->")[0].split(",")
    shapes = tuple(tuple("..ijkl".index(c) for c in term) for term in terms)  # i has length 2, j 3
    return Case(shapes, {"subscripts": subscripts, "optimize": False})


_einsum = primitive(
    "einsum",
    _sums_of_products,
    each=_einsum_rule,
    cases=tuple(map(_einsum_case, ("ij,jk->ki", "ij->j", "ij,ij->", "i,jk->ij", "ijk,k,lj->il"))),
    batched=_einsum_batched,
    reference=lambda *xs, subscripts, optimize: np.einsum(subscripts, *xs, optimize=not optimize),
)


def einsum(subscripts: str, *operands: Any, optimize: bool = False) -> Tensor:
    """Return sums of products of the operands' elements, by Einstein's summation convention.

    As in NumPy: repeated indices are summed over or, within one operand, take its diagonal; ``...``
    stands for leading axes that broadcast; without ``->``, the result has the indices that occur
    once, in alphabetical order. `optimize` chooses an order of the products by their costs.

    Raises
    ------
    TypeError
        Unless the subscripts are a string.
    ValueError
        If they do not fit the shapes of the operands.

    >>> import tinynet as tn
    >>> tn.ops.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    tensor([21., 43.], dtype=float32)
    """
    is_text = isinstance(subscripts, str)
    expect(is_text, "einsum", "text such as 'ij,jk->ik' first", type(subscripts), TypeError)
    xs = all_alike(operands)
    try:
        terms, out = _without_ellipsis(subscripts.replace(" ", ""), xs)
        pairs = [zip(term, x.shape, strict=True) for term, x in zip(terms, xs, strict=True)]
        sizes = {c: n for pair in pairs for c, n in pair if n != 1}
        for i, term in enumerate(terms):
            whole = broadcast_to(xs[i], tuple(sizes.get(c, 1) for c in term))
            terms[i], xs[i] = _without_repeats(term, whole)
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in xs)
        fits = "an index for each axis, equal lengths, and '...' for more axes, also in the result"
        raise ValueError(f"einsum: {subscripts!r} of {shapes}: expected {fits}.") from None
    return bind(_einsum, *xs, subscripts=f"{','.join(terms)}->{out}", optimize=bool(optimize))


def _without_ellipsis(text: str, xs: list[Tensor]) -> tuple[list[str], str]:
    """Return each operand's indices and the result's, with letters in place of ``...``."""
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    extra = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, xs, strict=True)]
    dots = "".join([c for c in LETTERS if c not in text][: max(0, *extra)])
    terms = [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, extra, strict=True)]
    if not arrow:
        out = "..." + "".join(sorted(c for c in text if c.isalpha() and text.count(c) == 1))
    elif dots and "..." not in out:
        raise ValueError
    return terms, out.replace("...", dots)


def _without_repeats(term: str, x: Tensor) -> tuple[str, Tensor]:
    """Return the distinct indices of `term`, and the diagonal of `x` for those that repeat."""
    letters = "".join(dict.fromkeys(term))
    if letters == term:
        return term, x
    places = np.ogrid[tuple(slice(x.shape[term.index(c)]) for c in letters)]
    return letters, x[tuple(places[letters.index(c)] for c in term)]
