"""Labels of every integer dtype mean what the same labels mean as floats: nothing wraps."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from helpers import assert_same, refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.metrics.accuracy import (
    accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
)

DTYPES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
BASES = {"Loss", "LossFunction", "Metric", "MeanMetricWrapper", "Mean", "Sum"}
KINDS = {
    f"{module}.{name}": getattr(getattr(tn, module), name)
    for module in ("losses", "metrics")
    for name in dir(getattr(tn, module))
    if name[0].isupper() and name not in BASES
}
ONE_HOT = ("Crossentropy", "Accuracy", "Logarithmic")  # targets from 0 to 1

dtypes = st.sampled_from(DTYPES)
labels = st.lists(st.integers(0, 255), min_size=1, max_size=5)


def as_labels(numbers: list[int], dtype: str) -> np.ndarray:
    """Return the numbers, made as small as the dtype needs."""
    most = 1 if dtype == "bool" else min(np.iinfo(dtype).max, 255)
    return np.array([min(n, most) for n in numbers]).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@given(dtype=dtypes, numbers=labels, seed=st.integers(0, 9))
def test_losses_and_metrics_of_integer_targets_equal_those_of_floats(kind, dtype, numbers, seed):
    y = as_labels(numbers, dtype)
    rng = np.random.default_rng(seed)
    if "Sparse" in kind:
        y_pred = rng.dirichlet(np.ones(256), len(y)).astype("float32")
    else:
        y = np.stack([y, y[::-1]], axis=1)
        y = (y > 0).astype(dtype) if any(word in kind for word in ONE_HOT) else y
        y_pred = rng.random(y.shape).astype("float32")
    of_integers, of_floats = KINDS[kind]()(y, y_pred), KINDS[kind]()(y.astype("float32"), y_pred)
    assert_same(of_integers.numpy(), of_floats.numpy())


@given(dtype=dtypes, numbers=labels, count=st.none() | st.just(256))
def test_one_hot_rows_of_each_dtype(dtype, numbers, count):
    y = as_labels(numbers, dtype)
    expected = tn.utils.to_categorical(y.astype("int64"), count)
    assert_same(tn.utils.to_categorical(y, count), expected)
    assert_same(tn.utils.to_categorical(tn.tensor(y), count).numpy(), expected.astype("float32"))


@given(dtype=dtypes, numbers=labels, other=labels)
def test_labels_of_two_dtypes_are_equal_where_their_values_are(dtype, numbers, other):
    predicted = as_labels(numbers, dtype)
    given_labels = np.resize(np.array([*other, *(predicted.astype(int) + 256)]), len(predicted))
    expected = (given_labels == predicted.astype(int)).astype("float32")
    for wide in ("int64", "float32"):
        assert_same(accuracy(given_labels.astype(wide), predicted).numpy(), expected)


def test_a_label_that_the_scores_dtype_cannot_represent_equals_no_other():
    assert accuracy(np.array([-1]), np.array([255], "uint8")).tolist() == [0.0]
    scores = np.array([[3, 1]], "uint8")
    assert sparse_categorical_accuracy([256], scores).tolist() == [0.0]  # 256 = 0 in uint8
    half = np.zeros((1, 2050), "float16")
    half[0, 2049] = 1  # which float16 rounds to 2048
    assert sparse_categorical_accuracy([2048], half).tolist() == [0.0]
    assert sparse_categorical_accuracy([2049], half).tolist() == [1.0]
    assert sparse_top_k_categorical_accuracy([2048], half, k=1).tolist() == [0.0]
    loss = tn.losses.sparse_categorical_crossentropy
    beyond = loss(np.array([2**32 + 1]), np.array([[0.2, 0.3, 0.5]]))
    assert beyond.tolist() == loss(np.array([7]), np.array([[0.2, 0.3, 0.5]])).tolist()


def trained(x: Any, y: Any, **options: Any) -> Any:
    tn.utils.set_random_seed(0)
    model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(x, y, epochs=2, verbose=0, **options).history


@given(dtype=dtypes, numbers=st.lists(st.integers(0, 2), min_size=1, max_size=5))
def test_fits_of_integers_equal_fits_of_floats(dtype, numbers):
    y = as_labels(numbers, dtype)
    x = np.stack([as_labels([7 * n for n in numbers], dtype)] * 2, axis=1)
    expected = trained(x.astype("float32"), y.astype("float32"), class_weight={1: 3.0})
    assert trained(x, y, class_weight={1: 3.0}) == expected
    assert trained(x, y, sample_weight=1 + 2.0 * (y == 1)) == expected


@pytest.mark.parametrize("keys", [[-1], [2, 7], [3]])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64"])
def test_weights_of_no_class_are_refused(keys, dtype):
    y = np.array([0, 1, 2, 1], dtype)
    with refused(ValueError, "class_weight", "0 to 2", str([k for k in keys if k != 2])):
        trained(np.ones((4, 2)), y, class_weight=dict.fromkeys(keys, 2.0))


def test_weights_of_classes_that_may_exist_are_allowed():
    x = np.ones((2, 2))
    trained(x, np.array([0, 0]), class_weight={0: 1.0, 1: 2.0})  # a fold without the class 1
    trained(x, np.array([0, 2]), class_weight={1: 2.0, 2: 3.0})
    trained(iter(2 * [(x, np.array([0, 1]))]), None, class_weight={2: 5.0}, steps_per_epoch=1)


def test_weights_of_no_column_of_one_hot_targets_are_refused():
    model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    for call in (model.fit, model.train_on_batch):
        with refused(ValueError, "class_weight", "0 to 2", "[3]"):
            call(np.ones((2, 2)), np.eye(3)[:2], class_weight={2: 1.0, 3: 2.0})


LOSSES = {
    "by name": lambda: "sparse_categorical_crossentropy",
    "as an object": tn.losses.SparseCategoricalCrossentropy,
    "that ignores class 9": lambda: tn.losses.SparseCategoricalCrossentropy(ignore_class=9),
}


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("wrong", [3, 9, -1])
def test_labels_that_are_no_class_are_warned_of_and_their_loss_is_0(wrong, loss, dtype):
    """Classes counted from 1 to 3, say, for three outputs."""
    y = np.array([0, 1, 2, 0, max(wrong, 0 if dtype[0] == "u" else wrong)]).astype(dtype)
    for targets in (y, y[:, None]):
        model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(3, "softmax")])
        model.compile("sgd", LOSSES[loss]())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = model.evaluate(np.ones((5, 2)), targets, verbose=0)
        is_class = 0 <= y[-1] < 3 or ("ignores" in loss and y[-1] == 9)
        words = [str(warning.message) for warning in caught]
        assert words == [] if is_class else f"received {y[-1]} (1 of 5 targets)" in words[0]
        rows = model.predict(np.ones((5, 2)), verbose=0)[range(4), y[:4]]
        if y[-1] not in range(3):
            count = 4 if "ignores" in loss and y[-1] == 9 else 5
            np.testing.assert_allclose(found, -np.log(rows).sum() / count, rtol=1e-5)


X, GOOD, WRONG = np.ones((5, 2), "f4"), np.array([0, 1, 2, 0, 1]), np.array([0, 1, 2, 0, 3])
CALLS = {
    "fit": ("y", lambda m: m.fit(X, WRONG, verbose=0)),
    "fit with batches": ("y", lambda m: m.fit(iter([(X, WRONG)]), verbose=0)),
    "train_on_batch": ("y", lambda m: m.train_on_batch(X, WRONG)),
    "test_on_batch": ("y", lambda m: m.test_on_batch(X, WRONG)),
    "evaluate": ("y", lambda m: m.evaluate(X, WRONG, verbose=0)),
    "validation_data": (
        "validation_data",
        lambda m: m.fit(X, GOOD, validation_data=(X, WRONG), verbose=0),
    ),
    "batches of validation_data": (
        "validation_data",
        lambda m: m.fit(X, GOOD, validation_data=iter([(X, WRONG)]), verbose=0),
    ),
}


@pytest.mark.parametrize("known", [False, True], ids=["at first", "after a fit without any"])
@pytest.mark.parametrize("call", CALLS)
def test_every_call_warns_once_of_labels_that_are_no_class(call, known):
    argument, run = CALLS[call]
    model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    if known:
        model.fit(X, GOOD, verbose=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(model)
    found = "expected classes from 0 to 2, received 3 (1 of 5 targets). Their loss is 0."
    assert [str(warning.message) for warning in caught] == [f"{argument}: {found}"]
