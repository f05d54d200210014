"""einsum: sums of products of elements, written in indices.

Imports `shapes.py`. Read next: `../arrays.py`.
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from ..bind import Case, bind, primitive
from ..tensor import Rule, Tensor, as_tensor, wrap
from .shapes import all_alike, broadcast_to


def _sums_of_products(*xs: Any, subscripts: str, optimize: bool) -> Any:
    # The last bits depend on the memory layout, which compiled functions choose otherwise.
    return np.einsum(subscripts, *[np.asarray(x, order="C") for x in xs], optimize=optimize)


def _rule(position: int) -> Rule:
    """Return the rule of one operand: the einsum of the cotangent with all other operands."""

    def rule(ct: Tensor, y: Tensor, *xs: Tensor, subscripts: str, optimize: bool) -> Tensor:
        left, _, out = subscripts.partition("->")
        terms, operands, term = left.split(","), list(xs), left.split(",")[position]
        terms[position], operands[position] = out, ct
        lost = [i for i, c in enumerate(term) if c not in "".join(terms)]
        if lost:  # indices that only this operand has, and that are summed over
            terms.append("".join(term[i] for i in lost))
            operands.append(wrap(np.ones([xs[position].shape[i] for i in lost], ct.dtype)))
        return einsum(f"{','.join(terms)}->{term}", *operands, optimize=optimize)

    return rule


def _batched(*xs: Tensor, subscripts: str, optimize: bool) -> Tensor:
    index = next(c for c in string.ascii_letters if c not in subscripts)
    left, _, out = subscripts.partition("->")
    terms = ",".join(index + term for term in left.split(","))
    return einsum(f"{terms}->{index}{out}", *xs, optimize=optimize)


_SHAPES: dict[str, Any] = {
    "ij,jk->ki": ((2, 3), (3, 4)),
    "ij->j": ((2, 3),),
    "ij,ij->": ((2, 3), (2, 3)),
    "i,jk->ij": ((2,), (3, 2)),
    "ijk,k,lj->il": ((2, 3, 2), (2,), (2, 3)),
}
_einsum = primitive(
    "einsum",
    _sums_of_products,
    each=_rule,
    cases=tuple(Case(x, {"subscripts": key, "optimize": False}) for key, x in _SHAPES.items()),
    batched=_batched,
    reference=lambda *xs, subscripts, optimize: np.einsum(subscripts, *xs, optimize=not optimize),
)


def einsum(subscripts: str, *operands: Any, optimize: bool = False) -> Tensor:
    """Return sums of products of elements of the operands, by Einstein's convention.

    As in NumPy: repeated indices are summed over or, within one operand, give its diagonal; ``...``
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
    if not isinstance(subscripts, str):
        kind = type(subscripts).__name__
        raise TypeError(f"einsum: expected subscripts such as 'ij,jk->ik' first, received {kind}.")
    xs = all_alike(operands)
    terms, out, unused = _spelled(subscripts.replace(" ", ""), xs)
    for i, term in enumerate(terms):
        for k, c in enumerate(term):
            if c in term[:k]:  # a diagonal is the product with an identity matrix
                term = term[:k] + unused.pop() + term[k + 1 :]
                terms.append(c + term[k])
                xs.append(wrap(np.eye(xs[i].shape[k], dtype=xs[i].dtype)))
        terms[i] = term
    sizes: dict[str, int] = {}
    for term, x in zip(terms, xs, strict=True):
        sizes |= {c: n for c, n in zip(term, x.shape, strict=True) if sizes.get(c, 1) == 1}
    whole = [tuple(sizes[c] for c in term) for term in terms]
    if any(
        n not in (1, m)
        for x, to in zip(xs, whole, strict=True)
        for n, m in zip(x.shape, to, strict=True)
    ):
        raise _misfit(subscripts, operands)
    xs = [broadcast_to(x, shape) for x, shape in zip(xs, whole, strict=True)]
    return bind(_einsum, *xs, subscripts=f"{','.join(terms)}->{out}", optimize=bool(optimize))


def _misfit(subscripts: str, operands: Any) -> ValueError:
    shapes = ", ".join(str(as_tensor(x).shape) for x in operands)
    return ValueError(f"einsum: the subscripts {subscripts!r} do not fit operands of {shapes}.")


def _spelled(text: str, xs: list[Tensor]) -> tuple[list[str], str, list[str]]:
    """Return each operand's indices and the result's, all of them letters, and unused letters."""
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    unused = [c for c in string.ascii_letters if c not in text]
    extra = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, xs, strict=False)]
    wrong = [n for n, t in zip(extra, terms, strict=False) if n < 0 or (n > 0 and "..." not in t)]
    if wrong or len(terms) != len(xs):
        raise _misfit(text, xs)
    most = max([0, *extra])
    dots = "".join(unused.pop() for _ in range(most))
    terms = [t.replace("...", dots[most - n :]) for t, n in zip(terms, extra, strict=True)]
    if not arrow:
        letters = left.replace("...", "").replace(",", "")
        out = "..." + "".join(sorted(c for c in letters if letters.count(c) == 1))
    elif most and "..." not in out:
        raise ValueError(f"einsum: expected '...' also in the result, received {text!r}.")
    return terms, out.replace("...", dots), unused
