"""Names are unique identifiers, and expressions mean what their operations computed."""

import ast
import keyword

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinynet import ops
from tinynet.compiler.memory import is_literal
from tinynet.compiler.record import record
from tinynet.compiler.text import (
    ATOM,
    COMPARISON,
    INFIX,
    SIGN,
    Expr,
    Names,
    index_text,
    infix,
    number_text,
    used_once,
)
from tinynet.engine.primitives.shapes import Slice
from tinynet.engine.tensor import tensor

WANTED = st.text(max_size=6) | st.sampled_from(["x", "x_2", "x_2_2", "lambda", "class", "1", ""])


@given(st.lists(WANTED), st.sets(st.sampled_from(["x", "np", "x_3"])))
def test_every_name_is_an_identifier_and_given_once(wanted, taken):
    names = Names(taken)
    given_names = [names.new(text) for text in wanted]
    assert len({*given_names, *taken}) == len(given_names) + len(taken)
    for name in given_names:
        assert name.isidentifier()
        assert not keyword.iskeyword(name)


def test_a_free_identifier_is_kept_as_it_is():
    assert Names(["make"]).new("dense_kernel") == "dense_kernel"


def test_the_name_asked_for_40000_times_is_found_as_quickly_as_the_first():
    names = Names()
    assert [names.new("t") for _ in range(40_000)][-1] == "t_40000"


SIGNS = {name: sign for name, (sign, _) in INFIX.items()}
LEAVES = st.integers(1, 9).map(lambda n: (Expr(str(n)), str(n)))


def joined(parts):
    name, (left, full_left), (right, full_right) = parts
    return infix(name, left, right), f"({full_left}) {SIGNS[name]} ({full_right})"


EXPRESSIONS = st.recursive(
    LEAVES, lambda x: st.tuples(st.sampled_from(list(INFIX)), x, x).map(joined), max_leaves=8
)


@given(EXPRESSIONS)
def test_an_expression_is_the_tree_of_its_operations_without_needless_brackets(pair):
    expression, with_all_brackets = pair
    assert ast.dump(ast.parse(str(expression))) == ast.dump(ast.parse(with_all_brackets))
    assert str(expression).count("(") <= with_all_brackets.count("(")


def test_brackets_are_left_out_where_the_grouping_is_the_same():
    a, b, c = map(Expr, "abc")
    assert str(infix("add", infix("multiply", a, b), c)) == "a * b + c"
    assert str(infix("subtract", infix("subtract", a, b), c)) == "a - b - c"
    assert str(infix("subtract", a, infix("subtract", b, c))) == "a - (b - c)"
    assert str(infix("less", infix("less", a, b), c)) == "(a < b) < c"


def test_sums_and_products_are_regrouped_only_on_request():
    a, b, c = map(Expr, "abc")
    assert str(infix("add", a, infix("add", b, c))) == "a + (b + c)"
    assert str(infix("add", a, infix("add", b, c), regroup=True)) == "a + b + c"
    assert str(infix("subtract", a, infix("add", b, c), regroup=True)) == "a - (b + c)"


def test_only_an_atom_can_have_methods_without_brackets():
    assert Expr("x[0]").atom == "x[0]"
    assert Expr("-x", SIGN).atom == "(-x)"
    assert ATOM > SIGN > COMPARISON


def test_a_variable_is_used_once_if_one_equation_reads_it_once():
    def f(x):
        once, twice, squared = ops.exp(x), ops.sin(x), ops.cos(x)
        output = once + twice
        return [output, twice * 2.0 + squared * squared, output - 1.0]

    program = record(f, [tensor([1.0])])
    names = {program.equations[v].primitive.name for v in used_once(program)}
    assert names == {"exp", "multiply"}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@given(data=st.data())
def test_a_number_is_read_again_as_it_was(dtype, data):
    bits = data.draw(st.integers(0, (1 << 8 * np.dtype(dtype).itemsize) - 1))
    number = np.array(bits, f"uint{8 * np.dtype(dtype).itemsize}").view(dtype)[()]
    again = np.array(eval(number_text(number), {"np": np}), dtype)[()]
    assert again == number or (np.isnan(again) and np.isnan(number))
    assert is_literal(np.array(number)) == bool(np.isfinite(number))


SLICES = st.builds(Slice, *[st.none() | st.integers(-5, 5)] * 2, st.sampled_from([None, -2, 1, 3]))
ITEMS = st.one_of(st.integers(-4, 3), SLICES, st.none())


@given(st.lists(ITEMS, min_size=1, max_size=4))
def test_an_index_is_read_again_as_it_was(items):
    class Reader:
        def __getitem__(self, index):
            return index if isinstance(index, tuple) else (index,)

    found = eval(f"x[{index_text(tuple(items))}]", {"x": Reader()})
    assert found == tuple(slice(*i) if isinstance(i, Slice) else i for i in items)
