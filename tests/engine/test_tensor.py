"""What a tensor promises: of its memory, dtypes, gradients, numbers, indices and errors."""

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import ARITHMETIC, COMPARISONS, assert_close, assert_same, leaf, over, refused
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from strategies import BROADCASTABLE, DTYPES, LAYOUTS

import tinynet as tn
from tinynet.engine.dtypes import floatx, set_floatx
from tinynet.engine.tensor import wrap

FLOATS = ("float16", "float32", "float64")
WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]])

every_float = pytest.mark.parametrize("dtype", FLOATS)
every_whole = pytest.mark.parametrize("dtype", WHOLE)


def numbers(shape: Any, dtype: str = "float64", low: float = -2.0, high: float = 2.0) -> Any:
    width = np.dtype(dtype).itemsize * 8
    return hnp.arrays(dtype, shape, elements=st.floats(low, high, width=width))


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


# -- memory -----------------------------------------------------------------------------------


@over(LAYOUTS, "layout")
@given(a=numbers(SHAPES))
def test_a_tensor_owns_its_numbers(layout, a):
    given_array = np.asarray(layout(a.copy()))
    expected = given_array.copy()
    could_write = given_array.flags.writeable
    t = tn.tensor(given_array)
    assert given_array.flags.writeable == could_write
    assert not np.shares_memory(t.numpy(), given_array)
    if could_write:
        given_array[...] = 7.0
    assert_same(t, expected)


@pytest.mark.parametrize("show", [tn.Tensor.numpy, np.asarray], ids=["numpy", "asarray"])
@pytest.mark.parametrize("make", [tn.tensor, tn.Variable])
def test_its_numbers_are_a_read_only_view(show, make):
    t = make(MATRIX)
    view = t.numpy() if show is tn.Tensor.numpy else show(t)
    assert np.shares_memory(view, t.numpy())
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 9.0
    assert_same(t.numpy(), MATRIX)


def test_an_array_copied_from_a_tensor_can_be_written():
    t = tn.tensor(MATRIX)
    for mine in (np.array(t), tn.ops.convert_to_numpy(t), np.asarray(t, "float32")):
        mine[...] = 0.0
    assert_same(t, MATRIX)
    with pytest.raises(ValueError, match="copy"):
        t.__array__("float32", copy=False)


def test_views_of_a_tensor_are_read_only_too():
    t = tn.tensor(MATRIX)
    for view in (t.T, t[0], t.reshape(4), tn.ops.broadcast_to(t, (3, 2, 2)), t.detach()):
        assert not view.numpy().flags.writeable


def assigned(a: np.ndarray) -> tn.Variable:
    return tn.Variable(np.zeros_like(a)).assign(a)


USES = {
    **{f"t {name} a": lambda t, a, f=f: f(t, a) for name, f in ARITHMETIC.items()},
    **{f"a {name} t": lambda t, a, f=f: f(a, t) for name, f in ARITHMETIC.items()},
    "t @ a": lambda t, a: t @ a,
    "a @ t": lambda t, a: a @ t,
    "np.maximum": lambda t, a: np.maximum(a, t) * t,
    "tensor": lambda t, a: tn.tensor(a) * t,
    "variable": lambda t, a: tn.Variable(a) * t,
    "assign": lambda t, a: assigned(a) * t,
    "concatenate": lambda t, a: tn.ops.concatenate([t, a], axis=0) @ t,
    "stack": lambda t, a: tn.ops.stack([t, a]) @ t,
    "where": lambda t, a: tn.ops.where(a, t * t, t),
    "clip": lambda t, a: tn.ops.clip(t * t, 0.5, a),
    "index": lambda t, a: t[a] if a.dtype.kind != "f" else t[:, np.newaxis] * a,
}
OPERANDS = {"floats": MATRIX, "whole": np.ones((2, 2), int), "mask": np.ones((2, 2), bool)}


def gradient_beside(use: Any, a: np.ndarray, spoil: bool) -> Any:
    t = leaf([[0.5, 1.5], [2.5, 3.5]], "float64")
    before = a.copy()
    y = use(t, a).sum()
    assert a.flags.writeable
    assert_same(a, before)
    if spoil:
        a[...] = 0
    y.backward()
    return t.grad


@over(USES, "use")
@over(OPERANDS, "operand")
def test_an_array_may_be_changed_after_it_was_combined_with_a_tensor(use, operand):
    expected = gradient_beside(use, operand.copy(), spoil=False)
    assert_same(gradient_beside(use, operand.copy(), spoil=True), expected)


def test_a_cotangent_may_be_changed_after_it_was_passed():
    t, ct = leaf(MATRIX), np.ones((2, 2))
    t.backward(ct)
    _, pullback = tn.vjp(lambda x: x, t)
    (found,) = pullback(ct)
    ct[...] = 5.0
    assert_same(t.grad, np.ones((2, 2)))
    assert_same(found, np.ones((2, 2)))


SHARING = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "sums": lambda a, b: a.sum() + b.sum(),
    "a root": lambda a, b: a,
    "shapes": lambda a, b: a.reshape(4).reshape(2, 2) + b.T,
    "joined": lambda a, b: tn.ops.concatenate([a, b]).reshape(2, 2, 2)[0] + a + b,
}


@over(SHARING, "f")
def test_every_gradient_is_an_array_of_its_own_which_the_user_may_change(f):
    a, b, ct = leaf(MATRIX), leaf(MATRIX), tn.tensor(MATRIX)
    y = f(a, b)
    start = ct if y.shape == ct.shape else tn.tensor(1.0)
    y.backward(start)
    once = {t: t.grad.copy() for t in (a, b) if t.grad is not None}
    others = [ct.numpy(), start.numpy(), y.numpy(), a.numpy(), b.numpy()]
    for t in once:
        others_grads = [u.grad for u in once if u is not t]
        assert not any(np.shares_memory(t.grad, x) for x in others + others_grads)
    for t in once:
        t.grad[...] = np.nan  # writable, and nobody else's
    for t in once:
        t.zero_grad()
    y.backward(start)
    for t, expected in once.items():
        assert_same(t.grad, expected)


def test_an_accumulated_gradient_does_not_change_the_array_handed_out_before():
    t = leaf(MATRIX)
    (t * t).sum().backward()
    handed_out = t.grad
    (t * t).sum().backward()
    assert_same(handed_out, 2 * MATRIX)
    assert_same(t.grad, 4 * MATRIX)


# -- dtypes -----------------------------------------------------------------------------------


@every_float
@pytest.mark.parametrize("data", [2, 2.5, -3, [1, 2], [1.5], (1, 2.5), [[1], [2]], [], [True, 2.5]])
def test_python_numbers_and_lists_become_floatx(data, dtype):
    set_floatx(dtype)
    try:
        assert_same(tn.tensor(data), np.array(data, dtype))
        assert floatx() == tn.ops.zeros(2).dtype == tn.ops.ones(()).dtype == dtype
        assert tn.ops.mean(np.arange(3)).dtype == tn.ops.exp(np.arange(3)).dtype == dtype
    finally:
        set_floatx("float32")


@pytest.mark.parametrize("data", [True, [True, False], [[False]]])
def test_python_bools_stay_bools(data):
    assert_same(tn.tensor(data), np.array(data))


@pytest.mark.parametrize("order", ["<", ">", "="])
@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE])
def test_an_array_keeps_its_dtype_in_the_machines_byte_order(dtype, order):
    a = np.arange(3).astype(np.dtype(dtype).newbyteorder(order))
    for t in (tn.tensor(a), tn.tensor(np.arange(3), dtype=a.dtype), tn.Variable(a).value):
        assert t.dtype.isnative
        assert_same(t, a.astype(dtype))


@given(dtype=st.sampled_from([*FLOATS, *WHOLE]), a=numbers((3,), "float32", 0, 100))
def test_a_dtype_asked_for_is_the_dtype_given(dtype, a):
    expected = a.astype(dtype)
    for t in (tn.tensor(a, dtype), tn.tensor(a.tolist(), dtype=dtype), tn.tensor(a).astype(dtype)):
        assert_same(t, expected)


NUMPY_SCALARS = [np.dtype(name).type(1) for name in (*FLOATS, *WHOLE)]
SCALARS = [2, 2.0, True, *NUMPY_SCALARS]


def as_numpy_would(scalar: Any, dtype: Any) -> Any:
    """Return a scalar beside an array: Python's take its dtype, and integers that of floats."""
    dtype = np.dtype(dtype)
    is_strong = isinstance(scalar, np.floating if dtype.kind == "f" else np.generic)
    return scalar if is_strong else dtype.type(scalar)


@every_float
@over(ARITHMETIC | COMPARISONS, "op")
@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: f"{type(s).__name__}")
@pytest.mark.parametrize("flip", [False, True], ids=["right", "left"])
def test_python_scalars_and_integers_take_the_dtype_of_the_other_floating_tensor(
    op, scalar, flip, dtype
):
    a = np.array([0.5, 1.0, 3.0], dtype)
    for x in (leaf(a), tn.Variable(a)):
        y = op(scalar, x) if flip else op(x, scalar)
        same = as_numpy_would(scalar, dtype)
        numpys = np.power if op is operator.pow else op  # NumPy 2.0: a ** scalar keeps a's dtype
        expected = np.asarray(numpys(same, a) if flip else numpys(a, same))
        assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
        assert_close(y, expected, rtol=2 * np.finfo(dtype).eps, atol=0)
        if y.requires_grad:
            y.sum().backward()
            assert (x.grad.dtype, x.grad.shape) == (a.dtype, a.shape)


@every_float
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "power"])
def test_a_scalar_is_weak_when_combined_with_an_array_too(name, dtype):
    a = np.array([0.5, 1.5], dtype)
    f, of_numpy = getattr(tn.ops, name), getattr(np, name)
    scalar = a.dtype.type(0.1)  # as a float32 it would be another number beside float64
    assert_same(f(a, 0.1), of_numpy(a, scalar))
    assert_same(f(0.1, a), of_numpy(scalar, a))


@pytest.mark.parametrize("dtype", WHOLE[1:])
@pytest.mark.parametrize("scalar", [3, True, *NUMPY_SCALARS[len(FLOATS) :]])
def test_a_python_integer_takes_the_dtype_of_the_other_integer_tensor(dtype, scalar):
    a = np.array([0, 1, 5], dtype)
    same = as_numpy_would(scalar, dtype)
    assert_same(tn.tensor(a) * scalar, a * same)
    assert_same(scalar + tn.tensor(a), a + same)


@every_whole
@pytest.mark.parametrize("scalar", [0.5, 2.0, *NUMPY_SCALARS[: len(FLOATS)]])
@pytest.mark.parametrize("op", [operator.add, operator.mul, operator.truediv, operator.pow])
def test_a_float_and_an_integer_tensor_give_the_dtype_of_the_float(dtype, scalar, op):
    a = np.array([0, 1, 1], dtype)
    same = as_numpy_would(scalar, "float32")
    assert_same(op(tn.tensor(a), scalar), op(a.astype(same.dtype), same))


@pytest.mark.parametrize("scalar", NUMPY_SCALARS, ids=lambda s: type(s).__name__)
def test_every_numpy_scalar_keeps_its_own_dtype(scalar):
    kept = scalar.dtype
    alone = np.asarray(scalar)
    for t in (tn.tensor(scalar), tn.Tensor(scalar), tn.ops.convert_to_tensor(scalar), wrap(scalar)):
        assert_same(t, alone)
        assert type(t.data) is np.ndarray
    assert_same(tn.Variable(scalar), alone)
    assert_same(tn.tensor([scalar, scalar]), np.array([scalar, scalar]))
    assert_same(tn.tensor([[scalar], (scalar,)]), np.array([[scalar], [scalar]]))
    assert tn.ops.add(scalar, scalar).dtype == tn.ops.maximum(scalar, scalar).dtype == kept
    floating = kept if kept.kind == "f" else np.dtype("float32")
    assert tn.ops.exp(scalar).dtype == tn.ops.divide(scalar, scalar).dtype == floating
    for mixed in ([scalar, 0.1], [0.1, scalar], [[0.1], [scalar]]):
        assert_same(tn.tensor(mixed), np.array(mixed).astype(floating))


UFUNCS = [n for n in dir(tn.ops) if isinstance(getattr(np, n, 0), np.ufunc) and n != "divmod"]


@pytest.mark.parametrize("name", UFUNCS)
def test_a_function_of_integers_has_numpys_dtype_and_floatx_where_that_is_floating(name):
    ufunc = getattr(np, name)
    ones = [np.ones((1, 1), "int32")] * ufunc.nin
    with np.errstate(all="ignore"):
        usual, found = ufunc(*ones).dtype, getattr(tn.ops, name)(*ones).dtype
    floats = "ceil", "floor", "reciprocal", "rint", "trunc"  # NumPy keeps integers
    assert found == (np.float32 if name in floats or usual.kind == "f" else usual)


@every_float
def test_a_gradient_at_a_numpy_scalar_has_its_dtype_and_precision(dtype):
    x = np.dtype(dtype).type(1.1)
    value, gradient = tn.value_and_grad(lambda x: x**3)(x)
    assert value.dtype == gradient.dtype == dtype
    assert_close(gradient, 3 * x * x, rtol=4 * np.finfo(dtype).eps)
    assert tn.hvp(lambda x: x**3, x, x).dtype == dtype


@given(a=hnp.arrays("uint8", (3,)), n=st.integers(-1000, 1000))
def test_an_integer_that_overflows_is_not_wrapped(a, n):
    t = tn.tensor(a)
    assert_same(t < n, a.astype(int) < n)
    if not 0 <= n < 256:
        assert_same(t + n, a.astype(int) + n)


@every_float
@pytest.mark.parametrize("whole", WHOLE)
@over(ARITHMETIC, "op")
def test_an_integer_tensor_is_converted_to_the_dtype_of_the_other_floating_tensor(op, whole, dtype):
    n, a = np.array([1, 0, 1], whole), np.array([0.5, 1.0, 2.0], dtype)
    assert_same(op(tn.tensor(n), tn.tensor(a)), op(n.astype(dtype), a))
    t = leaf(a)
    op(t, n + n.dtype.type(1)).sum().backward()
    assert t.grad.dtype == dtype


@every_float
def test_integer_and_floating_tensors_are_concatenated_as_floating(dtype):
    n, t = tn.tensor(np.arange(2)), tn.tensor(np.ones(2, dtype))
    for joined in (tn.ops.concatenate([n, t]), tn.ops.stack([t, n]), tn.ops.where(n > 0, t, n)):
        assert joined.dtype == dtype


@given(BROADCASTABLE[2], st.tuples(DTYPES, DTYPES), st.sampled_from([*ARITHMETIC.values()]))
def test_every_gradient_has_the_dtype_and_shape_of_its_tensor(shapes, dtypes, op):
    a, b = (leaf(np.ones(s, d)) for s, d in zip(shapes, dtypes, strict=True))
    y = op(a, b)
    assert y.dtype == np.result_type(*dtypes)
    y.sum().backward()
    for t, shape, dtype in zip((a, b), shapes, dtypes, strict=True):
        assert type(t.grad) is np.ndarray
        assert (t.grad.shape, t.grad.dtype) == (shape, dtype)


@every_whole
def test_integer_tensors_are_constants(dtype):
    a = np.array([1, 0, 1], dtype)
    for make in (lambda: leaf(a), lambda: setattr(tn.tensor(a), "requires_grad", True)):
        with refused(ValueError, "requires_grad", "floating", dtype):
            make()
    assert not tn.Variable(a).value.requires_grad


CONSTANTS = {
    "comparison": lambda t: t > 0,
    "equality": lambda t: t == t,
    "logic": tn.ops.logical_not,
    "argmax": tn.ops.argmax,
    "floor": tn.ops.floor,
    "sign": tn.ops.sign,
    "isfinite": tn.ops.isfinite,
    "detach": lambda t: t.detach(),
    "stop_gradient": tn.ops.stop_gradient,
    "ones_like": tn.ops.ones_like,
    **{f"as {dtype}": lambda t, d=dtype: t.astype(d) for dtype in WHOLE},
}


@over(CONSTANTS, "f")
def test_counts_comparisons_and_roundings_have_no_gradient(f):
    t = leaf([1.75, 0.5])
    assert not f(t).requires_grad
    (t * f(t)).sum().backward()  # as if f(t) were just numbers
    assert_close(t.grad, np.broadcast_to(np.asarray(f(t), "float32"), (2,)))


def test_a_cast_passes_the_gradient_on_in_the_dtype_of_its_input():
    t = leaf([1.0, 2.0], "float32")
    (t.astype("float64") * 3.0).astype("float16").sum().backward()
    assert_same(t.grad, np.array([3.0, 3.0], "float32"))


# -- gradients --------------------------------------------------------------------------------


@given(numbers(SHAPES, "float32"), DTYPES, st.integers(1, 3))
def test_two_backward_calls_on_one_graph_give_exactly_twice(a, dtype, repeats):
    t = leaf(a, dtype)
    y = (tn.ops.tanh(t) * t).sum()
    y.backward()
    expected = t.grad.copy()
    for _ in range(repeats):
        before = t.grad.copy()
        y.backward()
        assert_same(t.grad, np.asarray(before + expected))
        assert type(t.grad) is np.ndarray


@given(numbers((3,)))
def test_gradients_accumulate_until_they_are_reset(a):
    t = leaf(a)
    (t * t).sum().backward()
    (5.0 * t).sum().backward()
    assert_close(t.grad, 2 * a + 5)
    t.zero_grad()
    assert t.grad is None
    (t * t).sum().backward()
    assert_close(t.grad, 2 * a)


def test_only_leaves_that_require_a_gradient_get_one():
    t, constant = leaf(2.0), tn.tensor(3.0)
    inner = t * constant
    y = inner * inner
    y.backward()
    assert t.grad == 2 * 6.0 * 3.0
    assert [x.grad for x in (constant, inner, y)] == [None] * 3
    assert [x.requires_grad for x in (t, constant, inner, y)] == [True, False, True, True]


def test_a_leaf_used_twice_gets_both_gradients_and_an_unused_leaf_none():
    t, unreached = leaf(3.0), leaf(1.0)
    (t * t + t + unreached.detach()).backward()
    assert t.grad == 2 * 3 + 1
    assert unreached.grad is None


def test_backward_from_a_tensor_of_several_elements_takes_a_cotangent():
    t = leaf(MATRIX)
    (t * t).backward(MATRIX)
    assert_same(t.grad, 2 * MATRIX * MATRIX)


def test_backward_from_a_leaf_leaves_the_cotangent_there():
    t = leaf([1.0, 2.0])
    t.backward([3.0, 4.0])
    assert_same(t.grad, np.array([3.0, 4.0], "float32"))


def test_requires_grad_can_be_switched_off_and_on_at_a_leaf():
    t, other = leaf([1.0, 2.0]), leaf(1.0)
    t.requires_grad = False
    (t * other).sum().backward()
    assert t.grad is None
    assert other.grad == 3.0
    t.requires_grad = True
    (t * other).sum().backward()
    assert_same(t.grad, np.ones(2, "float32"))


def test_requires_grad_cannot_be_switched_off_at_a_result():
    y = leaf(1.0) * 2.0
    with refused(ValueError, "requires_grad", "multiply", "detach"):
        y.requires_grad = False
    assert y.requires_grad


def test_a_detached_tensor_has_the_numbers_without_the_tape():
    t = leaf([1.0, 2.0])
    cut = (t * t).detach()
    assert_same(cut, np.array([1.0, 4.0], "float32"))
    assert not cut.requires_grad
    (cut * t).sum().backward()
    assert_same(t.grad, cut.numpy())  # as if cut were a constant


# -- conversions ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [tn.tensor, tn.Variable])
@given(x=st.floats(-100, 100, width=32), shape=st.sampled_from([(), (1,), (1, 1)]))
def test_a_tensor_of_one_element_converts_to_a_python_number(make, x, shape):
    t = make(np.full(shape, x, "float32"))
    assert (float(t), int(t), bool(t)) == (x, int(x), bool(x))
    assert type(float(t)) is float
    assert type(int(t)) is int


@pytest.mark.parametrize(("data", "kind"), [(2.5, float), (True, bool), (np.int32(7), int)])
def test_item_is_a_python_number_of_the_kind_of_the_dtype(data, kind):
    item = tn.tensor(data).item()
    assert item == data
    assert type(item) is kind


@pytest.mark.parametrize("make", [tn.tensor, tn.Variable])
def test_a_tensor_has_the_length_and_rows_of_its_first_axis(make):
    t = make(MATRIX)
    assert len(t) == 2
    for row, expected in zip(t, MATRIX, strict=True):
        assert_same(row, expected)


def test_gradients_flow_through_the_rows_of_a_tensor():
    t = leaf(MATRIX)
    first, second = t
    (first * second).sum().backward()
    assert_same(t.grad, MATRIX[::-1])


def test_membership_compares_elements():
    t = tn.tensor([1.0, 2.0])
    assert 2.0 in t
    assert 3.0 not in t


def test_sets_and_dicts_compare_tensors_by_identity():
    a, b = tn.tensor(1.0), tn.tensor(1.0)
    assert len({a, b, a}) == 2
    assert {a: "a", b: "b"}[b] == "b"


def test_format_applies_to_a_single_number():
    assert f"{tn.tensor(3.14159):.2f}" == "3.14"
    assert f"{tn.tensor([1.0])}" == repr(tn.tensor([1.0]))


@given(
    hnp.arrays(st.sampled_from([*FLOATS, *WHOLE[:-1]]), hnp.array_shapes(min_dims=0, max_side=3)),
    st.booleans(),
)
def test_a_printed_tensor_can_be_evaluated(a, tracked):
    t = tn.tensor(a, requires_grad=tracked and a.dtype.kind == "f")
    names = {name: name for name in (*FLOATS, *WHOLE)} | {"nan": np.nan, "inf": np.inf}
    again = eval(repr(t), names | {"tensor": tn.tensor})
    assert (again.dtype, again.requires_grad) == (t.dtype, t.requires_grad)
    np.testing.assert_allclose(again.numpy(), a, rtol=1e-7, atol=1e-8)


COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    **{
        f"pickle {protocol}": lambda x, p=protocol: pickle.loads(pickle.dumps(x, p))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@over(COPIES, "duplicate")
@given(a=hnp.arrays(st.sampled_from([*FLOATS, *WHOLE]), SHAPES), tracked=st.booleans())
def test_a_copy_is_a_leaf_with_the_same_numbers(duplicate, a, tracked):
    t = tn.tensor(a, requires_grad=tracked and a.dtype.kind == "f")
    for original in (t, t.reshape(-1)):
        again = duplicate(original)
        assert_same(again, original)
        assert again.requires_grad == original.requires_grad
        assert not np.shares_memory(again.numpy(), original.numpy())
        again.requires_grad = False  # only a leaf can be frozen
    assert t.requires_grad == (tracked and a.dtype.kind == "f")


@over(COPIES, "duplicate")
def test_a_copy_of_a_variable_is_another_variable(duplicate):
    v = tn.Variable([1.0, 2.0], trainable=False, name="kernel", path="dense/kernel")
    again = duplicate(v)
    assert (again.name, again.path, again.trainable) == (v.name, v.path, False)
    again.assign([3.0, 4.0])
    assert_same(v.numpy(), np.array([1.0, 2.0], "float32"))
    assert_same(again.numpy(), np.array([3.0, 4.0], "float32"))


# -- operators and methods --------------------------------------------------------------------

OPERATORS = ARITHMETIC | COMPARISONS


@over(OPERATORS, "op")
@given(shapes=BROADCASTABLE[2], data=st.data())
def test_operators_compute_what_numpy_computes(op, shapes, data):
    a, b = (data.draw(numbers(shape, "float64", 0.5, 4.0)) for shape in shapes)
    expected = np.asarray(op(a, b))
    pairs = [(tn.tensor(a), tn.tensor(b)), (tn.tensor(a), b), (a, tn.tensor(b))]
    pairs += [(tn.Variable(a), b), (a, tn.Variable(b)), (tn.Variable(a), tn.tensor(b))]
    for x, y in pairs:
        found = op(x, y)
        assert isinstance(found, tn.Tensor)
        assert_same(found, expected)


@over(OPERATORS, "op")
def test_a_list_in_an_expression_acts_as_a_tensor(op):
    t, data = tn.tensor([1.0, 2.0]), [3.0, 4.0]
    assert_same(op(t, data), op(t, tn.tensor(data)).numpy())
    assert_same(op(data, t), op(tn.tensor(data), t).numpy())


MATMUL_SHAPES = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3, 2)), ((0, 3), (3,))]


@pytest.mark.parametrize("shapes", MATMUL_SHAPES, ids=str)
def test_matrix_products_compute_what_numpy_computes(shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape) for shape in shapes)
    for x, y in ((tn.tensor(a), tn.tensor(b)), (tn.tensor(a), b), (a, tn.tensor(b))):
        assert_same(x @ y, a @ b)


@given(hnp.arrays(bool, (2, 3)), hnp.arrays(bool, (3,)))
def test_logical_operators_compute_what_numpy_computes(a, b):
    assert_same(tn.tensor(a) & tn.tensor(b), a & b)
    assert_same(tn.tensor(a) | tn.tensor(b), a | b)
    assert_same(~tn.tensor(a), ~a)


@pytest.mark.parametrize("other", [3, True, np.array([1, 0]), np.array([True, False])])
@pytest.mark.parametrize("combine", [operator.and_, operator.or_, operator.xor])
def test_logical_operators_refuse_numbers_of_which_numpy_combines_the_bits(combine, other):
    name = f"tn.ops.logical_{combine.__name__.strip('_')}"
    with refused(TypeError, "&, |, ^ or ~", "expected bools", name, "received int64 and"):
        combine(tn.tensor(np.array([6, 3])), other)
    for t in (tn.tensor(np.array([6, 3])), leaf([0.5])):
        with refused(TypeError, "expected bools", "tn.ops.logical_not", str(t.dtype)):
            operator.invert(t)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "an element": lambda t: operator.setitem(t, 0, 1.0),
    "a slice": lambda t: operator.setitem(t, slice(1), [1.0]),
    "np.add.at": lambda t: np.add.at(t, [0], 1.0),
    "np.negative.at": lambda t: np.negative.at(t, [0]),
}


@over(CHANGES, "change")
def test_a_tensor_is_not_changed_in_place(change):
    for t in (leaf([2.0, 3.0]), tn.tensor([2.0, 3.0]), tn.Variable([2.0, 3.0])):
        with refused(TypeError, "A tensor never changes", "tn.ops.where"):
            change(t)
        assert_same(t.numpy(), np.array([2, 3], "float32"))


def test_masked_elements_are_refused():
    masked = np.ma.masked_equal(np.array([2.0, 3.0]), 3.0)
    for call in (tn.tensor, tn.Variable, tn.ops.sum, lambda a: leaf([1.0, 1.0]) * a, tn.jit(abs)):
        with refused(ValueError, "data", "masked", "filled(value)"):
            call(masked)
    assert_same(tn.tensor(np.ma.array([2.0, 3.0])), np.array([2.0, 3.0]))


@given(numbers(SHAPES))
def test_signs_compute_what_numpy_computes(a):
    assert_same(-tn.tensor(a), -a)
    assert_same(abs(tn.tensor(a)), abs(a))


@over(ARITHMETIC, "op")
def test_augmented_assignment_makes_another_tensor(op):
    in_place = getattr(operator, f"i{op.__name__}")
    t = leaf([1.0, 2.0])
    y = in_place(t, 2.0)
    assert y is not t
    assert_same(t, np.array([1.0, 2.0], "float32"))
    y.sum().backward()
    assert t.grad is not None


def test_the_shortcut_for_squares_obeys_the_rules_of_powers():
    a = np.array([-2, 0, 3])
    for two in (2, 2.0, np.float64(2), np.int64(2)):
        found, third = tn.tensor(a) ** two, tn.tensor(a) ** (two + 1)
        assert found.dtype == third.dtype
        assert_same(found, (a**2).astype(found.dtype))


REDUCTIONS = {name: getattr(np, name) for name in ("sum", "mean", "max", "min")}


@over(REDUCTIONS, "of_numpy")
@given(
    a=numbers(hnp.array_shapes(max_dims=3, max_side=3)),
    keepdims=st.booleans(),
    data=st.data(),
)
def test_reductions_compute_what_numpy_computes(of_numpy, a, keepdims, data):
    axes = st.integers(-a.ndim, a.ndim - 1)
    axis = data.draw(st.none() | axes | hnp.valid_tuple_axes(a.ndim))
    expected = np.asarray(of_numpy(a, axis, keepdims=keepdims))
    found = getattr(tn.tensor(a), of_numpy.__name__)(axis, keepdims)
    assert_close(found, expected, rtol=1e-14, atol=1e-14)


@every_whole
def test_reductions_of_integers_compute_what_numpy_computes(dtype):
    a = np.array([[3, 0], [255, 1]]).astype(dtype)
    t = tn.tensor(a)
    for axis in (None, 0, 1):
        assert_same(t.max(axis), a.max(axis))
        assert_same(t.min(axis), a.min(axis))
        assert_same(t.sum(axis), a.sum(axis))
        assert_close(t.mean(axis), a.mean(axis), rtol=1e-6)


@given(numbers(hnp.array_shapes(max_dims=3, max_side=3)), st.data())
def test_shapes_change_as_numpys_do(a, data):
    t = tn.tensor(a)
    axes = data.draw(st.permutations(range(a.ndim)))
    assert_same(t.transpose(axes), a.transpose(axes))
    assert_same(t.transpose(*axes), a.transpose(axes))
    x = leaf(a)
    x.transpose(axes).backward(a.transpose(axes))
    assert_same(x.grad, a)  # each number has gone back to where it came from
    assert_same(t.transpose(), a.T)
    assert_same(t.T, a.T)
    for shape in ((-1,), (a.shape[-1], -1), (*a.shape, 1), a.shape[::-1]):
        assert_same(t.reshape(shape), a.reshape(shape))
        assert_same(t.reshape(*shape), a.reshape(shape))
    assert (t.shape, t.ndim, t.size, t.dtype) == (a.shape, a.ndim, a.size, a.dtype)


# -- indexing ---------------------------------------------------------------------------------


@st.composite
def any_index(draw: Any, shape: tuple[int, ...]) -> Any:
    """Draw an index of any kind; some fit `shape`, some do not."""
    ends = st.none() | st.integers(-4, 4)
    parts = st.one_of(
        st.integers(-4, 3),
        st.integers(-2, 1).map(np.int64),
        st.builds(slice, ends, ends, st.sampled_from([None, 1, 2, -1, -2])),
        st.just(None),
        st.just(Ellipsis),
        hnp.arrays(st.sampled_from(["int64", "int8"]), (2,), elements=st.integers(-2, 1)),
        hnp.arrays(int, st.sampled_from([(), (1,), (2, 1), (0,)]), elements=st.integers(-2, 1)),
        st.lists(st.integers(-2, 1), max_size=2),
        st.sampled_from(shape).flatmap(lambda n: hnp.arrays(bool, (n,))),
        hnp.arrays(bool, shape[:2]),
    )
    fitting = [
        hnp.basic_indices(shape, max_dims=5, allow_newaxis=True),
        hnp.integer_array_indices(shape),
        hnp.arrays(bool, shape),
    ]
    return draw(st.one_of(*fitting, parts, st.lists(parts, max_size=4).map(tuple)))


def assert_indexed(shape: tuple[int, ...], index: Any) -> None:
    """Assert NumPy's value, the gradient that follows from it, or NumPy's refusal."""
    a = np.arange(float(np.prod(shape))).reshape(shape)
    t = leaf(a)
    try:
        expected = np.asarray(a[index])
    except IndexError:
        with refused(IndexError, "getitem", str(shape)):
            t[index]
        return
    y = t[index]
    assert_same(y, expected)
    ct = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(ct)
    taken = expected.astype(int).ravel()  # for each number holds its own position
    assert_close(t.grad.ravel(), np.bincount(taken, ct.ravel(), minlength=a.size))


@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_indexing_agrees_with_numpy_in_value_gradient_and_errors(data):
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    assert_indexed(shape, data.draw(any_index(shape)))


ROWS, COLUMNS = np.array([3, 0, 3]), np.array([[1], [2]])
INDICES = {
    "integers": (1, -1),
    "NumPy's integers": (np.int64(1), np.uint8(0)),
    "slice": slice(1, 3),
    "slice with a step": (slice(None, None, 2), slice(-1, None, -2)),
    "ellipsis": (..., 0),
    "new axes": (None, slice(None), None),
    "nothing": (),
    "array": ROWS,
    "list": [3, 0, 3],
    "empty list": [],
    "arrays that broadcast": (ROWS, COLUMNS),
    "array between": (slice(1, 4), [0, 0]),
    "arrays apart": (ROWS, None, COLUMNS),
    "mask of rows": np.array([True, False, True, True]),
    "mask of elements": np.arange(12).reshape(4, 3) % 5 > 1,
    "mask of nothing": np.zeros((4, 3), bool),
    "mask and array": ([True, False, True, False], [2, 2]),
}


@over(INDICES, "index")
def test_every_kind_of_index_selects_what_numpy_selects(index):
    assert_indexed((4, 3), index)


def test_a_tensor_can_index_an_array():
    a = np.arange(12.0).reshape(4, 3)
    for index in (np.array([2, 0, 2]), a[:, 0] > 2, np.array(1), a > 5):
        assert_same(tn.tensor(a)[tn.tensor(index)], a[index])
        assert_same(tn.tensor(a)[tn.Variable(index)], a[index])
    rows, columns = np.array([3, 1]), np.array([0, 2])
    assert_same(tn.tensor(a)[tn.tensor(rows), columns], a[rows, columns])


def test_a_tensor_of_indices_is_an_input_of_a_program():
    index = tn.tensor(np.array([1, 0]))
    assert leaf(MATRIX)[index].equation.inputs[1] is index


def test_the_ends_of_a_slice_may_be_numpy_integers():
    t = tn.tensor([1.0, 2.0, 3.0, 4.0])
    assert_same(t[np.int64(1) : np.array(3)], np.array([2.0, 3.0], "float32"))


def test_a_tensor_cannot_be_assigned_to():
    t = tn.tensor(MATRIX)
    with pytest.raises(TypeError, match="assignment"):
        t[0] = 1.0
    assert_same(t, MATRIX)


# -- errors -----------------------------------------------------------------------------------

REFUSED = {
    # name: (call of a leaf of shape (3,), error, words of its message)
    "shapes of +": (lambda t: t + np.ones(4), ValueError, ["add", "(3,)", "(4,)"]),
    "shapes of *": (lambda t: np.ones((2, 2)) * t, ValueError, ["multiply", "(3,)", "(2, 2)"]),
    "shapes of <": (lambda t: t < [1.0, 2.0], ValueError, ["less", "(3,)", "(2,)"]),
    "shapes of @": (lambda t: t @ np.ones(4), ValueError, ["matmul", "(3,)", "(4,)"]),
    "@ of a number": (lambda t: t @ 2.0, ValueError, ["matmul", "(3,)", "()"]),
    "dot": (lambda t: tn.ops.dot(t, np.ones((1, 2, 1))), ValueError, ["dot", "(3,)", "(1, 2, 1)"]),
    "where": (lambda t: tn.ops.where([True, False], t, t), ValueError, ["where", "(2,)", "(3,)"]),
    "axis too large": (lambda t: t.sum(1), ValueError, ["axis", "(3,)", "1"]),
    "axis too small": (lambda t: t.max(-2), ValueError, ["axis", "(3,)", "-2"]),
    "axis twice": (lambda t: t.mean((0, -1)), ValueError, ["axis", "different", "(0, -1)"]),
    "axis of text": (lambda t: t.min("rows"), TypeError, ["axis", "integers", "rows"]),
    "axis of float": (lambda t: t.sum(0.0), TypeError, ["axis", "integers", "0.0"]),
    "axes of argmax": (lambda t: tn.ops.argmax(t, (0, 0)), ValueError, ["axis", "(0, 0)"]),
    "axis of expand_dims": (lambda t: tn.ops.expand_dims(t, 2), ValueError, ["axis", "2", "(3,)"]),
    "below expand_dims": (lambda t: tn.ops.expand_dims(t, -3), ValueError, ["axis", "-3", "(3,)"]),
    "text in expand_dims": (lambda t: tn.ops.expand_dims(t, "a"), TypeError, ["axis", "'a'"]),
    "axes of squeeze": (lambda t: tn.ops.squeeze(t, 0), ValueError, ["squeeze", "0", "(3,)"]),
    "axes of swapaxes": (lambda t: tn.ops.swapaxes(t, 0, 1), ValueError, ["axis2", "(3,)", "1"]),
    "no swapaxes": (lambda t: tn.ops.swapaxes(t, None, 0), TypeError, ["swapaxes", "None"]),
    "softmax": (lambda t: tn.ops.softmax(t, 1), ValueError, ["axis", "(3,)", "1"]),
    "reshape": (lambda t: t.reshape(2, 2), ValueError, ["reshape", "(3,)", "(2, 2)"]),
    "reshape to -1": (lambda t: t.reshape(-1, 2), ValueError, ["reshape", "(3,)", "(-1, 2)"]),
    "reshape to -1 -1": (lambda t: t.reshape(-1, -1), ValueError, ["reshape", "(3,)", "(-1, -1)"]),
    "reshape to float": (lambda t: t.reshape(1.5), TypeError, ["newshape", "integers", "1.5"]),
    "transpose": (lambda t: t.transpose(1, 0), ValueError, ["axes", "(3,)", "(1, 0)"]),
    "transpose too few": (lambda t: t.transpose(()), ValueError, ["transpose", "(3,)", "()"]),
    "broadcast_to": (lambda t: tn.ops.broadcast_to(t, 2), ValueError, ["broadcast_to", "(2,)"]),
    "no concatenate": (lambda t: tn.ops.concatenate([]), ValueError, ["concatenate", "none"]),
    "ranks of concatenate": (
        lambda t: tn.ops.concatenate([t, [[1.0]]]),
        ValueError,
        ["concatenate", "(3,)", "(1, 1)"],
    ),
    "axis of concatenate": (lambda t: tn.ops.concatenate([t, t], 1), ValueError, ["axis", "1"]),
    "no axis": (lambda t: tn.ops.concatenate([t, t], None), ValueError, ["axis", "None"]),
    "stack": (lambda t: tn.ops.stack([t, t[:2]]), ValueError, ["(1, 3)", "(1, 2)"]),
    "max of nothing": (lambda t: t[:0].max(), ValueError, ["max", "(0,)"]),
    "index too large": (lambda t: t[3], IndexError, ["getitem", "(3,)", "3"]),
    "too many indices": (lambda t: t[0, 1], IndexError, ["getitem", "(3,)", "(0, 1)"]),
    "index of text": (lambda t: t["a"], IndexError, ["getitem", "integer"]),
    "index of float": (lambda t: t[1.0], IndexError, ["getitem", "integer"]),
    "index of bool": (lambda t: t[True], IndexError, ["getitem", "True", "expected"]),
    "index array too large": (lambda t: t[[0, 5]], IndexError, ["getitem", "(3,)", "5"]),
    "short mask": (lambda t: t[[True, False]], IndexError, ["getitem", "(3,)", "2"]),
    "long mask": (lambda t: t[[True] + [False] * 3], IndexError, ["getitem", "(3,)", "4"]),
    "slice of float": (lambda t: t[:1.5], TypeError, ["slice", "integers", "1.5"]),
    "+ text": (lambda t: t + "a", ValueError, ["Invalid dtype: str", "expected numbers"]),
    "+ None": (lambda t: t + None, ValueError, ["object", "expected numbers", "NoneType"]),
    "+ complex": (lambda t: 1j * t, ValueError, ["complex128", "expected numbers"]),
    "- of bools": (lambda t: -(t > 0), TypeError, ["negative", "(3,)"]),
    "dtype": (lambda t: t.astype("float31"), ValueError, ["float31", "Expected floats"]),
    "complex dtype": (lambda t: t.astype("complex64"), ValueError, ["complex64", "Expected"]),
    "no dtype": (lambda t: t.astype(None), ValueError, ["None", "Expected floats"]),
    "item": (lambda t: t.item(), ValueError, ["item", "one element", "(3,)"]),
    "float": (float, ValueError, ["one element", "(3,)"]),
    "int": (int, ValueError, ["one element", "(3,)"]),
    "bool": (bool, ValueError, ["one element", "(3,)"]),
    "format": (lambda t: f"{t:.2f}", ValueError, ["one element", "(3,)"]),
    "len": (lambda t: len(t[0]), TypeError, ["len()", "()"]),
    "iter": (lambda t: iter(t[0]), TypeError, ["()"]),
    "backward of several": (lambda t: (t * t).backward(), ValueError, ["scalar", "(3,)", "sum"]),
    "backward untracked": (
        lambda t: t.detach().sum().backward(),
        ValueError,
        ["backward", "requires_grad"],
    ),
    "ct": (lambda t: (t * t).backward(np.ones(2)), ValueError, ["ct", "(3,)", "(2,)"]),
    "ct of text": (lambda t: (t * t).backward("a"), ValueError, ["Invalid dtype: str"]),
    "shape below 0": (lambda t: tn.ops.zeros((2, -1)), ValueError, ["shape", "-1"]),
    "shape of text": (lambda t: tn.ops.ones("a"), TypeError, ["shape", "integers", "'a'"]),
    "dtype of zeros": (lambda t: tn.ops.zeros(2, "complex64"), ValueError, ["complex64"]),
    "floatx": (lambda t: set_floatx("int32"), ValueError, ["set_floatx", "float32", "int32"]),
}


@over(REFUSED, "case")
def test_an_error_says_what_was_received_and_changes_nothing(case):
    call, error, words = case
    t = leaf([1.0, 2.0, 3.0])
    (t * t).sum().backward()
    gradient = t.grad
    with refused(error, *words):
        call(t)
    assert t.grad is gradient
    assert_same(t, np.array([1.0, 2.0, 3.0], "float32"))
    assert_same(gradient, np.array([2.0, 4.0, 6.0], "float32"))
    assert t.requires_grad
    assert tn.tensor(1).dtype == "float32"


NO_DATA = {
    "text": ("abc", ["str", "expected numbers"]),
    "texts": (np.array(["a", "b"]), ["str", "expected numbers"]),
    "bytes": (b"abc", ["bytes", "expected numbers"]),
    "None": (None, ["object", "NoneType (of a function without return?)"]),
    "an object": (object(), ["object", "expected numbers"]),
    "a dict": ({"a": 1}, ["object", "dict"]),
    "a set": ({1, 2}, ["object", "set"]),
    "a generator": ((i for i in range(3)), ["object", "generator"]),
    "complex": (1j, ["complex128", "expected numbers"]),
    "dates": (np.array(["2020-01-01"], "M8[D]"), ["datetime64", "expected numbers"]),
    "a ragged list": ([[1.0], [1.0, 2.0]], ["data", "regular shape"]),
    "a list with None": ([1.0, None], ["object", "expected numbers"]),
    "records": (np.zeros(2, [("a", float)]), ["void", "expected numbers"]),
}


@over(NO_DATA, "case")
@pytest.mark.parametrize("make", [tn.tensor, tn.Variable, tn.ops.exp, tn.ops.convert_to_tensor])
def test_data_that_is_not_an_array_of_numbers_is_refused(make, case):
    data, words = case
    with refused(ValueError, *words):
        make(data)


@pytest.mark.parametrize("dtype", ["complex64", "float31", "O", "S3", "M8[D]", object, 3])
@pytest.mark.parametrize("make", [tn.tensor, tn.Variable])
def test_a_dtype_that_is_not_numeric_is_refused(make, dtype):
    with refused(ValueError, f"Invalid dtype: {dtype}", "Expected floats"):
        make([1.0], dtype)
