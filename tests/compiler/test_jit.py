"""Compiled functions: their derivatives are compiled, and their arguments keep their meaning."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import assert_same, leaf, normal, over, refused
from hypothesis import given, settings, strategies as st
from native import NATIVE
from programs import FLOATS, assert_same_results, functions, numbers

import tinynet as tn
from tinynet import ops, tree
from tinynet.engine.variable import stateless

MANY = 10 * settings.default.max_examples
X, Y = normal(0, 4), normal(1, 4)


# -- derivatives ------------------------------------------------------------------------------


def pulled(f: Any, order: int) -> Any:
    """Return the function that pulls cotangents of the results of `f` back, `order` times."""

    def cotangents(*xs: Any) -> Any:
        y, pullback = tn.vjp(f, *xs)
        return pullback(tree.map_structure(lambda t: numbers(t.ndim, t.shape, t.dtype), y))

    return pulled(cotangents, order - 1) if order else f


@pytest.mark.parametrize("order", [1, 2, 3])
@settings(max_examples=MANY)
@given(data=st.data())
@np.errstate(all="ignore")
def test_pullbacks_of_a_compiled_function_equal_the_eager_ones_bit_for_bit(order, data):
    drawn = data.draw(functions(FLOATS, steps=8 // order))
    compiled = tn.jit(drawn.function)
    for args in (drawn.first, drawn.second):
        found, expected = (pulled(f, order)(*args) for f in (compiled, drawn.function))
        assert_same_results(found, expected)
    assert compiled.compilations == 1


def test_the_body_of_a_function_runs_once_for_each_type_whatever_is_differentiated():
    runs = []

    def plain(x, w):
        return (ops.tanh(x * w) ** 2).sum()

    @tn.jit
    def f(x, w):
        runs.append(x.shape)
        return plain(x, w)

    for x in (X, Y, X[:2]):
        w = x + 1.0
        f(x, w)
        assert_same(tn.grad(f, 1)(x, w), tn.grad(plain, 1)(x, w))
        assert_same(tn.hvp(partial(f, x), w, x), tn.hvp(partial(plain, x), w, x))
        t = leaf(w)
        f(x, t).backward()
        assert_same(t.grad, tn.grad(plain, 1)(x, w))
    assert runs == [(4,), (2,)]
    pullbacks = f._for(X, X).pullback.cache_info
    assert (f.compilations, pullbacks().misses) == (2, 1)  # in w alone
    tn.grad(f)(X, X)
    tn.grad(f)(Y, X)
    assert pullbacks().misses == 2


def test_gradients_of_trees_of_arguments_and_results():
    @tn.jit
    def f(w, x):
        return {"y": x @ w["kernel"] + w["bias"], "norms": [(w["kernel"] ** 2).sum(), x]}

    w = {"kernel": normal(2, 4, 3), "bias": normal(3, 3)}
    for argnums in (0, 1, (0, 1)):
        of = [
            tn.grad(lambda w, x, g=g: g(w, x)["y"].sum() * g(w, x)["norms"][0], argnums)
            for g in (f, f.function)
        ]
        assert_same_results(of[0](w, normal(4, 5, 4)), of[1](w, normal(4, 5, 4)))
    assert f.compilations == 1


def test_a_tape_keeps_the_numbers_of_variables_whatever_happens_to_them_later():
    w, scale = tn.Variable(X), tn.Variable(Y, trainable=False)
    f = tn.jit(lambda x: (x * w * w * scale).sum())
    for _ in range(2):
        y = f(Y)
        expected = tn.grad(lambda w: (Y * w * w * scale).sum())(w.value.detach())
        before = w.value
        w.assign(w * 2.0)
        scale.assign(scale + 1.0)
        y.backward()
        assert_same(before.grad, expected)
    assert f.compilations == 1


def test_a_variable_that_is_frozen_has_no_gradient_and_a_tape_from_before_has():
    v, w = tn.Variable(X), tn.Variable(Y)
    f = tn.jit(lambda x: (x * v * w).sum())
    y, of_v, of_w = f(X), v.value, w.value
    v.trainable = False
    assert f(X).requires_grad
    f(X).backward()
    assert v.grad is None
    assert_same(w.grad, X * X)
    y.backward()
    assert_same(of_v.grad, X * Y)
    w.trainable = False
    assert not f(X).requires_grad
    assert of_w.grad is not None


def test_results_are_as_tracked_as_those_of_the_function():
    w = tn.Variable(X)

    @tn.jit
    def f(x, n):
        with tn.no_grad():
            free = w * 2.0
        return x * 2.0, w * x, x > 0.0, n, x.detach() * 3.0, free, w

    results = f(leaf(Y), np.arange(4))
    expected = f.function(leaf(Y), tn.tensor(np.arange(4)))
    assert [t.requires_grad for t in results] == [True, True, False, False, False, False, True]
    for t, other in zip(results, expected, strict=True):
        assert_same(t, other)
        assert t.requires_grad == (other.value if other is w else other).requires_grad
    assert [t.requires_grad for t in f(Y, np.arange(4))] == [False, True, *[False] * 4, True]


def test_a_result_that_is_not_used_changes_no_gradient():
    w, unused = tn.Variable([0.0, 1.0]), tn.Variable([0.0, 1.0])
    f = tn.jit(lambda: (w * 3.0, ops.log(w), unused * 2.0))
    with np.errstate(divide="ignore"):
        f()[0].sum().backward()
    assert_same(w.grad, np.array([3, 3], "float32"))
    assert unused.grad is None


def test_a_derivative_inside_a_compiled_function_is_differentiated_from_outside():
    def energy(x, w):
        return (ops.tanh(x * w) * x).sum()

    force = tn.jit(lambda x, w: tn.grad(energy)(x, w))
    plain = force.function
    for argnums in (0, 1):
        slopes = [tn.jacobian(f, argnums)(X, Y) for f in (force, plain)]
        np.testing.assert_allclose(*slopes, rtol=1e-5)
    assert force.compilations == 1


def test_where_numbers_are_cut_off_from_gradients_they_are_so_when_compiled():
    def f(x):
        with tn.no_grad():
            a = x * x
        return (a * x + x.detach() ** 2 + ops.stop_gradient(x * 5.0) * x).sum()

    assert_same(tn.grad(tn.jit(f))(X), tn.grad(f)(X))
    assert_same(tn.grad(tn.jit(f))(X), X * X + X * 5)


def test_a_tensor_from_outside_that_requires_a_gradient_is_read_at_each_call():
    w = leaf(X)
    f = tn.jit(lambda x: (x * w).sum())
    for i in range(3):
        w = leaf(X * i)
        y = f(Y)
        assert_same(y, (Y * (X * i)).sum())
        y.backward()
        assert_same(w.grad, Y)


def test_threads_differentiate_one_compiled_function_at_the_same_time():
    w = tn.Variable(X)
    f = tn.jit(lambda x: (ops.tanh(x * w) ** 2).sum())
    begin = threading.Barrier(3)

    def work(seed):
        begin.wait()
        for i in range(40):
            x = normal(seed * 100 + i, 4)
            assert_same(tn.grad(f)(x), tn.grad(f.function)(x))
        return True

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(work, range(3)))
    assert f.compilations == 1


def test_nothing_of_a_call_outlives_its_results():
    f = tn.jit(lambda x: (ops.exp(x), x * 2.0))
    for _ in range(2):
        x = leaf(X)
        y, z = f(x)
        (y * z).sum().backward()
        kept = [*map(weakref.ref, (x, y, z))]
        gc.disable()
        try:
            del x, y, z
            assert [r() for r in kept] == [None, None, None]
        finally:
            gc.enable()


def test_a_compiled_pullback_is_let_go_with_its_function():
    f = tn.jit(lambda x: ops.tanh(x).sum(), cache_size=1)
    tn.grad(f)(X)
    gone = weakref.ref(f._for(X).pullback((0,), (0,))._for(np.float32(1), X).executable)
    assert gone() is not None
    tn.grad(f)(X[:2])
    gc.collect()
    assert gone() is None


def test_a_pullback_that_is_recorded_or_has_substitutes_is_right():
    w = tn.Variable(X)
    f = tn.jit(lambda x: (x * x * w).sum())
    _, pullback = tn.vjp(f, Y)
    assert_same(tn.jit(pullback)(2.0)[0], pullback(2.0)[0])
    with stateless({w: tn.tensor(Y)}):
        assert_same(tn.grad(f)(X), tn.grad(f.function)(X))
        assert_same(pullback(2.0)[0], 2 * (Y * X + Y * X))


def test_the_same_tensor_given_twice_has_the_sum_of_both_cotangents():
    f = tn.jit(lambda a, b: (a * a * b).sum())
    assert_same(tn.grad(lambda x: f(x, x))(X), tn.grad(lambda x: f.function(x, x))(X))
    same = tn.jit(lambda a: (a, a, a * 1.0))
    total = [tn.grad(lambda a, g=g: sum(g(a), start=0.0).sum())(X) for g in (same, same.function)]
    assert_same(*total)


# -- arguments --------------------------------------------------------------------------------


def test_arguments_may_be_given_by_keyword_in_any_order():
    f = tn.jit(lambda x, /, y=1.0, *rest, z, **more: x - y * z + sum(rest) + sum(more.values()))
    assert_same(f(X, z=Y), X - Y)
    for _ in range(2):
        assert_same(f(X, y=Y, z=2.0), X - Y * 2)
        assert_same(f(X, z=2.0, y=Y), X - Y * 2)
    assert f.compilations == 2
    assert_same(f(X, Y, X, X, z=2.0, other=Y), X - Y * 2 + (X + X) + Y)
    assert_same(tn.grad(lambda y: f(X, y=y, z=Y).sum())(X), -Y)
    for source in (f.source(X, z=Y), f.program(X, z=Y)):
        assert "z" in source
    with refused(TypeError, "argument"):
        f(X)


def test_what_is_static_is_a_part_of_the_type_and_stays_what_it_is():
    seen = []

    @tn.jit(static_argnames=("n", "activation", "shape"))
    def f(x, n, activation=None, shape=(2, 2)):
        seen.append((n, activation, shape))
        for _ in range(int(n)):
            x = activation(x) if activation else x * 2.0
        return x.reshape(shape)

    calls = [(X, 2), (X, 2.0), (X, True), (X, 1), (X, 1, ops.tanh), (X, 1, None, (4,))]
    for _ in range(2):
        for args in calls:
            assert_same(f(*args), f.function(tn.tensor(X), *args[1:]))
    assert f.compilations == len(calls)
    assert_same(f(Y, -0.0), f.function(tn.tensor(Y), 0))
    assert_same(f(Y, 0, shape=[4]), Y)
    assert_same(f(Y, 0, shape=[2, 2]), Y.reshape(2, 2))
    for array in (tn.tensor(2.0), X, tn.Variable(1.0)):
        with refused(TypeError, "static argument n", "an array"):
            f(X, n=array)
    with refused(ValueError, "static_argnames", "'x'", "received ['m']"):
        tn.jit(lambda x: x, static_argnames="m")


@pytest.mark.parametrize("native", {False, NATIVE})
def test_the_text_of_a_compiled_function_says_how_it_runs(native):
    def double(x):
        return x * 2.0

    f = tn.jit(double, native=native)
    f(X)
    assert f"double: {'C' if native else 'NumPy'}, 1 compilations" in repr(f)


@pytest.mark.parametrize("signature", ["no Signature", property(len)])
def test_a_function_whose_signature_cannot_be_read_is_compiled(signature):
    def f(x):
        return x + 1.0

    f.__signature__ = signature  # for which `inspect` has a TypeError
    assert_same(tn.jit(f)(X), X + 1)


SETTINGS: dict[str, Any] = {
    "an integer": lambda x, n: sum((x * i for i in range(n)), start=x),
    "an exponent": lambda x, n: x**n,
    "an index": lambda x, n: x[n - 1],
    "a branch": lambda x, n: x if n == 2 else -x,
    "a dtype": lambda x, n: x * (isinstance(n, int) and not isinstance(n, bool)),
}


@over(SETTINGS, "function")
def test_integers_keep_their_meaning(function):
    f = tn.jit(function)
    for n in (2, 3, True, 2):
        assert_same(f(X, n), function(tn.tensor(X), n))
        assert_same(f(X, n=n), f(X, n))


def test_strings_bools_none_and_tuples_of_settings_keep_their_meaning():
    f = tn.jit(lambda x, how, shape=(4,): getattr(ops, how)(x).reshape(shape) if how else x)
    for args in (("tanh",), ("exp", (2, 2)), (None,), ("",), ("exp", (2, 2))):
        assert_same(f(X, *args), f.function(tn.tensor(X), *args))
    assert f.compilations == 4
    g = tn.jit(lambda w, flags: w["a"] * 2.0 if flags["double"] else w["a"] ** flags["n"])
    for flags in ({"double": True, "n": 3}, {"double": False, "n": 3}, {"double": False, "n": 2}):
        assert_same(g({"a": X}, flags), g.function({"a": tn.tensor(X)}, flags))
    assert g.compilations == 3


def test_a_float_is_a_tensor_and_looking_at_it_says_what_to_do():
    with refused(TypeError, "received rate: (), float32", "static_argnames", "tn.ops.where"):
        tn.jit(lambda x, rate: x * float(rate))(X, 0.1)


@pytest.mark.parametrize("wrong", [ops.exp, object(), {"a": object}, 1j, {1, 2}])
def test_an_argument_that_is_no_array_is_refused_unless_it_is_static(wrong):
    with refused(ValueError, "argument what", "static_argnames='what'"):
        tn.jit(lambda x, what: x)(X, wrong)
    assert_same(tn.jit(lambda x, what: x, static_argnames="what")(X, wrong), X)


# -- results ----------------------------------------------------------------------------------


class Pair(NamedTuple):
    first: Any
    second: Any = None


def test_named_tuples_keep_their_type():
    f = tn.jit(lambda pair: Pair(pair.first * 2.0, Pair(pair.second, 3)))
    found = f(Pair(X, Y))
    assert isinstance(found, Pair)
    assert isinstance(found.second, Pair)
    assert_same(found.first, X * 2)
    assert found.second.second == 3
    slopes = tn.grad(lambda pair: (f(pair).first * f(pair).second.first).sum())(Pair(X, Y))
    assert_same(slopes.first, 2 * Y)


def test_what_is_no_tensor_among_results_is_returned_as_it_was():
    table = np.arange(3)
    f = tn.jit(lambda x: {"n": len(x), "s": "a", "t": (2, 0.5), "f": ops.exp, "a": table, "x": x})
    for _ in range(2):
        found = f(X)
        assert (found["n"], found["s"], found["t"], found["f"]) == (4, "a", (2, 0.5), ops.exp)
        assert type(found["a"]) is np.ndarray
        assert_same(found["a"], np.arange(3))
        assert_same(found["x"], X)
        found["a"][:] = 7
    for constant in (None, 2.0, True, "text", (), [], {}):
        assert tn.jit(lambda x, constant=constant: constant)(X) == constant
    done = []
    assert tn.jit(lambda x: done.append(x.shape))(X) is None


# -- functions and methods --------------------------------------------------------------------


class Scaled:
    """A function with a state."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return x * self.factor

    @tn.jit
    def method(self, x, power=2):
        return (x * self.factor) ** power

    @tn.jit(static_argnames="name")
    def keyed(self, x, *, name):
        return getattr(ops, name)(x) * self.factor

    @classmethod
    @tn.jit
    def twice(cls, x):
        return cls(2.0)(x)

    @staticmethod
    @tn.jit
    def half(x):
        return x * 0.5


def test_a_method_is_compiled_for_each_object_and_sees_its_attributes_change():
    one, two = Scaled(2.0), Scaled(3.0)
    before = Scaled.method.compilations
    for _ in range(2):
        for scaled in (one, two):
            assert_same(scaled.method(X), (X * np.float32(scaled.factor)) ** 2)
            assert_same(scaled.method(X, power=3), Scaled.method.function(scaled, tn.tensor(X), 3))
    assert Scaled.method.compilations == before + 4
    one.factor = 5.0
    assert_same(one.method(X), (X * 5) ** 2)
    assert_same(one.keyed(X, name="tanh"), np.tanh(X) * 5)
    assert_same(tn.grad(lambda x: one.method(x).sum())(X), 2 * (X * 5) * 5)
    assert_same(Scaled.method(two, X), (X * 3) ** 2)
    assert_same(Scaled.twice(X), X * 2)
    assert_same(Scaled.half(X), X / 2)
    assert_same(one.half(X), X / 2)


def test_a_method_sees_the_attributes_of_what_its_object_holds():
    class Loss:
        def __init__(self):
            self.layer, self.table, self.w = tn.layers.Activation("relu"), [1.0, 2.0], tn.tensor(X)

        @tn.jit
        def __call__(self, x):
            return self.layer(x) * self.table[0] + self.w

    loss = Loss()
    for _ in range(2):
        assert_same(loss(Y), np.maximum(Y, 0) + X)
    loss.layer.activation = ops.tanh
    assert_same(loss(Y), np.tanh(Y) + X)
    loss.table[0] = 3.0
    assert_same(loss(Y), np.tanh(Y) * 3 + X)
    loss.w = tn.tensor(Y)
    assert_same(loss(Y), np.tanh(Y) * 3 + Y)
    assert Loss.__call__.compilations == 4


def test_a_compiled_method_keeps_no_object_alive():
    for i in range(3):
        scaled = Scaled(float(i))
        assert_same(scaled.method(X), (X * i) ** 2)
        tn.grad(lambda x, scaled=scaled: scaled.method(x).sum())(X)
        gone = weakref.ref(scaled)
        del scaled
        gc.collect()
        assert gone() is None


def test_methods_of_named_tuples_and_of_objects_with_slots():
    class Line(NamedTuple):
        slope: Any

        @tn.jit
        def at(self, x):
            return self.slope * x

    class Slotted:
        __slots__ = ("n",)

        @tn.jit
        def at(self, x):
            return x * self.n

    assert_same(Line(X).at(Y), X * Y)
    assert_same(Line(Y).at(Y), Y * Y)
    assert Line.at.compilations == 1
    slotted = Slotted()
    slotted.n = 3.0
    assert_same(slotted.at(X), X * 3)


def test_a_method_of_a_layer_sees_its_attributes_and_variables():
    class Affine(tn.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(4,), initializer="ones", name="w")
            self.shift = 1.0

        @tn.jit
        def moved(self, x):
            return x * self.w + self.shift

    layer = Affine()
    layer.build((None, 4))
    for shift in (1.0, 2.0):
        layer.shift = shift
        layer.w.assign(layer.w + 1.0)
        assert_same(layer.moved(X), X * layer.w.numpy() + np.float32(shift))
    layer.moved(X).sum().backward()
    assert_same(layer.w.grad, X)


CALLABLES: dict[str, Any] = {
    "a partial function": partial(lambda a, x, scale: x * a * scale, 2.0, scale=0.5),
    "a partial with a loss": partial(lambda loss, x: loss(x, x * 0.0), tn.losses.Huber()),
    "a callable object": Scaled(2.0),
    "a layer": tn.layers.ReLU(),
    "a loss": lambda x: tn.losses.MeanSquaredError()(x, x * 0.0),
    "a lambda": lambda x: x * 2.0,
    "a function of all arguments": lambda *args, **kwargs: args[0] * 2.0,
    "a ufunc": np.sin,
    "another compiled function": tn.jit(lambda x: x * 2.0),
}


@over(CALLABLES, "function")
def test_whatever_can_be_called_can_be_compiled(function):
    f = tn.jit(function)
    for x in (X, Y, normal(5, 2, 3)):
        assert_same(f(x), function(tn.tensor(x)))
    assert f.compilations == 2


def test_an_attribute_of_a_part_of_a_partial_function_is_seen():
    loss = tn.losses.Huber(delta=1.0)
    f = tn.jit(partial(lambda loss, x: loss(x, x * 0.0), loss))
    for delta in (1.0, 0.25):
        loss.delta = delta
        assert_same(f(X), loss(X, X * 0))
    g = tn.jit(loss)
    for delta in (0.5, 0.125):
        loss.delta = delta
        assert_same(g(X, Y), loss(X, Y))


def test_jit_is_a_decorator_with_and_without_arguments():
    @tn.jit
    def f(x):
        """Double."""
        return x * 2.0

    @tn.jit(cache_size=1)
    def g(x):
        return f(x)

    assert (f.__name__, f.__doc__) == ("f", "Double.")
    for n in (1, 2, 1):
        g(X[:n])
    assert (g.compilations, f.compilations) == (3, 0)


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, IndexError])
def test_an_error_of_the_function_itself_is_raised_by_its_first_run(error):
    runs = []

    @tn.jit
    def f(x):
        runs.append(x)
        if len(runs) == 1:
            raise error("mine")
        return x

    with pytest.raises(error, match="mine"):
        f([1.0])
    assert f([1.0]).tolist() == [1.0]
    assert len(runs) == 2
