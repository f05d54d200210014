"""`vmap` equals a loop over the examples, for every primitive and every choice of axes."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import (
    assert_all_same,
    assert_close,
    assert_same,
    leaf,
    normal,
    over,
    refused,
)
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from programs import FLOATS, assert_same_results, eagerly, functions, gradient, poisoned_buffers
from strategies import CASES, SEEDS, as_function, over_cases, typical, with_given

import tinynet as tn
from tinynet import ops
from tinynet.engine.bind import PRIMITIVES, Case, bind, modes
from tinynet.engine.tensor import Primitive, Tensor, wrap
from tinynet.engine.variable import stateless

SIZE = 3  # of a batch
X = normal(0, 4, 3, dtype="float64")
W = normal(1, 2, 3, dtype="float64")
FLOATING = [
    (primitive, case)
    for primitive, case in CASES
    if as_function(primitive, case)(*map(wrap, typical(case))).dtype.kind == "f"
]


def stacked(results: Sequence[Any]) -> list[np.ndarray]:
    """Return each of several results of the examples as one array."""
    return [np.stack([t.numpy() for t in parts]) for parts in zip(*results, strict=True)]


def batch_of(case: Case) -> list[np.ndarray]:
    """Return a batch of all inputs of the case; index arrays and conditions differ, too."""
    draws = [with_given(case, typical(case, seed)) for seed in range(SIZE)]
    for k, draw in enumerate(draws):
        for i in case.given:
            draw[i] = np.roll(draw[i], k) if draw[i].dtype.kind != "f" else draw[i]
    return [np.stack(each) for each in zip(*draws, strict=True)]


def value_and_cotangents(primitive: Primitive, case: Case) -> Callable[..., Any]:
    """Return a function that computes the primitive's value, and its cotangents from one of it."""

    def function(*xs: Any) -> Any:
        xs = [*map(ops.convert_to_tensor, xs)]
        floating = [i for i, x in enumerate(xs) if x.dtype.kind == "f"]

        def of_floating(*some: Any) -> Tensor:
            places = dict(enumerate(xs)) | dict(zip(floating, some, strict=True))
            return bind(primitive, *places.values(), **case.params)

        y, pullback = tn.vjp(of_floating, *(xs[i] for i in floating))
        return [y, *pullback(ops.cos(y))] if y.dtype.kind == "f" else [y]

    return function


def choices(batch: Sequence[Any]) -> Iterator[tuple[list[Any], tuple[Any, ...]]]:
    """Yield arguments and their axes, for each choice of those that differ between examples."""
    for axes in itertools.product((0, None), repeat=len(batch)):
        if 0 in axes:
            yield [x if a == 0 else x[0, ...] for x, a in zip(batch, axes, strict=True)], axes


def assert_equals_a_loop(f: Callable[..., Any], args: Any, axes: Any, tolerance: float) -> None:
    """Assert that `vmap` of `f`, which returns a list, equals `f` of each example, stacked."""
    given = [*zip(args, axes, strict=True)]
    examples = [[x[k, ...] if a == 0 else x for x, a in given] for k in range(SIZE)]
    expected = stacked([f(*map(tn.tensor, example)) for example in examples])
    for found, right in zip(tn.vmap(f, axes)(*args), expected, strict=True):
        assert (found.dtype, found.shape) == (right.dtype, right.shape)
        assert_close(found, right, tolerance, tolerance)


# -- the law ----------------------------------------------------------------------------------


@over_cases(CASES)
def test_a_batch_equals_a_loop_over_its_examples_in_value_and_cotangents(primitive, case):
    for args, axes in choices(batch_of(case)):
        assert_equals_a_loop(value_and_cotangents(primitive, case), args, axes, 1e-12)


@over_cases(CASES)
def test_without_a_rule_a_batch_equals_a_loop_exactly(primitive, case):
    without = replace(primitive, batched=None, elementwise=False)
    for args, axes in choices(batch_of(case)):
        f = lambda *xs: [bind(without, *map(ops.convert_to_tensor, xs), **case.params)]  # noqa: E731
        assert_equals_a_loop(f, args, axes, 0.0)


@over_cases(CASES)
@np.errstate(all="ignore")
def test_a_compiled_batch_equals_an_eager_one_bit_for_bit(primitive, case):
    for args, axes in choices(batch_of(case)):
        mapped = tn.vmap(value_and_cotangents(primitive, case), axes)
        with poisoned_buffers():
            found = tn.jit(mapped)(*args)
        assert_same_results(found, eagerly(mapped, args))


@over_cases(CASES)
def test_an_empty_batch_gives_empty_results_of_the_same_types(primitive, case):
    f = value_and_cotangents(primitive, case)
    for args, axes in choices(batch_of(case)):
        some = tn.vmap(f, axes)(*args)
        empty = [x[:0] if a == 0 else x for x, a in zip(args, axes, strict=True)]
        none = tn.vmap(f, axes)(*empty)
        expected = [((0, *y.shape[1:]), y.dtype) for y in some]
        assert [(y.shape, y.dtype) for y in none] == expected


@pytest.mark.parametrize("primitive", PRIMITIVES.values(), ids=PRIMITIVES)
def test_each_primitive_computes_a_batch_at_once(primitive):
    assert primitive.elementwise or primitive.batched is not None


@over_cases([(primitive, case) for primitive, case in CASES if primitive.elementwise])
def test_an_element_of_an_elementwise_result_depends_on_its_place_alone(primitive, case):
    arrays = np.broadcast_arrays(*with_given(case, typical(case)))
    whole = bind(primitive, *map(wrap, arrays), **case.params).data
    for place in np.ndindex(whole.shape):
        element = bind(primitive, *(wrap(x[(*place, ...)]) for x in arrays), **case.params)
        assert_close(element.data, whole[(*place, ...)])


def total(**traits: Any) -> Any:
    rule = lambda ct, y, x: ops.reshape(ct, (1,)) * ops.ones_like(x)  # noqa: E731
    return tn.primitive("total", lambda x: x.sum(), rule, **traits)


def test_a_primitive_of_the_users_own_may_have_a_rule_for_a_batch():
    for mine in (total(), total(batched=lambda x: ops.sum(x, axis=1))):
        assert_close(tn.vmap(mine)(X), X.sum(axis=1))
        assert_same(tn.vmap(tn.grad(lambda x, f=mine: f(x) * x[0]))(X)[:, 1], X[:, 0])
        assert_close(
            tn.jacobian(lambda x, f=mine: f(x) * x)(X[0]), X[0].sum() * np.eye(3) + X[0][:, None]
        )


@pytest.mark.parametrize("wrong", [{"batched": lambda x: ops.sum(x)}, {"elementwise": True}])
def test_a_rule_for_a_batch_that_gives_another_shape_is_refused(wrong):
    with refused(ValueError, "total", "(4,)", "()"):
        tn.vmap(total(**wrong))(X)


# -- shapes that are drawn --------------------------------------------------------------------


def weighted(f: Callable[..., Tensor]) -> Callable[..., Any]:
    """Return a function that computes the value of `f` and its cotangents in all arguments."""

    def function(*xs: Any) -> Any:
        y, pullback = tn.vjp(f, *map(ops.convert_to_tensor, xs))
        return [y, *pullback(ops.cos(y))]

    return function


SIGNED = hnp.mutually_broadcastable_shapes(
    signature=np.matmul.signature, max_dims=2, min_side=1, max_side=3
)


@given(SIGNED, SEEDS)
def test_products_of_any_ranks(shapes, seed):
    batch = [
        normal(seed + i, SIZE, *shape, dtype="float64")
        for i, shape in enumerate(shapes.input_shapes)
    ]
    for args, axes in choices(batch):
        assert_equals_a_loop(weighted(ops.matmul), args, axes, 1e-12)


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> tuple[list[Any], list[np.ndarray]]:
    """Draw an index, with "array" in place of arrays, and a batch of each array."""
    index: list[Any] = []
    arrays: list[np.ndarray] = []
    n = min(shape)  # an ellipsis may shift the index to another axis
    for _ in range(draw(st.integers(0, len(shape)))):
        index.append(draw(st.integers(-n, n - 1) | st.slices(n) | st.just("array")))
        if index[-1] == "array":
            lengths = (SIZE, *draw(st.sampled_from([(), (2,), (1,), (3, 1), (3, 2)])))
            arrays.append(draw(hnp.arrays("int64", lengths, elements=st.integers(-n, n - 1))))
    for other in [None] * draw(st.integers(0, 2)) + [Ellipsis] * draw(st.integers(0, 1)):
        index.insert(draw(st.integers(0, len(index))), other)
    return index, arrays


def assert_indexing_equals_a_loop(
    index: Sequence[Any], shape: tuple[int, ...], arrays: Sequence[np.ndarray]
) -> None:
    def f(x: Any, *arrays: Any) -> Any:
        rest = iter(arrays)
        at = tuple(next(rest) if isinstance(i, str) else i for i in index)
        return weighted(lambda x: x[at])(x)

    for args, axes in choices([normal(0, SIZE, *shape, dtype="float64"), *arrays]):
        assert_equals_a_loop(f, args, axes, 1e-12)


@given(st.data())
def test_any_index_of_any_arrays(data):
    shape = data.draw(st.sampled_from([(2,), (1, 2), (3, 2), (2, 3, 4), (3, 2, 4, 2)]))
    index, arrays = data.draw(indices(shape))
    assert_indexing_equals_a_loop(index, shape, arrays)


ALL = slice(None)
# Where NumPy puts the axes of index arrays depends on whether they stand side by side; integers
# count as arrays beside arrays.
SIDE_BY_SIDE = [("array", 1), (0, "array", ALL), (ALL, "array", 1), (..., "array"), (None, "array")]
SEPARATE = [("array", ALL, 1), (1, ALL, "array"), ("array", ..., "array"), (0, None, "array")]
SEPARATE += [(ALL, "array", ALL, "array"), ("array", None, "array"), (ALL, 0, None, "array")]


@pytest.mark.parametrize("index", SIDE_BY_SIDE + SEPARATE, ids=repr)
def test_index_arrays_side_by_side_and_apart(index):
    arrays = [np.array([[0, 1], [1, 1], [1, 0]]) for i in index if i == "array"]
    assert_indexing_equals_a_loop(index, (2, 3, 4, 5), arrays)


REDUCTIONS = {
    "sum": ops.sum,
    "max": ops.max,
    "mean": ops.mean,
    "softmax": lambda x: ops.softmax(x, axis=()),
    "reshape": lambda x: ops.reshape(x, (1, 1)),
    "broadcast": lambda x: ops.broadcast_to(x, (2, 3)),
    "stack": lambda x: ops.stack([x, x * x]),
    "a list of tensors": lambda x: tn.tensor([x, x * x, 1.0]),
}


@over(REDUCTIONS, "f")
def test_examples_without_axes(f):
    assert_equals_a_loop(weighted(f), [normal(0, SIZE, dtype="float64")], (0,), 1e-12)


@given(functions(FLOATS), SEEDS)
@np.errstate(all="ignore")
def test_compiled_batches_of_drawn_gradients_equal_eager_ones_bit_for_bit(drawn, seed):
    mapped = tn.vmap(gradient(drawn, 1))
    args = [np.stack([x, y]) for x, y in zip(drawn.first, drawn.second, strict=True)]
    with poisoned_buffers():
        found = tn.jit(mapped)(*args)
    assert_same_results(found, eagerly(mapped, args))


@pytest.mark.parametrize("axes", [(0, None), (None, 0)])
def test_a_matrix_that_all_examples_share_makes_one_product(axes):
    shapes_of = {(0, None): ((5, 3), (3, 2)), (None, 0): ((2, 3), (5, 3))}
    args = [normal(i, *shape) for i, shape in enumerate(shapes_of[axes])]
    source = tn.jit(tn.vmap(ops.matmul, axes)).source(*args)
    assert source.count("dot(") == 1
    assert "matmul" not in source


def test_an_empty_batch_gives_no_warnings():
    for f in (ops.log, ops.sqrt, lambda x: 1.0 / x, lambda x: ops.log1p(-x)):
        assert tn.vmap(f)(np.ones((0, 2))).shape == (0, 2)
    assert tn.vmap(lambda i: ops.ones(1)[i])(np.ones(0, int)).shape == (0,)


# -- derivatives inside and outside, and of each other ----------------------------------------


def network(w: Any, x: Any) -> Tensor:
    """Return a number for one example that uses products, sums, indices and functions."""
    h = ops.tanh(ops.matmul(w, x))
    return ops.sum(h * h) * x[0] + ops.logsumexp(h) + ops.max(x)


def of_each(f: Callable[..., Any]) -> np.ndarray:
    return np.stack([np.asarray(f(W, x)) for x in X])


DERIVATIVES: dict[str, Any] = {
    "value": lambda f: f,
    "gradient in what is shared": tn.grad,
    "gradient in what differs": lambda f: tn.grad(f, 1),
    "Hessian": lambda f: tn.hessian(f, 1),
    "mixed Jacobian": lambda f: tn.jacobian(tn.grad(f, 1), 0),
    "third order": lambda f: tn.jacobian(tn.hessian(f, 1), 1),
    "pullback": lambda f: lambda w, x: tn.vjp(f, w, x)[1](x[1])[0],
    "hvp": lambda f: lambda w, x: tn.hvp(lambda x: f(w, x), x, np.ones(3)),
    "jvp": lambda f: lambda w, x: tn.jvp(f, (w, x), (w, np.ones(3)))[1],
}


@over(DERIVATIVES, "derivative")
def test_derivatives_inside(derivative):
    f = derivative(network)
    found = tn.vmap(f, (None, 0))(W, X)
    assert_close(found, of_each(f))
    assert_same(tn.jit(tn.vmap(f, (None, 0)))(W, X), found)


@over(DERIVATIVES, "derivative")
def test_derivatives_outside_of_derivatives_inside(derivative):
    inside = derivative(network)

    def by_batch(w: Any, x: Any) -> Tensor:
        return ops.sum(ops.sin(tn.vmap(inside, (None, 0))(w, x)))

    def by_loop(w: Any, x: Any) -> Tensor:
        return sum(ops.sum(ops.sin(inside(w, x[i]))) for i in range(len(X)))

    for argnum in (0, 1):
        found = tn.grad(by_batch, argnum)(W, X)
        assert_close(found, tn.grad(by_loop, argnum)(W, X))
        assert_same(tn.jit(tn.grad(by_batch, argnum))(W, X), found)


@over(DERIVATIVES, "derivative")
@pytest.mark.parametrize("where", ["nowhere", "shared", "differing"])
def test_derivatives_inside_are_as_tracked_as_their_arguments(derivative, where):
    w, x = tn.tensor(W), tn.tensor(X)
    {"nowhere": tn.tensor(0.0), "shared": w, "differing": x}[where].requires_grad = True
    found = tn.vmap(derivative(network), (None, 0))(w, x)
    assert found.requires_grad == (where != "nowhere")
    if where == "nowhere":
        assert found.equation is None


def test_derivatives_inside_of_trees():
    def loss(p: Any, x: Any) -> Any:
        y = ops.tanh(ops.matmul(p["w"], x) + p["b"])
        return ops.sum(y), {"y": y}

    p = {"w": W, "b": W[:, 0]}
    found, aux = tn.vmap(tn.grad(loss, has_aux=True), (None, 0))(p, X)
    each = [tn.grad(loss, has_aux=True)(p, x) for x in X]
    for key in p:
        assert_close(found[key], np.stack([slopes[key].numpy() for slopes, _ in each]))
    assert_close(aux["y"], np.stack([aux["y"].numpy() for _, aux in each]))
    assert not found["w"].requires_grad


def test_backward_reaches_what_is_shared_and_what_differs():
    w, x = leaf(W), leaf(X)
    tn.vmap(network, (None, 0))(w, x).sum().backward()
    expected = [
        tn.grad(lambda w, x: tn.vmap(network, (None, 0))(w, x).sum(), i)(W, X) for i in (0, 1)
    ]
    assert_all_same([w.grad, x.grad], expected)
    assert not tn.vmap(network, (None, 0))(W, X).requires_grad
    with tn.no_grad():
        assert not tn.vmap(network, (None, 0))(w, x).requires_grad


def test_a_batch_of_batches():
    outer = normal(2, 5, 2, 3, dtype="float64")
    found = tn.vmap(tn.vmap(network, (None, 0)), (0, None))(outer, X)
    assert_close(found, np.stack([[network(w, x).numpy() for x in X] for w in outer]))
    grads = tn.vmap(tn.vmap(tn.grad(network), (None, 0)), (0, None))(outer, X)
    assert_close(
        grads, np.stack([of_each(lambda _, x, w=w: tn.grad(network)(w, x)) for w in outer])
    )


def test_a_detached_tensor_has_no_gradient_inside_and_outside():
    f = lambda x: ops.sum(x * x.detach())  # noqa: E731
    assert_same(tn.vmap(tn.grad(f))(X), X)
    assert_same(tn.grad(lambda x: tn.vmap(f)(x).sum())(X), X)

    def with_a_new_leaf(x: Tensor) -> Tensor:
        z = x.detach()
        z.requires_grad = True
        return ops.sum(x * z)

    assert_same(tn.grad(lambda x: tn.vmap(with_a_new_leaf)(x).sum())(X), X)


def test_the_weights_of_a_model_get_a_gradient_for_each_example():
    model = tn.Sequential([tn.Input((3,)), tn.layers.Dense(2, "tanh"), tn.layers.Dense(1)])
    x = X.astype("float32")

    def loss(kernel: Any, x: Any) -> Tensor:
        with stateless({model.layers[0].kernel: ops.convert_to_tensor(kernel)}):
            return ops.sum(model(ops.reshape(x, (1, 3))) ** 2)

    kernel = model.layers[0].kernel.numpy()
    found = tn.vmap(tn.grad(loss), (None, 0))(kernel, x)
    assert_close(found, np.stack([tn.grad(loss)(kernel, each).numpy() for each in x]), 1e-5, 1e-6)
    total = tn.vmap(lambda x: model(ops.reshape(x, (1, 3))))(x)
    assert_close(total, model(x).numpy()[:, None], 1e-5, 1e-6)
    total.sum().backward()
    assert model.layers[1].bias.grad == len(x)


class Scaled(tn.Layer):
    """A layer whose attribute a compiled function must not freeze."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def call(self, x: Any) -> Any:
        return x * self.by


def test_a_compiled_vmap_sees_changes_of_variables_and_layers_and_names_their_results():
    layer, w = Scaled(2.0), tn.Variable(3.0, trainable=False)
    f = tn.jit(tn.vmap(lambda x: layer(ops.reshape(x, (1, 3))) * w, (0,)))
    x = X.astype("float32")
    assert_same(f(x), (x * 6)[:, None])
    w.assign(4.0)
    assert_same(f(x), (x * 8)[:, None])
    layer.by = 5.0
    assert_same(f(x), (x * 20)[:, None])
    assert layer.name in f.program(x)


# -- Jacobians --------------------------------------------------------------------------------


def rows(f: Callable[..., Any], xs: Sequence[Any], argnum: int) -> np.ndarray:
    """Return the Jacobian by one pullback for each element of the result."""
    y, pullback = tn.vjp(f, *xs)
    units = np.eye(y.size).reshape(y.size, *y.shape)
    found = np.stack([pullback(unit)[argnum].numpy() for unit in units])
    return found.reshape(y.shape + found.shape[1:])


@over_cases(FLOATING)
def test_a_jacobian_equals_its_rows_one_by_one(primitive, case):
    f, xs = as_function(primitive, case), typical(case)
    for argnum in range(len(xs)):
        found = tn.jacobian(f, argnum)(*xs)
        assert_close(found, rows(f, xs, argnum))
        assert_same(tn.jit(tn.jacobian(f, argnum))(*xs), found)


def test_the_function_and_the_walk_run_once_for_a_jacobian():
    calls = []

    def rule(ct: Tensor, y: Tensor, x: Tensor) -> Tensor:
        calls.append("rule")
        return ct * ops.cos(x)

    def f(x: Tensor) -> Tensor:
        calls.append("function")
        return bind(watched, x)

    watched = Primitive("watched", np.sin, (rule,), elementwise=True)
    assert_close(tn.jacobian(f)(X[0]), np.diag(np.cos(X[0])))
    assert calls == ["function", "rule"]


def test_a_compiled_jacobian_does_not_grow_with_its_rows():
    def lines(n: int) -> int:
        f = tn.jit(tn.jacobian(lambda x: ops.tanh(ops.matmul(np.ones((n, 3)), x))))
        return len(f.source(X[0]).splitlines())

    assert lines(30) == lines(2)


# -- axes and trees ---------------------------------------------------------------------------


@given(st.integers(-3, 2), st.integers(-3, 2))
def test_the_axes_of_arguments_and_results_can_be_chosen(in_axis, out_axis):
    x = normal(0, 4, 4, 4)
    found = tn.vmap(lambda x: x.T * 2.0, in_axis, out_axis)(x)
    examples = np.moveaxis(x, in_axis, 0)
    assert_same(found, np.moveaxis(examples.transpose(0, 2, 1) * 2, 0, out_axis))


class Pair(NamedTuple):
    left: Any
    right: Any


def test_arguments_and_results_are_trees():
    weights = {"w": W, "b": [W[:, 0], None]}

    def f(p: Any, pair: Pair) -> Any:
        return {"y": ops.matmul(p["w"], pair.left) + p["b"][0], "z": (pair.right, None), "n": 7.0}

    axes = ({"w": None, "b": [None, None]}, Pair(0, 1))
    for chosen in (axes, (None, (0, 1)), [None, Pair(left=0, right=1)]):
        found = tn.vmap(f, chosen)(weights, Pair(X, X.T))
        assert_close(found["y"], X @ W.T + W[:, 0])
        assert found["z"][1] is None
        assert_same(found["z"][0], X)
        assert_same(found["n"], np.full(4, 7.0, "float32"))


def test_an_argument_without_an_axis_is_given_as_it_is():
    def f(x: Any, power: Any, how: str, *, scale: Any = 1) -> Tensor:
        assert (power, how, scale) == (3, "up", 2)
        return x**power * scale

    assert_close(tn.vmap(f, (0, None, None))(X, 3, "up", scale=2), 2 * X**3)


def test_a_result_that_is_the_same_for_all_examples_is_repeated():
    same = leaf(2.0)
    y, z = tn.vmap(lambda x: (same * 3.0, np.ones(2)))(X)
    assert_same(y, np.full(4, 6.0, "float32"))
    assert_same(z, np.ones((4, 2)))
    y.sum().backward()
    assert same.grad == 12.0


MISTAKES: dict[str, Any] = {
    "no such axis": (
        lambda: tn.vmap(network, (None, 2))(W, X),
        ValueError,
        ["argument 1", "2", "(4, 3)"],
    ),
    "no axis at all": (lambda: tn.vmap(ops.sin)(1.0), ValueError, ["argument 0", "()"]),
    "two axes for one": (lambda: tn.vmap(ops.sin, (0, 0))(X), ValueError, ["1 argument", "(0, 0)"]),
    "lengths": (
        lambda: tn.vmap(ops.add)(X, W),
        ValueError,
        ["argument 0 has 4 along axis 0", "argument 1 has 2 along axis 0"],
    ),
    "nothing mapped": (
        lambda: tn.vmap(ops.add, None)(X, X),
        ValueError,
        ["no axis", "2 arguments"],
    ),
    "no arguments": (lambda: tn.vmap(ops.add)(), ValueError, ["no axis"]),
    "another structure": (
        lambda: tn.vmap(lambda p: p["a"], ({"b": 0},))({"a": X}),
        ValueError,
        ["in_axes of argument 0", "{'b': 0}"],
    ),
    "axes of an array": (
        lambda: tn.vmap(ops.sin, ([0, 1],))(X),
        ValueError,
        ["argument 0", "[0, 1]"],
    ),
    "axis of a string": (
        lambda: tn.vmap(ops.sin, ("rows",))(X),
        TypeError,
        ["in_axes", "argument 0", "rows"],
    ),
    "no such axis of the result": (
        lambda: tn.vmap(ops.sum, 0, 1)(X),
        ValueError,
        ["out_axes", "(4,)", "1"],
    ),
}


@over(MISTAKES, "mistake")
def test_a_mistake_is_explained(mistake):
    call, error, words = mistake
    with refused(error, *words):
        call()


# -- numbers of one example -------------------------------------------------------------------

LOOKS: dict[str, Callable[[Tensor], Any]] = {
    "if": lambda x: x if x[0] > 0 else -x,
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "item": lambda x: x[0].item(),
    "numpy": lambda x: x.numpy(),
    "array": lambda x: np.asarray(x),
    "math": lambda x: math.sin(x[0]),
    "a mask": lambda x: x[x > 0.0],
    "format": lambda x: f"{x[0]:.2f}",
    "NumPy's functions without a counterpart": lambda x: np.percentile(x, 50),
    "after detach": lambda x: x.detach().numpy(),
    "after an operation": lambda x: float(ops.sum(x * 2.0)),
    "inside a derivative": tn.grad(lambda x: x[0] * float(x[1])),
}


@over(LOOKS, "look")
def test_numbers_that_differ_between_examples_are_refused(look):
    with refused(TypeError):
        tn.vmap(look)(X)
    with refused(TypeError):
        tn.vmap(tn.vmap(look))(np.stack([X, X]))
    with refused(TypeError):
        tn.jit(tn.vmap(look))(X)


def test_the_refusal_names_vmap_and_says_what_to_do():
    with refused(TypeError, "tn.vmap", "tn.ops.where", "(3,)"):
        tn.vmap(lambda x: x.numpy())(X)


def test_numbers_that_a_function_around_does_not_have_are_refused_in_its_name():
    def inside(w: Any) -> Any:
        return tn.vmap(lambda x: x * w.item())(X)

    with refused(TypeError, "recorded to be compiled"):
        tn.jit(inside)(1.0)
    with refused(TypeError, "inside tn.vmap", "tn.ops.where"):
        tn.vmap(inside)([1.0, 2.0])


def test_numbers_that_are_the_same_for_all_examples_may_be_read():
    w = tn.Variable(3.0)
    assert_close(tn.vmap(lambda x: x * float(w) + ops.ones(2).numpy().sum())(X), X * 3 + 2)


KEPT: list[Tensor] = []
USES: dict[str, Callable[[Tensor], Any]] = {
    "read": lambda t: t.numpy(),
    "computed with": lambda t: t * 2.0,
    "where": lambda t: ops.where(True, t, t),
    "concatenate": lambda t: ops.concatenate([t, t]),
    "NumPy": lambda t: np.sin(t),
    "in another vmap": lambda t: tn.vmap(lambda x: t * 2.0)(X),
    "in another vmap, with a batch": lambda t: tn.vmap(lambda x: t * x)(X),
    "returned by another vmap": lambda t: tn.vmap(lambda x: t)(X),
    "in a compiled function": lambda t: tn.jit(lambda x: x * t)(X[0]),
}


@over(USES, "use")
def test_a_tensor_that_was_kept_after_vmap_is_refused(use):
    KEPT.clear()
    tn.vmap(lambda x: KEPT.append(x * 2.0) or x)(X)
    with refused(TypeError, "inside tn.vmap"):
        use(KEPT[0])


def test_effects_that_would_happen_once_are_refused():
    w = tn.Variable(1.0)
    for effect in (
        lambda x: w.assign(x[0]),
        lambda x: w.assign_add(1.0),
        lambda x: (x * w).sum().backward(),
    ):
        with refused(TypeError, "tn.vmap"):
            tn.vmap(effect)(X)
    assert w.numpy() == 1.0


def test_random_draws_are_refused_or_the_same_for_all_examples():
    draws = tn.random.SeedGenerator(1)

    def f(x: Any) -> Tensor:
        return x * ops.cast(draws.mask((3,), 0.5), x.dtype)

    with refused(TypeError, "seed_generator_state", "tn.vmap"):
        tn.vmap(f)(X)
    with stateless({draws.state: draws.state.value}):  # as in a training step
        found = tn.vmap(f)(X)
    assert_same(found, X * draws.mask((3,), 0.5).numpy())


def test_a_value_that_is_assigned_inside_and_used_outside_is_refused():
    w = tn.Variable(1.0)
    with stateless({w: w.value}) as now:
        tn.vmap(lambda x: (w.assign(x[0]), x)[1])(X.astype("float32"))
        with refused(TypeError, "inside tn.vmap"):
            now[w].numpy()


def test_an_error_leaves_no_recorder_behind():
    with refused(ValueError):
        tn.vmap(lambda x: ops.matmul(x, np.ones(5)))(X)
    assert modes.recorder is None
