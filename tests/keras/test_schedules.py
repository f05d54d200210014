"""Schedules compared with Keras: values at many steps, configs, and training."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from side_by_side import assert_agree, assert_both_agree, in_both, numbers

import tinynet as tn

RATES, LENGTHS = st.floats(1e-4, 1.0), st.integers(1, 40)
STAIRS = {
    "initial_learning_rate": RATES,
    "decay_steps": LENGTHS,
    "decay_rate": st.floats(0.1, 1.0),
    "staircase": st.booleans(),
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "ExponentialDecay": STAIRS,
    "InverseTimeDecay": STAIRS,
    "PolynomialDecay": {
        "initial_learning_rate": RATES,
        "decay_steps": LENGTHS,
        "end_learning_rate": RATES,
        "power": st.floats(0.5, 3.0),
        "cycle": st.booleans(),
    },
    "CosineDecay": {
        "initial_learning_rate": RATES,
        "decay_steps": LENGTHS,
        "alpha": st.floats(0.0, 1.0),
        "warmup_target": st.none() | RATES,
        "warmup_steps": st.integers(0, 20),
    },
    "CosineDecayRestarts": {
        "initial_learning_rate": RATES,
        "first_decay_steps": LENGTHS,
        "t_mul": st.sampled_from([1.0, 2.0]),
        "m_mul": st.floats(0.5, 1.0),
        "alpha": st.floats(0.0, 1.0),
    },
}


@st.composite
def pieces(draw: Any) -> dict[str, Any]:
    boundaries = draw(st.lists(st.integers(0, 60), min_size=1, max_size=4, unique=True).map(sorted))
    n = len(boundaries) + 1
    return {"boundaries": boundaries, "values": draw(st.lists(RATES, min_size=n, max_size=n))}


SCHEDULES = st.one_of(
    st.tuples(st.just("PiecewiseConstantDecay"), pieces()),
    *(st.tuples(st.just(name), st.fixed_dictionaries(a)) for name, a in ARGUMENTS.items()),
)


def made(lib: Any, schedule: Any) -> Any:
    name, arguments = schedule
    return getattr(lib.optimizers.schedules, name)(**arguments)


@settings(max_examples=25)
@given(SCHEDULES)
def test_the_values_and_config_of_a_schedule_equal_keras(schedule):
    mine, theirs = made(tn, schedule), made(keras, schedule)
    steps = np.arange(120, dtype="int32")
    if schedule[1].get("cycle"):  # XLA divides by multiplying with a reciprocal that is rounded,
        steps = steps[steps % schedule[1]["decay_steps"] != 0]  # which may round ceil(3) to 4
    expected = np.array(keras.ops.vectorized_map(theirs, steps))
    # The cosine of pi, and differences of two rates, are as exact as the largest rate.
    assert_agree(np.array([mine(step) for step in steps]), expected, 2e-6)
    assert mine.get_config() == theirs.get_config()
    config = tn.optimizers.schedules.serialize(mine)
    assert config == keras.optimizers.schedules.serialize(theirs)
    again = keras.optimizers.schedules.deserialize(config)
    assert tn.optimizers.schedules.serialize(tn.optimizers.schedules.deserialize(config)) == config
    assert float(again(20)) == float(theirs(20))


EXAMPLES: list[Any] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("PiecewiseConstantDecay", {"boundaries": [2, 5], "values": [0.1, 0.02, 0.2]}),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 6,
            "alpha": 0.1,
            "warmup_target": 0.2,
            "warmup_steps": 3,
        },
    ),
]


def own(lib: Any) -> Any:
    """Return a custom schedule."""

    class Noam(lib.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            done = lib.ops.cast(step, "float32") + 1.0
            return 0.1 * lib.ops.minimum(done**-0.5, done * 4.0**-1.5)

    return Noam()


@pytest.mark.parametrize(
    ("schedule", "kind"),
    [(EXAMPLES[0], "SGD"), (EXAMPLES[1], "Adam"), (EXAMPLES[2], "Adam"), (None, "SGD")],
)
def test_training_with_a_schedule_equals_keras(schedule, kind, run_eagerly):
    x, y = numbers(0, 16, 3), numbers(1, 16, 1)

    def run(lib: Any) -> Any:
        rate = made(lib, schedule) if schedule else own(lib)
        optimizer = getattr(lib.optimizers, kind)(rate, weight_decay=0.01)
        model = lib.Sequential([lib.layers.Input((3,)), lib.layers.Dense(1, activation="tanh")])
        model.compile(optimizer, "mse", run_eagerly=run_eagerly[lib])
        history = model.fit(x, y, 8, 4, 0, validation_data=(x, y)).history
        state = [np.array(v.numpy()) for v in optimizer.variables]
        return [history, model.get_weights(), state, float(optimizer.learning_rate)]

    assert_both_agree(run)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda s: s[0])
def test_the_config_of_an_optimizer_contains_that_of_its_schedule(schedule):
    def run(lib: Any) -> Any:
        optimizer = lib.optimizers.Adam(made(lib, schedule))
        again = lib.optimizers.Adam.from_config(optimizer.get_config())
        return [lib.optimizers.serialize(optimizer), float(again.learning_rate)]

    mine, theirs = in_both(run)
    assert mine == theirs


def test_a_schedule_can_be_replaced_by_a_schedule_but_not_by_a_number():
    def run(lib: Any) -> Any:
        optimizer = lib.optimizers.SGD(0.5)
        counts = [len(optimizer.variables)]
        for schedule in EXAMPLES[:2]:
            optimizer.learning_rate = made(lib, schedule)
            counts.append(len(optimizer.variables))
            with pytest.raises(TypeError):
                optimizer.learning_rate = 0.25
        return [counts, float(optimizer.learning_rate)]

    assert_both_agree(run)


WRONG: list[Any] = [
    ("ExponentialDecay", (0.1, 0, 0.5)),
    ("InverseTimeDecay", (0.1, -1, 0.5)),
    ("PolynomialDecay", (0.1, 0)),
    ("CosineDecay", (0.1, 0)),
    ("CosineDecayRestarts", (0.1, 0)),
    ("PiecewiseConstantDecay", ([1, 2], [0.1])),
]


@pytest.mark.parametrize(("name", "arguments"), WRONG)
def test_wrong_arguments_are_refused_with_the_messages_of_keras(name, arguments):
    messages = []
    for lib in (tn, keras):
        with pytest.raises(ValueError, match="Received") as caught:
            getattr(lib.optimizers.schedules, name)(*arguments)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
