"""The checker is checked: every rule of every primitive is broken on purpose, in many ways."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from strategies import CASES, as_function, free_positions, over, typical, with_given

import tinynet as tn
from tinynet.engine.functional import ones_like
from tinynet.engine.primitives import REGISTRY, Case
from tinynet.engine.tensor import Primitive, Rule, Tensor, wrap


def positions(primitive: Primitive, case: Case) -> list[int]:
    """Return which inputs that the case leaves free have a rule."""
    count = len(with_given(case, typical(case)))
    return [i for i in free_positions(case, count) if primitive.rule(i) is not None]


def backwards(t: Tensor) -> Tensor:
    return t.reshape(-1)[::-1].reshape(t.shape)


def detached(ts: Sequence[Tensor]) -> list[Tensor]:
    return [t.detach() for t in ts]


# Each makes a faulty rule of a good one and the rule of the next argument. These are always wrong:
FAULTS: dict[str, Callable[[Rule, Rule], Rule]] = {
    "negated": lambda rule, other: lambda *a, **p: -rule(*a, **p),
    "zeroed": lambda rule, other: lambda *a, **p: 0.0 * rule(*a, **p),
    "doubled": lambda rule, other: lambda *a, **p: 2.0 * rule(*a, **p),
    "off by 1 %": lambda rule, other: lambda *a, **p: 1.01 * rule(*a, **p),
    "NaN": lambda rule, other: lambda *a, **p: rule(*a, **p) + np.nan,
    "infinite": lambda rule, other: lambda *a, **p: rule(*a, **p) + np.inf,
    "cotangent ignored": lambda rule, other: lambda ct, *a, **p: rule(ones_like(ct), *a, **p),
    "cotangent squared": lambda rule, other: lambda ct, *a, **p: rule(ct * ct, *a, **p),
    "raw NumPy": lambda rule, other: lambda *a, **p: wrap(np.array(rule(*detached(a), **p))),
    "raw cotangent": lambda rule, other: lambda ct, *a, **p: rule(ct.detach(), *a, **p),
}
# And these only for some rules: to exchange two equal rules, say, is no fault.
CONFUSIONS: dict[str, Callable[[Rule, Rule], Rule]] = {
    "rule of another argument": lambda rule, other: other,
    "arguments exchanged": lambda rule, other: lambda ct, y, *xs, **p: rule(ct, y, *xs[::-1], **p),
    "cotangent backwards": lambda rule, other: lambda ct, *a, **p: rule(backwards(ct), *a, **p),
    "result backwards": lambda rule, other: lambda *a, **p: backwards(rule(*a, **p)),
    "raw inputs": lambda rule, other: lambda ct, y, *xs, **p: rule(ct, y, *detached(xs), **p),
    "raw result": lambda rule, other: lambda ct, y, *xs, **p: rule(ct, y.detach(), *xs, **p),
}

RULES = [
    pytest.param(primitive, position, id=f"{primitive.name}-{position}")
    for primitive in REGISTRY.values()
    for position in sorted({i for case in primitive.cases for i in positions(primitive, case)})
]
every_rule = pytest.mark.parametrize(("primitive", "position"), RULES)


def with_fault(make: Any, primitive: Primitive, position: int) -> Iterator[tuple[Primitive, Case]]:
    """Yield the primitive with a fault in one of its rules, with each case that has this rule."""
    for case in primitive.cases:
        ruled = positions(primitive, case)
        if position in ruled:
            rules = {i: primitive.rule(i) for i in ruled}
            after = ruled[(ruled.index(position) + 1) % len(ruled)]
            rules[position] = make(rules[position], rules[after])
            yield replace(primitive, vjps=rules.get), case


def derivatives(f: Callable[..., Tensor], xs: Sequence[Any], order: int = 2) -> list[np.ndarray]:
    """Return what pullbacks give for random cotangents, theirs included."""
    y, pullback = tn.vjp(f, *xs)
    ct = np.random.default_rng(order).standard_normal(y.shape)
    found = [x.data for x in pullback(ct)]
    for i in range(len(xs) if order > 1 else 0):
        found += derivatives(lambda *a, i=i: tn.vjp(f, *a[:-1])[1](a[-1])[i], (*xs, ct), order - 1)
    return found


def are_equal(faulty: Primitive, primitive: Primitive, case: Case, xs: Any) -> bool:
    """Return whether the two have the same derivatives at `xs`."""
    both = (derivatives(as_function(p, case), xs) for p in (faulty, primitive))
    return all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(*both, strict=True))


def passes(f: Callable[..., Tensor], xs: Any, order: int = 2) -> bool:
    try:
        tn.check_grads(f, xs, order)
    except AssertionError:
        return False
    return True


@over(CASES)
def test_every_primitive_passes_to_third_order(primitive, case):
    if positions(primitive, case):
        tn.check_grads(as_function(primitive, case), typical(case), order=3)


@every_rule
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_in_every_rule_is_found(primitive, position, fault):
    for faulty, case in with_fault(FAULTS[fault], primitive, position):
        assert not passes(as_function(faulty, case), typical(case))


@every_rule
@pytest.mark.parametrize("confusion", CONFUSIONS)
@np.errstate(all="ignore")
def test_a_confusion_is_found_where_it_makes_another_function(primitive, position, confusion):
    for faulty, case in with_fault(CONFUSIONS[confusion], primitive, position):
        for xs in (typical(case, seed) for seed in range(3)):
            try:
                equal = are_equal(faulty, primitive, case, xs)
            except (ValueError, IndexError):
                continue  # the shapes do not fit: nobody can overlook that
            assert passes(as_function(faulty, case), xs) == equal


@pytest.mark.parametrize("confusion", CONFUSIONS)
@np.errstate(all="ignore")
def test_a_confusion_makes_another_function_of_many_rules(confusion):
    def is_one(primitive: Primitive, position: int) -> bool:
        for faulty, case in with_fault(CONFUSIONS[confusion], primitive, position):
            with suppress(ValueError, IndexError):
                if not are_equal(faulty, primitive, case, typical(case)):
                    return True
        return False

    assert sum(is_one(*rule.values) for rule in RULES) >= 800
