"""Aliasing, dtypes, nested derivatives and compilation: what other engines got wrong in silence."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_same, leaf, refused
from native import all_in_c

import tinynet as tn
from tinynet import ops

derivative = tn.grad


# -- arrays that change -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [tn.tensor, tn.Variable, ops.convert_to_tensor])
def test_a_tensor_keeps_its_numbers_when_its_array_changes(make):
    """JAX: device_put shared the buffer of a NumPy array (jax-ml/jax#37830, jax-ml/jax#899)."""
    array = np.ones(100)
    kept = make(array)
    array[:] = 7.0
    assert_same(kept, np.ones(100))


def test_an_array_that_changes_before_backward_leaves_the_gradient_right():
    """PyTorch: an operation in place was refused or not, by the formula (pytorch/pytorch#9391)."""
    x, factor = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    y = (x * factor).sum()
    factor[:] = 100.0
    y.backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_an_assignment_with_plus_makes_a_new_tensor():
    """PyTorch: the leaf had changed when the error came (pytorch/pytorch#2940)."""
    x = leaf([1.0, 2.0])
    y = x
    y += 1.0
    y.sum().backward()
    assert (x.numpy().tolist(), y.numpy().tolist()) == ([1.0, 2.0], [2.0, 3.0])
    assert x.grad.tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match="item assignment"):
        x[0] = 5.0


def test_a_second_backward_adds_the_gradient_once():
    """micrograd: inner nodes kept theirs, so the second was wrong (karpathy/micrograd#102)."""
    x = leaf(3.0)
    y = (x * x) * 2.0
    y.backward()
    y.backward()
    assert x.grad == 2 * 12.0


# -- dtypes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_the_gradient_at_whole_numbers_is_refused(dtype):
    """tinygrad: d/da of a / 2 at an integer tensor was 0 (tinygrad/tinygrad#10460)."""
    with refused(ValueError, "floating", dtype):
        derivative(lambda x: (x / 2).sum())(np.array([1, 0], dtype))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "max": ops.max,
    "mean": ops.mean,
    "a Python number": lambda x: (0.2 * x).sum(),
    "an integer array": lambda x: (x / np.array([1, 2])).sum(),
    "Python's sum": lambda x: sum([x, x]).sum(),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_gradients_of_float32_stay_float32(f):
    """autograd, AutoGrad.jl: float64 (HIPS/autograd#163, HIPS/autograd#199, AutoGrad.jl#69).

    Python's sum starts with an integer 0, which needle made float64 (dlsyscourse/hw2#11).
    """
    x = np.ones(2, "float32")
    assert f(tn.tensor(x)).dtype == derivative(f)(x).dtype == "float32"


def test_gradients_have_the_dtypes_of_their_arguments():
    """PyTorch: MSELoss of float32 and float64 failed in backward (pytorch/pytorch#94086)."""
    mse = lambda a, b: ops.mean((a - b) ** 2)  # noqa: E731
    one, two = derivative(mse, (0, 1))(np.float32(1), np.float64(2))
    assert (one.item(), one.dtype, two.item(), two.dtype) == (-2.0, "float32", 2.0, "float64")


def test_optimizers_leave_weights_in_float32():
    """Flax: with x64 enabled, Adam made all weights float64 (google/flax#924)."""
    v = tn.Variable(np.ones(2, "float32"))
    optimizer = tn.optimizers.Adam(0.1, weight_decay=0.1, clipnorm=1.0)
    optimizer.apply([np.ones(2, "float64")], [v])
    assert {x.dtype for x in (v, *optimizer.variables[1:])} == {"float32"}


def test_the_mean_of_many_equal_numbers_is_that_number():
    """Bottleneck: 0.5 for the mean of 2 ** 25 ones in float32 (pydata/xarray#1346)."""
    ones = np.ones(2**25, "float32")
    with all_in_c("-O3"):
        assert tn.jit(ops.mean)(ones) == ops.mean(ones) == 1.0


def test_small_integers_do_not_overflow_in_sums_counts_and_losses():
    """ulab: sums of bools and small integers were wrong (v923z/micropython-ulab#457)."""
    x = np.full(300, 200, "uint8")
    assert (ops.sum(x), ops.mean(x), ops.count_nonzero(x)) == (60_000, 200.0, 300)
    black, white = np.array([[0]], "uint8"), np.array([[255]], "uint8")
    assert tn.losses.MeanAbsoluteError()(black, white) == 255.0


# -- derivatives of derivatives -----------------------------------------------------------------


class Confuse:
    """The function x -> x * d/dy (x + y), of which both derivatives run the same code."""

    def __init__(self, outer: bool, x: Any = 0.0) -> None:
        self.outer, self.x = outer, x

    def __call__(self, xy: Any) -> Any:
        return xy * derivative(Confuse(False, xy))(1.0) if self.outer else self.x + xy


def shared(x: Any) -> Any:
    """The second derivative of this kind sees what the first has assigned: x y, then x y^2."""

    def f(y: Any) -> Any:
        nonlocal x
        x = x * y
        return x

    derivative(f)(1.0)
    return derivative(f)(1.0)


CONFUSIONS = {
    # d/dx of x * 1, x * x, x * 1, x
    "ForwardDiff.jl#83": (lambda x: x * derivative(lambda y: x + y)(1.0), 1.0, 1.0),
    "ReverseDiff.jl#45": (lambda x: x * derivative(lambda y: x * y)(1.0), 4.0, 8.0),
    "ForwardDiff.jl#313": (Confuse(True), 1.0, 1.0),
    "ForwardDiff.jl#443": (shared, 1.0, 1.0),
}


@pytest.mark.parametrize("report", CONFUSIONS)
def test_nested_derivatives_are_not_confused(report):
    """The packages of JuliaDiff: the inner derivative took the outer one's perturbation."""
    f, at, expected = CONFUSIONS[report]
    assert derivative(f)(at) == expected
    assert tn.jvp(f, (at,), (1.0,))[1] == expected


def test_a_users_rule_has_the_same_second_derivative_every_time():
    """PyTorch: the second evaluation gave 0 in place of 1 (pytorch/pytorch#18619)."""
    cube = tn.primitive("cube", lambda x: x**3, lambda ct, y, x: ct * 3.0 * y / x)
    second = derivative(derivative(cube))
    assert_close([second(2.0), second(2.0)], [12.0, 12.0], 1e-6)


def test_stop_gradient_is_constant_in_every_order():
    """JAX: it had no rule in derivatives of derivatives in reverse mode (jax-ml/jax#10994)."""
    f = lambda x: ops.stop_gradient(x) * x * x  # noqa: E731
    first, second = derivative(f), derivative(derivative(f))
    assert (first(3.0), second(3.0)) == (18.0, 6.0)  # c * 2 x with c = x, and c * 2
    assert tn.jit(first)(3.0) == 18.0


# -- compilation --------------------------------------------------------------------------------


def test_numbers_that_a_compiled_function_refers_to_are_those_of_each_call():
    """JAX, mlir-aie: those of the first call (jax-ml/jax#1426, Xilinx/mlir-aie#2879)."""
    factor, mode = 10.0, "twice"
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * factor * (2.0 if mode == "twice" else 1.0)

    compiled, one = tn.jit(f), tn.tensor(1.0)
    found = [compiled(one).item(), compiled(one).item()]
    factor = 20.0
    found += [compiled(one).item(), derivative(compiled)(one).item()]
    mode = "once"
    found += [compiled(one).item()]
    assert found == [20.0, 20.0, 40.0, 40.0, 20.0]
    assert (calls, compiled.compilations) == (3, 3)


def test_a_result_of_a_compiled_function_survives_the_next_call():
    """tinygrad: TinyJit returns the same buffer again (tinygrad/tinygrad#7020, #2417, #13364)."""
    f = tn.jit(lambda x: (x + 1.0, x[:1]))
    (one, first), _ = f(np.zeros(2)), f(np.ones(2))
    assert (one.numpy().tolist(), first.numpy().tolist()) == ([1.0, 1.0], [0.0])


def test_a_branch_on_numbers_is_refused_by_a_compiled_function():
    """PyTorch: trace kept the branch of the first input (pytorch/pytorch#10841, #23498)."""
    with refused(TypeError, "tn.ops.where"):
        tn.jit(lambda x: x if x > 0 else -x)(-2.0)


def test_a_number_that_leaves_a_derivative_is_refused():
    """PyTorch: what escapes the tracer becomes a constant, in silence (pytorch/pytorch#10841)."""
    with refused(TypeError, "detach"):
        derivative(lambda x: x * math.sin(x))(1.0)
    with refused(TypeError, "np.add"):
        derivative(lambda x: np.add.reduce(np.add(np.zeros(2), x, out=np.zeros(2))))(1.0)
