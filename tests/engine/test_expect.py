"""What counts as a number, and the bounds of a number to the last bit."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers import over, refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.engine.expect import check_number, expect, is_integer, is_number, is_real

# Value, and whether it is a finite number, a real number, an integer.
VALUES: dict[str, tuple[Any, bool, bool, bool]] = {
    "int": (3, True, True, True),
    "float": (-1.5, True, True, False),
    "bool": (True, False, True, True),
    "NaN": (math.nan, False, True, False),
    "infinity": (-math.inf, False, True, False),
    "NumPy's int": (np.uint8(3), True, True, True),
    "NumPy's float": (np.float32(0.5), True, True, False),
    "NumPy's bool": (np.bool_(True), False, False, False),
    "NumPy's NaN": (np.float16("nan"), False, True, False),
    "array without axes": (np.array(2.0), False, True, False),
    "array of one number": (np.array([2.0]), False, False, False),
    "tensor without axes": (tn.tensor(2.0), False, True, False),
    "tensor of one number": (tn.tensor([2.0]), False, False, False),
    "variable": (tn.Variable(2.0), False, True, False),
    "text": ("3", False, False, False),
    "bytes": (b"3", False, False, False),
    "None": (None, False, False, False),
    "list": ([3], False, False, False),
    "complex": (3j, False, False, False),
    "Fraction": (Fraction(1, 2), False, False, False),
    "Decimal": (Decimal(1), False, False, False),
    "type": (float, False, False, False),
}


@over(VALUES, "case")
def test_each_kind_of_value_is_a_number_or_none(case):
    value, number, real, integer = case
    assert (is_number(value), is_real(value), is_integer(value)) == (number, real, integer)
    if number and value >= 0:
        assert type(check_number("rate", value)) is float
        assert check_number("rate", value) == value
    else:
        with refused(ValueError, "rate", "0 <=", repr(value)):
            check_number("rate", value)


def above(x: float) -> float:
    return math.nextafter(x, math.inf)


def under(x: float) -> float:
    return math.nextafter(x, -math.inf)


@given(st.floats(1e-3, 1e3))
def test_a_number_is_accepted_up_to_the_last_bit_of_its_bounds(bound):
    assert check_number("n", 0) == check_number("n", 0, bound) == check_number("n", -0.0) == 0
    assert check_number("n", bound, bound) == check_number("n", bound) == bound
    assert check_number("n", under(bound), below=bound) == under(bound)
    for limits, value, text in (
        ({"most": bound}, above(bound), f"0 <= n <= {bound}"),
        ({"below": bound}, bound, f"0 <= n < {bound}"),
        ({"most": bound}, under(0.0), f"0 <= n <= {bound}"),
        ({"below": bound}, under(0.0), f"0 <= n < {bound}"),
        ({"most": bound, "below": bound}, bound, f"0 <= n < {bound}"),
        ({"most": bound, "below": above(bound)}, above(bound), f"0 <= n <= {bound}"),
        ({}, math.inf, "n"),
    ):
        with refused(ValueError, text, repr(value)):
            check_number("n", value, **limits)


@pytest.mark.parametrize("error", [ValueError, TypeError, IndexError])
def test_an_expectation_that_fails_says_what_was_expected_and_received(error):
    for received, shown in ((2.5, "2.5"), ("a", "'a'"), (int, "int"), ((), "()")):
        with pytest.raises(error) as caught:
            expect([], "axis", "an integer", received, error)
        assert str(caught.value) == f"axis: expected an integer, received {shown}."
        expect([0], "axis", "an integer", received, error)
    with pytest.raises(ValueError, match="axis"):
        expect(0, "axis", "an integer", 0)
