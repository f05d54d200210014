"""A recording keeps the structures of arguments and results, and the names of values."""

from typing import NamedTuple

import numpy as np
import pytest
from helpers import assert_same, refused
from hypothesis import given, strategies as st
from programs import numbers, run

import tinynet as tn
from tinynet import ops, tree
from tinynet.compiler.executable import Executable
from tinynet.compiler.passes import simplify
from tinynet.compiler.program import Var
from tinynet.compiler.record import label, record, section

X, Y = numbers(0, (2, 3)), numbers(1, (2, 3))


class Pair(NamedTuple):
    first: tn.Tensor
    second: tn.Tensor | None


LEAVES = st.builds(lambda: tn.tensor(X)) | st.none()
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=6,
)


def form(structure):
    """Return a structure with its leaves replaced by marks."""
    return tree.map_leaves(lambda _: "leaf", structure)


@given(st.lists(TREES, max_size=3))
def test_arguments_and_result_of_a_program_have_the_structures_of_the_function(args):
    program = record(lambda *xs: {"all": list(xs), "none": None}, args)
    assert form(program.args) == form(tuple(args))
    assert form(program.result) == {"all": form(args), "none": None}
    assert tree.leaves(program.args) == list(program.inputs)
    assert tree.leaves(program.result) == list(program.outputs) == list(program.inputs)


def test_the_result_keeps_its_structure_when_passes_replace_outputs():
    def f(w):
        return {"double": (w["a"] * 2.0) * 1.0, "same": Pair(w["a"] * 1.0, None), "b": [w["b"]]}

    program = simplify(record(f, [{"a": tn.tensor(X), "b": tn.tensor(Y)}]))
    outputs = run(Executable(program, "f"), X, Y)
    found = tree.pack_sequence_as(program.form, outputs)
    assert program.result["same"].first is program.args[0]["a"]
    assert found["same"].second is None
    assert_same(found["same"].first, X)
    assert_same(found["double"], X * 2)
    assert_same(found["b"][0], Y)


def test_numbers_and_arrays_among_results_become_constants():
    program = record(lambda x: (x, 2.0, Y), [tn.tensor(X)])
    _, two, y = (program.constants.get(v) for v in program.outputs)
    assert_same(two, np.float32(2))
    assert_same(y, Y)


def test_names_are_given_by_argument_or_leaf_or_by_a_label():
    args = {"p": tn.tensor(X), "q": tn.tensor(X)}, tn.tensor(X), [tn.tensor(X)]

    def f(w, x, rest):
        label(rest[0], "labelled")
        label(x, "too late: x has a name")
        with section("sums"):
            return label(w["p"] + x, "total").detach() + label(w["q"], "q") + rest[0]

    program = record(f, args, [["p", "other"], "x"])
    assert [v.name for v in program.inputs] == ["p", "other", "x", "labelled"]
    assert [(v.name, v.section) for v in program.equations] == [
        ("total", "sums"),
        ("", "sums"),
        ("", "sums"),
    ]


def test_a_name_given_to_a_detached_tensor_is_that_of_its_source():
    program = record(lambda x: label(ops.exp(x).detach(), "e") * 2.0, [tn.tensor(X)])
    assert [v.name for v in program.equations] == ["e", ""]


def test_a_function_that_fails_for_zeros_is_recorded_with_the_numbers_of_its_arguments():
    program = record(np.linalg.inv, [tn.tensor([[1.0, 2.0], [3.0, 4.0]])])
    assert isinstance(program.result, Var)


def test_an_error_that_a_function_raises_itself_is_raised_at_once():
    calls = []

    def wrong(x: tn.Tensor) -> tn.Tensor:
        calls.append(x)
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        record(wrong, [tn.tensor([1.0, 2.0])])
    assert len(calls) == 1


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3]])
def test_packing_another_number_of_leaves_is_refused(values):
    with refused(ValueError, "flat_sequence", "expected 2 elements"):
        tree.pack_sequence_as([np.ones(2), {"a": None, "b": np.ones(1)}], values)
