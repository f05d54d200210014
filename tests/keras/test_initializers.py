"""Initializers compared with Keras on JAX: weights, seeds, configs, names and errors."""

from __future__ import annotations

import inspect
import random

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinynet as tn
import tinynet.initializers as ours
import tinynet.random as our_random

theirs = keras.initializers
SEEDS = st.integers(0, 2**32 - 1)
# Only fourteen shapes, of ranks 0 to 4, because JAX compiles again for each shape.
SHAPES = st.sampled_from(
    [
        *[(), (0,), (7,), (100,)],
        *[(2, 1), (3, 5), (16, 2), (40, 30), (0, 4), (5, 0)],
        *[(2, 3, 4), (4, 0, 2), (3, 3, 2, 4), (5, 1, 1, 6)],
    ]
)
MATRICES = SHAPES.filter(lambda shape: len(shape) == 2)
NUMBERS = st.integers(-(10**6), 10**6).map(lambda k: k / 1000)
SCALES = st.integers(1, 10**5).map(lambda k: k / 1000)
MODES = st.sampled_from(["fan_in", "fan_out", "fan_avg"])
SCALED = ["GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"]
UNSEEDED = [*SCALED, "RandomUniform", "RandomNormal", "TruncatedNormal", "VarianceScaling"]
RANDOM = [*UNSEEDED, "Orthogonal"]
CLASSES = [*RANDOM, "Zeros", "Ones", "Constant", "Identity"]


def both(name: str, *args, **kwargs):
    """Return the initializer of that name from tinynet and from Keras."""
    return getattr(ours, name)(*args, **kwargs), getattr(theirs, name)(*args, **kwargs)


def refusal(call) -> type | None:
    """Return the class of the exception that `call` raises, or None."""
    try:
        call()
    except Exception as error:
        return type(error)
    return None


# -- weights --------------------------------------------------------------------------------------


@given(SEEDS, SHAPES, st.sampled_from(["GlorotUniform", "HeUniform", "LecunUniform"]))
def test_uniform_weights_equal_keras_bit_for_bit(seed, shape, name):
    mine, other = both(name, seed)
    np.testing.assert_array_equal(mine(shape), np.asarray(other(shape)), strict=True)


@given(SEEDS, SHAPES, NUMBERS, NUMBERS)
def test_uniform_weights_between_any_bounds_equal_keras_bit_for_bit(seed, shape, low, high):
    mine, other = both("RandomUniform", low, high, seed)
    np.testing.assert_array_equal(mine(shape), np.asarray(other(shape)), strict=True)


@given(SEEDS, SHAPES, SCALES, MODES)
def test_scaled_uniform_weights_equal_keras_bit_for_bit(seed, shape, scale, mode):
    mine, other = both("VarianceScaling", scale, mode, "uniform", seed)
    np.testing.assert_array_equal(mine(shape), np.asarray(other(shape)), strict=True)


@given(SEEDS, SHAPES.filter(lambda shape: len(shape) == 3), st.permutations(range(3)))
def test_weights_with_given_axes_equal_keras_bit_for_bit(seed, shape, order):
    axes = {"input_axes": order[:2], "output_axes": order[2:]}
    mine, other = both("GlorotUniform", seed, **axes)
    np.testing.assert_array_equal(mine(shape), np.asarray(other(shape)), strict=True)


# XLA's float32 logarithm rounds differently from NumPy's in about one draw of a hundred. A standard
# normal draw is below 6 and then differs by up to three units in the last place: 3 * 2**-22 < 8e-7.
STRAY = 8e-7


@given(SEEDS, SHAPES, st.sampled_from(["RandomNormal", "TruncatedNormal"]), NUMBERS, SCALES)
def test_normal_weights_equal_keras_to_three_units_in_the_last_place(
    seed, shape, name, mean, stddev
):
    mine, other = both(name, mean, stddev, seed)
    # The sum is rounded, too, by up to half a unit in the last place in each library.
    slack = STRAY * stddev + 2**-23 * (abs(mean) + 6 * stddev)
    np.testing.assert_allclose(mine(shape), other(shape), rtol=0, atol=slack)


@given(SEEDS, SHAPES, SCALES, MODES, st.sampled_from(["normal", "UNTRUNCATED_normal"]))
def test_scaled_normal_weights_equal_keras_to_six_digits(seed, shape, scale, mode, law):
    mine, other = both("VarianceScaling", scale, mode, law, seed)
    np.testing.assert_allclose(mine(shape), other(shape), rtol=1e-6, atol=0)


@given(SEEDS, st.sampled_from(["GlorotNormal", "HeNormal", "LecunNormal"]))
def test_of_a_hundred_normal_weights_98_equal_keras_bit_for_bit(seed, name):
    mine, other = both(name, seed)
    shape = (400, 500)
    assert np.mean(mine(shape) == np.asarray(other(shape))) > 0.98
    np.testing.assert_allclose(mine(shape), other(shape), rtol=1e-6, atol=0)


@given(SEEDS, SHAPES.filter(lambda shape: len(shape) > 1 and 0 not in shape), SCALES)
def test_orthogonal_weights_equal_keras_as_far_as_float32_determines_them(seed, shape, gain):
    mine, other = both("Orthogonal", gain, seed)
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    drawn = our_random.normal((max(rows, columns), min(rows, columns)), seed=seed)
    # The error of Q grows with the condition number; Keras factorizes in float32.
    slack = gain * 8 * np.finfo(np.float32).eps * np.linalg.cond(drawn.astype(np.float64))
    np.testing.assert_allclose(mine(shape), other(shape), rtol=0, atol=slack)


@given(NUMBERS, MATRICES, st.sampled_from(["float32", "int32"]))
def test_weights_that_are_not_random_equal_keras(value, shape, dtype):
    for mine, other in both("Constant", value), both("Zeros"), both("Ones"), both("Identity", 3):
        np.testing.assert_array_equal(
            mine(shape, dtype), np.asarray(other(shape, dtype)), strict=True
        )


@given(SHAPES, SHAPES, SEEDS)
def test_an_array_as_initializer_is_accepted_and_refused_as_in_keras(shape, asked, seed):
    values = our_random.uniform(shape, seed=seed)
    mine, other = ours.get(values), theirs.get(values)
    np.testing.assert_array_equal(mine(shape), np.asarray(other(shape)), strict=True)
    if shape:  # tinynet accepts a scalar for any shape, Keras only for ()
        assert refusal(lambda: mine(asked)) is refusal(lambda: other(asked))


# -- seeds ----------------------------------------------------------------------------------------


@given(SEEDS, st.lists(st.sampled_from(CLASSES), max_size=8))
def test_one_global_seed_gives_unseeded_initializers_the_same_seeds_in_order(seed, names):
    drawn = []
    for module, seeding in (ours, our_random), (theirs, keras.utils):
        seeding.set_random_seed(seed)
        made = [getattr(module, name)() for name in names]
        drawn.append([getattr(initializer, "seed", None) for initializer in made])
        drawn[-1] += [random.random(), float(np.random.random())]
    assert drawn[0] == drawn[1]


@given(SEEDS, st.sampled_from([1, 3, 8]), st.lists(st.sampled_from([1, 2, 5]), max_size=3))
def test_one_global_seed_gives_the_kernels_of_keras_dense_layers(seed, ins, widths):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(width) for width in widths]
    our_random.set_random_seed(seed)
    mine = [ours.get("glorot_uniform") for _ in widths]
    for layer, initializer in zip(layers, mine, strict=True):
        layer.build((None, ins))
        np.testing.assert_array_equal(
            initializer(layer.kernel.shape), np.asarray(layer.kernel.value)
        )


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", None, np.int64(1), [1]])
def test_a_wrong_global_seed_is_refused_as_in_keras(seed):
    expected = refusal(lambda: keras.utils.set_random_seed(seed))
    assert refusal(lambda: our_random.set_random_seed(seed)) is expected is ValueError


# -- configs, names and signatures ----------------------------------------------------------------

VALUES = {
    "seed": st.none() | SEEDS,
    "value": NUMBERS,
    "gain": NUMBERS,
    "minval": NUMBERS,
    "maxval": NUMBERS,
    "mean": NUMBERS,
    "stddev": NUMBERS,
    "scale": SCALES,
    "mode": MODES,
    "distribution": st.sampled_from(["uniform", "NORMAL", "truncated_normal"]),
    "input_axes": st.none() | st.lists(st.integers(0, 3)),
    "output_axes": st.none() | st.lists(st.integers(0, 3)),
}


@pytest.mark.parametrize("name", CLASSES)
def test_signatures_of_initializers_equal_keras(name):
    mine, other = (
        [(p.name, p.default) for p in inspect.signature(getattr(module, name)).parameters.values()]
        for module in (ours, theirs)
    )
    # Keras' classes without arguments inherit those of `object`.
    assert mine == [(n, d) for n, d in other if n not in ("args", "kwargs")]


@given(st.data(), st.sampled_from(CLASSES))
def test_configs_of_initializers_equal_keras_and_each_library_reads_the_other(data, name):
    accepted = inspect.signature(getattr(ours, name)).parameters.keys() & VALUES.keys()
    arguments = {key: data.draw(VALUES[key], label=key) for key in sorted(accepted)}
    mine, other = both(name, **arguments)
    config = ours.serialize(mine)
    if name == "Identity":  # Keras omits its gain
        config["config"].pop("gain")
    assert config == theirs.serialize(other)
    assert list(config["config"]) == list(other.get_config())
    assert config["config"].items() <= ours.get(theirs.serialize(other)).get_config().items()
    read = theirs.get(ours.serialize(mine))
    assert theirs.serialize(read) == theirs.serialize(other)
    assert getattr(read, "gain", None) == getattr(mine, "gain", None)


SPELLINGS = [
    spelling
    for name in CLASSES
    for words in [name, "".join(f"_{c}" if c.isupper() else c for c in name).lstrip("_")]
    for spelling in [words, words.lower(), words.upper(), words + "Initializer", words[:-1]]
]
SPELLINGS += ["zero", "one", "uniform", "normal", "Uniform", "Normal", "Zero", "glorot", "he", ""]
# Keras expects a value in the empty config of "constant", and fails.
SPELLINGS = sorted(set(SPELLINGS) - {"Constant", "constant"})


@pytest.mark.parametrize("name", SPELLINGS)
def test_names_of_initializers_are_found_or_refused_as_in_keras(name):
    expected = refusal(lambda: theirs.get(name))
    assert refusal(lambda: ours.get(name)) is expected
    if expected is None:
        assert type(ours.get(name)).__name__ == type(theirs.get(name)).__name__


@pytest.mark.parametrize("name", [name for name in dir(theirs) if name.lower() == name])
def test_the_module_has_the_names_of_keras(name):
    if inspect.isclass(getattr(theirs, name)) and name != "stft":
        assert getattr(ours, name).__name__ == getattr(theirs, name).__name__


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "identifier", [3, True, [1.0], (1,), object(), {}, {"class_name": "nope", "config": {}}, 1.5]
)
def test_a_wrong_identifier_is_refused_as_in_keras(identifier):
    assert refusal(lambda: ours.get(identifier)) is refusal(lambda: theirs.get(identifier))


@pytest.mark.parametrize("seed", [1.5, "a", np.int64(3), [1]])
@pytest.mark.parametrize("name", RANDOM)
def test_a_wrong_seed_is_refused_as_in_keras(name, seed):
    expected = refusal(lambda: getattr(theirs, name)(seed=seed))
    assert refusal(lambda: getattr(ours, name)(seed=seed)) is expected is ValueError


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("VarianceScaling", {"scale": 0.0}),
        ("VarianceScaling", {"scale": -1}),
        ("VarianceScaling", {"scale": "1"}),
        ("VarianceScaling", {"scale": None}),
        ("VarianceScaling", {"mode": "fan"}),
        ("VarianceScaling", {"mode": None}),
        ("VarianceScaling", {"distribution": "cauchy"}),
        ("VarianceScaling", {"input_axes": [5], "output_axes": [0]}),
        ("VarianceScaling", {"input_axes": 0, "output_axes": 1}),
        ("HeNormal", {"scale": 2.0}),
        ("RandomNormal", {"mean": "0"}),
        ("RandomNormal", {"stddev": None}),
        ("RandomUniform", {"minval": "0"}),
        ("Constant", {"value": "a"}),
        ("Constant", {"value": None}),
        ("Identity", {"gain": "a"}),
        ("Orthogonal", {"gain": "a"}),
    ],
)
def test_a_wrong_argument_is_refused_with_the_error_of_keras_or_valueerror(name, arguments):
    mine, other = (
        refusal(lambda module=module: getattr(module, name)(**arguments)((2, 2)))
        for module in (ours, theirs)
    )
    assert other is not None
    assert mine in (other, ValueError)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2), (2.0, 3), (None, 2)])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_a_wrong_shape_or_dtype_is_refused_as_in_keras(name, shape, dtype):
    mine, other = (lambda made=made: made(shape, dtype) for made in both(name))
    assert refusal(mine) is refusal(other)


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_generator_gives_other_weights_at_each_call_and_is_in_configs_as_in_keras(name):
    mine, other = (
        getattr(lib.initializers, name)(seed=lib.random.SeedGenerator(7, name="drawn"))
        for lib in (tn, keras)
    )
    mine_config, config = (
        lib.saving.serialize_keras_object(x) for lib, x in ((tn, mine), (keras, other))
    )
    assert mine_config == config
    first = mine((4, 3))
    np.testing.assert_allclose(first, other((4, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mine((4, 3)), other((4, 3)), rtol=1e-5, atol=1e-6)
    assert (mine((4, 3)) != first).all()
    np.testing.assert_array_equal(tn.saving.deserialize_keras_object(config)((4, 3)), first)
