"""The checker is checked: every rule of every primitive is broken on purpose, in many ways."""

import math
import re
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers import assert_same, refused
from hypothesis import given, strategies as st
from strategies import CASES, SEEDS, as_function, free_positions, over_cases, typical, with_given

import tinynet as tn
from tinynet.engine.arrays import ones_like
from tinynet.engine.bind import PRIMITIVES, Case, bind
from tinynet.engine.gradcheck import extrapolated
from tinynet.engine.tensor import Primitive, Rule, Tensor, wrap
from tinynet.tree import leaves


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
    "off by 0.01 %": lambda rule, other: lambda *a, **p: (1 + 1e-4) * rule(*a, **p),
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


def without_fault(faulty: Primitive, case: Case) -> tuple[str, int]:
    """Return the name of the primitive without its fault, and the number of the case."""
    cases = PRIMITIVES[faulty.name].cases
    return faulty.name, next(i for i, c in enumerate(cases) if c is case)


@cache
def right_derivatives(name: str, index: int, seed: int) -> list[np.ndarray]:
    """Return the derivatives of a primitive without a fault, with which many variants compare."""
    case = PRIMITIVES[name].cases[index]
    return derivatives(as_function(PRIMITIVES[name], case), typical(case, seed))


@cache
def right_passes(name: str, index: int, seed: int) -> bool:
    """Return whether a primitive without a fault passes, as its equal variants do."""
    case = PRIMITIVES[name].cases[index]
    return passes(as_function(PRIMITIVES[name], case), typical(case, seed))


def compared(faulty: Primitive, case: Case, seed: int = 0) -> str:
    """Compare derivatives with those of the primitive without a fault: wrong, right or the same.

    The same are those of which every bit is equal.
    """
    expected = right_derivatives(*without_fault(faulty, case), seed)
    found = derivatives(as_function(faulty, case), typical(case, seed))
    pairs = [*zip(found, expected, strict=True)]
    if all(np.array_equal(a, b) for a, b in pairs):
        return "the same"
    return "right" if all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs) else "wrong"


def verdict(f: Callable[..., Any], xs: Any, order: int = 2, **options: Any) -> str:
    """Return what `check_grads` says: "right", "wrong derivative", "cannot tell", ..."""
    try:
        tn.check_grads(f, xs, order, **options)
    except AssertionError as error:
        words = ("wrong derivative", "cannot tell", "not finite", "in place", "another result")
        return next(word for word in words if word in str(error))
    return "right"


def passes(f: Callable[..., Any], xs: Any, order: int = 2) -> bool:
    return verdict(f, xs, order) == "right"


@over_cases(CASES)
def test_every_primitive_passes_to_third_order(primitive, case):
    if positions(primitive, case):
        tn.check_grads(as_function(primitive, case), typical(case), order=3)


@every_rule
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_in_every_rule_is_found(primitive, position, fault):
    for faulty, case in with_fault(FAULTS[fault], primitive, position):
        assert not passes(as_function(faulty, case), typical(case))


def test_it_can_nearly_always_tell_whether_a_rule_is_off_by_one_hundredth_of_a_percent():
    found = [
        verdict(as_function(faulty, case), typical(case, seed), seed=seed)
        for rule in RULES
        for faulty, case in with_fault(FAULTS["off by 0.01 %"], *rule.values)
        for seed in range(3)
    ]
    assert found.count("wrong derivative") >= 0.98 * len(found)  # in a few, all slopes are 0
    assert found.count("cannot tell") <= 0.01 * len(found)


@every_rule
@pytest.mark.parametrize("confusion", CONFUSIONS)
@np.errstate(all="ignore")
def test_a_wrong_variant_of_a_rule_is_found_where_it_differs_from_the_rule(
    primitive, position, confusion
):
    for faulty, case in with_fault(CONFUSIONS[confusion], primitive, position):
        for seed in range(3):
            try:
                derivatives_are = compared(faulty, case, seed)
            except (ValueError, IndexError):
                continue  # the shapes do not fit: nobody can overlook that
            if derivatives_are == "the same":
                assert right_passes(*without_fault(faulty, case), seed)
            else:
                found = passes(as_function(faulty, case), typical(case, seed))
                assert found == (derivatives_are == "right")


@pytest.mark.parametrize("confusion", CONFUSIONS)
@np.errstate(all="ignore")
def test_each_wrong_variant_differs_from_several_rules(confusion):
    def is_one(primitive: Primitive, position: int) -> bool:
        for faulty, case in with_fault(CONFUSIONS[confusion], primitive, position):
            with suppress(ValueError, IndexError):
                if compared(faulty, case) == "wrong":
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


NUMBERS = ["by differences", "their error", "by pullback"]


def test_the_message_names_the_wrong_argument_and_gives_both_numbers():
    def f(a: Tensor, b: Tensor) -> Tensor:  # at (1, 1): slope 3 in b, of which 1 is seen
        return a * b + tn.ops.stop_gradient(b * b)

    head, columns, good, bad = failure(f, (1.0, 1.0)).splitlines()
    assert head.startswith("check_grads: wrong derivative of f ")
    assert re.split(r"  +", columns) == ["argument", "shape", *NUMBERS]
    assert (good.split()[:2], len(good.split())) == (["0", "()"], 5)
    argument, shape, by_differences, error, by_pullback, *mark = bad.split()
    assert 0 < float(error) < 1e-6
    assert (argument, shape, mark) == ("1", "()", ["<--", "wrong"])
    assert float(by_differences) == pytest.approx(3 * float(by_pullback), rel=1e-6)


def test_the_message_names_the_pullback_whose_derivative_is_wrong():
    message = failure(lambda n, x: raw_cube(x), (np.array(2), [0.5]))
    head, _, x, ct = message.splitlines()
    assert "the pullback to argument 1 of f" in head
    assert (x.split()[0], x.split()[-1]) == ("1", "wrong")
    assert (ct.split()[0], len(ct.split())) == ("ct", 5)


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


@pytest.mark.parametrize("x", [0.1, [0.1], np.float64(0.1), np.array([0.1])])
def test_numbers_that_are_not_float32_are_not_rounded_to_it(x):
    seen = []

    def f(t: Tensor) -> Tensor:
        seen.append(t.detach().numpy().max())
        return t * t

    tn.check_grads(f, (x,))
    assert seen[0] == 0.1


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


# -- where differences are inaccurate ---------------------------------------------------------


def test_a_one_sided_slope_at_a_kink_is_nothing_it_can_tell_and_passes_next_to_it():
    assert verdict(tn.ops.relu, ([0.0, 1.0],), order=1) == "cannot tell"
    for distance in (1e-2, 1e-4, 1e-6):
        assert passes(tn.ops.relu, ([distance, -distance],))
    assert verdict(lambda x: -1.0 * stop(x) + 2.0 * x, ([0.0],), order=1) == "wrong derivative"


def test_the_mean_of_two_slopes_passes_at_a_kink_in_first_order_only():
    for f, args in ((tn.ops.absolute, ([0.0],)), (tn.ops.maximum, ([0.5], [0.5]))):
        assert passes(f, args, order=1)
        assert verdict(f, args, order=2) == "cannot tell"


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (tn.ops.sqrt, 0.0),  # the slope is infinite
        (lambda x: x**1.5, 0.0),  # there is nothing to the left
        (lambda x: tn.ops.sin(1 / x), 1e-8),  # turns faster than the smallest step
        (lambda x: tn.ops.where(x > 0.5, 1.0, 0.0) * x, 0.5),  # jumps
    ],
    ids=["infinite slope", "edge of the domain", "chirp", "jump"],
)
@np.errstate(all="ignore")
def test_it_says_what_to_do_where_the_differences_do_not_converge(f, at):
    message = failure(f, (np.array(at),))
    assert message.startswith("check_grads: cannot tell about the derivative of")
    assert "<-- cannot tell" in message
    assert "Take another point or seed" in message.splitlines()[-1]


stop = tn.ops.stop_gradient

# Functions of x and a small length, which have derivatives of order n that grow like length**-n.
STEEP: dict[str, Callable[[Any, Any], Any]] = {
    "pole": lambda x, length: 1 / x,
    "pole of order 5": lambda x, length: x**-5.0,
    "two poles": lambda x, length: 1 / (x * x + length * length),
    "logarithm": lambda x, length: tn.ops.log(abs(x)),
    "root": lambda x, length: tn.ops.sqrt(abs(x)),
    "exponential": lambda x, length: tn.ops.exp(x / length),
    "sigmoid": lambda x, length: tn.ops.sigmoid(x / length),
    "peak": lambda x, length: tn.ops.exp(-((x / length) ** 2)),
    "wave": lambda x, length: tn.ops.sin(x / length),
    "kink nearby": lambda x, length: tn.ops.relu(x / length) ** 3,
}
LENGTHS = st.floats(-5, 0).map(lambda exponent: 10.0**exponent)
TIMES = st.floats(0.2, 3) | st.floats(-3, -0.2)


@pytest.mark.parametrize("name", STEEP)
@given(st.lists(st.tuples(LENGTHS, TIMES), min_size=1, max_size=3), SEEDS)
def test_a_right_derivative_is_never_called_wrong_however_steep_the_function_is(name, drawn, seed):
    lengths, times = np.array(drawn).T
    found = verdict(lambda x: STEEP[name](x, lengths), (times * lengths,), seed=seed)
    assert found in ("right", "cannot tell")


@pytest.mark.parametrize("name", STEEP)
@given(LENGTHS, TIMES, SEEDS)
def test_a_slope_off_by_one_hundredth_of_a_percent_never_passes(name, length, times, seed):
    def f(x: Tensor) -> Tensor:
        y = STEEP[name](x, length)
        return (1 + 1e-4) * y - 1e-4 * stop(y)

    at = abs(times * length)
    assert verdict(f, ([at],), order=1, seed=seed) != "right"


@given(st.floats(-3, 3), st.floats(0.1, 0.5))
def test_a_few_differences_are_extrapolated_to_a_slope_more_precise_than_asked_for(x, step):
    steps = []

    def difference(h: float) -> float:
        steps.append(h)
        return (math.exp(x + h) - math.exp(x - h)) / (2 * h)

    slope = math.exp(x)
    noise = 4 * np.finfo(float).eps * slope
    found, error = extrapolated(difference, lambda slope: 1e-9 * abs(slope), step, noise)
    assert abs(found - slope) <= 1e-12 * slope
    assert error <= 1e-9 * slope
    assert len(steps) <= 12


def test_it_can_nearly_always_tell_where_the_function_is_steep():
    rng = np.random.default_rng(0)
    found = [
        verdict(lambda x, f=f, length=length: f(x, length), (rng.uniform(0.2, 3, 3) * length,))
        for f in STEEP.values()
        for length in 10.0 ** rng.uniform(-5, 0, 20)
    ]
    assert found.count("cannot tell") <= 0.01 * len(found)


def test_small_probabilities_of_a_crossentropy_pass():
    rng = np.random.default_rng(108)
    p = rng.dirichlet(np.full(3, 0.2), 8) + 1e-3
    tn.check_grads(lambda p: -tn.ops.log(p[:, 0] / p.sum(1)).mean(), (p,), order=3)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_large_and_small_arguments_pass_in_their_own_units(size):
    assert passes(lambda x: tn.ops.sin(x / size), (np.array([0.5, -2.0]) * size,))


def test_a_function_in_float32_needs_a_larger_step_and_tolerance():
    def f(x: Tensor) -> Tensor:
        return tn.ops.sin(tn.ops.cast(x, "float32"))

    assert verdict(f, ([0.5],), order=1) == "cannot tell"
    assert verdict(f, ([0.5],), order=1, step=0.1, rtol=1e-3) == "right"


def test_random_functions_are_recognized():
    rng = np.random.default_rng(0)
    message = failure(lambda x: x * rng.random(2), ([0.5, 1.0],))
    assert message.startswith("check_grads: f gives another result when called again")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_function_that_is_not_finite_is_said_to_be_so(number):
    assert "f is not finite at these arguments" in failure(lambda x: x + number, ([0.5],))


# -- arguments and results --------------------------------------------------------------------


def test_constants_pass():
    tn.check_grads(lambda x: tn.tensor(3.0, "float64"), ([0.5],))
    tn.check_grads(lambda x: 0.1, ([0.5],))


def test_numpys_scalars_are_compared_in_float64():
    line = failure(lambda x: np.float64(0.1) + np.float64(stop(x) ** 3), (0.7,)).splitlines()[-1]
    by_differences, error, by_pullback = map(float, line.split()[2:5])
    assert (error < 1e-6, by_pullback) == (True, 0.0)
    assert by_differences != 0


@pytest.mark.parametrize("args", [(np.array([1, 2]),), ({"a": np.array(True)}, np.array(1)), ()])
def test_arguments_without_floats_are_refused(args):
    with refused(ValueError, "args", "floats", "int64" if args else "no arrays"):
        tn.check_grads(lambda *xs: xs[0], args)


@pytest.mark.parametrize("args", [np.ones(2), 0.5, {"w": np.ones(2)}])
def test_arguments_are_given_in_a_tuple(args):
    with refused(TypeError, "args", "tuple", type(args).__name__):
        tn.check_grads(lambda *xs: xs[0], args)


@pytest.mark.parametrize("result", [np.array([1, 2]), True, None, [3, {"a": np.array(1)}]])
def test_results_without_floats_are_refused(result):
    with refused(ValueError, "f returns", "nothing to check"):
        tn.check_grads(lambda x: result, ([0.5],))


Point = namedtuple("Point", "x y")


def test_arguments_and_results_are_trees():
    weights = {"b": np.ones(2), "layers": [np.ones((2, 2)), None], "n": np.array(3)}

    def f(weights: Any, point: Any) -> Any:
        hidden = tn.ops.tanh(weights["layers"][0] @ point.x + weights["b"])
        return {"n": weights["n"], "out": (hidden, point.y * hidden.sum()), "none": None}

    tn.check_grads(f, (weights, Point(np.array([0.5, -0.3]), np.float32(0.1))), order=3)


@pytest.mark.parametrize(
    ("args", "path"),
    [
        (([{"w": [0.5, 1.0]}],), "0[0]['w']"),
        ((1.0, {"a": 1.0, "b": (np.ones(2), [np.ones(3)])}), "1['b'][1][0]"),
        ((1.0, Point(np.ones(2), np.ones(1))), "1.y"),
    ],
)
def test_the_message_names_the_leaf_of_a_tree_by_its_path(args, path):
    def f(*args: Any) -> Tensor:
        *rest, last = leaves(list(args))
        return sum((x.sum() for x in rest), (stop(last) * last).sum())

    wrong = [line.split() for line in failure(f, args, order=1).splitlines() if "<--" in line]
    assert [line[0] for line in wrong] == [path]


@pytest.mark.parametrize(
    "result",
    [
        lambda right, wrong: [right, wrong],
        lambda right, wrong: {"a": wrong, "b": right},
        lambda right, wrong: (right, [right, {"c": wrong}]),
    ],
)
def test_a_wrong_derivative_of_any_part_of_a_result_is_found(result):
    assert passes(lambda x: result(tn.ops.sin(x), x * x), (0.5,))
    assert not passes(lambda x: result(tn.ops.sin(x), x * stop(x)), (0.5,))
