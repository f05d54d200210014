"""Optimizers against their formulas in NumPy, the order of operations in a step, and state."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, assert_same, everything, normal, over, refused
from hypothesis import given, settings, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import ops
from tinynet.layers import Dense, Input
from tinynet.optimizers import SGD, Adagrad, Adam, Adamax, AdamW, Nadam, Optimizer, RMSprop

SHAPES = [(2, 3), (3,), (), (4, 1)]


def variables_of(seed: int, dtype: str = "float64", shapes: Any = SHAPES) -> list[tn.Variable]:
    arrays = (normal(seed + i, *shape, dtype=dtype) for i, shape in enumerate(shapes))
    return [tn.Variable(a, name=f"v{i}", path=f"layer/v{i}") for i, a in enumerate(arrays)]


def gradients_of(seed: int, dtype: str = "float64") -> list[np.ndarray]:
    return [normal(seed + 50 + i, *shape, dtype=dtype) for i, shape in enumerate(SHAPES)]


# -- the formulas ----------------------------------------------------------------------------------

# Learning rates, momenta and betas have few bits, so that rounding them and their small powers to
# float32 changes nothing, and only the formula is tested.
RATES = st.sampled_from([0.5, 0.125, 2.0**-7])
SHARES = st.sampled_from([0.0, 0.5, 0.75, 0.875])
SIZES = st.sampled_from([1e-7, 0.01, 0.5])

Change = Callable[..., tuple[np.ndarray, tuple[np.ndarray, ...]]]


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Change:
    def change(t: int, rate: float, g: np.ndarray, m: np.ndarray) -> Any:
        m = momentum * m - rate * g
        return (momentum * m - rate * g if nesterov else m), (m,)

    return change


def adam(beta_1: float, beta_2: float, epsilon: float, amsgrad: bool = False) -> Change:
    def change(t: int, rate: float, g: np.ndarray, m: np.ndarray, u: np.ndarray, h: Any) -> Any:
        m = beta_1 * m + (1 - beta_1) * g
        u = beta_2 * u + (1 - beta_2) * g * g
        h = np.maximum(h, u) if amsgrad else u
        alpha = rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return -alpha * m / (np.sqrt(h) + epsilon), (m, u, h)

    return change


def rmsprop(rho: float, momentum: float, epsilon: float, centered: bool = False) -> Change:
    def change(t: int, rate: float, g: np.ndarray, u: np.ndarray, a: Any, m: Any) -> Any:
        u = rho * u + (1 - rho) * g * g
        a = rho * a + (1 - rho) * g
        m = momentum * m + rate * g / np.sqrt(u - (a * a if centered else 0) + epsilon)
        return -m, (u, a, m)

    return change


def clipped(grads: list[np.ndarray], clip: dict[str, float]) -> list[np.ndarray]:
    norms = [np.sqrt((g * g).sum()) for g in grads]
    if "clipvalue" in clip:
        return [np.clip(g, -clip["clipvalue"], clip["clipvalue"]) for g in grads]
    if c := clip.get("clipnorm"):
        return [g * min(1, c / n) if n else g for g, n in zip(grads, norms, strict=True)]
    if c := clip.get("global_clipnorm"):
        total = np.sqrt(sum(n * n for n in norms))
        return [g * min(1, c / total) if total else g for g in grads]
    return grads


@st.composite
def optimizers(draw: Any) -> tuple[Callable[..., Optimizer], dict[str, Any], Change]:
    """Draw an optimizer's class, its options, and its update in NumPy."""
    flag, momentum = draw(st.booleans()), draw(SHARES)
    beta_1, beta_2, epsilon = draw(SHARES), draw(SHARES), draw(SIZES)
    kind = draw(st.sampled_from([SGD, Adam, RMSprop]))
    if kind is SGD:
        options = {"momentum": momentum, "nesterov": flag}
        return SGD, options, sgd(**options)
    if kind is Adam:
        options = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": flag}
        return Adam, options, adam(**options)
    options = {"rho": beta_1, "momentum": momentum, "epsilon": epsilon, "centered": flag}
    return RMSprop, options, rmsprop(**options)


CLIPS = st.sampled_from(
    [{}, {}, {"clipvalue": 0.25}, {"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipnorm": 99.0}]
)
DECAYS = st.sampled_from([{}, {"weight_decay": 0.25}])


@settings(max_examples=5 * settings.default.max_examples)
@given(
    optimizer=optimizers(),
    clip=CLIPS,
    decay=DECAYS,
    rates=st.lists(RATES, min_size=1, max_size=4),
    missing=st.sets(st.integers(0, 3), max_size=3),
    exempt=st.sets(st.integers(0, 3)),
    still=st.booleans(),
    seed=SEEDS,
)
def test_a_step_clips_then_decays_then_updates_by_the_formulas(
    optimizer, clip, decay, rates, missing, exempt, still, seed
):
    kind, options, change = optimizer
    made = kind(learning_rate=rates[0], **options, **clip, **decay)
    variables = variables_of(seed)
    made.exclude_from_weight_decay([variables[i] for i in exempt])
    expected = [v.numpy() for v in variables]
    present = [i for i in range(len(SHAPES)) if i not in missing]
    slots: dict[int, Any] = {i: [np.zeros(SHAPES[i])] * 3 for i in present}
    for t, rate in enumerate(rates, start=1):
        made.learning_rate = rate
        grads = [0 * g if still else g for g in gradients_of(seed + t)]
        given_grads = [None if i in missing else g for i, g in enumerate(grads)]
        with pytest.warns(UserWarning, match="v0|v1|v2|v3") if missing else nullcontext():
            steps = made.apply(given_grads, variables)
        assert int(steps) == t
        smaller = clipped([grads[i] for i in present], clip)
        for i, g in zip(present, smaller, strict=True):
            if decay and i not in exempt:
                expected[i] = expected[i] - 0.25 * rate * expected[i]
            count = change.__code__.co_argcount - 3
            delta, slots[i] = change(t, rate, g, *slots[i][:count])
            expected[i] = expected[i] + delta
    for v, array in zip(variables, expected, strict=True):
        assert_close(v.numpy(), array, 1e-10, 1e-10)


@given(st.booleans(), SHARES, SHARES, SIZES, CLIPS, st.sampled_from([0.0, 0.004, 0.25]), SEEDS)
def test_adamw_is_adam_with_weight_decay(amsgrad, beta_1, beta_2, epsilon, clip, decay, seed):
    options = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": amsgrad}
    found = []
    for kind, given_ in (
        (Adam, {"weight_decay": decay}),
        (AdamW, {} if decay == 0.004 else {"weight_decay": decay}),
    ):
        made, variables = kind(0.1, **options, **clip, **given_), variables_of(seed)
        for t in range(3):
            made.apply(gradients_of(seed + t), variables)
        found.append([v.numpy() for v in (*variables, *made.variables)])
    assert_all_same(*found)


@over({"SGD": SGD(), "Adam": Adam(), "AdamW": AdamW(), "RMSprop": RMSprop()}, "made")
def test_default_options_are_those_of_keras(made):
    rate = 0.01 if type(made) is SGD else 0.001
    decay = 0.004 if type(made) is AdamW else None
    own = {
        SGD: {"momentum": 0.0, "nesterov": False},
        Adam: {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
        AdamW: {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
        RMSprop: {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    }[type(made)]
    config = made.get_config()
    assert config["learning_rate"] == float(np.float32(rate))
    assert own.items() <= config.items()
    assert config["weight_decay"] == decay
    for option in ("clipnorm", "clipvalue", "global_clipnorm"):
        assert config[option] is None


# -- grouping, dtypes, state -----------------------------------------------------------------------


@given(optimizers(), CLIPS.filter(lambda c: "global_clipnorm" not in c), DECAYS, SEEDS)
def test_a_joint_update_equals_separate_updates_bit_for_bit(optimizer, clip, decay, seed):
    kind, options, _ = optimizer
    together, apart = variables_of(seed, "float32"), variables_of(seed, "float32")
    one = kind(learning_rate=0.1, **options, **clip, **decay)
    many = [kind(learning_rate=0.1, **options, **clip, **decay) for _ in apart]
    for t in range(3):
        grads = gradients_of(seed + t, "float32")
        one.apply(grads, together)
        for each, g, v in zip(many, grads, apart, strict=True):
            each.apply([g], [v])
    assert_all_same([v.numpy() for v in together], [v.numpy() for v in apart])
    slots = [v.numpy() for each in many for v in each.variables[2:]]
    assert sorted(s.tobytes() for s in slots) == sorted(
        v.numpy().tobytes() for v in one.variables[2:]
    )


@given(optimizers(), CLIPS.filter(lambda c: "global_clipnorm" not in c), DECAYS, SEEDS)
def test_variables_of_several_dtypes_are_each_updated_in_their_own_dtype(
    optimizer, clip, decay, seed
):
    kind, options, _ = optimizer
    options = {**options, "epsilon": 0.5} if "epsilon" in options else options
    dtypes = ["float32", "float64", "float16", "float64", "float32"]
    mixed = [tn.Variable(normal(seed + i, 3, dtype=d)) for i, d in enumerate(dtypes)]
    apart = {d: [tn.Variable(v.numpy()) for v in mixed if v.dtype == d] for d in dtypes}
    one = kind(learning_rate=0.125, **options, **clip, **decay)
    each = {d: kind(learning_rate=0.125, **options, **clip, **decay) for d in apart}
    for t in range(3):
        grads = [normal(seed + 9 * t + i, 3, dtype="float64") for i in range(5)]
        one.apply(grads, mixed)
        for d, variables in apart.items():
            chosen = [g for g, v in zip(grads, mixed, strict=True) if v.dtype == d]
            each[d].apply(chosen, variables)
    for v in mixed:
        assert_same(v.numpy(), apart[v.dtype].pop(0).numpy())
    assert {v.dtype for v in one.variables[2:]} <= set(dtypes)


@given(optimizers(), st.integers(0, 3), SEEDS)
def test_the_whole_state_of_an_optimizer_is_in_its_variables(optimizer, steps, seed):
    kind, options, _ = optimizer
    first, second = (kind(learning_rate=0.1, **options) for _ in range(2))
    ours, theirs = variables_of(seed), variables_of(seed)
    for t in range(steps + 1):
        first.apply(gradients_of(seed + t), ours)
    second.build(theirs)
    for v, other in zip([*theirs, *second.variables], [*ours, *first.variables], strict=True):
        assert (v.name, v.shape, v.dtype) == (other.name, other.shape, other.dtype)
        v.assign(other)
    for t in range(2):
        first.apply(gradients_of(seed - t), ours)
        second.apply(gradients_of(seed - t), theirs)
    assert_all_same([v.numpy() for v in theirs], [v.numpy() for v in ours])


def test_variables_are_the_step_count_then_the_rate_then_the_slots():
    variables = variables_of(0)[:2]
    for made, names in (
        (SGD(), []),
        (SGD(momentum=0.5), [f"layer_v{i}_momentum" for i in range(2)]),
        (Adam(), [f"layer_v{i}_{slot}" for i in range(2) for slot in ("momentum", "velocity")]),
    ):
        assert not made.built
        assert [v.name for v in made.variables] == ["iteration", "learning_rate"]
        made.build(variables)
        assert made.built
        assert [v.name for v in made.variables] == ["iteration", "learning_rate", *names]
        assert [v.dtype for v in made.variables[:2]] == ["int32", "float32"]
        assert all(not v.trainable and not v.numpy().any() for v in made.variables[2:])


def test_nadam_keeps_the_product_of_its_factors_after_its_slots():
    made, variables = Nadam(0.5, beta_1=0.75), variables_of(0)[:2]
    assert [v.name for v in made.variables] == ["iteration", "learning_rate"]
    for t in range(4):
        made.build(variables)
        slots = [made._slots[v][name] for v in variables for name in ("momentum", "velocity")]
        assert made.variables[:-1] == [made.iterations, *made.rate_variables, *slots]
        factors = [0.75 * (1 - 0.5 * 0.96 ** (i + 1)) for i in range(t)]
        assert_close(made.variables[-1].numpy(), math.prod(factors), rtol=1e-6)
        made.apply(gradients_of(t)[:2], variables)


def test_a_moving_average_starts_at_the_weight_after_the_first_step():
    w = tn.Variable([8.0])
    sgd = SGD(1.0, use_ema=True, ema_momentum=0.75)
    average = None
    for t in range(1, 5):
        sgd.apply([[float(t)]], [w])
        weight = 8.0 - t * (t + 1) / 2
        average = weight if average is None else 0.75 * average + 0.25 * weight
        assert w.numpy().tolist() == [weight]
        assert [v.numpy().tolist() for v in sgd.variables if "average" in v.name] == [[average]]


KINDS_OF_OPTIMIZERS = [SGD, Adam, AdamW, RMSprop, Adagrad, Adamax, Nadam]


@pytest.mark.parametrize("kind", KINDS_OF_OPTIMIZERS)
@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.5}, {"global_clipnorm": 0.5}])
def test_accumulated_gradients_are_one_step_along_their_mean(kind, clip):
    plain, accumulating = variables_of(0), variables_of(0)
    each = kind(0.1, **clip), kind(0.1, gradient_accumulation_steps=2, **clip)
    for t in range(0, 6, 2):
        first, second = gradients_of(t), gradients_of(t + 1)
        before = [v.numpy().copy() for v in accumulating]
        each[1].apply(first, accumulating)
        assert_all_same(before, [v.numpy() for v in accumulating])
        each[1].apply(second, accumulating)
        each[0].apply([(a + b) / 2 for a, b in zip(first, second, strict=True)], plain)
        assert_all_same([v.numpy() for v in plain], [v.numpy() for v in accumulating])
        assert int(each[1].iterations) == int(each[0].iterations) == t // 2 + 1


def test_a_variable_without_a_gradient_neither_moves_nor_forgets_its_sum():
    v, w = tn.Variable([1.0]), tn.Variable([1.0])
    sgd = SGD(1.0, gradient_accumulation_steps=2)
    sgd.apply([[1.0], [1.0]], [v, w])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        sgd.apply([[3.0], None], [v, w])
    assert (v.numpy(), w.numpy()) == ([-1.0], [1.0])  # 1 - (1 + 3) / 2
    sgd.apply([[0.0], [0.0]], [v, w])
    sgd.apply([[0.0], [5.0]], [v, w])
    assert (v.numpy(), w.numpy()) == ([-1.0], [-2.0])  # 1 - (1 + 0 + 5) / 2


def test_turning_accumulation_on_needs_a_new_optimizer():
    w = tn.Variable([1.0])
    sgd = SGD(1.0)
    sgd.apply([[1.0]], [w])
    sgd.gradient_accumulation_steps = 2
    with refused(ValueError, "gradient_accumulation_steps", "a new optimizer", "2"):
        sgd.apply([[1.0]], [w])


# -- gradients -------------------------------------------------------------------------------------

AS: dict[str, Callable[[np.ndarray], Any]] = {
    "array": np.array,
    "read-only": lambda g: np.broadcast_to(g, g.shape),
    "Fortran": lambda g: np.array(g, order="F"),
    "tensor": tn.tensor,
    "list": np.ndarray.tolist,
    "float64": lambda g: g.astype("float64"),
}


@over(AS, "form")
@given(seed=SEEDS)
def test_gradients_of_any_form_are_read_and_not_changed(form, seed):
    variables, others = variables_of(seed, "float32"), variables_of(seed, "float32")
    grads = gradients_of(seed, "float32")
    passed = [form(g) for g in grads]
    one, other = Adam(0.1), Adam(0.1)
    one.apply(iter(passed), iter(variables))
    other.apply_gradients(zip(grads, others, strict=True))
    assert_all_same([np.asarray(g, "float32") for g in passed], grads)
    for g in passed:
        if isinstance(g, np.ndarray) and g.flags.writeable:
            g[...] = np.nan
    one.apply(grads)  # for the variables of the first call
    other.apply(grads, others)
    assert_all_same([v.numpy() for v in variables], [v.numpy() for v in others])


def test_a_variable_without_a_gradient_is_left_unchanged_with_a_warning():
    made, (v, w) = Adam(0.1), variables_of(0)[:2]
    grads = [np.ones(v.shape), np.ones(w.shape)]
    made.apply(grads, [v, w])
    before = [x.numpy() for x in (w, *made.variables[4:])]
    with pytest.warns(UserWarning, match="v1"):
        made.apply([grads[0], None], [v, w])
    assert_all_same([x.numpy() for x in (w, *made.variables[4:])], before)
    made.apply([grads[0]], [v])  # variables without a gradient may be left out
    assert_all_same([x.numpy() for x in (w, *made.variables[4:])], before)
    assert int(made.iterations) == 3


WRONG: dict[str, tuple[Callable[[Optimizer, Any, Any], Any], list[str]]] = {
    "too few": (lambda o, g, v: o.apply(g[:2], v), ["4", "2"]),
    "another shape": (lambda o, g, v: o.apply([g[1], *g[1:]], v), ["v0", "(2, 3)", "(3,)"]),
    "none at all": (lambda o, g, v: o.apply([None] * 4, v), ["No gradients"]),
    "unknown": (lambda o, g, v: o.apply([1.0], [tn.Variable(1.0, name="new")]), ["new"]),
    "one unknown": (
        lambda o, g, v: o.apply([*g[:3], 1.0], [*v[:3], tn.Variable(1.0)]),
        ["Unknown"],
    ),
    "unknown to build": (lambda o, g, v: o.build([tn.Variable(1.0, name="new")]), ["new"]),
    "twice": (lambda o, g, v: o.apply([g[1], g[1]], [v[1], v[1]]), ["twice"]),
    "text": (lambda o, g, v: o.apply([np.full((2, 3), "a"), *g[1:]], v), ["dtype"]),
}


CASES = [(case, built) for case in WRONG for built in (True, False)]


@pytest.mark.parametrize(("case", "built"), [c for c in CASES if c[1] or "unknown" not in c[0]])
def test_a_refused_step_changes_nothing(case, built):
    call, words = WRONG[case]
    made, variables, grads = Adam(0.1), variables_of(0), gradients_of(0)
    if built:
        made.apply(grads, variables)
    before = [x.numpy() for x in (*variables, *made.variables)]
    with refused(ValueError, *words):
        call(made, grads, variables)
    assert_all_same([x.numpy() for x in (*variables, *made.variables)], before)
    made.apply(grads, variables)
    assert int(made.iterations) == 1 + built


def test_a_step_without_variables_does_nothing():
    made = SGD()
    assert int(made.apply([], [])) == 0
    assert int(made.apply_gradients([])) == 0


# -- the learning rate -----------------------------------------------------------------------------


@given(st.lists(RATES | st.just(0.1), min_size=1, max_size=5), DECAYS, SEEDS)
def test_a_learning_rate_function_is_called_at_each_step(rates, decay, seed):
    scheduled = SGD(learning_rate=lambda: rates[int(scheduled.iterations)], **decay)
    assigned, ours, theirs = SGD(**decay), variables_of(seed), variables_of(seed)
    for t, rate in enumerate(rates):
        assert scheduled.learning_rate == float(np.float32(rate))
        scheduled.apply(gradients_of(seed + t), ours)
        assigned.learning_rate = rate
        assigned.apply(gradients_of(seed + t), theirs)
    assert_all_same([v.numpy() for v in ours], [v.numpy() for v in theirs])
    assert [v.name for v in scheduled.variables] == ["iteration"]  # and no variable for the rate


def test_a_rate_can_be_assigned_and_replaced_by_a_function_but_not_back():
    made = SGD(learning_rate=1)
    held = made.learning_rate
    numbers = 0.5, 2, np.float32(0.25), np.float64(0.1), np.int64(3)
    for value in (*numbers, tn.Variable(0.75), held * 0.5, tn.tensor(0.2), np.array(0.3)):
        made.learning_rate = value
        assert float(held) == float(np.float32(float(value)))
    assert made.learning_rate is held
    made.learning_rate.assign(0.125)
    assert made.get_config()["learning_rate"] == 0.125
    arrays = tn.tensor([0.1]), tn.tensor(np.nan), np.array([0.1]), np.array(np.inf)
    for wrong in ("0.1", None, True, [0.1], np.nan, np.inf, SGD, 1j, *arrays):
        with refused(ValueError, "learning_rate", str(wrong)):
            made.learning_rate = wrong
        with refused(ValueError, "learning_rate"):
            SGD(learning_rate=wrong)
    made.learning_rate = lambda: 0.5
    assert made.learning_rate == 0.5
    with refused(TypeError, "function", "0.1"):
        made.learning_rate = 0.1


def test_momentum_contains_the_rates_of_past_steps():
    made, v = SGD(learning_rate=1.0, momentum=0.5), tn.Variable(0.0)
    made.apply([1.0], [v])
    made.learning_rate = 0.0
    made.apply([1.0], [v])
    assert float(v) == -1.0 - 0.5


# -- configs, names and refusals -------------------------------------------------------------------


@given(optimizers(), CLIPS, DECAYS, st.none() | st.just("mine"), SEEDS)
def test_an_optimizer_rebuilt_from_its_config_continues_identically(
    optimizer, clip, decay, name, seed
):
    kind, options, _ = optimizer
    given_options = {**options, **clip, **decay} | ({"name": name} if name else {})
    first = kind(learning_rate=0.1, **given_options)
    first.learning_rate = 0.2
    config = first.get_config()
    assert given_options.items() <= config.items()
    assert config["learning_rate"] == float(np.float32(0.2))
    twins = [
        kind.from_config(config),
        tn.optimizers.get(tn.optimizers.serialize(first)),
        tn.optimizers.get({"class_name": kind.__name__, "config": config}),
    ]
    expected = variables_of(seed)
    first.apply(gradients_of(seed), expected)
    for twin in twins:
        assert type(twin) is kind
        assert twin.get_config() == config
        variables = variables_of(seed)
        twin.apply(gradients_of(seed), variables)
        assert_all_same([v.numpy() for v in variables], [v.numpy() for v in expected])


@given(st.sampled_from([SGD, Adam, RMSprop]), st.data())
def test_optimizer_names_are_case_insensitive(kind, data):
    letters = [data.draw(st.sampled_from([c.lower(), c.upper()])) for c in kind.__name__]
    assert type(tn.optimizers.get("".join(letters))) is kind


def test_an_unknown_optimizer_is_refused():
    made = SGD()
    assert tn.optimizers.get(made) is made
    assert tn.optimizers.get(None) is None
    for wrong in ("nope", "", 3, SGD, {"class_name": "nope", "config": {}}, {}, ["sgd"]):
        with refused(ValueError, "optimizer", str(wrong)):
            tn.optimizers.get(wrong)


OPTIONS: list[tuple[Any, dict[str, Any]]] = [
    (SGD, {"momentum": 1.5}),
    (SGD, {"momentum": -0.1}),
    (SGD, {"momentum": "0.9"}),
    (SGD, {"momentum": True}),
    (Adam, {"beta_1": 1.0}),
    (Adam, {"beta_2": -0.5}),
    (AdamW, {"weight_decay": None}),
    (SGD, {"clipnorm": 1.0, "clipvalue": 1.0}),
    (SGD, {"clipnorm": -1.0}),
    (SGD, {"weight_decay": -1.0}),
    (SGD, {"weight_decay": "a"}),
    (SGD, {"lr": 0.1}),
    (Adam, {"ema_momentum": 1.5}),
    (SGD, {"ema_overwrite_frequency": 0}),
    (SGD, {"ema_overwrite_frequency": 1.5}),
    (Adagrad, {"initial_accumulator_value": -1.0}),
    (Nadam, {"beta_1": 1.0}),
    (Adamax, {"beta_2": -0.5}),
    (Adam, {"gradient_accumulation_steps": 1}),
    (Adam, {"gradient_accumulation_steps": -2}),
    (Adam, {"loss_scale_factor": 2.0}),
]


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_options_out_of_range_and_unsupported_options_are_refused(kind, options):
    with refused(ValueError, *options):
        kind(**options)


@pytest.mark.parametrize("flag", [2, -1, 1.0, "yes", None, [True]])
def test_an_option_that_is_true_or_false_is_a_bool(flag):
    with refused(ValueError, "nesterov", "a bool", str(flag)):
        SGD(nesterov=flag)
    assert SGD(nesterov=np.True_).nesterov
    assert SGD(nesterov=1).nesterov


@pytest.mark.parametrize("kind", KINDS_OF_OPTIMIZERS)
def test_decay_of_older_keras_is_ignored_with_a_warning(kind):
    with pytest.warns(UserWarning, match="decay is ignored.*Pass a schedule"):
        made = kind(learning_rate=0.5, decay=1e-6, name="own")
    assert made.get_config() == kind(0.5, name="own").get_config()
    assert kind(decay=0.0).weight_decay == kind().weight_decay


def test_unnamed_optimizers_are_numbered():
    tn.utils.clear_session()
    assert [o.name for o in (SGD(), SGD(), Adam(), SGD(name="mine"), SGD())] == [
        "sgd",
        "sgd_1",
        "adam",
        "mine",
        "sgd_2",
    ]


EXEMPT = {"v1": {1}, "^v": {0, 1, 2, 3}, "[02]$": {0, 2}, "layer": set(), "": {0, 1, 2, 3}}


@pytest.mark.parametrize("pattern", EXEMPT)
def test_a_pattern_in_their_names_exempts_weights_from_decay(pattern):
    made, variables = SGD(0.5, weight_decay=1.0), variables_of(0)
    made.exclude_from_weight_decay(var_names=[pattern])
    before = [v.numpy() for v in variables]
    made.apply([np.zeros(s) for s in SHAPES], variables)
    for i, (v, old) in enumerate(zip(variables, before, strict=True)):
        assert_close(v.numpy(), old if i in EXEMPT[pattern] else 0.5 * old)


# -- convergence -----------------------------------------------------------------------------------


@st.composite
def bowls(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Draw a matrix with eigenvalues from 1 to 4, and the minimum of its quadratic."""
    n, seed = draw(st.integers(1, 4)), draw(SEEDS)
    q, _ = np.linalg.qr(normal(seed, n, n, dtype="float64"))
    return (q * np.linspace(1, 4, n)) @ q.T, normal(seed + 1, n, dtype="float64")


@given(bowls(), st.sampled_from([0.1, 0.25, 0.4]))
def test_gradient_descent_on_a_quadratic_contracts_by_its_matrix(bowl, rate):
    a, least = bowl
    rate = float(np.float32(rate))
    made, w = SGD(rate), tn.Variable(np.zeros(len(least)))
    error = -least
    for _ in range(20):
        d = w - least
        (0.5 * (d @ (a @ d))).backward()
        made.apply([w.grad], [w])
        error = error - rate * a @ error
        assert_close(w.numpy() - least, error, 1e-9, 1e-9)


CONVERGING = {
    "SGD": lambda: SGD(0.3),
    "momentum": lambda: SGD(0.1, momentum=0.8),
    "Nesterov": lambda: SGD(0.1, momentum=0.8, nesterov=True),
    "Adam": lambda: Adam(lambda: 0.3 / (1 + next(COUNT) / 20)),
    "AMSGrad": lambda: Adam(0.3, amsgrad=True),
    "RMSprop": lambda: RMSprop(lambda: 0.5 / (1 + next(COUNT) / 2)),
    "clipped": lambda: SGD(0.3, global_clipnorm=1.0),
}
COUNT: Iterator[int]


@over(CONVERGING, "make")
@settings(max_examples=settings.default.max_examples // 4)
@given(bowls())
def test_every_optimizer_finds_the_minimum_of_a_quadratic(make, bowl):
    global COUNT
    COUNT = iter(range(10**9))
    a, least = bowl
    made, w = make(), tn.Variable(np.zeros(len(least)))
    for _ in range(200):
        made.apply([a @ (w.numpy() - least)], [w])
    assert np.abs(w.numpy() - least).max() <= 0.02 * np.abs(least).max()


# -- users' optimizers -----------------------------------------------------------------------------


class Lion(Optimizer):
    """Steps along the sign of an average of gradients: Lion (Chen et al., 2023)."""

    slots = (("mean",),)

    def __init__(self, learning_rate: Any = 0.125, share: float = 0.5, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.share = share

    def update(self, param: Any, grad: Any, slots: Any, scalars: Any) -> Any:
        mean = slots["mean"] * self.share + grad * (1 - self.share)
        return param - ops.sign(mean) * scalars["learning_rate"], {"mean": mean}


@pytest.mark.parametrize("eager", [True, False])
def test_a_users_optimizer_trains_a_model(eager):
    x, y = normal(0, 8, 2, dtype="float64"), normal(1, 8, 1, dtype="float64")
    model = tn.Sequential([Input((2,)), Dense(1, dtype="float64")])
    made = Lion(weight_decay=0.25)
    model.compile(made, "mse", run_eagerly=eager)
    w, b = (a.astype("float64") for a in model.get_weights())
    x32, y32 = x.astype("float32"), y.astype("float32")
    means = [np.zeros_like(w), np.zeros_like(b)]
    for _ in range(3):
        g = 2 * (x32 @ w + b - y32) / 8
        for i, (p, grad) in enumerate([(w, x32.T @ g), (b, g.sum(0))]):
            means[i] = 0.5 * means[i] + 0.5 * grad
            p -= 0.25 * 0.125 * p
            p -= 0.125 * np.sign(means[i])
    model.fit(x, y, epochs=3, verbose=0)
    for found, expected in zip(everything(model), [w, b, 3, 0.125, *means], strict=True):
        assert_close(found, expected, 1e-6, 1e-7)


@pytest.mark.parametrize("make", [SGD, Adam])
def test_a_step_along_a_gradient_that_is_differentiated_is_refused_and_changes_nothing(make):
    """As in meta-learning: ``apply`` would cut the gradient off, ``stateless_apply`` keeps it."""
    w, optimizer = tn.Variable(np.array(1.0)), make(learning_rate=0.25)
    optimizer.build([w])
    with refused(TypeError, "apply (see stateless_apply)", "gradient would be lost"):
        tn.grad(lambda s: (optimizer.apply([s * 2.0], [w]), w * s)[1])(np.array(3.0))
    assert (w.numpy(), optimizer.iterations.numpy()) == (1.0, 0)
    optimizer.apply([np.array(6.0)], [w])
    found = tn.grad(lambda s: (optimizer.apply([s.detach()], [w]), w * s)[1])(np.array(3.0))
    assert found == w.numpy()


def test_a_functional_step_inside_a_derivative_has_the_gradient_of_its_formula():
    w, sgd = tn.Variable(np.array(1.0)), SGD(learning_rate=0.25)
    sgd.build([w])
    step = lambda s: sgd.stateless_apply(sgd.variables, [s * 2.0], [w.value])[0][0]  # noqa: E731
    np.testing.assert_allclose(tn.grad(step)(np.array(3.0)).detach().numpy(), -0.25 * 2.0)
