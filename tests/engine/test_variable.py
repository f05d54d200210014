"""Variables in memories: moved, updated together, taken over, copied, pickled, and trained on."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import (
    assert_all_same,
    assert_close,
    assert_same,
    everything,
    leaf,
    normal,
    over,
    refused,
)
from hypothesis import example, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from strategies import SEEDS

import tinynet as tn
from tinynet.engine.variable import Memory, stateless
from tinynet.layers import Dense, Input, Layer

# -- memories -------------------------------------------------------------------------------------

WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
SHAPES = [(2, 3), (3,), (), (0, 2), (4, 1)]
SOME = st.lists(st.integers(0, len(SHAPES) - 1), min_size=1, unique=True)
ACTIONS = st.tuples(
    st.sampled_from(["differentiate", "assign", "move", "update"]), SOME, SEEDS, st.booleans()
)

LOOK = ("assign", [], 0, True)  # what changes nothing
UNSEEN = [(action, [0], 0, False) for action in ("move", "update", "move")]


def variables_of(dtype: str = "float32") -> list[tn.Variable]:
    return [tn.Variable(normal(i, *shape), dtype) for i, shape in enumerate(SHAPES)]


def write(memory: Memory, numbers: np.ndarray) -> None:
    """Update all that live in `memory`, as an optimizer does."""
    memory.array[...] = numbers
    memory.version += 1


@settings(max_examples=3 * settings.default.max_examples)
@example(UNSEEN)
@given(st.lists(ACTIONS, max_size=12))
def test_a_variable_holds_the_value_last_assigned_in_any_memory(actions):
    variables, memories = variables_of(), []
    numbers = {v: v.numpy() for v in variables}
    grads: dict[tn.Variable, Any] = dict.fromkeys(variables)
    home: dict[tn.Variable, Any] = dict.fromkeys(variables)
    for action, places, seed, look in [*actions, LOOK]:
        chosen = [variables[i] for i in places]
        if action == "differentiate":
            sum((v * v).sum() for v in chosen).backward()
            grads |= {v: 2 * numbers[v] + (0 if grads[v] is None else grads[v]) for v in chosen}
        elif action == "assign":
            numbers |= {v: normal(seed, *v.shape) for v in chosen}
            grads |= {v: v.assign(numbers[v]).grad for v in chosen}
        elif action == "move":
            memories.append(Memory(chosen))
            home |= dict.fromkeys(chosen, memories[-1])
        elif memories:  # of one that some variables may have left
            memory = memories[seed % len(memories)]
            write(memory, normal(seed, memory.array.size))
            parts = zip(memory.variables, memory.slices, strict=True)
            written = {v: memory.array[p].reshape(v.shape) for v, p in parts if home[v] is memory}
            numbers |= {v: part.copy() for v, part in written.items()}
            grads |= dict.fromkeys(written)
        for v in variables if look else []:  # else they may change more than once, unseen
            assert_same(v.numpy(), numbers[v])
            assert (v.grad is None) == (grads[v] is None)
            if v.grad is not None:
                assert_same(v.grad, grads[v])
        for memory in memories:
            holds_all = all(v._memory is memory for v in memory.variables)
            assert holds_all == all(home[v] is memory for v in memory.variables)
            if holds_all:
                flat = [numbers[v].reshape(-1) for v in memory.variables]
                assert_same(memory.array, np.concatenate(flat))


@given(SEEDS, st.sampled_from(["assign", "set_weights"]))
def test_training_continues_from_weights_that_were_assigned(seed, how):
    layer, sgd = Dense(2), tn.optimizers.SGD(0.5)
    layer.build((None, 3))
    kernel, bias = layer.weights
    sgd.apply([normal(seed, 3, 2), normal(seed + 1, 2)], layer.weights)
    new = [normal(seed + 2, 3, 2), normal(seed + 3, 2)]
    if how == "assign":
        (kernel * bias).sum().backward()
        kernel.assign(new[0])
        assert kernel.grad is None
        assert bias.grad is not None  # only what is assigned forgets its gradient
        bias.assign(new[1])
    else:
        layer.set_weights(new)
    grads = [normal(seed + 4, 3, 2), normal(seed + 5, 2)]
    sgd.apply(grads, layer.weights)
    expected = [n - np.float32(0.5) * g for n, g in zip(new, grads, strict=True)]
    assert_all_same(layer.get_weights(), expected)


# -- steps of optimizers --------------------------------------------------------------------------

OPTIMIZERS = {
    "SGD": lambda: tn.optimizers.SGD(0.25),
    "momentum": lambda: tn.optimizers.SGD(0.25, momentum=0.5),
    "Adam": lambda: tn.optimizers.Adam(0.25),
    "RMSprop": lambda: tn.optimizers.RMSprop(0.25),
}


@over(OPTIMIZERS, "make")
@given(st.booleans(), st.integers(1, 3), SEEDS)
def test_a_tape_built_before_training_keeps_its_numbers_and_gradients(make, built, steps, seed):
    optimizer, x = make(), normal(seed, 5, 3, dtype="float64")
    w, b = (tn.Variable(normal(seed, *shape), "float64") for shape in [(3, 2), (2,)])
    if built:  # else the first step moves them to a new memory
        optimizer.build([w, b])
    before, held = [w.numpy().copy(), b.numpy().copy()], [w.value, b.value]
    y = tn.ops.square(x @ w + b).sum()
    value = y.numpy()
    for step in range(steps):
        optimizer.apply([normal(seed + step, 3, 2), normal(seed, 2)], [w, b])
    assert not np.array_equal(w.numpy(), before[0])
    residual = x @ before[0] + before[1]
    y.backward()
    assert_same(y.numpy(), value)
    assert_all_same([t.numpy() for t in held], before)
    assert_close(held[0].grad, 2 * x.T @ residual)
    assert_close(held[1].grad, 2 * residual.sum(0))
    assert w.grad is b.grad is None  # their numbers have changed


STEPS = st.lists(st.tuples(st.integers(0, 2), SEEDS), max_size=10)


@given(STEPS)
def test_optimizers_that_share_variables_see_each_others_steps(steps):
    lists, momenta = [[0, 1], [1, 2, 3], [4, 1, 0]], [0.5, 0.75, 0.0]
    variables = variables_of("float64")
    optimizers = [tn.optimizers.SGD(0.25, momentum=m) for m in momenta]
    expected = [v.numpy() for v in variables]
    velocities = [{i: np.zeros(SHAPES[i]) for i in places} for places in lists]
    for who, seed in steps:
        grads = [normal(seed + i, *SHAPES[i], dtype="float64") for i in lists[who]]
        optimizers[who].apply(grads, [variables[i] for i in lists[who]])
        for i, g in zip(lists[who], grads, strict=True):
            velocities[who][i] = momenta[who] * velocities[who][i] - 0.25 * g
            expected[i] = expected[i] + velocities[who][i]
    for v, array in zip(variables, expected, strict=True):
        assert_close(v.numpy(), array)


def test_an_optimizer_compiled_again_keeps_its_state_and_a_new_one_starts_fresh():
    model, x = sequential(), normal(0, 8, 3)
    adam = tn.optimizers.Adam(0.1)
    for optimizer, steps in [(adam, 2), (adam, 4), (tn.optimizers.SGD(0.1), 2), (adam, 6)]:
        before = model.get_weights()
        model.compile(optimizer, "mse")
        assert_all_same(model.get_weights(), before)
        model.fit(x, x[:, :1], batch_size=4, verbose=0)
        assert int(optimizer.iterations) == steps


# -- copies ---------------------------------------------------------------------------------------


class Blocks(tn.Model):
    """A model whose layers and variables stand in lists and dicts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = [Dense(3, "tanh"), Dense(3)]
        self.heads = {"mean": Dense(1), "scale": (tn.Variable([0.5], name="scale"),)}

    def call(self, inputs: Any) -> Any:
        for layer in self.inner:
            inputs = inputs + layer(inputs)
        return self.heads["mean"](inputs) * self.heads["scale"][0]


class Add(Layer):
    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1]


def sequential() -> tn.Model:
    return tn.Sequential([Input((3,)), Dense(4, "tanh"), Dense(1)])


def lazy() -> tn.Model:
    return tn.Sequential([Dense(4, "tanh"), Dense(1)])


def graph() -> tn.Model:
    x, shared = Input((3,)), Dense(3, "sigmoid")
    return tn.Model(x, Dense(1)(Add()([shared(shared(x)), x])))


def nested() -> tn.Model:
    frozen = Dense(2, trainable=False)
    return tn.Sequential([Input((3,)), frozen, tn.Sequential([Dense(3, "tanh"), Blocks()])])


MODELS = {f.__name__: f for f in (sequential, lazy, graph, nested, Blocks)}
COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}
X, Y = normal(0, 10, 3), normal(1, 10, 1)


def compiled(model: Any) -> None:
    adam, loss = tn.optimizers.Adam(0.1, amsgrad=True), tn.losses.MeanAbsoluteError()
    model.compile(adam, loss, metrics=["mse"])


def trained(model: Any) -> Any:
    """Train the model and return all that came of it."""
    if not model.compiled:
        compiled(model)
    history = model.fit(X, Y, 4, epochs=2, shuffle=False, verbose=0, validation_split=0.3).history
    return [*everything(model), *map(np.array, history.values())]


STAGES = {
    "new": lambda model: None,
    "called": lambda model: model(X),
    "compiled": compiled,
    "trained": trained,
}


@over(COPIES, "copied")
@over(STAGES, "prepare")
@over(MODELS, "make")
def test_a_copied_model_continues_training_like_the_original_and_does_not_change_it(
    make, prepare, copied
):
    model = make()
    prepare(model)
    twin, before = copied(model), everything(model)
    assert_all_same(everything(twin), before)
    assert [w.path for w in twin.weights] == [w.path for w in model.weights]
    assert len(twin.trainable_weights) == len(model.trainable_weights)
    found = trained(twin)
    if model.built:
        assert_all_same(everything(model), before)
    assert_all_same(trained(model), found)
    assert_all_same(everything(copied(twin)), everything(twin))
    assert not set(model.weights) & set(twin.weights)


@over(COPIES, "copied")
def test_a_copied_variable_has_the_numbers_and_names_but_not_the_memory_nor_the_gradient(copied):
    v = tn.Variable([1.0, 2.0], name="v", path="dense/v")
    memory = Memory([v, tn.Variable(normal(0, 1000))])
    (v * v).sum().backward()
    twin = copied(v)
    assert_same(twin.numpy(), v.numpy())
    assert (twin.name, twin.path, twin.trainable, twin.grad) == ("v", "dense/v", True, None)
    twin.assign([3.0, 4.0])
    write(memory, np.full(1002, 5.0))
    assert_same(v.numpy(), np.array([5.0, 5.0], "float32"))
    assert_same(twin.numpy(), np.array([3.0, 4.0], "float32"))
    assert len(pickle.dumps(v)) < 1000
    assert not copied(tn.Variable(1.0, trainable=False)).trainable


@over(COPIES, "copied")
def test_a_copied_layer_computes_the_same_with_separate_weights(copied):
    layer = Dense(2, "tanh")
    y = layer(X)
    twin = copied(layer)
    assert_same(twin(X), y)
    twin.kernel.assign(0 * twin.kernel)
    assert_same(layer(X), y)
    assert twin.get_config() == layer.get_config()


@over(COPIES, "copied")
def test_a_model_of_many_layers_can_be_copied(copied):
    model = tn.Sequential([Input((2,)), *(Dense(2, "tanh") for _ in range(200))])
    x = Input((2,))
    y = x
    for _ in range(200):
        y = Add()([y, x])
    for deep in (model, tn.Model(x, y)):
        assert_same(copied(deep)(X[:, :2]), deep(X[:, :2]))


# -- values, gradients, substitution ---------------------------------------------------------------


def test_a_tape_keeps_the_numbers_it_was_built_from():
    v = tn.Variable([1.0, 2.0])
    held, y = v.value, (v * v * v).sum()
    v.assign([10.0, 20.0])
    assert y.item() == 1 + 8
    y.backward()
    assert_same(held.grad, np.array([3.0, 12.0], "float32"))  # 3 v^2 at the old numbers
    assert v.grad is None
    (v * v * v).sum().backward()
    assert_same(v.grad, np.array([300.0, 1200.0], "float32"))


VALUES = {
    "list": [3, 4],
    "array": np.array([3.0, 4.0]),
    "whole array": np.array([3, 4]),
    "tensor": tn.tensor([3.0, 4.0]),
    "float64 tensor": tn.tensor(np.array([3.0, 4.0])),
    "tracked tensor": leaf([3.0, 4.0]),
    "variable": tn.Variable([3.0, 4.0]),
}


@over(VALUES, "value")
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_a_variable_converts_a_value_to_its_dtype(value, dtype):
    v = tn.Variable([1, 2], dtype=dtype)
    assert v.assign(value) is v
    assert_same(v.numpy(), np.array([3, 4], dtype))
    assert v.dtype == dtype


def test_an_assigned_tensor_is_not_tied_to_the_variable():
    value, v = leaf([3.0, 4.0]), tn.Variable([1.0, 2.0])
    v.assign(value * 1.0)
    (v * v).sum().backward()
    assert value.grad is None
    assert_same(v.grad, np.array([6.0, 8.0], "float32"))
    v.assign(value).trainable = False
    assert value.requires_grad


@pytest.mark.parametrize("value", [1.0, [1.0], [[1.0, 2.0]], [1.0, 2.0, 3.0], "text", None])
def test_a_variable_refuses_a_value_of_another_shape_and_keeps_its_own(value):
    v = tn.Variable([1.0, 2.0], path="dense/kernel")
    (v * v).sum().backward()
    held, gradient = v.value, v.grad
    words = [] if value in ("text", None) else ["dense/kernel", "(2,)", str(np.shape(value))]
    with refused(ValueError, *words):
        v.assign(value)
    assert v.value is held
    assert v.grad is gradient
    assert_same(v.numpy(), np.array([1.0, 2.0], "float32"))


def test_assign_and_zero_grad_reset_the_gradient_of_a_variable():
    v = tn.Variable(2.0)
    for forget in (lambda: v.assign(3.0), lambda: v.assign(v.value), v.zero_grad):
        (v * v).backward()
        assert v.grad is not None
        forget()
        assert v.grad is None


def test_a_variable_is_a_constant_while_it_is_not_trainable():
    v, t = tn.Variable(2.0, trainable=False), leaf(5.0)
    for trainable in (False, True, False):
        v.trainable = trainable
        assert (v * 1.0).requires_grad == v.trainable == trainable
        (v * t).backward()
        assert (v.grad is not None) == trainable
        assert v.numpy() == 2.0
    assert t.grad == 3 * 2.0


def test_a_tape_built_before_a_variable_was_frozen_still_has_its_gradient():
    v = tn.Variable(3.0)
    held, y = v.value, v * v
    v.trainable = False
    y.backward()
    assert held.grad == 6.0
    assert v.grad is None


@pytest.mark.parametrize("dtype", WHOLE)
def test_an_integer_variable_has_no_gradient(dtype):
    v = tn.Variable(1, dtype)
    assert v.assign(tn.ops.logical_or(v.value, v.value > 0)).numpy() == 1
    assert not v.value.requires_grad
    assert v.dtype == dtype
    v.trainable = True
    assert not v.value.requires_grad


def test_a_variable_has_a_name_a_path_and_the_shape_of_its_value():
    v = tn.Variable(np.ones((2, 3)), name="kernel", path="dense/kernel")
    assert (v.name, v.path, v.shape, v.ndim, v.size) == ("kernel", "dense/kernel", (2, 3), 2, 6)
    assert tn.Variable(1.0, name="bias").path == "bias"
    assert all(word in repr(v) for word in ("dense/kernel", "(2, 3)", "float64"))


def test_variables_are_substituted_only_inside_stateless():
    v, other, stand_in = tn.Variable(2.0), tn.Variable(7.0), leaf(5.0)
    with stateless({v: stand_in}):
        assert v.value is stand_in
        assert other.numpy() == 7.0
        (v * v * other).backward()
        assert v.numpy() == float(v) == 5.0
    assert v.numpy() == 2.0
    assert stand_in.grad == 2 * 5 * 7
    assert other.grad == 25.0
    assert v.grad is None


def test_stateless_nests_and_is_undone_by_an_exception():
    v, w = tn.Variable(1.0), tn.Variable(2.0)
    with stateless({v: tn.tensor(10.0)}):
        with pytest.raises(ZeroDivisionError), stateless({v: tn.tensor(20.0), w: tn.tensor(0.0)}):
            float(v) / float(w)
        assert (float(v), float(w)) == (10.0, 2.0)
        with stateless({w: tn.tensor(40.0)}):
            assert (float(v), float(w)) == (10.0, 40.0)
    assert (float(v), float(w)) == (1.0, 2.0)


@given(hnp.arrays("float64", (2,), elements=st.floats(-2, 2)))
def test_a_network_is_a_function_of_its_variables(a):
    v = tn.Variable([1.0, 2.0])

    def loss(value):
        with stateless({v: value}):
            return (v * v * v).sum()

    assert_close(tn.grad(loss)(a), 3 * a**2)
    assert_close(tn.hessian(loss)(a), np.diag(6 * a))
