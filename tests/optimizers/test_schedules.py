"""Schedules: their formulas, and the learning rate of each step, eager and compiled."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, everything, normal, over, refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet import ops
from tinynet.layers import Dense, Input
from tinynet.optimizers import SGD, Adam, schedules

RATES, SHARES = st.floats(1e-3, 1.0), st.floats(0.1, 1.0)
LENGTHS, STEPS = st.integers(1, 20), st.integers(0, 60)


def exponential(i: float, d: int, r: float, stairs: bool) -> Any:
    schedule = schedules.ExponentialDecay(i, d, r, stairs)
    return schedule, lambda s: i * r ** (s // d if stairs else s / d)


def inverse(i: float, d: int, r: float, stairs: bool) -> Any:
    schedule = schedules.InverseTimeDecay(i, d, r, stairs)
    return schedule, lambda s: i / (1 + r * (s // d if stairs else s / d))


def polynomial(i: float, d: int, power: float, cycle: bool) -> Any:
    end = i / 8
    schedule = schedules.PolynomialDecay(i, d, end, power, cycle)

    def formula(s: int) -> float:
        whole = d * max(1, math.ceil(s / d)) if cycle else d
        return (i - end) * (1 - min(s, whole) / whole) ** power + end

    return schedule, formula


def cosine(i: float, d: int, alpha: float, warm: bool) -> Any:
    schedule = schedules.CosineDecay(
        i, d, alpha, warmup_target=2 * i if warm else None, warmup_steps=d // 2
    )

    def formula(s: int) -> float:
        peak, w = (2 * i, d // 2) if warm else (i, 0)
        if s < w:
            return i + (peak - i) * s / w
        wave = (1 + math.cos(math.pi * min(s - w, d) / d)) / 2
        return peak * ((1 - alpha) * wave + alpha)

    return schedule, formula


def restarts(i: float, d: int, alpha: float, longer: bool) -> Any:
    schedule = schedules.CosineDecayRestarts(i, d, 2.0 if longer else 1.0, 0.5, alpha)

    def formula(s: int) -> float:
        length, peak = d, 1.0
        while s >= length:
            s, length, peak = s - length, length * (2 if longer else 1), peak / 2
        return i * ((1 - alpha) * peak * (1 + math.cos(math.pi * s / length)) / 2 + alpha)

    return schedule, formula


FORMULAS = st.sampled_from([exponential, inverse, polynomial, cosine, restarts])


@given(FORMULAS, RATES, LENGTHS, SHARES, st.booleans())
def test_a_schedule_is_its_formula_in_float32(kind, i, d, share, flag):
    schedule, formula = kind(i, d, share, flag)
    for step in range(60):
        found = schedule(step)
        assert found == float(np.float32(found))
        assert found == pytest.approx(formula(step), rel=1e-5, abs=1e-6 * i)


@given(st.lists(STEPS, min_size=1, max_size=4, unique=True).map(sorted), STEPS)
def test_a_boundary_step_has_the_value_before_the_boundary(boundaries, step):
    values = [1 / (n + 1) for n in range(len(boundaries) + 1)]
    place = next((n for n, b in enumerate(boundaries) if step <= b), len(boundaries))
    found = schedules.PiecewiseConstantDecay(boundaries, values)(step)
    assert found == float(np.float32(values[place]))


def test_a_step_may_be_a_tensor_or_a_variable():
    schedule = schedules.ExponentialDecay(0.5, 2, 0.25)
    for step in (2, np.int64(2), tn.tensor(2.0), tn.Variable(2), SGD(0.1).iterations + 2):
        assert schedule(step) == 0.125


WRONG = {
    "ExponentialDecay": (0.1, 0, 0.5),
    "InverseTimeDecay": (0.1, -1, 0.5),
    "PolynomialDecay": (0.1, 0),
    "CosineDecay": (0.1, 0),
    "CosineDecayRestarts": (0.1, 0),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_decay_over_no_steps_is_refused(kind):
    with refused(ValueError, "decay_steps", "> 0", str(WRONG[kind][1])):
        getattr(schedules, kind)(*WRONG[kind])


def test_incomplete_schedules_are_refused():
    with refused(ValueError, "boundaries=[1, 2] of length 2", "values=[0.1] of length 1"):
        schedules.PiecewiseConstantDecay([1, 2], [0.1])
    for method, arguments in (("__call__", (0,)), ("get_config", ())):
        with pytest.raises(NotImplementedError, match=f"LearningRateSchedule.*{method}"):
            getattr(schedules.LearningRateSchedule(), method)(*arguments)


# -- schedules of optimizers -----------------------------------------------------------------------


def halving(i: float = 0.5) -> Any:
    return schedules.ExponentialDecay(i, 1, 0.5)


def test_the_rate_of_a_step_is_the_schedule_at_the_number_of_earlier_steps():
    sgd, w = SGD(halving()), tn.Variable(0.0)
    seen = []
    for _ in range(4):
        seen.append(sgd.learning_rate)
        sgd.apply([np.float32(-1.0)], [w])
    assert seen == [0.5, 0.25, 0.125, 0.0625]
    assert float(w) == sum(seen)
    assert [v.name for v in sgd.variables] == ["iteration"]  # and no variable for the rate
    sgd.iterations.assign(1)
    assert sgd.learning_rate == 0.25


def test_a_schedule_can_replace_a_number_but_not_the_other_way_round():
    sgd = SGD(0.5)
    assert [v.name for v in sgd.variables] == ["iteration", "learning_rate"]
    sgd.learning_rate = halving(0.25)
    assert ([v.name for v in sgd.variables], sgd.learning_rate) == (["iteration"], 0.25)
    sgd.learning_rate = halving(0.125)
    for number in (0.1, 1, tn.Variable(0.5)):
        with refused(TypeError, "schedule", str(number)):
            sgd.learning_rate = number
    for wrong in ("0.1", None, [0.1], schedules.ExponentialDecay):
        with refused(ValueError, "learning_rate", "LearningRateSchedule", str(wrong)):
            sgd.learning_rate = wrong
    assert sgd.learning_rate == 0.125


class Own(schedules.LearningRateSchedule):
    """A user's schedule that calls a function."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, step: Any) -> Any:
        return self.function(step)


WARMUP = 4.0
OWN = {
    "arithmetic": lambda s: 0.5 / (s + 1),
    "integers": lambda s: 0.5 if s % 2 else 0.25 * (s // 2 + 1),
    "math": lambda s: 0.5 * math.exp(-s / 3),
    "NumPy": lambda s: np.minimum(0.5, 0.1 * np.sqrt(s)),
    "float64": lambda s: np.float64(0.1),
    "tensors": lambda s: ops.minimum(ops.cast(s, "float32") / WARMUP, 1.0) * 0.5,
    "Noam's": lambda s: 0.1 * ops.minimum((s + 1) ** -0.5, (s + 1) * WARMUP**-1.5),
    "where": lambda s: ops.where(ops.cast(s, "float32") < 2, 0.5, ops.cos(s * 0.1)),
    "another schedule": lambda s: ops.maximum(halving()(s), 0.1),
    "an integer": lambda s: 1,
}


@over(OWN, "function")
def test_a_users_schedule_may_compute_in_any_way(function):
    sgd = SGD(Own(function))
    for step in range(6):
        sgd.iterations.assign(step)
        assert type(sgd.learning_rate) is float
        assert sgd.learning_rate == float(np.float32(float(function(step))))


X, Y = normal(0, 20, 3), normal(1, 20, 1)


def network(rate: Any, eager: bool, kind: Any = SGD) -> tn.Model:
    tn.utils.set_random_seed(0)
    model = tn.Sequential([Input((3,)), Dense(4, "tanh"), Dense(1)])
    model.compile(kind(rate), "mse", run_eagerly=eager)
    return model


class Assigned(tn.callbacks.Callback):
    """Assigns a new rate before the batches with these indices."""

    def __init__(self, rates: dict[int, Any]) -> None:
        super().__init__()
        self.rates = rates
        self.batch = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.batch in self.rates:
            self.model.optimizer.learning_rate = self.rates[self.batch]
        self.batch += 1


def fitted(rate: Any, eager: bool, rates: Any, kind: Any = SGD) -> list[np.ndarray]:
    model = network(rate, eager, kind)
    model.fit(X, Y, 8, epochs=3, verbose=0, callbacks=[Assigned(rates)])
    return everything(model)


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("eager", [True, False])
def test_a_fit_on_a_schedule_equals_one_with_assigned_rates(kind, eager):
    schedule = schedules.CosineDecay(0.3, 8)
    expected = fitted(0.0, eager, {step: schedule(step) for step in range(9)}, kind)
    found = fitted(schedule, eager, {}, kind)
    assert_all_same(
        found, [*expected[:4], expected[4], *expected[6:]]
    )  # a rate has a variable, a schedule has none
    assert_all_same(found, fitted(schedule, not eager, {}, kind))


@pytest.mark.parametrize("first", [0.5, halving()])
@pytest.mark.parametrize("eager", [True, False])
def test_a_schedule_assigned_during_fit_holds_from_that_step(first, eager):
    later = schedules.InverseTimeDecay(0.5, 1, 1.0)
    found = fitted(first, eager, {4: later})
    rates = [float(first) if isinstance(first, float) else first(s) for s in range(4)]
    rates += [later(s) for s in range(4, 9)]
    expected = fitted(0.0, eager, dict(enumerate(rates)))
    assert_all_same(found, [*expected[:5]])


# -- configs ---------------------------------------------------------------------------------------

MADE = {
    "exponential": schedules.ExponentialDecay(0.1, 10, 0.5, True, "mine"),
    "inverse": schedules.InverseTimeDecay(0.1, 10, 0.5),
    "polynomial": schedules.PolynomialDecay(0.1, 10, 0.01, 2.0, True),
    "piecewise": schedules.PiecewiseConstantDecay([10, 20], [0.1, 0.05, 0.01]),
    "cosine": schedules.CosineDecay(0.1, 10, 0.1, warmup_target=0.2, warmup_steps=5),
    "restarts": schedules.CosineDecayRestarts(0.1, 10, 1.5, 0.9, 0.1),
}


@over(MADE, "schedule")
def test_a_schedule_survives_its_config_and_copies(schedule):
    config = schedule.get_config()
    optimizer = Adam(schedule, name="a")
    for again in (
        type(schedule).from_config(config),
        schedules.deserialize(schedules.serialize(schedule)),
        Adam.from_config(optimizer.get_config())._rate,
        tn.optimizers.get(tn.optimizers.serialize(optimizer))._rate,
        copy.deepcopy(optimizer)._rate,
        pickle.loads(pickle.dumps(schedule)),
    ):
        assert type(again) is type(schedule)
        assert again.get_config() == config
        assert len({again, schedule}) == 2  # each is equal to itself alone, as in Keras
        assert [again(step) for step in range(30)] == [schedule(step) for step in range(30)]


class Linear(schedules.LearningRateSchedule):
    def __init__(self, slope: float) -> None:
        self.slope = slope

    def __call__(self, step: Any) -> Any:
        return self.slope * step

    def get_config(self) -> dict[str, Any]:
        return {"slope": self.slope}


def test_a_users_schedule_is_rebuilt_if_its_class_is_given():
    config = SGD(Linear(0.5)).get_config()
    assert config["learning_rate"]["class_name"] == "Linear"
    before = copy.deepcopy(config)
    again = SGD.from_config(config, {"Linear": Linear})
    assert again._rate.slope == 0.5
    assert config == before
    with refused(ValueError, "Linear"):
        SGD.from_config(config)
