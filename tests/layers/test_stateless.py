"""`stateless_call` and `stateless_apply`: pure functions, under every derivative and compiled."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_same, everything, normal, refused
from hypothesis import given, settings
from strategies import SEEDS

import tinynet as tn
from tinynet.layers import Dense, Dropout, Layer

X, Y = normal(1, 8, 3), normal(2, 8, 1)
OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda: tn.optimizers.SGD(0.1),
    "momentum": lambda: tn.optimizers.SGD(0.1, momentum=0.9, clipvalue=0.01),
    "Adam": lambda: tn.optimizers.Adam(0.1, amsgrad=True, global_clipnorm=0.1),
    "AdamW": lambda: tn.optimizers.AdamW(0.1, weight_decay=0.1),
    "RMSprop": lambda: tn.optimizers.RMSprop(0.1, momentum=0.5, centered=True),
    "Nadam": lambda: tn.optimizers.Nadam(0.1, use_ema=True, ema_overwrite_frequency=2),
    "sums": lambda: tn.optimizers.Nadam(0.1, gradient_accumulation_steps=2),
    "Adagrad": lambda: tn.optimizers.Adagrad(0.1),
    "schedule": lambda: tn.optimizers.Adam(tn.optimizers.schedules.CosineDecay(0.1, 4)),
    "function": lambda: tn.optimizers.SGD(lambda: 0.05),
}


class Counter(Layer):
    """Passes its inputs on and counts its calls, in a variable that is trainable or not."""

    def __init__(self, trainable: bool) -> None:
        super().__init__()
        self.calls = self.add_weight((), "zeros", trainable=trainable, name="calls")

    def call(self, inputs: Any) -> Any:
        self.calls.assign(self.calls + 1.0)
        return inputs


def numbers(variables: Any) -> list[np.ndarray]:
    return [v.numpy() for v in variables]


def network(*more: Layer) -> Any:
    tn.utils.set_random_seed(0)
    return tn.Sequential([tn.Input((3,)), Dense(4, "tanh"), *more, Dense(1)])


def loop(model: Any, optimizer: Any, jit: Any, steps: int) -> tuple[Any, Any]:
    """Return the state after some steps of a hand-written loop, and its step function."""
    optimizer.build(model.trainable_variables)

    def loss(weights: Any, others: Any, x: Any, y: Any) -> Any:
        y_pred, others = model.stateless_call(weights, others, x, training=True)
        return tn.losses.MeanSquaredError()(y, y_pred), others

    @jit
    def step(weights: Any, others: Any, slots: Any, x: Any, y: Any) -> Any:
        by_weights = tn.value_and_grad(loss, has_aux=True)
        (value, others), grads = by_weights(weights, others, x, y)
        weights, slots = optimizer.stateless_apply(slots, grads, weights)
        return value, weights, others, slots

    parts = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    state: Any = [numbers(part) for part in parts]
    for _ in range(steps):
        _, *state = step(*state, X, Y)
    return [v.numpy() for part in state for v in part], step


@pytest.mark.parametrize("jit", [tn.jit, lambda f: f], ids=["compiled", "eager"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hand_written_loop_takes_the_steps_of_fit_bit_for_bit(name, jit):
    steps = 6
    fitted, looped = network(Dropout(0.5, seed=1)), network(Dropout(0.5, seed=1))
    fitted.compile(OPTIMIZERS[name](), "mse")
    fitted.fit(X, Y, batch_size=len(X), epochs=steps, shuffle=False, verbose=0)
    before = looped.get_weights()
    state, step = loop(looped, OPTIMIZERS[name](), jit, steps)
    variables = [*fitted.trainable_variables, *fitted.non_trainable_variables]
    assert_all_same(state, numbers([*variables, *fitted.optimizer.variables]))
    assert_all_same(looped.get_weights(), before)
    assert getattr(step, "compilations", 1) == 1


def test_the_python_function_of_a_compiled_loop_runs_once():
    calls = []

    def jit(step: Any) -> Any:
        return tn.jit(lambda *args: calls.append(1) or step(*args))

    loop(network(), tn.optimizers.Adam(0.1), jit, 5)
    assert len(calls) == 1


def test_a_changed_attribute_of_the_optimizer_is_seen_by_the_compiled_step():
    def run(jit: Any) -> Any:
        sgd = tn.optimizers.SGD(0.1, momentum=0.5)
        w = tn.Variable([1.0, 2.0])
        sgd.build([w])
        step = jit(lambda state, w: sgd.stateless_apply(state, [w], [w]))
        found = []
        for momentum in (0.5, 0.25):
            sgd.momentum = momentum
            (new,), state = step([np.int32(3), np.float32(0.1), np.ones(2, "f4")], w.numpy())
            found += [new.numpy(), *numbers(state)]
        return found

    assert_all_same(run(tn.jit), run(lambda f: f))


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_outputs_are_those_of_the_model_that_has_the_given_weights(seed):
    model, other = network(), network()
    weights = [normal(seed + i, *w.shape) for i, w in enumerate(model.weights)]
    other.set_weights(weights)
    outputs, states = model.stateless_call(weights, [], X)
    assert_same(outputs.numpy(), other(X).numpy())
    assert states == []


def test_every_derivative_goes_through_a_stateless_call():
    model = network()
    weights = numbers(model.trainable_variables)

    def loss(weights: Any) -> Any:
        return tn.ops.mean((model.stateless_call(weights, [], X)[0] - Y) ** 2)

    model.compile("sgd", "mse")
    loss_of_variables = model.compute_loss(X, Y, model(X))
    loss_of_variables.backward()
    expected = [v.grad for v in model.trainable_variables]
    assert_all_same([g.numpy() for g in tn.grad(loss)(weights)], expected)
    assert_all_same([g.numpy() for g in tn.jit(tn.grad(loss))(weights)], expected)
    value, pullback = tn.vjp(loss, weights)
    assert_all_same([g.numpy() for g in pullback(np.float32(1.0))[0]], expected)
    assert_same(value.numpy(), loss_of_variables.numpy())


def test_new_values_are_returned_and_the_variables_keep_theirs():
    model = network(Counter(trainable=False), Dropout(0.5, seed=1))
    model.compile("adam", "mse")
    before, states = everything(model), numbers(model.non_trainable_variables)
    _, new = model.stateless_call(model.trainable_variables, states, X, training=True)
    changed = [v.path for v, a in zip(model.non_trainable_variables, new, strict=True)
               if not np.array_equal(v.numpy(), a.numpy())]  # fmt: skip
    assert len(changed) == 2  # the count, and the state of the random generator
    assert_all_same(everything(model), before)


def test_losses_that_layers_add_are_returned_when_asked_for_and_do_not_pile_up():
    layer = Dense(1, kernel_regularizer="l2", activity_regularizer="l1")
    model = tn.Sequential([tn.Input((3,)), layer])
    weights = [np.ones_like(v.numpy()) for v in model.trainable_variables]
    for _ in range(2):
        *_, losses = model.stateless_call(weights, [], np.ones((2, 3)), return_losses=True)
        # activity: 2 outputs of 4, times 0.01, over 2 samples; kernel: 3 ones, times 0.01
        np.testing.assert_allclose([float(x) for x in losses], [0.04, 0.03], rtol=1e-6)
    assert len(model.losses) == 1  # the kernel's alone: the model itself was not called


def test_a_gradient_flows_through_a_step_to_the_gradients_and_weights():
    sgd = tn.optimizers.SGD(0.5)
    sgd.build([tn.Variable([1.0, 2.0])])
    state = numbers(sgd.variables)

    def after(w: Any) -> Any:
        (new,), _ = sgd.stateless_apply(state, [w * w], [w])
        return tn.ops.sum(new)

    # d (w - w ** 2 / 2) / dw = 1 - w
    assert_same(tn.grad(after)(np.array([3.0, 5.0], "f4")).numpy(), np.array([-2, -4], "f4"))


def test_wrong_values_are_refused_and_name_the_argument():
    model = network(Counter(trainable=False))
    weights, states = numbers(model.trainable_variables), numbers(model.non_trainable_variables)
    with refused(ValueError, "trainable_variables", "4 variables", "received 3"):
        model.stateless_call(weights[1:], states, X)
    with refused(ValueError, "non_trainable_variables", "1 variables", "received 0"):
        model.stateless_call(weights, [], X)
    with refused(ValueError, "trainable_variables[0]", "/kernel", "(3, 4)", "(4, 3)"):
        model.stateless_call([weights[0].T, *weights[1:]], states, X)
    with refused(ValueError, "trainable_variables", "received None"):
        model.stateless_call(None, states, X)
    with refused(ValueError, "built"):
        tn.Sequential([Dense(1)]).stateless_call([], [], X)
    with refused(TypeError, "calls", "trainable=False"):
        trained = network(Counter(trainable=True))
        trained.stateless_call(trained.trainable_variables, [], X)


def test_an_optimizer_refuses_wrong_values_too():
    adam, w = tn.optimizers.Adam(), tn.Variable([1.0, 2.0])
    with refused(ValueError, "stateless_apply", "build"):
        adam.stateless_apply([], [], [])
    adam.build([w])
    state = numbers(adam.variables)
    with refused(ValueError, "optimizer_variables", "received 1"):
        adam.stateless_apply(state[:1], [[1.0, 1.0]], [w])
    with refused(ValueError, "grads", "received 0"):
        adam.stateless_apply(state, [], [w])
    with refused(ValueError, "grads", "(3,)"):
        adam.stateless_apply(state, [[1.0, 1.0, 1.0]], [w])
    v, both = tn.Variable(3.0, name="v"), tn.optimizers.SGD(0.5)
    both.build([w, v])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        (_, kept), _ = both.stateless_apply(numbers(both.variables), [[1.0, 1.0], None], [w, v])
    assert float(kept) == 3.0
