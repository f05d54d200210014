"""Models with several outputs: losses, weights, metrics and data by list and by name."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from side_by_side import (
    ROWS,
    SEEDS,
    WIDTH,
    assert_all_roads_agree,
    assert_both_agree,
    in_both,
    numbers,
)

import tinynet as tn

X, A, B = numbers(0, ROWS, WIDTH), numbers(1, ROWS, 1), numbers(2, ROWS, 2)
WEIGHT = abs(numbers(3, ROWS))


def fork(lib: Any, form: type) -> Any:
    """Return a model with outputs "a" of width 1 and "b" of width 2."""
    x = lib.Input((WIDTH,))
    hidden = lib.layers.Dense(4, "tanh")(x)
    a = lib.layers.Dense(1, name="a")(hidden)
    b = lib.layers.Dense(2, "sigmoid", name="b")(hidden)
    return lib.Model(x, {"a": a, "b": b} if form is dict else form((a, b)))


def either(lists: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw a list or a dict with one entry for each output."""
    return st.tuples(lists, st.sampled_from([list, dict])).map(lambda pair: given_as(*pair))


def given_as(pair: Any, form: type) -> Any:
    return dict(zip("ab", pair, strict=True)) if form is dict else list(pair)


LOSS = st.sampled_from(["mse", "mae", "mean_squared_error"])
SOME = st.lists(st.sampled_from(["mse", "mae", "MSE"]), max_size=2, unique=True)


@settings(max_examples=15, deadline=None)
@given(
    form=st.sampled_from([list, tuple, dict]),
    pairs=st.tuples(LOSS, LOSS),
    losses=st.sampled_from([None, list, dict]),
    weights=st.none() | st.tuples(st.floats(0.25, 4.0), st.floats(0.25, 4.0)),
    metrics=st.none() | st.tuples(SOME, SOME),
    weighted=st.none() | st.tuples(SOME, SOME),
    by_name=st.booleans(),
    sample_weight=st.sampled_from(["none", "one", "each"]),
    seed=SEEDS,
)
def test_two_outputs_train_with_the_losses_metrics_and_keys_of_keras(
    form, pairs, losses, weights, metrics, weighted, by_name, sample_weight, seed
):
    if weights is not None and losses is None:
        losses = list  # Keras requires weights in the same structure as the losses
    if form is dict:
        losses, by_name = losses and dict, True
    elif sample_weight != "none":
        by_name = False  # Keras fails otherwise

    def options() -> dict[str, Any]:
        found: dict[str, Any] = {"loss": given_as(pairs, losses) if losses else pairs[0]}
        if weights:
            found["loss_weights"] = given_as(weights, losses)
        named = dict if form is dict else list
        found["metrics"] = metrics and given_as(metrics, named)
        found["weighted_metrics"] = weighted and given_as(weighted, named)
        return found

    def run(lib: Any, run_eagerly: Any) -> Any:
        model = fork(lib, form)
        model.compile("sgd", **options(), run_eagerly=run_eagerly[lib])
        y = {"a": A, "b": B} if by_name else form((A, B))
        given = {"none": None, "one": WEIGHT, "each": given_as((WEIGHT, WEIGHT[::-1]), type(y))}
        weight = given[sample_weight]
        if form is tuple and isinstance(weight, list):
            weight = tuple(weight)
        np.random.seed(seed)
        history = model.fit(X, y, 8, 2, 0, validation_data=(X[:9], cut(y)), sample_weight=weight)
        as_dict = model.evaluate(X, y, sample_weight=weight, verbose=0, return_dict=True)
        return history.history, as_dict, model.get_weights()

    assert_all_roads_agree(run)


def cut(y: Any) -> Any:
    return {k: v[:9] for k, v in y.items()} if isinstance(y, dict) else type(y)(v[:9] for v in y)


def test_evaluate_returns_loss_output_losses_and_metrics_in_the_order_of_keras(run_eagerly):
    def run(lib: Any) -> Any:
        model = fork(lib, list)
        chosen = {"metrics": {"a": ["mse"], "b": "mae"}, "weighted_metrics": [["mae"], None]}
        model.compile("sgd", ["mse", "mae"], run_eagerly=run_eagerly[lib], **chosen)
        batch = model.train_on_batch(X, [A, B]), model.test_on_batch(X, [A, B], return_dict=True)
        return model.evaluate(X, [A, B], verbose=0), batch, model.predict(X, verbose=0)

    assert_both_agree(run)


@pytest.mark.parametrize("loss", [["mse", None], [None, "mae"]])
@pytest.mark.parametrize("partly", [False, True])
def test_an_output_without_a_loss_needs_no_targets(run_eagerly, loss, partly):
    kept = [y for y, one in zip((A, B), loss, strict=True) if one]

    def run(lib: Any) -> Any:
        model = fork(lib, list)
        model.compile("sgd", loss, run_eagerly=run_eagerly[lib])
        y = (kept if len(kept) > 1 else kept[0]) if partly else [A, B]
        return model.fit(X, y, 8, 2, 0, shuffle=False).history, model.get_weights()

    assert_both_agree(run)


def test_an_output_of_a_dict_may_be_left_out_of_the_losses_and_metrics(run_eagerly):
    def run(lib: Any) -> Any:
        model = fork(lib, dict)
        model.compile("sgd", {"b": "mse"}, metrics={"a": ["mae"]}, run_eagerly=run_eagerly[lib])
        return model.fit(X, {"a": A, "b": B}, 8, 2, 0, shuffle=False).history

    assert_both_agree(run)


WRONG: dict[str, tuple[dict[str, Any], Any]] = {
    "a loss too many": ({"loss": ["mse", "mse", "mae"]}, [A, B]),
    "a loss by an unknown name": ({"loss": {"a": "mse", "c": "mse"}}, [A, B]),
    "a weight too many": ({"loss": ["mse", "mae"], "loss_weights": [1.0, 2.0, 3.0]}, [A, B]),
    "metrics of one output": ({"loss": "mse", "metrics": ["mae"]}, [A, B]),
    "metrics by an unknown name": ({"loss": "mse", "metrics": {"c": "mae"}}, [A, B]),
    "targets of one output": ({"loss": "mse"}, A),
    "class weights": ({"loss": "mse", "class_weight": {0: 2.0}}, [A, B]),
}


def compile_and_fit(model: Any, y: Any, options: dict[str, Any], class_weight: Any = None) -> Any:
    model.compile("sgd", **options)
    return model.fit(X, y, verbose=0, class_weight=class_weight)


@pytest.mark.parametrize("case", WRONG)
def test_losses_and_targets_that_do_not_fit_the_outputs_are_refused_as_in_keras(case):
    options, y = WRONG[case]

    def run(lib: Any) -> Any:
        model, rest = fork(lib, list), dict(options)
        weight = rest.pop("class_weight", None)
        before = model.get_weights()
        with pytest.raises((ValueError, KeyError)) as caught:
            compile_and_fit(model, y, rest, weight)
        assert all(map(np.array_equal, before, model.get_weights()))
        return caught.type

    assert in_both(run)[0] is ValueError


# Arguments that Keras misinterprets without an error.
BETTER: dict[str, tuple[dict[str, Any], Any, list[str]]] = {
    "a loss too few": ({"loss": ["mse"]}, [A, B], ["loss", "['a', 'b']", "received 1"]),
    "targets by an unknown name": ({"loss": "mse"}, {"a": A, "c": B}, ["'b'", "'c'"]),
}


@pytest.mark.parametrize("case", BETTER)
def test_arguments_that_keras_misinterprets_are_refused(case):
    options, y, words = BETTER[case]
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        compile_and_fit(fork(tn, list), y, options)
    assert not [word for word in words if word not in str(caught.value)]


@pytest.mark.parametrize("loss", [["mse", "mae"], ("mse", "mae"), [["mse", "mae"]]])
def test_several_losses_of_a_model_with_one_output_are_refused(loss):
    """Keras computes only the first one, and logs 0 for each."""
    model = tn.Sequential([tn.Input((WIDTH,)), tn.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"loss: expected one for each .*, received 2"):
        compile_and_fit(model, A, {"loss": loss})


def test_a_single_loss_weight_applies_to_each_output(run_eagerly):
    def run(lib: Any) -> Any:
        model = fork(lib, list)
        options = {"loss": "mse", "loss_weights": 0.5, "run_eagerly": run_eagerly[lib]}
        return compile_and_fit(model, [A, B], options).history

    assert_both_agree(run)


def test_a_metric_with_an_array_as_result_is_an_array_in_the_logs(run_eagerly):
    def run(lib: Any) -> Any:
        lib.utils.set_random_seed(0)
        model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(2)])
        each = lib.metrics.R2Score(class_aggregation=None, name="each")
        model.compile("sgd", "mse", metrics=[each, "mae"], run_eagerly=run_eagerly[lib])
        history = model.fit(X, B, 8, 2, 0, validation_split=0.5)
        return history.history, model.evaluate(X, B, verbose=0)

    assert_both_agree(run)


def test_a_metric_whose_result_is_a_dict_has_its_keys_in_the_logs(run_eagerly):
    def run(lib: Any) -> Any:
        class Both(lib.metrics.Mean):
            def update_state(self, y_true, y_pred, sample_weight=None):
                super().update_state(abs(y_true - y_pred))

            def result(self):
                mean = super().result()
                return {"mean_of_errors": mean, "twice": 2 * mean}

        lib.utils.set_random_seed(0)
        model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(2)])
        model.compile("sgd", "mse", metrics=[Both()], run_eagerly=run_eagerly[lib])
        history = model.fit(X, B, 8, 2, 0)
        return history.history, model.evaluate(X, B, verbose=0, return_dict=True)

    assert_both_agree(run)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of a structure, those of a dict by sorted keys."""
    if not isinstance(tree, (dict, list, tuple)):
        return [tree]
    parts = [tree[key] for key in sorted(tree)] if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


def error(y_true: Any, y_pred: Any) -> Any:
    """Return the sum of the mean absolute errors of a structure of outputs."""
    return sum(abs(t - p).mean(-1) for t, p in zip(leaves(y_true), leaves(y_pred), strict=True))


def doubled(y_true: Any, y_pred: Any) -> Any:
    return 2.0 * error(y_true, y_pred)


OF_STRUCTURES: dict[str, tuple[Any, Any, Any]] = {  # outputs, losses, their weights
    "a list for a dict": ({"a": A, "b": B}, [error, {"a": "mse", "b": "mae"}], None),
    "a list of one for each of a dict": ({"b": A, "a": B}, ["mse", "mae"], [0.5, 2.0]),
    "a list of one for a dict of one": ({"a": A}, ["mse"], None),
    "one for each of a nested structure": ({"a": (A, B), "b": B}, ["mse", "mae", "mae"], None),
    "a list for a tuple": ((A, B), [error, ("mse", "mae")], None),
    "a tuple for a list": ([A, B], (error, ["mse", "mae"]), None),
    "two": ((A, B), [error, doubled, ("mse", "mae")], [0.5, 2.0, (2.0, 0.1)]),
    "weights": ((A, B), [error, ("mse", "mae")], [0.5, (2.0, 0.1)]),
    "weights of a dict": ({"a": A, "b": B}, [error, {"a": "mse"}], [0.5, {"a": 3.0}]),
    "two of one output": ([A, B], ["mse", ["mae", "mse"]], None),
    "a part": ({"a": (A, B), "b": B}, {"a": [error, (None, "mse")], "b": "mae"}, None),
    "a list of one": ({"a": (A, B), "b": B}, {"a": [error], "b": "mae"}, None),
    "parts, with weights": (
        {"a": (A, B), "b": {"c": B, "d": A}},
        {"a": [error], "b": [doubled, {"c": "mse"}]},
        {"a": [0.5], "b": [0.1, {"c": 3.0}]},
    ),
}


@pytest.mark.parametrize("case", OF_STRUCTURES)
def test_a_loss_of_a_structure_of_outputs_is_that_of_keras(case, run_eagerly):
    y, loss, loss_weights = OF_STRUCTURES[case]

    def run(lib: Any) -> Any:
        names = iter("pqrstu")
        x = lib.Input((WIDTH,))
        model = lib.Model(x, of_widths(y, lambda n: lib.layers.Dense(n, name=next(names))(x)))
        model.compile("sgd", loss, loss_weights, run_eagerly=run_eagerly[lib])
        history = model.fit(X, y, 8, 2, 0, shuffle=False).history
        return history, model.evaluate(X, y, verbose=0, return_dict=True), model.get_weights()

    assert_both_agree(run)


def of_widths(tree: Any, layer: Any) -> Any:
    if isinstance(tree, dict):
        return {key: of_widths(part, layer) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(of_widths(part, layer) for part in tree)
    return layer(tree.shape[1])


def test_weights_of_samples_that_differ_by_output_cannot_weigh_a_loss_of_both():
    model = fork(tn, tuple)
    model.compile(loss=[error, ("mse", "mae")])
    with pytest.raises(ValueError, match="sample_weight: expected the same for all outputs of a_b"):
        model.fit(X, (A, B), sample_weight=(WEIGHT, WEIGHT[::-1]), verbose=0)
    model.fit(X, (A, B), sample_weight=WEIGHT, verbose=0)


def test_a_compute_loss_of_ones_own_need_not_read_targets(run_eagerly):
    def run(lib: Any) -> Any:
        class Reconstructs(lib.Model):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                return lib.ops.mean(lib.ops.square(x - y_pred))

        x = lib.Input((WIDTH,))
        model = Reconstructs(x, lib.layers.Dense(WIDTH)(x))
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
        return model.fit(X, None, 8, 2, 0, shuffle=False).history, model.evaluate(X, verbose=0)

    assert_both_agree(run)


@pytest.mark.parametrize("calls_super", [True, False])
def test_a_compute_loss_of_ones_own_decides_which_losses_are_noted(calls_super, run_eagerly):
    def run(lib: Any) -> Any:
        class Split(lib.Model):
            def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
                if not calls_super:
                    return error(y, [y_pred[:, :1], y_pred[:, 1:]]).mean()
                return super().compute_loss(x, y, [y_pred[:, :1], y_pred[:, 1:]])

        x = lib.Input((WIDTH,))
        model = Split(x, lib.layers.Dense(3)(x))
        model.compile("sgd", ["mse", "mae"], [2.0, 0.5], run_eagerly=run_eagerly[lib])
        history = model.fit(X, (A, B), 8, 2, 0, shuffle=False).history
        return history, model.evaluate(X, (A, B), verbose=0, return_dict=True), model.get_weights()

    assert_both_agree(run)


def test_a_loss_object_takes_structures_of_targets_and_predictions():
    y_true, y_pred = [A[:, 0], A[:, 0] + 1.0], [B[:, 0], B[:, 1]]
    assert_both_agree(lambda lib: lib.losses.MeanSquaredError()(y_true, y_pred, WEIGHT[:2]))
    with pytest.raises(ValueError, match="y_true: expected a list of length 2, received"):
        tn.losses.MeanSquaredError()(A, y_pred)
