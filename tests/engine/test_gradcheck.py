"""The checker is checked: every rule of every primitive is broken on purpose, in many ways."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import assert_same
from strategies import CASES, as_function, free_positions, over_cases, typical, with_given

import tinynet as tn
from tinynet.engine.bind import PRIMITIVES, Case, bind
from tinynet.engine.functional import ones_like
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
    for primitive in PRIMITIVES.values()
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


@over_cases(CASES)
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
def test_a_wrong_variant_of_a_rule_is_found_where_it_differs_from_the_rule(
    primitive, position, confusion
):
    for faulty, case in with_fault(CONFUSIONS[confusion], primitive, position):
        for xs in (typical(case, seed) for seed in range(3)):
            try:
                equal = are_equal(faulty, primitive, case, xs)
            except (ValueError, IndexError):
                continue  # the shapes do not fit: nobody can overlook that
            assert passes(as_function(faulty, case), xs) == equal


@pytest.mark.parametrize("confusion", CONFUSIONS)
@np.errstate(all="ignore")
def test_each_wrong_variant_differs_from_several_rules(confusion):
    def is_one(primitive: Primitive, position: int) -> bool:
        for faulty, case in with_fault(CONFUSIONS[confusion], primitive, position):
            with suppress(ValueError, IndexError):
                if not are_equal(faulty, primitive, case, typical(case)):
                    return True
        return False

    assert sum(is_one(*rule.values) for rule in RULES) >= 7


# -- what it says, and of what ----------------------------------------------------------------


def primitive_with(rule: Rule) -> Callable[[Tensor], Tensor]:
    """Return the cube, with this rule."""
    cube = Primitive("cube", lambda x: x**3, (rule,))
    return lambda x: bind(cube, x)


right_cube = primitive_with(lambda ct, y, x: ct * 3.0 * x * x)
raw_cube = primitive_with(lambda ct, y, x: ct * wrap(3 * x.data**2))


def failure(f: Callable[..., Tensor], args: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        tn.check_grads(f, args, **options)
    return str(caught.value)


def test_the_message_names_the_wrong_argument_and_gives_both_numbers():
    def f(a: Tensor, b: Tensor) -> Tensor:  # at (1, 1): slope 3 in b, of which 1 is seen
        return a * b + tn.ops.stop_gradient(b * b)

    head, columns, good, bad = failure(f, (1.0, 1.0)).splitlines()
    assert head.startswith("check_grads: wrong derivative of f ")
    assert columns.split() == ["argument", "shape", "by", "differences", "by", "pullback"]
    assert (good.split()[:2], len(good.split())) == (["0", "()"], 4)
    argument, shape, by_differences, by_pullback, *mark = bad.split()
    assert (argument, shape, mark) == ("1", "()", ["<--", "wrong"])
    assert float(by_differences) == pytest.approx(3 * float(by_pullback), rel=1e-6)


def test_the_message_names_the_pullback_whose_derivative_is_wrong():
    message = failure(lambda n, x: raw_cube(x), (np.array(2), [0.5]))
    head, _, x, ct = message.splitlines()
    assert "the pullback to argument 1 of f" in head
    assert (x.split()[0], x.split()[-1]) == ("1", "wrong")
    assert (ct.split()[0], len(ct.split())) == ("ct", 4)


def test_a_rule_in_raw_numpy_is_found_by_the_second_order_alone():
    assert passes(raw_cube, ([0.5],), order=1)
    assert not passes(raw_cube, ([0.5],), order=2)
    assert passes(right_cube, ([0.5],), order=3)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("order", [1, 2])
def test_nan_and_infinity_fail(number, order):
    assert not passes(lambda x: x * number, ([0.5],), order)
    assert not passes(lambda x: x + number, ([0.5],), order)
    assert not passes(primitive_with(lambda ct, y, x: ct * number), ([0.5],), order)


def test_a_function_that_computes_outside_the_tape_fails():
    assert not passes(tn.no_grad()(lambda x: x * x), ([0.5],))
    assert not passes(lambda x: tn.tensor(x.detach().numpy() ** 2), ([0.5],))


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_integers_and_bools_are_passed_on_unchanged(dtype):
    seen = []

    def f(which: Tensor, x: Tensor) -> Tensor:
        seen.append((which.dtype, which.numpy().tolist()))
        return x * x

    given = np.array([1, 0], dtype)
    tn.check_grads(f, (given, [0.5, 0.2]))
    assert seen == [(np.dtype(dtype), given.tolist())] * len(seen)


def test_float32_is_checked_in_float64():
    x, seen = np.array([0.5, -0.2], "float32"), set()

    def f(t: Tensor) -> Tensor:
        seen.add(t.dtype.name)
        return tn.ops.sin(t)

    tn.check_grads(f, (x,), rtol=1e-7)  # float32 would be off by 1e-3
    assert seen == {"float64"}
    assert_same(x, np.array([0.5, -0.2], "float32"))


def change(t: Tensor) -> Tensor:
    t.data[...] += 1
    return t


@pytest.mark.parametrize(
    "f",
    [
        lambda n, x: change(x) * x,
        lambda n, x: x * tn.ops.cast(change(n), "float64"),
        lambda n, x: primitive_with(lambda ct, y, x: ct * change(x) * x)(x),
        lambda n, x: primitive_with(lambda ct, y, x: 3.0 * ct * x * x + 0.0 * change(ct))(x),
    ],
    ids=["an argument", "an integer argument", "an argument in a rule", "the cotangent in a rule"],
)
def test_a_change_in_place_is_reported_and_does_not_reach_the_callers_arrays(f):
    n, x = np.array([2, 3]), np.array([0.5, -0.2])
    assert "in place" in failure(f, (n, x))
    assert (n.tolist(), x.tolist()) == ([2, 3], [0.5, -0.2])


def test_a_one_sided_slope_fails_at_a_kink_and_passes_next_to_it():
    assert not passes(tn.ops.relu, ([0.0, 1.0],), order=1)
    assert passes(tn.ops.relu, ([0.01, -0.01],))


def test_the_mean_of_two_slopes_passes_at_a_kink_in_first_order_only():
    for f, args in ((tn.ops.absolute, ([0.0],)), (tn.ops.maximum, ([0.5], [0.5]))):
        assert passes(f, args, order=1)
        assert not passes(f, args, order=2)


def test_constants_and_functions_without_floating_arguments_pass():
    tn.check_grads(lambda x: tn.tensor(3.0, "float64"), ([0.5],))
    tn.check_grads(lambda n: n + 1, (np.array([1, 2]),))
