"""What a file may claim, to the byte: the limits that SECURITY.md promises."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from helpers import refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.configs.files import NODE, OBJECT, Budget, allowance, memory, parsed

DATA = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_source_may_claim_twenty_times_its_size_and_64_mb(tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    with open(path, "rb") as file:
        assert allowance(file) == allowance(bytes(size)) == 20 * size + 64 * 1024 * 1024


@given(DATA)
def test_json_is_charged_for_each_of_its_parts_before_it_is_parsed(data):
    text = json.dumps(data, ensure_ascii=False).encode()
    claimed = 128 * sum(text.count(mark) for mark in (b",", b"[", b"{", b":"))
    assert parsed(text, claimed) == data
    if claimed:
        with refused(ValueError, str(claimed), str(claimed - 1)):
            parsed(text, claimed - 1)


def test_one_number_string_or_empty_list_of_json_takes_no_more_than_is_charged():
    for text in ("1234567890123", '"text"', "[]", "1.5", "{}"):
        many = json.loads(f"[{text}{f',{text}' * 999}]")
        assert sum(part.__sizeof__() + 8 for part in many) <= NODE * 1000


def test_the_numbers_of_a_file_are_charged_before_they_are_read(tmp_path, monkeypatch):
    model = tn.Sequential([tn.Input((9,)), tn.layers.Dense(10)])
    model.save_weights(path := tmp_path / "m.weights.npz")
    for left in (4 * 100 - 1, 4 * 100):
        monkeypatch.setattr(memory, "allocator", Budget(left))
        with refused(ValueError, "400 bytes") if left < 400 else nullcontext():
            model.load_weights(path)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (1, 0)])
def test_a_budget_is_spent_to_the_last_byte_and_a_refused_array_costs_nothing(shape, dtype):
    size = np.zeros(shape, dtype).nbytes
    budget = Budget(2 * (size + OBJECT) + OBJECT + 1)
    for left in (size + 2 * OBJECT + 1, OBJECT + 1):
        array = budget.weight(None, shape, dtype)
        assert (array.shape, array.dtype, array.any(), budget.left) == (shape, dtype, False, left)
    for more in [(20_000, *shape)] if size else []:
        with refused(ValueError, str(more), f"{OBJECT + 1} bytes"):
            budget.weight(None, more, dtype)
    with refused(ValueError, "(2, None)", f"{OBJECT + 1} bytes"):
        budget.check((2, None), "bool")
    budget.check((None, 1), "bool")  # an unknown length claims nothing yet
    assert budget.left == 1
    with refused(ValueError, "2 bytes", "1 are left"):
        budget.charge(2)
