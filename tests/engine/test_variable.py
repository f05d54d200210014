"""Variables in memories: moved, updated together, taken over, copied, pickled, and trained on."""

import copy
import pickle
from typing import Any

import numpy as np
from helpers import assert_all_same, assert_close, assert_same, everything, normal, over
from hypothesis import example, given, settings, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet.engine.variable import Memory
from tinynet.layers import Dense, Input, Layer

# -- memories -------------------------------------------------------------------------------------

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
def test_a_variable_holds_what_it_was_last_given_wherever_it_lives(actions):
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
            assert memory.holds_all() == all(home[v] is memory for v in memory.variables)
            if memory.holds_all():
                flat = [numbers[v].reshape(-1) for v in memory.variables]
                assert_same(memory.array, np.concatenate(flat))


@given(SEEDS, st.sampled_from(["assign", "set_weights"]))
def test_what_is_assigned_to_weights_in_training_is_what_training_goes_on_from(seed, how):
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
def test_a_graph_built_before_steps_keeps_its_numbers_and_its_gradients(make, built, steps, seed):
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
    assert w.grad is b.grad is None  # they hold other numbers by now


STEPS = st.lists(st.tuples(st.integers(0, 2), SEEDS), max_size=10)


@given(STEPS)
def test_optimizers_that_share_variables_all_go_on_from_each_others_steps(steps):
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


def test_an_optimizer_that_is_compiled_again_keeps_its_state_and_another_starts_anew():
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
def test_a_copy_of_a_model_trains_on_as_the_original_would_and_leaves_it_alone(
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
def test_a_copied_layer_computes_the_same_with_weights_of_its_own(copied):
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
