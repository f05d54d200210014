"""Each pass changes no bit of what a program computes, and does what it is there for.

Programs are run here by a loop over their equations, without the compiler's other parts.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same
from hypothesis import given, note, settings, strategies as st
from programs import FLOATS, functions, gradient, numbers, recorded
from soundness import typecheck

import tinynet as tn
from tinynet import ops
from tinynet.compiler.memory import VIEWS
from tinynet.compiler.passes import RULES, Rewrite, check_type, simplify
from tinynet.compiler.program import Program, Var
from tinynet.compiler.record import label, section
from tinynet.engine.bind import PRIMITIVES, bind
from tinynet.engine.tensor import Equation, Primitive, wrap

EACH: dict[str, Any] = {rule.__name__: partial(simplify, rules=(rule,)) for rule in RULES}
EACH["dead_code"] = EACH["common_subexpressions"] = partial(simplify, rules=())
MANY = 5 * settings.default.max_examples
X = numbers(0, (2, 3))


def interpret(program: Program, args: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of a program, computed equation by equation."""
    arrays = dict(zip(program.inputs, args, strict=True)) | program.constants
    arrays |= {v: variable.array for v, variable in program.captured.items()}
    values = {v: wrap(array) for v, array in arrays.items()}
    with np.errstate(all="ignore"):
        for v, (primitive, inputs, params) in program.equations.items():
            values[v] = bind(primitive, *(values[x] for x in inputs), **params)
            assert (values[v].shape, values[v].dtype) == (v.shape, v.dtype)
    return [values[v].data for v in program.outputs]


def primitives(program: Program) -> list[str]:
    return [equation.primitive.name for equation in program.equations.values()]


# -- no bit changes ---------------------------------------------------------------------------


@st.composite
def programs(draw: Any) -> tuple[Program, list[list[np.ndarray]]]:
    """Draw the program of a function or of its gradient, and two lists of arguments for it."""
    order = draw(st.integers(0, 2))
    drawn = draw(functions(FLOATS, steps=6) if order else functions())
    return recorded(gradient(drawn, order), drawn.first), [drawn.first, drawn.second]


def assert_equivalent(new: Program, old: Program, runs: list[list[np.ndarray]]) -> None:
    typecheck(new)
    assert new.inputs == old.inputs
    for args in runs:
        assert_all_same(interpret(new, args), interpret(old, args))


@settings(max_examples=2 * MANY)
@given(programs())
@np.errstate(all="ignore")
def test_no_pass_changes_a_bit(drawn):
    program, runs = drawn
    for name, each in EACH.items():
        note(name)  # shown with a failure
        assert_equivalent(each(program), program, runs)


@settings(max_examples=2 * MANY)
@given(programs(), st.lists(st.sampled_from(list(EACH.values())), max_size=12))
@np.errstate(all="ignore")
def test_passes_may_come_in_any_order(drawn, some):
    program, runs = drawn
    new = program
    for each in some:
        new = typecheck(each(new))
    assert_equivalent(new, program, runs)


@settings(max_examples=2 * MANY)
@given(programs(), st.lists(st.sampled_from(RULES), unique=True))
@np.errstate(all="ignore")
def test_rules_may_be_applied_together_in_any_order(drawn, some):
    program, runs = drawn
    assert_equivalent(simplify(program, tuple(some)), program, runs)


@settings(max_examples=2 * MANY)
@given(programs())
@np.errstate(all="ignore")
def test_all_passes_together_change_no_bit(drawn):
    program, runs = drawn
    assert_equivalent(simplify(program), program, runs)


@settings(max_examples=2 * MANY)
@given(programs(), st.permutations(RULES))
def test_a_simplified_program_is_a_fixed_point_of_each_pass(drawn, rules):
    simple = simplify(drawn[0], tuple(rules))
    for name, each in EACH.items():
        assert each(simple) == simple, name


@settings(max_examples=MANY)
@given(programs())
@np.errstate(all="ignore")
def test_simplified_programs_compute_no_more_and_hold_nothing_unneeded(drawn):
    lowered = EACH["lower"](drawn[0])  # without what is computed twice or not needed, too
    simple = simplify(drawn[0])
    computed = [[p for p in primitives(each) if p not in VIEWS] for each in (lowered, simple)]
    assert len(computed[1]) <= len(computed[0])
    assert simplify(simple, ()) == simple
    assert not {"alias", "sigmoid", "relu"} & {*primitives(simple)}


# -- what the tests check after each pass ------------------------------------------------------


PROGRAM = recorded(lambda x: ops.exp(x) * 2.0, [X])
(ARGUMENT,), (OUTPUT,), (TWO,) = PROGRAM.inputs, PROGRAM.outputs, PROGRAM.constants
(FIRST, EXP), (SECOND, MULTIPLY) = PROGRAM.equations.items()
TURNED, WIDE = Var((3, 2), X.dtype), Var((2, 3), np.dtype("float64"))
BROKEN: dict[str, dict[str, Any]] = {
    "multiply uses a variable before": {"equations": {SECOND: MULTIPLY, FIRST: EXP}},
    "multiply computes a variable twice": {"inputs": (ARGUMENT, OUTPUT)},
    "exp gives float32[2,3], not float32[3,2]": {"equations": {TURNED: EXP}},
    "exp gives float32[2,3], not float64[2,3]": {"equations": {WIDE: EXP}},
    "an output is not computed": {"equations": {FIRST: EXP}},
    "constant float32[]": {"constants": {TWO: np.zeros(1, "float32")}},
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_program_is_refused(message):
    assert typecheck(PROGRAM) is PROGRAM
    with pytest.raises(AssertionError) as caught:
        typecheck(replace(PROGRAM, **BROKEN[message]))
    assert message in str(caught.value)


def test_a_rule_that_breaks_a_program_is_found_out():
    def breaking(new: Rewrite, v: Var, equation: Any) -> Var:
        return Var(*v.type)

    with pytest.raises(AssertionError, match="not computed"):
        simplify(PROGRAM, (breaking,))


def test_equations_of_a_known_good_program_are_not_run_on_zeros():
    def inverse(a: np.ndarray) -> np.ndarray:
        return np.linalg.inv(a)  # which fails for zeros

    invert = Primitive("inverse", inverse, (), ())
    program = recorded(lambda x: bind(invert, ops.exp(x) * 1.0), [np.eye(2, dtype="float32") * 3])
    simple = simplify(program)  # where the inverse has another input, of the same type
    assert primitives(simple) == ["exp", "inverse"]
    with pytest.raises(np.linalg.LinAlgError):
        typecheck(simple)


def test_a_rule_that_gives_another_type_is_found_out():
    def wider(new: Rewrite, v: Var, equation: Any) -> Any:
        return equation._replace(inputs=(WIDE,)) if equation == EXP else None

    def other(new: Rewrite, v: Var, equation: Any) -> Var | None:
        return WIDE if v is SECOND else None

    with pytest.raises(AssertionError, match=r"exp gives float64\[2,3\], not float32\[2,3\]"):
        simplify(PROGRAM, (wider,))
    with pytest.raises(AssertionError, match=r"float64\[2,3\] in place of float32\[2,3\]"):
        simplify(PROGRAM, (other,))


# -- each pass does what it is there for ------------------------------------------------------

ROW, SCALAR, ABOVE_0 = X[0], np.array(1.5, "float32"), abs(X) + 1
HALF, WHOLE = X.astype("float16"), X.astype("int32")


def repeated(x: Any, *shape: int) -> tn.Tensor:
    return ops.broadcast_to(x, shape)


# A pass, the primitives that it leaves of a function, the function, and its arguments.
FIRES = [
    ("lower", "minimum exp add divide", ops.sigmoid, X),
    ("lower", "maximum", ops.relu, X),
    ("dead_code", "multiply", lambda x: [ops.exp(x), x * 2.0][1], X),
    ("fold_constants", "multiply", lambda x: x * (ops.exp(tn.tensor(2.0)) + 1.0), X),
    ("fold_constants", "add", lambda x: x + ops.sum(tn.tensor(X)), X),
    ("common_subexpressions", "exp multiply", lambda x: ops.exp(x) * ops.exp(x), X),
    ("common_subexpressions", "multiply divide", lambda x: x * 3.0 / (x * 3.0), X),
    ("common_subexpressions", "sum subtract", lambda x: x.sum(0) - x.sum(0), X),
    ("identities", "exp", lambda x: ops.exp(x.reshape(2, 3)), X),
    ("identities", "reshape", lambda x: x.sum(0), X[:1]),
    ("unbroadcast_operands", "multiply", lambda x, y: repeated(x, 2, 3) * y, ROW, X),
    ("unbroadcast_operands", "exp broadcast_to", lambda x: ops.exp(repeated(x, 9, 3)), ROW),
    (
        "unbroadcast_operands",
        "multiply",
        lambda x, y: repeated(x, 4).reshape(1, 4).reshape(2, 2) * y,
        SCALAR,
        X[:, :2],
    ),
    ("exact_factors", "", lambda x: 1.0 * x, X),
    ("exact_factors", "", lambda x: x / 1.0, X),
    ("exact_factors", "", lambda x: x / 4.0 * 4.0, X),
    ("exact_factors", "multiply", lambda x: x + x, X),
    ("exact_factors", "multiply", lambda x: x * 2.0 / 32.0, X),
    ("exact_factors", "multiply", lambda x: 0.1 * x * -4.0, X),
    ("exact_factors", "multiply", lambda x: x / 8.0 * 0.1 * 0.25, X),
]

# The same where there is nothing to do, or a bit would change.
KEEPS = [
    ("lower", "tanh", ops.tanh, X),
    ("dead_code", "exp multiply", lambda x: [ops.exp(x), x * 2.0], X),
    ("fold_constants", "broadcast_to multiply", lambda x: x * repeated(tn.tensor(2.0), 2, 3), X),
    ("common_subexpressions", "sum sum multiply", lambda x: x.sum(0) * x.sum(0, True), X),
    ("common_subexpressions", "multiply multiply divide", lambda x: x * 0.0 / (x * -0.0), X),
    ("common_subexpressions", "exp exp multiply", lambda x, y: ops.exp(x) * ops.exp(y), X, X),
    ("exact_factors", "multiply", lambda x: x * np.ones((1, 1, 1), "float32"), X),  # other axes
    ("exact_factors", "multiply", lambda x: x * np.ones(1), X),  # another dtype
    ("identities", "sum", lambda x: x.sum(0), WHOLE[:1]),
    ("identities", "sum", lambda x: x.sum(1), X),
    ("exact_factors", "divide", lambda x: 1.0 / x, X),
    ("exact_factors", "add", lambda x: x + 0.0, X),  # -0 + 0 is 0
    (
        "unbroadcast_operands",
        "broadcast_to reshape exp",
        lambda x: ops.exp(repeated(x, 2, 3).reshape(6)),
        ROW,
    ),
    ("unbroadcast_operands", "broadcast_to power", lambda x: x ** repeated(0.5, 2, 3), ABOVE_0),
    ("unbroadcast_operands", "broadcast_to sum", lambda x: repeated(x, 2, 3).sum(1), ROW),
    ("exact_factors", "multiply multiply", lambda x: x * 0.1 * 0.3, X),
    ("exact_factors", "multiply divide", lambda x: x * 0.1 / 3.0, X),
    ("exact_factors", "divide divide multiply", lambda x: x / 1024.0 / 32.0 * 0.1, HALF),
    ("exact_factors", "multiply multiply", lambda x: x * 2 * 4, WHOLE),
    ("exact_factors", "multiply multiply", lambda x: x * 2.0**10 * 2.0**10, X),
    ("exact_factors", "multiply multiply", lambda x: x * np.full((1, 1, 1), 2.0, "f") * 2.0, X),
]


def over_rows(rows: list[Any]) -> Any:
    ids = [f"{name}-{expected}" for name, expected, *_ in rows]
    split = [(EACH[name], expected.split(), f, args) for name, expected, f, *args in rows]
    return pytest.mark.parametrize(("each", "expected", "f", "args"), split, ids=ids)


@over_rows(FIRES)
def test_a_pass_does_what_it_is_there_for(each, expected, f, args):
    program = recorded(f, args)
    new = each(program)
    assert primitives(program) != expected == primitives(new)
    assert_equivalent(new, program, [args, [3 * x for x in args]])


@over_rows(KEEPS)
def test_a_pass_leaves_alone_what_it_would_change(each, expected, f, args):
    program = recorded(f, args)
    assert primitives(program) == expected == primitives(each(program))


def test_each_pass_has_its_cases():
    assert {name for name, *_ in FIRES} == {name for name, *_ in KEEPS} == {*EACH}


@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_adding_a_number_to_itself_two_or_four_times_is_exact(dtype, times):
    x = np.random.default_rng(0).normal(size=100_000).astype(dtype)
    assert_all_same([np.add.reduce(np.tile(x, (times, 1)), 0)], [x * np.array(times, dtype)])


def test_products_of_arrays_without_elements_are_left_as_they_are():
    nothing = np.ones((2, 0), "float32")
    assert_all_same([tn.jit(lambda x: x * nothing * nothing)(nothing)], [nothing])


@pytest.mark.parametrize("f", [ops.sigmoid, ops.softplus])
def test_the_parts_of_an_operation_belong_to_its_section(f):
    def loss(x):
        with section("loss"):
            return label(f(x), "y")

    equations = simplify(recorded(loss, [np.ones(2, "float32")])).equations
    assert len(equations) > 1
    assert {v.section for v in equations} == {"loss"}
    assert [v.name for v in equations if v.name] == ["y"]


def test_the_gradient_of_a_mean_square_is_what_one_would_write():
    x, y, w = numbers(0, (8, 3)), numbers(1, (8, 1)), numbers(2, (3, 1))
    gradient_of = tn.grad(lambda w: ops.mean(ops.square(x @ w - y)))
    program = simplify(recorded(gradient_of, [w]))
    assert primitives(program) == ["matmul", "subtract", "multiply", "matmul"]
    assert [a.tolist() for a in program.constants.values() if not a.ndim] == [2 / 8]


@settings(max_examples=MANY)
@given(programs())
def test_the_types_of_a_recording_are_those_that_are_inferred(drawn):
    assert typecheck(drawn[0]) is drawn[0]


def test_the_type_that_a_primitive_gives_is_found_by_running_it_on_zeros():
    x, total = Var((5, 7), np.dtype("int32")), Var((7,), np.dtype("int64"))
    equation = Equation(PRIMITIVES["sum"], (x,), {"axis": (0,), "keepdims": False})
    check_type(total, equation)
    with pytest.raises(AssertionError, match=r"sum gives int64\[7\], not int32\[5,7\]"):
        check_type(x, equation)
