"""Tables, sparse matrices and masked arrays as data: read as the same numbers, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import everything, refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.training.data import REFUSED, to_array

ROWS = 6
X = np.random.default_rng(0).integers(-3, 4, (ROWS, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(ROWS, 1)).astype("float32")
TRUE = X[:, 0] > 0


def network(**options: Any) -> tn.Model:
    tn.utils.set_random_seed(3)
    model = tn.Sequential([tn.Input((4,)), tn.layers.Dense(3, "tanh"), tn.layers.Dense(1)])
    model.compile(tn.optimizers.Adam(0.01), "mse", metrics=["mae"], **options)
    return model


# -- tables ---------------------------------------------------------------------------------------

COLUMNS: dict[str, Callable[[np.ndarray], Any]] = {
    "float64": lambda a: a.astype("float64"),
    "int8": lambda a: a.astype("int8"),
    "bool": lambda a: a > 0,
    "Int64": lambda a: pd.array(a.astype(int), "Int64"),
    "Float32": lambda a: pd.array(a, "Float32"),
    "boolean": lambda a: pd.array(a > 0, "boolean"),
    "category": lambda a: pd.Categorical(a),
    "sparse": lambda a: pd.arrays.SparseArray(a),
    "object": lambda a: pd.Series([None if v == 0 else v for v in a.tolist()], dtype=object),
    "Int64 with gaps": lambda a: pd.array([None if v == 0 else int(v) for v in a], "Int64"),
    "boolean with gaps": lambda a: pd.array([None if v == 0 else v > 0 for v in a], "boolean"),
}
BOOLS = {"bool", "boolean", "boolean with gaps"}
GAPS = {"object", "Int64 with gaps", "boolean with gaps"}


def expected_of(kind: str, column: np.ndarray) -> np.ndarray:
    numbers = (column > 0).astype("float32") if kind in BOOLS else column
    return np.where(column == 0, np.nan, numbers) if kind in GAPS else numbers


@given(kinds=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
def test_a_table_is_read_column_by_column(kinds):
    table = pd.DataFrame({i: COLUMNS[kind](X[:, i]) for i, kind in enumerate(kinds)})
    expected = np.stack([expected_of(kind, X[:, i]) for i, kind in enumerate(kinds)], axis=1)
    found = to_array(table, "x")
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.astype("float32"), expected)
    series = to_array(table[0], "y")
    np.testing.assert_array_equal(series.astype("float32"), expected[:, 0])


WORDLESS: dict[str, Any] = {
    "words": ["a"] * ROWS,
    "a category of words": pd.Categorical(["a", None, "b"] * (ROWS // 3)),
    "digits as words": ["1"] * ROWS,
    "dates": pd.to_datetime(["2020-01-01"] * ROWS),
    "durations": pd.to_timedelta([1] * ROWS, unit="D"),
    "complex numbers": X[:, 0] * 1j,
    "lists": [[1.0]] * ROWS,
}


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_labels_that_are_texts_are_refused_with_the_call_that_numbers_them(kind):
    with refused(ValueError, "Expected numbers in y. np.unique(y, return_inverse=True)[1] numbers"):
        network().fit(X[:2], kind(["cat", "dog"]))


@pytest.mark.parametrize("kind", WORDLESS)
def test_a_column_without_numbers_is_named(kind):
    model = network()
    before = everything(model)
    table = pd.DataFrame(X).assign(odd=WORDLESS[kind])
    with refused(ValueError, "Invalid dtype", "column 'odd' of x", "encode or drop"):
        model.fit(table, Y)
    with refused(ValueError, "Invalid dtype", "numbers in y"):
        model.fit(X, table["odd"])
    for a, b in zip(everything(model), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_table_without_columns_is_refused():
    with refused(ValueError, "x", "a table with columns"):
        network().fit(pd.DataFrame(index=range(ROWS)), Y)


def test_a_table_trains_as_its_numbers_do():
    table = pd.DataFrame({"a": X[:, 0], "b": TRUE, "c": pd.array(X[:, 2].astype(int), "Int64")})
    table["d"] = pd.Categorical(X[:, 3])
    numbers = np.stack([X[:, 0], TRUE, X[:, 2], X[:, 3]], axis=1).astype("float32")
    y = pd.Series(pd.array(Y[:, 0], "Float64"))
    results = []
    for x, targets in ((table, y), (numbers, Y[:, 0])):
        model = network()
        history = model.fit(x, targets, epochs=2, verbose=0, validation_split=0.34).history
        results.append((history, model.predict(x, verbose=0).tolist()))
    assert results[0] == results[1]


class Column:
    """A column as other packages have it."""

    def __init__(self, name: str, values: Any) -> None:
        self.name, self.values = name, values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.values)


class LikePolars:
    """A table with the methods of a `polars.DataFrame`."""

    def __init__(self, **columns: Any) -> None:
        self.data = columns
        self.columns = list(columns)

    def get_columns(self) -> list[Column]:
        return [Column(name, values) for name, values in self.data.items()]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise AssertionError("a table is read column by column")


class LikeArrow(LikePolars):
    """A table with the methods of a `pyarrow.Table`."""

    get_columns: Any = property()

    def __init__(self, **columns: Any) -> None:
        self.column_names, self.columns = (
            list(columns),
            list(map(Column, columns, columns.values())),
        )


@pytest.mark.parametrize("kind", [LikePolars, LikeArrow])
def test_tables_of_other_packages_are_read_in_the_same_way(kind):
    objects = np.array([True, None, np.True_, False, 1, 2.5], object)
    found = to_array(kind(a=X[:, 0], b=TRUE, c=objects), "x")
    expected = np.stack([X[:, 0], TRUE, [1, np.nan, 1, 0, 1, 2.5]], axis=1)
    np.testing.assert_array_equal(found, expected.astype("float32"))
    with refused(ValueError, "column 'w' of x"):
        to_array(kind(a=X[:, 0], w=np.array(["a"] * ROWS, object)), "x")


class LazyFrame:
    """A plan of a table, which has no data."""

    __module__ = "polars.lazyframe.frame"

    def __getattr__(self, name: str) -> Any:
        if name in ("columns", "dtypes"):
            raise AssertionError("this would run the plan")
        raise AttributeError(name)


class XarrayDataset(dict):
    """Several arrays with names, a mapping."""

    __module__, __qualname__ = "xarray.core.dataset", "Dataset"

    def __array__(self, dtype: Any = None) -> np.ndarray:
        raise TypeError("cannot directly convert")


XarrayDataset.__name__ = "Dataset"


@pytest.mark.parametrize(("kind", "call"), [(LazyFrame, "collect()"), (XarrayDataset, "to_data")])
@pytest.mark.parametrize("argument", ["x", "y", "sample_weight"])
def test_what_is_no_data_yet_is_refused_with_the_call_that_makes_it(kind, call, argument):
    given_data = {"x": X, "y": Y, "sample_weight": None, argument: kind()}
    if kind is XarrayDataset:
        assert isinstance(given_data[argument], dict)  # and so a structure of inputs by name
        given_data[argument] = type("Dataset", (), {"__module__": kind.__module__})()
    with refused(ValueError, argument, call, kind.__name__):
        network().fit(**given_data)


@pytest.mark.parametrize("name", ["polars", "pyarrow", "xarray"])
def test_the_real_packages_are_read_or_refused_alike(name):
    package = pytest.importorskip(name)
    read, refuse = REAL[name]
    for data in read(package):
        np.testing.assert_array_equal(to_array(data, "x"), [[1, 1], [2, np.nan]])
    for data in refuse(package):
        with refused(ValueError, "x", REFUSED[name, type(data).__name__]):
            network().fit(data, Y)


def polars_frames(pl: ModuleType) -> list[Any]:
    return [pl.DataFrame({"a": [1.0, 2.0], "b": [True, None]}), pl.DataFrame([[1, 2], [1, None]])]


REAL: dict[str, tuple[Callable[[Any], list[Any]], Callable[[Any], list[Any]]]] = {
    "polars": (polars_frames, lambda pl: [polars_frames(pl)[0].lazy()]),
    "pyarrow": (lambda pa: [pa.table({"a": [1, 2], "b": [True, None]})], lambda pa: []),
    "xarray": (
        lambda xr: [xr.DataArray([[1, 1], [2, np.nan]])],
        lambda xr: [xr.Dataset({"a": ("n", [1.0, 2.0])})],
    ),
}


# -- sparse matrices ------------------------------------------------------------------------------

FORMATS = ["csr_matrix", "csc_array", "coo_array", "lil_matrix", "bsr_matrix"]


@pytest.mark.parametrize("eager", [False, True])
@given(
    form=st.sampled_from(FORMATS),
    size=st.sampled_from([2, 4, ROWS]),
    shuffle=st.booleans(),
    split=st.sampled_from([0, 0.5]),
)
def test_a_sparse_matrix_trains_as_the_dense_one_does(eager, form, size, shuffle, split):
    make: Any = getattr(sp, form)
    results = []
    for x, y in ((X, Y), (make(X), make(Y))):
        model = network(run_eagerly=eager)
        options = {"shuffle": shuffle, "validation_split": split, "validation_batch_size": 2}
        history = model.fit(x, y, size, 2, 0, **options).history
        results.append(
            (
                history,
                model.evaluate(x, y, size, verbose=0),
                model.predict(x, size, verbose=0).tolist(),
                model.train_on_batch(x, y),
                model.predict_on_batch(x).tolist(),
                model.max_learning_rate(x, y),
            )
        )
    assert results[0] == results[1]


def test_a_sparse_matrix_becomes_dense_batch_by_batch(monkeypatch):
    made: list[tuple[int, ...]] = []
    toarray = sp.csr_array.toarray

    def noted(self: Any, *args: Any, **options: Any) -> np.ndarray:
        made.append(self.shape)
        return toarray(self, *args, **options)

    monkeypatch.setattr(sp.csr_array, "toarray", noted)
    network().fit(sp.csr_array(X), Y, 2, 2, 0, validation_split=0.34)
    assert {*made} == {(1, 4), (2, 4)}


def test_batches_may_be_sparse():
    def batches(make: Any) -> Iterator[Any]:
        return iter([(make(X[:3]), Y[:3]), (make(X[3:]), Y[3:])])

    found = network().fit(batches(sp.csr_array), verbose=0).history
    assert found == network().fit(batches(np.array), verbose=0).history


def test_sparse_one_hot_targets_have_class_weights():
    y = np.eye(3, dtype="float32")[[0, 2, 1, 1, 0, 2]]
    model = tn.Sequential(
        [tn.Input((4,)), tn.layers.Dense(3, "softmax", kernel_initializer="ones")]
    )
    model.compile("sgd", "categorical_crossentropy")
    weights = model.get_weights()
    found = []
    for targets in (y, sp.csr_array(y)):
        model.set_weights(weights)
        found.append(model.fit(X, targets, verbose=0, class_weight={1: 3.0}, shuffle=False).history)
    assert found[0] == found[1]


def test_a_sparse_matrix_of_complex_numbers_is_refused():
    with refused(ValueError, "Invalid dtype: complex64", "x"):
        network().fit(sp.csr_array(X * 1j), Y)


# -- masked arrays --------------------------------------------------------------------------------

CALLS: dict[str, Callable[[tn.Model, Any], Any]] = {
    "fit": lambda model, x: model.fit(x, Y),
    "fit on targets": lambda model, x: model.fit(X, x[:, :1]),
    "fit with weights": lambda model, x: model.fit(X, Y, sample_weight=x[:, 0]),
    "evaluate": lambda model, x: model.evaluate(x, Y),
    "predict": lambda model, x: model.predict(x),
    "predict, quick": lambda model, x: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "train_on_batch": lambda model, x: model.train_on_batch(x, Y),
    "explain_step": lambda model, x: model.explain_step(x, Y),
}


@pytest.mark.parametrize("call", CALLS)
def test_masked_elements_are_refused(call):
    model = network()
    model.predict(X, verbose=0)  # a compiled step for this shape
    masked = np.ma.masked_equal(X, X[0, 0])
    with refused(ValueError, "masked", "filled(value)"):
        CALLS[call](model, masked)


def test_a_masked_array_without_masked_elements_is_an_array():
    expected = network().fit(X, Y, verbose=0).history
    assert network().fit(np.ma.array(X), Y, verbose=0).history == expected
