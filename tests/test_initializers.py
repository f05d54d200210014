"""Initializers and their random generator against published vectors and their distributions.

`keras/test_initializers.py` compares them with Keras.
"""

from __future__ import annotations

import inspect
import json
import math
import random
import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinynet import initializers, random as tn_random

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(0, 6), max_size=4).map(tuple)
MATRICES = st.tuples(st.integers(1, 8), st.integers(1, 8))
NUMBERS = st.integers(-1000, 1000).map(lambda k: k / 100)
SCALES = st.integers(1, 1000).map(lambda k: k / 100)
AXES = st.none() | st.just([0])

ARGUMENTS = {  # all arguments of constructors, and values to draw for each
    "seed": SEEDS,
    "value": NUMBERS,
    "gain": NUMBERS,
    "minval": NUMBERS,
    "maxval": NUMBERS,
    "mean": NUMBERS,
    "stddev": SCALES,
    "scale": SCALES,
    "mode": st.sampled_from(["fan_in", "fan_out", "fan_avg"]),
    "distribution": st.sampled_from(["uniform", "truncated_normal", "untruncated_normal"]),
    "input_axes": AXES,
    "output_axes": AXES,
}
RANDOM = [  # the last is for matrices only
    initializers.RandomUniform,
    initializers.RandomNormal,
    initializers.TruncatedNormal,
    initializers.VarianceScaling,
    initializers.GlorotUniform,
    initializers.GlorotNormal,
    initializers.HeUniform,
    initializers.HeNormal,
    initializers.LecunUniform,
    initializers.LecunNormal,
    initializers.Orthogonal,
]
CERTAIN = [  # the last is for matrices only
    initializers.Zeros,
    initializers.Ones,
    initializers.Constant,
    initializers.Identity,
]


def made(*classes):
    """Draw an initializer of one of the classes, with all arguments and the seed drawn."""

    def with_arguments(cls):
        names = inspect.signature(cls).parameters.keys() & ARGUMENTS.keys()
        return st.builds(cls, **{name: ARGUMENTS[name] for name in sorted(names)})

    return st.sampled_from(classes).flatmap(with_arguments)


def bound(n: int) -> float:
    """Return a bound on the distance of n fair draws from their distribution, for p = 10**-10.

    Dvoretzky, Kiefer, Wolfowitz and Massart: P(sup |F_n - F| > d) <= 2 exp(-2 n d**2).
    """
    return math.sqrt(math.log(2e10) / (2 * n))


def distance(draws: np.ndarray, cumulative) -> float:
    """Return sup |F_n - F|, the distance of the empirical distribution function from `F`."""
    law = np.array([cumulative(x) for x in np.sort(draws.ravel()).tolist()])
    steps = np.arange(len(law) + 1) / len(law)
    return max((steps[1:] - law).max(), (law - steps[:-1]).max())


def phi(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


# -- the generator ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "cipher"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_reproduces_the_published_vectors(counter, key, cipher):
    words = [np.array([word], dtype=np.uint32) for word in counter]
    assert [int(word[0]) for word in tn_random._threefry(key, *words)] == list(cipher)


@given(SEEDS, SHAPES)
def test_bits_depend_only_on_the_seed_and_the_flat_index(seed, shape):
    longer = tn_random._threefry_bits(seed, math.prod(shape) + 5)
    bits = tn_random._threefry_bits(seed, shape)
    assert bits.shape == shape
    assert bits.ravel().tolist() == longer[:-5].tolist()


@given(SEEDS, st.integers(0, 31))
def test_every_bit_of_the_seed_changes_the_bits(seed, flipped):
    bits, others = (tn_random._threefry_bits(s, 8) for s in (seed, seed ^ 1 << flipped))
    assert bits.tolist() != others.tolist()


@given(SEEDS, NUMBERS, SCALES)
def test_uniform_draws_are_spread_evenly_from_minval_to_below_maxval(seed, low, width):
    draws = tn_random.uniform((100, 50), low, low + width, seed=seed)
    assert np.float32(low) <= draws.min()
    assert draws.max() <= np.float32(low + width)  # equal only by rounding
    assert distance(draws, lambda x: min(max((x - low) / width, 0), 1)) < bound(draws.size)


@given(SEEDS, NUMBERS, SCALES)
def test_normal_draws_follow_the_normal_distribution(seed, mean, stddev):
    draws = tn_random.normal((100, 50), mean, stddev, seed=seed)
    assert distance(draws, lambda x: phi((x - mean) / stddev)) < bound(draws.size)


@given(SEEDS, NUMBERS, SCALES)
def test_truncated_draws_follow_the_truncated_normal_distribution(seed, mean, stddev):
    draws = tn_random.truncated_normal((100, 50), mean, stddev, seed=seed)
    inside, below = phi(2) - phi(-2), phi(-2)
    assert np.abs(draws - mean).max() <= 2 * stddev + 1e-6 * abs(mean)
    assert distance(draws, lambda x: (phi((x - mean) / stddev) - below) / inside) < bound(
        draws.size
    )


@given(SEEDS)
def test_normal_draws_are_the_quantiles_of_the_uniform_draws_of_their_seed(seed):
    even = tn_random.uniform(100, -1.0, 1.0, seed=seed).astype(np.float64)
    bell = tn_random.normal(100, seed=seed)
    cut = tn_random.truncated_normal(100, seed=seed)
    # Slack: u to 2**-24, and z to three units in the last place, 4e-7 |z|, times the density of
    # erf(z / sqrt 2), whose product with |z| is at most 0.49.
    slack = 2**-24 + 0.49 * 4e-7
    rank = [math.erf(z / math.sqrt(2)) for z in bell.tolist()]
    rank_within = [math.erf(z / math.sqrt(2)) / math.erf(math.sqrt(2)) for z in cut.tolist()]
    np.testing.assert_allclose(rank, even, rtol=0, atol=slack)
    np.testing.assert_allclose(rank_within, even, rtol=0, atol=2 * slack)


@given(SEEDS, SHAPES, st.sampled_from(["float16", "float32", "float64"]))
def test_draws_have_the_requested_shape_and_dtype(seed, shape, dtype):
    for draw in tn_random.uniform, tn_random.normal, tn_random.truncated_normal:
        draws = draw(shape, dtype=dtype, seed=seed)
        assert (type(draws), draws.shape, draws.dtype) == (np.ndarray, shape, dtype)
        np.testing.assert_array_equal(draws, draw(shape, seed=seed).astype(dtype))


@given(made(*RANDOM), MATRICES)
def test_wider_dtypes_have_the_same_draws_and_narrower_ones_round_them(initializer, shape):
    draws = initializer(shape, "float32")
    wide, narrow = initializer(shape, np.float64), initializer(shape, "float16")
    assert (draws.dtype, wide.dtype, narrow.dtype) == ("float32", "float64", "float16")
    np.testing.assert_allclose(wide, draws, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(narrow, draws, rtol=2e-3, atol=2e-2)


# -- distributions ---------------------------------------------------------------------------------


@given(SEEDS, SHAPES, NUMBERS, SCALES)
def test_plain_random_initializers_draw_from_the_distribution_in_their_name(
    seed, shape, first, second
):
    for cls, draw in {
        initializers.RandomUniform: tn_random.uniform,
        initializers.RandomNormal: tn_random.normal,
        initializers.TruncatedNormal: tn_random.truncated_normal,
    }.items():
        weights = cls(first, second, seed)(shape)
        np.testing.assert_array_equal(weights, draw(shape, first, second, seed=seed))


@given(
    SEEDS,
    st.lists(st.integers(1, 9), max_size=4).map(tuple),
    SCALES,
    st.sampled_from(["fan_in", "fan_out", "fan_avg"]),
)
def test_variance_scaling_has_variance_scale_over_fan(seed, shape, scale, mode):
    # An output has all axes but the last as inputs; an input has all axes but the second last.
    size = math.prod(shape)
    ins, outs = (size // shape[-1], size // shape[-2]) if len(shape) > 1 else (size, size)
    variance = scale / {"fan_in": ins, "fan_out": outs, "fan_avg": (ins + outs) / 2}[mode]
    std = math.sqrt(variance)
    # The variance within two deviations: 1 - 4 density(2) / P(|x| < 2), by integration by parts.
    within = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
    expected = {
        "uniform": tn_random.uniform(shape, -std * 3**0.5, std * 3**0.5, seed=seed),
        "untruncated_normal": tn_random.normal(shape, 0.0, std, seed=seed),
        "truncated_normal": tn_random.truncated_normal(shape, 0.0, std / within**0.5, seed=seed),
    }
    for law, draws in expected.items():
        weights = initializers.VarianceScaling(scale, mode, law, seed)(shape)
        np.testing.assert_allclose(weights, draws, rtol=1e-6, atol=1e-6 * std)


@given(SEEDS, st.integers(100, 200), st.integers(100, 200))
def test_named_initializers_have_the_mean_and_variance_of_their_papers(seed, ins, outs):
    variances = {
        initializers.GlorotUniform: 2 / (ins + outs),
        initializers.GlorotNormal: 2 / (ins + outs),
        initializers.HeUniform: 2 / ins,
        initializers.HeNormal: 2 / ins,
        initializers.LecunUniform: 1 / ins,
        initializers.LecunNormal: 1 / ins,
    }
    n = ins * outs
    for cls, variance in variances.items():
        weights = cls(seed=seed)((ins, outs)).astype(np.float64)
        # No distribution here has a fourth moment above the normal's 3 variance**2, so the mean
        # square has a deviation of at most variance * sqrt(2 / n); seven of them: p = 10**-11.
        assert abs(np.mean(weights)) < 7 * math.sqrt(variance / n)
        assert abs(np.mean(weights**2) - variance) < 7 * variance * math.sqrt(2 / n)


@given(SEEDS, st.integers(2, 6), st.integers(2, 6), st.integers(2, 6))
def test_given_axes_replace_the_last_two_as_fans(seed, first, second, third):
    axes = {"input_axes": [0, 1], "output_axes": [2]}
    weights = initializers.LecunUniform(seed, **axes)((first, second, third))
    limit = math.sqrt(3 / (first * second))
    draws = tn_random.uniform((first, second, third), -limit, limit, seed=seed)
    np.testing.assert_allclose(weights, draws, rtol=1e-6)


@given(SEEDS, st.integers(1, 4), MATRICES, SCALES)
def test_orthogonal_weights_are_gain_times_orthonormal_rows_or_columns(seed, extra, matrix, gain):
    weights = initializers.Orthogonal(gain, seed)((extra, *matrix), "float64")
    flat = weights.reshape(-1, matrix[-1]) / gain
    gram = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-13)


@given(NUMBERS, SHAPES, st.sampled_from(["float32", "float64", "int32"]))
def test_constants_have_the_same_value_everywhere(value, shape, dtype):
    expected = np.array(value).astype(dtype)
    for initializer in initializers.Constant(value), initializers.get(np.float64(value)):
        assert (initializer(shape, dtype) == expected).all()
    assert (initializers.Zeros()(shape, dtype) == 0).all()
    assert (initializers.Ones()(shape, dtype) == 1).all()


@given(NUMBERS, MATRICES)
def test_identity_is_gain_on_the_diagonal_and_zero_elsewhere(gain, shape):
    matrix = initializers.Identity(gain)(shape)
    row, column = np.indices(shape)
    np.testing.assert_array_equal(matrix, np.where(row == column, np.float32(gain), 0))


# -- the contract of every initializer -------------------------------------------------------------


@given(made(*RANDOM, *CERTAIN), MATRICES, st.sampled_from([None, "float32", "float64"]))
def test_every_call_gives_a_new_array_of_the_same_values(initializer, shape, dtype):
    first = initializer(shape, dtype)
    values = first.copy()
    assert type(first) is np.ndarray
    assert (first.shape, first.dtype) == (shape, dtype or "float32")
    first[...] = 77.0
    np.testing.assert_array_equal(initializer(shape, dtype), values)


@given(made(*RANDOM, *CERTAIN), MATRICES)
def test_an_initializer_survives_its_config_as_json(initializer, shape):
    config = json.loads(json.dumps(initializers.serialize(initializer)))
    again = initializers.get(config)
    assert type(again) is type(initializer)
    assert initializers.serialize(again) == config
    np.testing.assert_array_equal(again(shape), initializer(shape))


@given(NUMBERS, st.integers(1, 9))
def test_numpy_scalars_are_kept_as_python_numbers(mean, stddev):
    initializer = initializers.RandomNormal(np.float32(mean), np.int64(stddev))
    config = json.loads(json.dumps(initializer.get_config()))
    assert config == {"seed": None, "mean": float(np.float32(mean)), "stddev": stddev}


@given(made(*RANDOM[:-1], *CERTAIN[:-1]), SHAPES.filter(len))
def test_any_shape_is_filled_without_a_warning(initializer, shape):
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        weights = initializer(shape)
    assert weights.shape == shape
    assert np.isfinite(weights).all()


@given(MATRICES, SEEDS)
def test_an_array_given_as_initializer_is_copied_and_keeps_its_shape(shape, seed):
    values = tn_random.uniform(shape, seed=seed)
    initializer, before = initializers.get(values), values.copy()
    values[...] = 77.0
    initializer(shape, "float64")[...] = 77.0
    np.testing.assert_array_equal(initializer(shape), before)
    np.testing.assert_array_equal(
        initializers.get(initializers.serialize(initializer))(shape), before
    )
    with pytest.raises(ValueError, match=r"`shape` must be that of the given values"):
        initializer((*shape, 2))


@pytest.mark.parametrize("name", ["normal", "Normal", "TRUNCATED_NORMAL"])
def test_a_normal_distribution_is_truncated_unless_it_says_otherwise(name):
    assert initializers.VarianceScaling(distribution=name).distribution == "truncated_normal"


def test_functions_classes_and_instances_are_accepted_as_they_are():
    def sevens(shape, dtype=None):
        return np.full(shape, 7, dtype)

    ones = initializers.Ones()
    assert initializers.get(sevens) is sevens
    assert initializers.get(ones) is ones
    assert type(initializers.get(initializers.HeNormal)) is initializers.HeNormal
    assert initializers.get(None) is None
    assert initializers.serialize(None) is None


@pytest.mark.parametrize("cls", [*RANDOM, *CERTAIN])
def test_every_class_is_found_by_its_name_in_both_spellings(cls):
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("_")
    assert type(initializers.get(cls.__name__)) is cls
    assert type(initializers.get(words)) is cls
    assert getattr(initializers, words) is cls


def test_a_subclass_needs_only_a_call():
    class Sevens(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.full(shape, 7, dtype)

    assert Sevens.from_config(Sevens().get_config())((2,), "float32").tolist() == [7, 7]
    with pytest.raises(NotImplementedError):
        initializers.Initializer()((2,))


# -- seeds -----------------------------------------------------------------------------------------


@given(SEEDS, st.lists(st.sampled_from([*RANDOM, *CERTAIN]), max_size=6))
def test_unseeded_initializers_take_seeds_from_python_random_in_order(seed, classes):
    tn_random.set_random_seed(seed)
    drawn = [cls().seed for cls in classes if cls in RANDOM]
    after = random.random()
    random.seed(seed)
    assert drawn == [random.randint(1, 10**9) for _ in drawn]
    assert after == random.random()


@given(made(*RANDOM, *CERTAIN), MATRICES)
def test_nothing_but_an_unseeded_construction_touches_the_global_generators(initializer, shape):
    before = random.getstate(), np.random.get_state()[1].tolist()
    initializer(shape)
    initializers.get(initializers.serialize(initializer))
    with pytest.raises(ValueError, match="mode"):
        initializers.VarianceScaling(mode="fan")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@given(SEEDS)
def test_an_unseeded_draw_takes_one_seed_from_python_random(seed):
    for draw in tn_random.uniform, tn_random.normal, tn_random.truncated_normal:
        tn_random.set_random_seed(seed)
        drawn = draw((3,))
        random.seed(seed)
        np.testing.assert_array_equal(drawn, draw((3,), seed=random.randint(1, 10**9)))


@given(SEEDS)
def test_set_random_seed_seeds_python_and_numpy(seed):
    tn_random.set_random_seed(seed)
    drawn = random.random(), np.random.random()
    assert drawn == (random.Random(seed).random(), np.random.RandomState(seed).random())


@given(SEEDS)
def test_an_unseeded_config_stays_unseeded(seed):
    tn_random.set_random_seed(seed)
    initializer = initializers.GlorotUniform()
    again = initializers.get(initializers.serialize(initializer))
    assert initializer.get_config()["seed"] is None
    assert again.seed != initializer.seed


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", np.int64(1), [1]])
@pytest.mark.parametrize("use", [initializers.HeNormal, lambda s: tn_random.uniform(2, seed=s)])
def test_an_invalid_seed_is_refused_by_name(use, seed):
    with pytest.raises(ValueError, match=r"`seed` must be an int from 0 .*Received: seed="):
        use(seed)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", np.int64(1), None])
def test_a_refused_global_seed_changes_nothing(seed):
    before = random.getstate()
    with pytest.raises(ValueError, match=r"`seed` must be an int from 0 .*Received: seed="):
        tn_random.set_random_seed(seed)
    assert random.getstate() == before


@pytest.mark.parametrize("cls", [*RANDOM, *CERTAIN])
@pytest.mark.parametrize(
    ("shape", "error"), [((2.0, 3), TypeError), ("ab", TypeError), (None, TypeError),
                         ((None, 2), TypeError), ((-1, 2), ValueError)],
)  # fmt: skip
def test_an_invalid_shape_is_refused_by_name(cls, shape, error):
    with pytest.raises(error, match=r"^shape: expected .*, received "):
        cls()(shape)


@pytest.mark.parametrize("cls", [initializers.Identity, initializers.Orthogonal])
@pytest.mark.parametrize("shape", [(), (3,), 3])
def test_matrix_initializers_refuse_shapes_of_other_ranks(cls, shape):
    with pytest.raises(ValueError, match=r"`shape` must have two axes. Received: shape="):
        cls()(shape)


@pytest.mark.parametrize("dtype", ["foo", "U3", "complex64", object, 3])
@pytest.mark.parametrize("cls", [initializers.Zeros, initializers.HeNormal])
def test_a_dtype_without_numbers_is_refused(cls, dtype):
    with pytest.raises(ValueError, match="Invalid dtype"):
        cls()((2, 2), dtype)


@pytest.mark.parametrize("cls", RANDOM)
@pytest.mark.parametrize("dtype", ["int32", bool])
def test_random_initializers_refuse_dtypes_that_are_not_floating(cls, dtype):
    with pytest.raises(ValueError, match=r"`dtype` of random numbers must be floating"):
        cls()((2, 2), dtype)


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (initializers.RandomUniform, {"minval": "0"}),
        (initializers.RandomUniform, {"maxval": None}),
        (initializers.RandomNormal, {"mean": [0.0]}),
        (initializers.TruncatedNormal, {"stddev": 1j}),
        (initializers.Identity, {"gain": "1"}),
        (initializers.Orthogonal, {"gain": None}),
        (initializers.VarianceScaling, {"scale": "1"}),
        (initializers.VarianceScaling, {"scale": 0}),
        (initializers.VarianceScaling, {"scale": -1.0}),
        (initializers.VarianceScaling, {"scale": math.nan}),
        (initializers.VarianceScaling, {"mode": "fan"}),
        (initializers.VarianceScaling, {"distribution": "cauchy"}),
        (initializers.VarianceScaling, {"distribution": None}),
    ],
)
def test_a_wrong_argument_is_refused_by_name_with_what_was_received(cls, arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=r"[Rr]eceived") as caught:
        cls(**arguments)
    assert name in str(caught.value)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize("value", ["a", None, {}, [1j], [[1.0], [1.0, 2.0]]])
def test_constants_are_refused_unless_they_are_numbers(value):
    with pytest.raises(ValueError, match=r"dtype|regular shape"):
        initializers.Constant(value)


@pytest.mark.parametrize("axes", [{"input_axes": [5], "output_axes": [0]},
                                  {"input_axes": 0, "output_axes": 1}])  # fmt: skip
def test_axes_outside_of_the_shape_are_refused_by_name(axes):
    with pytest.raises((IndexError, TypeError), match=r"`input_axes` and `output_axes` must be"):
        initializers.HeNormal(**axes)((2, 3))


@pytest.mark.parametrize("identifier", ["nope", "", "ZEROS", 3, True, [1.0], {"class_name": "X"}])
def test_an_unknown_initializer_is_refused_by_name(identifier):
    with pytest.raises(ValueError, match="Could not interpret initializer identifier"):
        initializers.get(identifier)
