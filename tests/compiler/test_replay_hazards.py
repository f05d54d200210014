"""Each way in which what runs again could differ from what was run: one test.

A compiled function runs what it did once. What is looked at, changed or kept meanwhile must be seen
at the next call, or be refused with a word on what to do instead.
"""

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import programs
import pytest
from helpers import assert_all_same, assert_same, leaf, normal, over, refused
from native import NATIVE, all_in_c, assert_near
from programs import assert_same_results, poisoned_buffers, recorded

import tinynet as tn
from tinynet import ops
from tinynet.compiler.record import stand_in
from tinynet.engine.bind import bind, modes
from tinynet.engine.tensor import Primitive, wrap
from tinynet.engine.variable import Memory, stateless

X, Z, START = normal(0, 4), normal(1, 4), np.array([1, 2, 3, 4], "float32")


@pytest.fixture(autouse=True, params=["NumPy", "C"])
def poisoned(request, monkeypatch):
    """Run each test on both roads; C may differ in the last bits where it computes."""
    if request.param == "C":
        monkeypatch.setattr(programs, "assert_same", assert_near)
        monkeypatch.setitem(globals(), "assert_same", assert_near)
    with poisoned_buffers(), all_in_c() if request.param == "C" else nullcontext():
        yield request.param


def test_functions_run_on_the_road_of_the_test(poisoned):
    f = tn.jit(lambda x: x * 2.0)
    assert_same(f(X).data, X * 2)
    assert f.native == (poisoned == "C" and NATIVE)


def weight(trainable: bool = False) -> tn.Variable:
    return tn.Variable(START, trainable=trainable)


# -- functions --------------------------------------------------------------------------------

W = weight()

LOOKS: dict[str, Callable[[tn.Tensor], Any]] = {
    "a branch": lambda x: x if x[0] > 0 else -x,
    "and": lambda x: x[0] > 0 and x,
    "float": lambda x: x * float(x[0]),
    "int": lambda x: x[int(x[0] * 0.0) :],
    "item": lambda x: x * x[0].item(),
    "numpy": lambda x: x * x.numpy(),
    "np.asarray": lambda x: x * np.asarray(x),
    "each number": lambda x: x * sum([float(n) for n in x]),
    "a search": lambda x: x if 0.5 in [*x] else -x,
    "the largest of several": lambda x: max(x[0], x[1]),
    "a mask": lambda x: x[x > 0],
    "a copy by Python": lambda x: x * copy.deepcopy(x),
    "a format": lambda x: x if f"{x[0]:.1f}" else -x,
    "what was computed": lambda x: x * float(ops.exp(x).sum()),
    "what was detached": lambda x: x * float(x.detach()[0]),
    "a detached argument": lambda x: x * x.detach().numpy(),
    "a variable": lambda x: x * float(W[0]),
    "a copy of a variable": lambda x: x * copy.deepcopy(W),
    "a variable's numbers": lambda x: x * W.numpy(),
    "within a gradient": tn.grad(lambda x: x.sum() * (1.0 if x[0] > 0 else 2.0)),
}


@over(LOOKS, "look")
def test_looking_at_numbers_is_refused_with_a_word_on_what_to_do(look):
    compiled = tn.jit(look)
    look(tn.tensor(X))
    for _ in range(2):
        with refused(TypeError, "numbers", "tn.ops.where", "run_eagerly", "received"):
            compiled(X)
        assert compiled.compilations == 0
        assert modes.recorder is None


def test_a_function_of_numpy_alone_is_refused():
    with refused(TypeError, "np.fft.fft", "tn.ops", "tn.primitive"):
        tn.jit(lambda x: x + np.fft.fft(x))(X)


KEPT: dict[str, Callable[[tn.Tensor], Any]] = {
    "a ufunc": ops.exp,
    "a reduction": ops.sum,
    "a position": ops.argmax,
    "a choice": lambda x: ops.where(x > 0, x, 1.0),
    "parts": lambda x: ops.concatenate([x, x]),
    "a sum of sums": lambda x: ops.cumsum(x, 0),
    "an index": lambda x: x[np.array([0])],
    "a product": lambda x: x @ x,
    "a determinant": np.linalg.slogdet,
    "eigenvalues": np.linalg.eigh,
}


@over(KEPT, "use")
def test_no_operation_computes_with_the_zeros_of_a_tensor_that_was_kept(use):
    unknown = wrap(stand_in((2, 2), np.dtype("float32")))
    with np.errstate(all="ignore"), refused(TypeError, "no numbers"):
        use(unknown)


def test_what_is_printed_while_recording_says_so_as_there_are_no_numbers():
    shown = []

    @tn.jit
    def f(x):
        shown.extend(map(repr, (x, ops.exp(x), tn.tensor(2.0), W)))
        return x

    f(X)
    assert shown.pop() == f"<Variable path={W.path}, shape={W.shape}, dtype=float32>"
    recorded = f"tensor(recorded, shape={X.shape}, dtype=float32)"
    assert shown == [recorded, recorded, "tensor(2., dtype=float32)"]


USES: dict[str, Callable[[tn.Tensor], Any]] = {
    "its numbers": lambda t: t.numpy(),
    "an operator": lambda t: t + 1.0,
    "a method": lambda t: t.reshape((-1,)),
    "a function that looks for itself": lambda t: ops.where(tn.tensor(True), t, 0.0),
    "NumPy": np.sin,
    "a copy": copy.deepcopy,
    "a compiled function": tn.jit(lambda x: x),
    "as a constant of another": lambda t: tn.jit(lambda x: x * t)(X),
    "its numbers within another": lambda t: tn.jit(lambda x: x * t.numpy())(X),
    "of two others": lambda t: tn.jit(lambda x: ops.concatenate([x, t]))(X),
}


@over(USES, "use")
@pytest.mark.parametrize("what", [lambda x: x, ops.exp, lambda x: (x * 2.0).detach()])
def test_what_is_kept_from_a_recording_is_refused_later_as_it_has_no_numbers(use, what):
    kept = []

    @tn.jit
    def f(x):
        kept.append(what(x))
        return x * 2.0

    assert_same(f(X), 2 * X)
    with refused(TypeError, "no numbers", "Return it", "run_eagerly"):
        use(kept[0])
    assert repr(kept[0]) == f"tensor(recorded, shape={X.shape}, dtype=float32)"


def test_what_is_computed_from_constants_alone_may_be_kept():
    kept = {}

    @tn.jit
    def f(x):
        if not kept:
            kept["table"] = ops.exp(tn.tensor([0.0, 1.0]))
        return x * kept["table"]

    for shape in ((1, 2), (3, 2)):
        x = np.ones(shape, "float32")
        assert_same(f(x), f.function(tn.tensor(x)))
    assert_same(kept["table"], np.exp(np.array([0, 1], "float32")))


def test_another_thread_may_not_compute_with_what_is_recorded():
    def f(x):
        with ThreadPoolExecutor(1) as pool:
            return x + pool.submit(ops.exp, x).result()

    with refused(TypeError, "no numbers", "another thread"):
        tn.jit(f)(X)


def test_a_function_may_be_one_that_does_not_take_every_number():
    inverse = Primitive("inverse", np.linalg.inv, ())
    eye = tn.tensor(np.eye(3, dtype="float32"))
    x = normal(0, 4, 3)
    f = tn.jit(lambda x: bind(inverse, x.T @ x + eye))
    assert_same(f(x), f.function(tn.tensor(x)))


def test_shapes_and_dtypes_may_decide():
    def f(x):
        if x.ndim == 1 and len(x) > 2 and x.dtype == "float32":
            return sum((row * i for i, row in enumerate(x)), start=0.0)
        return -x

    compiled = tn.jit(f)
    for x in (X, Z, X[:2], X.astype("float64"), np.array(1.0)):
        assert_same_results(compiled(x), f(tn.tensor(x)))


def test_integers_may_be_looked_up():
    compiled = tn.jit(lambda x, i: x[i] + x[ops.argmax(x)])
    for x, i in ((X, [3, 0, 0]), (Z, [1, 2, 1])):
        assert_same(compiled(x, np.array(i)).data, x[i] + x.max())
    with refused(IndexError, "out of bounds"):
        compiled(X, np.array([0, 1, 4]))


def test_a_variable_is_read_at_each_call_wherever_it_lives():
    w = weight()
    f = tn.jit(lambda x: x * w.reshape(2, 2)[::-1].reshape(4))

    def assert_seen() -> None:
        assert_same(f(X).data, X * w.numpy().reshape(2, 2)[::-1].reshape(4))

    assert_seen()
    w.assign(Z)
    assert_seen()
    memory = Memory([weight(), w])
    assert_seen()
    w.assign(X)
    assert_seen()
    memory.array[...] = normal(3, 8)
    memory.version += 1
    assert_seen()
    tn.optimizers.SGD(0.5).apply([Z], [w])
    assert_seen()
    assert f.compilations == 1


def test_a_variable_made_from_a_fortran_array_is_read_at_each_call():
    w = tn.Variable(np.asfortranarray(X.reshape(2, 2)), trainable=False)
    f = tn.jit(lambda x: w.reshape(4) * x)
    f(2.0)
    w.assign(Z.reshape(2, 2))
    assert_same(f(2.0).data, 2 * Z)


def test_a_value_taken_from_a_variable_before_stays_what_it_was():
    w = weight()
    before = w.value
    f = tn.jit(lambda x: x * before + w)
    f(X)
    w.assign(Z)
    assert_same(f(X).data, X * START + Z)


def test_a_variable_cannot_be_changed_while_a_function_is_recorded():
    w, sgd = weight(), tn.optimizers.SGD(0.5)
    for change in (
        lambda x: w.assign(x),
        lambda x: w.assign(0.0),
        lambda x: sgd.apply([x], [w]),
        lambda x: setattr(sgd, "learning_rate", 0.1),
    ):
        with refused(TypeError, "variable", "only once", "run_eagerly"):
            tn.jit(change)(X)
        assert_same(w, START)
    assert (int(sgd.iterations), float(sgd.learning_rate)) == (0, 0.5)
    assert_same(w.assign(X).numpy(), X)


def test_gradients_cannot_be_left_at_tensors_while_a_function_is_recorded():
    w = weight(trainable=True)

    def f(x):
        (w * x).sum().backward()
        return w.grad

    with refused(TypeError, "backward", "tn.grad", "run_eagerly"):
        tn.jit(f)(X)
    assert w.grad is None
    assert_same(f(X), X)


def test_a_number_that_changes_is_seen():
    f = tn.jit(lambda x, rate: x * rate)
    for rate in (1.0, 0.5, np.float32(0.1)):
        assert_same(f(X, rate).data, X * np.float32(rate))
    assert f.compilations == 1
    for rate in (3, 2, 3):
        assert_same(f(X, rate).data, X * np.float32(rate))
    assert f.compilations == 3  # an integer keeps its meaning and counts as a type


def test_an_array_that_changes_is_seen_and_results_stay():
    x = X.copy()
    f = tn.jit(lambda x: [x, x[::-1], x * 2.0])
    first = f(x)
    x[...] = Z
    second = f(x)
    for result, numbers in ((first, X), (second, Z)):
        assert_all_same([t.data for t in result], [numbers, numbers[::-1], numbers * 2])


def test_tensors_and_arrays_from_outside_are_what_they_are_at_each_call():
    outside = {"t": tn.tensor(X), "a": Z.copy()}
    f = tn.jit(lambda x: x + outside["t"] * outside["a"])
    f(0.0)
    outside["a"][...] = 7.0
    assert_same(f(0.0).data, X * np.float32(7.0))
    outside["t"] = tn.tensor(Z)
    assert_same(f(0.0).data, Z * np.float32(7.0))


def test_nothing_is_broadcast_or_cast_to_what_was_compiled():
    compiled = tn.jit(ops.exp)
    for x in (X, X[:1], X[0], X[:, None], X.astype("float64"), X > 0):
        assert_same_results(compiled(x), ops.exp(x))


def test_a_compiled_function_within_another_becomes_a_part_of_it():
    inner = tn.jit(lambda x: ops.tanh(x) * 3.0)
    outer = tn.jit(lambda x: inner(x) + inner(x * 2.0))
    for x in (X, Z):
        assert_same(outer(x).data, np.tanh(x) * 3 + np.tanh(x * 2) * 3)
    assert (outer.compilations, inner.compilations) == (1, 0)
    inner(X)
    assert inner.compilations == 1
    with refused(TypeError, "numbers", "tn.ops.where"):
        tn.jit(lambda x: inner(x) * float(inner(x)[0]))(X)


def cube(x: tn.Tensor) -> tn.Tensor:
    return (x * x * x).sum()


@pytest.mark.parametrize("calls", [1, 2])
def test_gradients_flow_through_a_compiled_function_to_its_arguments(calls):
    f = tn.jit(cube)
    for x in [X, Z][:calls]:
        f(x)  # so that there is something compiled that could be run
    slopes = tn.grad(f)
    assert_same(slopes(X).data, tn.grad(cube)(X).data)
    assert_same(tn.hvp(f, X, Z).data, tn.hvp(cube, X, Z).data)
    assert_same(tn.jit(slopes)(Z).data, tn.grad(cube)(Z).data)
    x = leaf(X)
    f(x * 2.0).backward()
    assert_same(x.grad, tn.grad(lambda x: cube(x * 2.0))(X).data)


def test_gradients_flow_through_a_compiled_function_to_tensors_and_variables_outside():
    assert tn.grad(lambda w: tn.jit(lambda x: x * w)(2.0))(3.0).item() == 2.0
    w = weight(trainable=True)
    f = tn.jit(lambda x: (x * w).sum())
    for _ in range(2):
        (f(X) * w[0] + w[1]).backward()
        assert_same(w.grad, X + np.array([X @ START, 1, 0, 0], "float32"))
        w.zero_grad()
        with tn.no_grad():
            assert not f(X).requires_grad
    w.trainable = False
    assert not f(X).requires_grad


def test_a_weight_that_becomes_trainable_has_a_gradient_from_then_on():
    w = weight()
    f = tn.jit(lambda x: (x * w).sum())
    w.trainable = False
    assert not f(X).requires_grad
    w.trainable = True
    assert f(X).requires_grad
    w.trainable = False
    assert not f(X).requires_grad


def test_a_compiled_function_is_copied_and_pickled_as_functions_are():
    assert copy.deepcopy(doubled) is doubled
    assert pickle.loads(pickle.dumps(doubled)) is doubled


@tn.jit
def doubled(x):
    return x * 2.0


def test_a_gradient_within_a_compiled_function_is_that_at_the_numbers_of_each_call():
    f = tn.jit(lambda x, w: tn.value_and_grad(lambda w: cube(x * w))(w))
    for x, w in ((X, Z), (Z, X)):
        assert_same_results(f(x, w), f.function(tn.tensor(x), tn.tensor(w)))
    assert f.compilations == 1


def test_what_is_copied_is_not_frozen():
    f = tn.jit(lambda x: x * tn.tensor(x))
    for x in (X, Z):
        assert_same(f(x), x * x)


def test_what_is_detached_is_not_frozen():
    w = weight()

    def f(x):
        y = x.detach() * ops.stop_gradient(ops.exp(x)) + w.value.detach()
        return y, tn.grad(lambda x: (x.detach() * x * ops.stop_gradient(x * 2.0)).sum())(x)

    compiled = tn.jit(f)
    for x in (X, Z):
        assert_same_results(compiled(x), f(tn.tensor(x)))
        w.assign(X)


def test_no_grad_within_and_around_changes_no_numbers():
    def f(x):
        with tn.no_grad():
            y = x * 3.0
        return tn.grad(cube)(x) + y

    compiled = tn.jit(f)
    with tn.no_grad():
        inside = compiled(X)
    assert_same_results(inside, f(tn.tensor(X)))
    assert_same_results(compiled(X), inside)
    assert compiled.compilations == 1


def test_tensors_that_stand_in_for_variables_are_used():
    w = weight()
    f = tn.jit(lambda x: x * w)
    for _ in range(2):
        for value in (X, Z):
            with stateless({w: tn.tensor(value)}):
                assert_same(f(X).data, X * value)
        assert_same(f(X).data, X * w.numpy())


def test_a_function_that_raises_leaves_nothing_behind():
    fails = [True]

    @tn.jit
    def f(x):
        y = ops.exp(x)
        if fails:
            raise ZeroDivisionError("once")
        return y

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            f(X)
        assert (modes.recorder, modes.grad, f.compilations) == (None, True, 0)
    fails.clear()
    assert_same(f(X).data, np.exp(X))


def test_numpys_error_state_is_that_of_each_call_of_numpy(poisoned):
    if poisoned == "C":
        return  # which knows no error state
    f = tn.jit(lambda x: 1.0 / x + ops.log(tn.tensor(2.0)))
    with np.errstate(divide="raise"):
        with pytest.raises(FloatingPointError):
            f(0.0)
        f(1.0)
        with pytest.raises(FloatingPointError):
            f(0.0)
    with np.errstate(divide="ignore"):
        assert f(0.0).item() == np.inf
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        f(0.0)
    assert f(1.0).item() == f.function(tn.tensor(1.0)).item()


def test_floatx_is_a_part_of_what_was_compiled():
    f = tn.jit(lambda n: ops.exp(n) * tn.tensor(0.1))
    integers = np.arange(3)
    try:
        for floatx, count in (("float32", 1), ("float64", 2), ("float16", 3), ("float32", 3)):
            tn.utils.set_floatx(floatx)
            assert_same_results(f(integers), f.function(tn.tensor(integers)))
            assert (f(integers).dtype, f.compilations) == (floatx, count)
    finally:
        tn.utils.set_floatx("float32")


def test_random_numbers_and_other_effects_happen_once_for_each_type():
    rng, seen = np.random.default_rng(0), []

    @tn.jit
    def f(x):
        seen.append(x.shape)
        return x + rng.normal()

    first, second, other = f(0.0), f(1.0), f(X)
    assert seen == [(), (4,)]
    assert second.item() == np.float32(1) + first.item()
    assert (other.data != X + first.data).all()


def test_threads_that_call_one_compiled_function_get_their_own_results():
    record_together = threading.Barrier(2)

    @tn.jit
    def f(x):
        return ops.tanh(x * 3.0) @ x

    def work(seed: int) -> Any:
        record_together.wait()
        return [(x, f(x).data) for x in (normal(seed + i, 50) for i in range(200))]

    with ThreadPoolExecutor(2) as pool:
        for x, found in [pair for pairs in pool.map(work, [0, 1000]) for pair in pairs]:
            assert_same(found, np.tanh(x * 3) @ x)
    assert f.compilations == 1


def test_what_another_thread_computes_is_not_recorded():
    def f(x):
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(lambda: float(ops.exp(tn.tensor(X)).sum())).result()
        return x * other

    assert len(recorded(f, [X]).equations) == 1


def test_a_compiled_function_keeps_no_tensor_of_its_recording_alive():
    kept = []

    @tn.jit
    def f(x):
        y = ops.exp(x)
        z = y * 2.0
        kept.extend(map(weakref.ref, (x, y, z)))
        return z, tn.grad(cube)(x)

    f(X)
    gc.collect()
    assert [r() for r in kept] == [None, None, None]


# -- attributes of objects that a recording read ----------------------------------------------


def test_a_changed_attribute_of_a_layer_is_seen_by_a_compiled_function():
    layer = tn.layers.Dense(3, activation="relu")
    model = tn.Sequential([layer])
    x = normal(0, 5, 4)
    model(x)
    f = tn.jit(lambda x: model(x))
    with tn.no_grad():
        for activation in (tn.activations.relu, tn.activations.tanh, tn.activations.tanh):
            layer.activation = activation
            for _ in range(2):
                assert_same(f(x).data, model(x).data)
        assert f.compilations == 2
        model.add(tn.layers.Dense(2))
        assert_same(f(x).data, model(x).data)
    assert f.compilations == 3


def test_a_changed_attribute_of_an_object_that_a_function_names_is_seen():
    penalty, loss = tn.regularizers.L2(0.5), tn.losses.Huber(delta=1.0)
    f = tn.jit(lambda x: penalty(x) + loss(x, x * 0.0))
    assert_same(f(X).data, (penalty(X) + loss(X, X * 0)).data)
    penalty.l2 = loss.delta = 0.25
    assert_same(f(X).data, (penalty(X) + loss(X, X * 0)).data)
    assert f.compilations == 2


def test_training_a_model_does_not_compile_a_function_of_it_again():
    model = tn.Sequential([tn.layers.Dense(1)])
    x = normal(0, 8, 4)
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], verbose=0)
    f = tn.jit(lambda x: model(x))
    with tn.no_grad():
        for _ in range(3):
            assert_same(f(x).data, model(x).data)
            model.fit(x, x[:, :1], verbose=0)
    assert f.compilations == 1


# -- arguments --------------------------------------------------------------------------------


def test_arrays_of_any_byte_order_and_layout_give_the_numbers_of_eager():
    f = tn.jit(lambda x: ops.exp(x) * 2.0)
    a = normal(0, 3, 4)
    for x in (a, a.astype(">f4"), a.T, a[::2], np.asfortranarray(a), np.ma.array(a), a[0, 0]):
        assert_same_results(f(x), ops.exp(tn.tensor(x)) * 2.0)
    for wrong in (a.astype(complex), a.astype(object)):
        with refused(ValueError, "dtype"):
            f(wrong)


def test_structures_of_arguments_with_the_same_leaves_are_told_apart():
    f = tn.jit(lambda xs: xs["b"] - xs["a"] if isinstance(xs, dict) else xs[0] - xs[1])
    assert_same(f({"a": X, "b": 2 * X}).data, X)
    assert_same(f([X, 2 * X]).data, -X)
    assert_same(f((X, 2 * X)).data, -X)
    assert f.compilations == 3


def test_the_order_of_a_dict_is_that_of_each_call():
    f = tn.jit(lambda weights: {name: w * i for i, (name, w) in enumerate(weights.items())})
    for names in ("ab", "ba", "ab"):
        found = f(dict.fromkeys(names, X))
        assert [*found] == [*names]
        assert_same(found[names[0]], 0.0 * X)
        assert_same(found[names[1]], X)
    assert f.compilations == 2


def test_none_among_arguments_and_results_stays_none():
    f = tn.jit(lambda x, mask: (x * 2.0 if mask is None else x * mask, mask))
    doubled, nothing = f(X, None)
    assert nothing is None
    assert_same(doubled.data, X * 2)
    assert_same(f(X, X)[0].data, X * X)
