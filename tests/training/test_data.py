"""Data in any form: what arrays give, iterables of batches, lists and tables give as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers import refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.layers import Dense, Input

ROWS = 10
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(ROWS, 1)).astype("float32")
WEIGHT = np.random.default_rng(2).random(ROWS).astype("float32")


def network(**options: Any) -> tn.Model:
    tn.utils.set_random_seed(3)
    model = tn.Sequential([Input((3,)), Dense(4, "tanh"), Dense(1)])
    model.compile(tn.optimizers.Adam(0.01), "mse", metrics=["mae"], **options)
    return model


def batches(size: int, weighted: bool) -> list[tuple[np.ndarray, ...]]:
    parts = (X, Y, WEIGHT) if weighted else (X, Y)
    return [tuple(p[i : i + size] for p in parts) for i in range(0, ROWS, size)]


class Items:
    """Batches by their number, as a data set on disk may have them."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, i: int) -> Any:
        assert 0 <= i < len(self.batches)
        return self.batches[i]


class Again:
    """Batches that can be gone through as often as one likes, without a length."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        yield from self.batches


def forever(batches: list[Any]) -> Iterator[Any]:
    while True:
        yield from batches


SOURCES = {
    "items": (Items, False),
    "an iterable": (Again, False),
    "an endless generator": (forever, True),
    "an iterator": (lambda b: iter(3 * b), True),
}


@pytest.mark.parametrize("eager", [False, True])
@given(
    source=st.sampled_from(sorted(SOURCES)), size=st.sampled_from([3, 5]), weighted=st.booleans()
)
def test_batches_from_anywhere_train_as_the_arrays_they_are_cut_from(eager, source, size, weighted):
    make, needs_steps = SOURCES[source]
    cut = batches(size, weighted)
    steps = len(cut) if needs_steps else None
    weight = WEIGHT if weighted else None
    arrays, streams = network(run_eagerly=eager), network(run_eagerly=eager)
    expected = arrays.fit(
        X,
        Y,
        size,
        3,
        0,
        sample_weight=weight,
        shuffle=False,
        validation_data=(X, Y),
        validation_batch_size=ROWS,
    )
    found = streams.fit(
        make(cut),
        epochs=3,
        steps_per_epoch=steps,
        verbose=0,
        validation_data=Again([(X, Y)]),
    )
    assert found.history == expected.history
    for a, b in zip(arrays.get_weights(), streams.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert arrays.evaluate(X, Y, size, verbose=0) == streams.evaluate(
        Again(batches(size, False)), verbose=0
    )
    predicted = streams.predict(Again([x for x, *_ in cut]), verbose=0)
    np.testing.assert_array_equal(arrays.predict(X, size, verbose=0), predicted)


def test_a_generator_is_used_up_by_one_epoch_and_the_next_says_so():
    model, other = network(), network()
    with pytest.warns(UserWarning, match=r"ran out of data; interrupting training.*there were 0"):
        history = model.fit((b for b in batches(5, False)), epochs=3, verbose=0)
    assert history.epoch == [0]
    assert history.history == other.fit(X, Y, 5, shuffle=False, verbose=0).history


def test_an_epoch_ends_early_with_a_warning_when_its_steps_are_more_than_the_batches():
    model = network()
    with pytest.warns(UserWarning, match=r"can generate 3 batches per epoch: there were 2"):
        history = model.fit(Again(batches(5, False)), steps_per_epoch=3, verbose=0)
    assert history.history == network().fit(X, Y, 5, shuffle=False, verbose=0).history


def test_steps_go_on_through_an_iterable_from_epoch_to_epoch():
    model, other = network(), network()
    model.fit(Again(batches(2, False)), epochs=2, steps_per_epoch=2, verbose=0)
    other.fit(X[:8], Y[:8], 2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans())
def test_batches_may_have_any_lengths_and_class_weights(lengths, eager):
    rng = np.random.default_rng(len(lengths))
    data = [(rng.normal(size=(n, 3)), rng.integers(0, 2, n).astype(float)) for n in lengths]
    weighted = [(x, y, np.where(y == 1, 3.0, 1.0)) for x, y in data]
    one, other = network(run_eagerly=eager), network(run_eagerly=eager)
    found = one.fit(Again(data), class_weight={1: 3.0}, epochs=2, verbose=0).history
    assert found == other.fit(Again(weighted), epochs=2, verbose=0).history


def test_a_model_that_waits_for_data_is_built_by_the_first_batch_which_is_not_lost():
    tn.utils.set_random_seed(3)
    model = tn.Sequential([Dense(4, "tanh"), Dense(1)])
    model.compile(tn.optimizers.Adam(0.01), "mse", metrics=["mae"])
    found = model.fit(iter(batches(5, False)), verbose=0).history
    assert found == network().fit(X, Y, 5, shuffle=False, verbose=0).history


WRONG = {
    "targets beside it": (lambda m: m.fit(Again([]), Y), ["`y` should not be passed"]),
    "weights beside it": (
        lambda m: m.fit(Again([]), sample_weight=WEIGHT),
        ["`sample_weight` should not be passed"],
    ),
    "no batch": (lambda m: m.fit(Again([])), ["empty"]),
    "an iterator that has ended": (lambda m: m.fit(iter([])), ["Iterators are read once"]),
    "an empty batch": (lambda m: m.fit(Again([(X[:0], Y[:0])])), ["empty"]),
    "lengths": (lambda m: m.fit(Again([(X, Y[1:])])), ["cardinality"]),
    "four parts": (lambda m: m.fit(Again([(X, Y, WEIGHT, X)])), ["1 to 3 parts", "received 4"]),
    "no targets": (lambda m: m.fit(Again([X])), ["expected targets", "dense_1"]),
    "a split": (lambda m: m.fit(Again([(X, Y)]), validation_split=0.5), ["validation_data"]),
    "words": (lambda m: m.fit(Again([("a", "b")])), ["x"]),
    "validation data": (lambda m: m.fit(X, Y, validation_data=3), ["iterable of batches", "int"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_batches_that_do_not_fit_are_refused_before_anything_changes(case):
    tn.utils.clear_session()
    model = network()
    before = model.get_weights()
    call, words = WRONG[case]
    with refused(ValueError, *words):
        call(model)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


# -- arrays of other kinds -------------------------------------------------------------------------


class Table:
    """A table that gives itself as an array when asked, as data frames do."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.columns = [f"column {i}" for i in range(array.shape[-1])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array if dtype is None else self.array.astype(dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, column: str) -> np.ndarray:
        return self.array[:, self.columns.index(column)]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.setflags(write=False)
    return a


CONVERSIONS = {
    "a table": Table,
    "lists": np.ndarray.tolist,
    "tensors": tn.tensor,
    "variables": tn.Variable,
    "float64": lambda a: a.astype("float64"),
    "column order": np.asfortranarray,
    "strides": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "read only": read_only,
    "big endian": lambda a: a.astype(">f4"),
    "in memory of others": lambda a: np.frombuffer(a.tobytes(), "float32").reshape(a.shape),
}


@pytest.mark.parametrize("conversion", CONVERSIONS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_of_any_kind_train_and_predict_alike_and_stay_unchanged(conversion, shuffle):
    convert = CONVERSIONS[conversion]
    x, y, weight = convert(X), convert(Y), convert(WEIGHT[:, None])
    found = []
    for data in ((X, Y, WEIGHT[:, None]), (x, y, weight)):
        model = network()
        np.random.seed(0)
        history = model.fit(*data[:2], 4, 2, 0, sample_weight=data[2], shuffle=shuffle)
        found.append((history.history, model.predict(data[0], verbose=0).tolist()))
    assert found[0] == found[1]
    np.testing.assert_array_equal(np.asarray(x), X)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float16"])
def test_numbers_of_any_kind_are_converted_as_floats_would_be(dtype):
    x = (10 * abs(X)).astype(dtype)
    y = (10 * abs(Y)).astype(dtype)
    histories = [
        network().fit(a, b, 4, 2, 0, shuffle=False).history
        for a, b in ((x, y), (x.astype("float32"), y.astype("float32")))
    ]
    assert histories[0] == histories[1]


def test_an_array_of_the_other_byte_order_is_read_correctly():
    np.testing.assert_array_equal(
        network().predict(X.astype(">f8"), verbose=0), network().predict(X, verbose=0)
    )


# -- PyDataset ------------------------------------------------------------------------------------


class Numbered(tn.utils.PyDataset):
    """The batches of X and Y by number; `log` has the calls."""

    def __init__(self, size: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.log = size, []

    def __len__(self) -> int:
        return -(-ROWS // self.size)

    def __getitem__(self, index: int) -> Any:
        self.log.append(index)
        rows = slice(index * self.size, (index + 1) * self.size)
        return X[rows], Y[rows]

    def on_epoch_begin(self) -> None:
        self.log.append("begin")

    def on_epoch_end(self) -> None:
        self.log.append("end")


@pytest.mark.parametrize("options", [{}, {"workers": 3, "use_multiprocessing": True}])
@pytest.mark.parametrize("size", [2, 3])
def test_numbered_batches_train_as_the_arrays_they_are_cut_from(options, size):
    data = Numbered(size, **options)
    model, other = network(), network()
    found = model.fit(data, epochs=3, shuffle=False, validation_data=data, verbose=0)
    expected = other.fit(
        X, Y, size, 3, 0, shuffle=False, validation_data=(X, Y), validation_batch_size=size
    )
    assert found.history == expected.history
    assert model.evaluate(data, verbose=0) == other.evaluate(X, Y, size, verbose=0)
    np.testing.assert_array_equal(model.predict(data, verbose=0), other.predict(X, size, verbose=0))


def test_each_epoch_reads_each_batch_once_in_a_new_order():
    data = Numbered()
    network().fit(data, epochs=2, verbose=0)
    first, *rest = data.log
    assert first == 0  # looked at before the training
    assert rest[:2] == ["end", "begin"]
    assert (rest[6:8], rest[-1]) == (["end", "begin"], "end")
    orders = rest[2:6], rest[8:12]
    assert [sorted(order) for order in orders] == [[0, 1, 2, 3]] * 2
    assert orders[0] != orders[1]


@pytest.mark.parametrize("make", [Items, lambda batches: Numbered(5)])
def test_as_many_steps_as_batches_go_through_them_in_each_epoch(make):
    steps = network().fit(make(batches(5, False)), epochs=3, steps_per_epoch=2, verbose=0)
    assert steps.epoch == [0, 1, 2]


def test_batches_without_end_and_without_a_constructor():
    class Endless(tn.utils.Sequence):
        num_batches = None

        def __init__(self) -> None:
            pass

        def __getitem__(self, index: int) -> Any:
            return X + index, Y

    model, other = network(), network()
    found = model.fit(Endless(), epochs=2, steps_per_epoch=2, verbose=0).history
    arrays = [(X + i, Y) for i in range(4)]
    assert found == other.fit(iter(arrays), epochs=2, steps_per_epoch=2, verbose=0).history


def test_what_a_subclass_must_define_is_named():
    class Nothing(tn.utils.PyDataset):
        pass

    class Length(Nothing):
        def __len__(self) -> int:
            return 1

    with pytest.raises(NotImplementedError, match="Nothing must define __len__ or num_batches"):
        network().fit(Nothing())
    with pytest.raises(NotImplementedError, match="Length must define __getitem__"):
        network().fit(Length())
