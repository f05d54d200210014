"""User mistakes: tinynet raises Keras's exception types, says what it received, changes nothing.

Each row of a table is a call that is made in both libraries, and words that its message contains.
`BETTER` has the cases in which Keras raises no error or an unclear one, with notes on them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from side_by_side import ROWS, WIDTH, assert_agree, in_both, numbers

import tinynet as tn

X, Y = numbers(0, ROWS, WIDTH), numbers(1, ROWS)
NAN = float("nan")


class Refusal(NamedTuple):
    kind: type
    message: str


def refusal(call: Callable[..., Any], *arguments: Any) -> Refusal | None:
    """Return the exception that a call raises, or None; warnings are ignored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call(*arguments)
        except Exception as error:
            return Refusal(type(error), str(error))
    return None


def assert_refused(found: Refusal | None, expected: type, words: tuple[str, ...]) -> None:
    assert found is not None
    assert issubclass(found.kind, expected), found
    assert not [word for word in words if word not in found.message], found.message


def over(table: dict[str, Any], *names: str) -> Any:
    """Parametrize a test over the rows of `table`, with their keys as ids."""
    rows = [pytest.param(*row, id=key) for key, row in table.items()]
    return pytest.mark.parametrize(names, rows)


# -- constructors ---------------------------------------------------------------------------------


def dense(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    return lambda lib: lib.layers.Dense(*args, **kwargs)


def optimizer(name: str, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    return lambda lib: getattr(lib.optimizers, name)(*args, **kwargs)


def got(module: str, identifier: Any) -> Callable[[Any], Any]:
    return lambda lib: getattr(lib, module).get(identifier)


def built(lib: Any) -> Any:
    layer = lib.layers.Dense(2)
    layer.build((None, WIDTH))
    return layer


def stack(lib: Any, *layers: Any) -> Any:
    return lib.Sequential([lib.Input((WIDTH,)), *layers])


def disconnected(lib: Any) -> Any:
    x, other = lib.Input((WIDTH,)), lib.Input((WIDTH,))
    return lib.Model(x, lib.layers.Dense(1)(other))


def namesakes(lib: Any) -> Any:
    x = lib.Input((WIDTH,))
    first, second = (lib.layers.Dense(WIDTH, name="twin") for _ in range(2))
    return lib.Model(x, second(first(x)))


def lazy(lib: Any) -> Any:
    return lib.Sequential([lib.layers.Dense(2)], name="lazy")


MADE = {
    # Dense
    **{f"Dense({n!r})": (dense(n), ("units", str(n))) for n in (0, -1, 2.5, "3", None)},
    "Dense of an unknown keyword": (dense(1, colour=3), ("Dense", "colour")),
    "Dense of an unknown activation": (dense(1, activation="nope"), ("activation", "nope")),
    "Dense of an activation in capitals": (dense(1, "ReLU"), ("activation", "ReLU")),
    "Dense of a number as activation": (dense(1, 3), ("activation", "3")),
    "Dense of an unknown initializer": (dense(1, kernel_initializer="nope"), ("nope",)),
    "Dense of an unknown bias initializer": (dense(1, bias_initializer="nope"), ("nope",)),
    "Dense of a name with a slash": (dense(1, name="a/b"), ("a/b",)),
    "Dense of a number as name": (dense(1, name=3), ("name", "3")),
    "Dense of shape and width": (dense(1, input_shape=(2,), input_dim=2), ("input_shape",)),
    "Dense of a batch shape": (dense(1, batch_input_shape=(2, 2)), ("batch_input_shape",)),
    "Dense of weights": (dense(1, weights=[]), ("weights",)),
    "Dense of an unknown dtype": (dense(1, dtype="nope"), ("nope",)),
    "count_params before build": (lambda lib: lazy(lib).layers[0].count_params(), ("dense",)),
    "kernel before build": (lambda lib: lib.layers.Dense(1).kernel, ("kernel",)),
    "bias before build": (lambda lib: lib.layers.Dense(1).bias, ("bias",)),
    "setting the kernel": (lambda lib: setattr(built(lib), "kernel", X), ("kernel",)),
    "Dense of an unknown width": (lambda lib: lib.layers.Dense(1).build((2, None)), ("None",)),
    "Dense called on a number": (lambda lib: built(lib)(np.float32(1)), ("dense", "ndim=0", "()")),
    "Dense called on a row": (lambda lib: built(lib)(X[0]), ("dense", "ndim=1", "(3,)")),
    "Dense called on other widths": (lambda lib: built(lib)(X[:, :2]), ("dense", "3", "(20, 2)")),
    "Dense called on None": (lambda lib: built(lib)(None), ("None",)),
    "Dense called on words": (lambda lib: built(lib)(np.array([["a"] * WIDTH])), ()),
    "Dense called on two arrays": (lambda lib: built(lib)([X, X]), ("dense",)),
    "too few weights": (lambda lib: built(lib).set_weights([X]), ("dense", "1", "2")),
    "too many weights": (lambda lib: built(lib).set_weights([X] * 3), ("dense", "3", "2")),
    "weights of other shapes": (
        lambda lib: built(lib).set_weights([X, X]),
        ("dense", "(3, 2)", "(20, 3)"),
    ),
    "assigning another shape": (lambda lib: built(lib).kernel.assign(X), ("(3, 2)", "(20, 3)")),
    # identifiers
    **{f"activation {i!r}": (got("activations", i), (str(i),)) for i in ("", "SIGMOID", 3)},
    **{f"loss {i!r}": (got("losses", i), (str(i),)) for i in ("", "Mse", "msse", 3)},
    **{f"metric {i!r}": (got("metrics", i), (str(i),)) for i in ("rmse", "", 3)},
    **{f"optimizer {i!r}": (got("optimizers", i), (str(i),)) for i in ("sgdd", 3)},
    "an optimizer's class": (lambda lib: lib.optimizers.get(lib.optimizers.SGD), ("SGD()",)),
    "an unknown reduction": (
        lambda lib: lib.losses.MeanSquaredError(reduction="middle"),
        ("reduction", "middle"),
    ),
    "losses.mse": (lambda lib: lib.losses.mse, ("mse",)),
    # optimizers
    **{
        f"learning rate {rate!r}": (optimizer("SGD", rate), ("learning_rate", str(rate)))
        for rate in ("0.1", True, None, [0.1])
    },
    **{
        f"momentum {m!r}": (optimizer("SGD", 0.1, m), ("momentum",))
        for m in (-0.1, 1.5, "0.9", None, True)
    },
    "two clips": (optimizer("Adam", clipnorm=1.0, clipvalue=2.0), ("clipnorm", "1.0", "2.0")),
    "all clips": (optimizer("SGD", clipnorm=1.0, clipvalue=2.0, global_clipnorm=3.0), ("3.0",)),
    "SGD(lr=0.1)": (optimizer("SGD", lr=0.1), ("lr", "0.1")),
    "Adam(beta1=0.1)": (optimizer("Adam", beta1=0.1), ("beta1", "0.1")),
    # models
    "a stack of numbers": (lambda lib: lib.Sequential([3]), ("3", "int")),
    "a stack of a class": (lambda lib: lib.Sequential([lib.layers.Dense]), ("Dense",)),
    "a stack of namesakes": (
        lambda lib: stack(lib, *(lib.layers.Dense(1, name="twin") for _ in range(2))),
        ("twin",),
    ),
    "a second input": (lambda lib: stack(lib, lib.layers.InputLayer((4,))), ("sequential", "3")),
    "setting the layers": (lambda lib: setattr(lazy(lib), "layers", []), ("layers",)),
    "the input shape of a lazy stack": (lambda lib: lazy(lib).input_shape, ("lazy",)),
    "the output shape of a lazy stack": (lambda lib: lazy(lib).output_shape, ("lazy",)),
    "the inputs of a lazy stack": (lambda lib: lazy(lib).inputs, ("lazy",)),
    "the outputs of a lazy stack": (lambda lib: lazy(lib).outputs, ("lazy",)),
    "the input of a lazy stack": (lambda lib: lazy(lib).input, ("input",)),
    "the parameters of a lazy stack": (lambda lib: lazy(lib).count_params(), ("lazy",)),
    "calling an empty stack": (lambda lib: lib.Sequential()(X), ("sequential", "no layers")),
    "predicting by an empty stack": (lambda lib: lib.Sequential().predict(X, verbose=0), ()),
    "building an empty stack": (lambda lib: lib.Sequential().build((2, 2)), ("no layers",)),
    "building a stack again": (
        lambda lib: stack(lib, lib.layers.Dense(1)).build((None, 4)),
        ("sequential", "(None, 3)", "(None, 4)"),
    ),
    "Input(3)": (lambda lib: lib.Input(3), ("3",)),
    "Input()": (lambda lib: lib.Input(), ("shape",)),
    "Input of a fraction": (lambda lib: lib.Input((2.5,)), ("2.5",)),
    "Input of a negative length": (lambda lib: lib.Input((-2,)), ("-2",)),
    "Input of a word": (lambda lib: lib.Input(("a",)), ("a",)),
    "Input of two shapes": (lambda lib: lib.Input((2,), batch_shape=(None, 2)), ("(None, 2)",)),
    "the truth of a placeholder": (lambda lib: bool(lib.Input((1,))), ()),
    "a placeholder as a number": (lambda lib: float(lib.Input((1,))), ()),
    "a placeholder as an array": (lambda lib: np.array(lib.Input((1,))), ()),
    "a model that is not connected": (disconnected, ()),
    "a model of namesakes": (namesakes, ("twin", "2")),
    "a model of arrays": (lambda lib: lib.Model(X, X), ("inputs",)),
    "a model of a layer": (
        lambda lib: lib.Model(lib.Input((1,)), lib.layers.Dense(1)),
        ("outputs", "Dense"),
    ),
    "a model without inputs": (lambda lib: lib.Model([], lib.Input((1,))), ("inputs",)),
    "a model without outputs": (lambda lib: lib.Model(lib.Input((1,)), []), ("outputs",)),
    # parts of a model
    "no layer asked for": (lambda lib: lazy(lib).get_layer(), ()),
    "a layer asked for twice": (lambda lib: lazy(lib).get_layer("dense", 0), ("dense", "0")),
    "an unknown layer": (lambda lib: lazy(lib).get_layer("nope"), ("nope", "dense")),
    "a layer too many": (lambda lib: lazy(lib).get_layer(index=5), ("5", "1")),
}


@over(MADE, "call", "words")
def test_wrong_constructor_arguments_are_refused_as_by_keras(call, words):
    mine, theirs = in_both(lambda lib: refusal(call, lib))
    assert theirs is not None
    assert_refused(mine, theirs.kind, words)


# -- uses of a model ------------------------------------------------------------------------------


def fitted(**options: Any) -> Callable[[Any, Any], Any]:
    return lambda lib, model: model.fit(**{"x": X, "y": Y, "verbose": 0, **options})


def evaluated(**options: Any) -> Callable[[Any, Any], Any]:
    return lambda lib, model: model.evaluate(**{"x": X, "y": Y, "verbose": 0, **options})


def predicted(x: Any, **options: Any) -> Callable[[Any, Any], Any]:
    return lambda lib, model: model.predict(x, verbose=0, **options)


def on_batch(kind: str, *data: Any, **options: Any) -> Callable[[Any, Any], Any]:
    return lambda lib, model: getattr(model, f"{kind}_on_batch")(*data, **options)


def compiled(*arguments: Any, **options: Any) -> Callable[[Any, Any], Any]:
    return lambda lib, model: model.compile(*arguments, **options)


def applied(grads: Callable[[Any], Any], variables: Callable[[Any, Any], Any]) -> Any:
    """Return a call that applies gradients to variables; both are functions of the model."""
    return lambda lib, model: model.optimizer.apply_gradients(
        zip(grads(model), variables(lib, model), strict=True)
    )


WORDS, OBJECTS = np.array([["a"] * WIDTH] * ROWS), np.array([[None] * WIDTH] * ROWS)
SHORT = "'x' sizes: 20"

DONE = {
    "fit: y of another length": (fitted(y=Y[:7]), (SHORT, "'y' sizes: 7")),
    "fit: weights of another length": (fitted(sample_weight=Y[:7]), ("sample_weight", "7")),
    "fit: wrong width": (fitted(x=X[:, :2]), ("3", "2")),
    "fit: too many axes": (fitted(x=np.ones((ROWS, 2, 2))), ("(20, 2, 2)",)),
    "fit: x of words": (fitted(x=WORDS), ("Invalid dtype", "str")),
    "fit: x of objects": (fitted(x=OBJECTS), ("Invalid dtype", "object")),
    "fit: y of words": (fitted(y=WORDS), ("Invalid dtype", "str")),
    "fit: half an epoch": (fitted(epochs=1.5), ("epochs", "1.5")),
    "fit: unknown keyword": (fitted(epoch=2), ("epoch",)),
    "fit: two kinds of weights": (
        fitted(sample_weight=abs(Y), class_weight={0: 2.0}),
        ("class_weight", "sample_weight"),
    ),
    "fit: all to validate": (fitted(validation_split=0.99), ("20", "0.99")),
    "fit: none to validate": (fitted(validation_split=1e-17), ("20", "validation_split")),
    "fit: quadruple to validate": (fitted(validation_data=(X, Y, Y, Y)), ()),
    "fit: other lengths to validate": (fitted(validation_data=(X, Y[:7])), ("20", "7")),
    "fit: other widths to validate": (fitted(validation_data=(X[:, :2], Y)), ("3", "2")),
    "fit: weights that do not fit": (fitted(sample_weight=np.ones((ROWS, 5))), ("5",)),
    "evaluate: y of another length": (evaluated(y=Y[:7]), (SHORT, "'y' sizes: 7")),
    "evaluate: wrong width": (evaluated(x=X[:, :2]), ("3", "2")),
    "evaluate: unknown keyword": (evaluated(stepz=2), ("stepz",)),
    "evaluate: y of objects": (evaluated(y=OBJECTS), ("Invalid dtype", "object")),
    "predict: wrong width": (predicted(X[:, :2]), ("3", "2")),
    "predict: too many axes": (predicted(np.ones((4, 2, 2))), ("(4, 2, 2)",)),
    "predict: words": (predicted(WORDS), ("Invalid dtype",)),
    "predict: unknown keyword": (predicted(X, sample_weight=Y), ("sample_weight",)),
    "call: wrong width": (lambda lib, model: model(X[:, :2]), ("3", "2")),
    "call: a number": (lambda lib, model: model(np.float32(3)), ()),
    "call: None": (lambda lib, model: model(None), ("None",)),
    "train_on_batch: wrong width": (on_batch("train", X[:, :2], Y), ("3", "2")),
    "train_on_batch: two kinds of weights": (
        on_batch("train", X, Y, sample_weight=Y, class_weight={0: 2.0}),
        ("class_weight", "sample_weight"),
    ),
    "test_on_batch: wrong width": (on_batch("test", X[:, :2], Y), ("3", "2")),
    "predict_on_batch: wrong width": (on_batch("predict", X[:, :2]), ("3", "2")),
    "build: another width": (lambda lib, model: model.build((None, 7)), ("7",)),
    "compile: unknown optimizer": (compiled("sgdd", "mse"), ("sgdd",)),
    "compile: an optimizer's class": (
        lambda lib, model: model.compile(lib.optimizers.SGD, "mse"),
        ("SGD",),
    ),
    "compile: metrics that are no list": (compiled("sgd", "mse", metrics="mae"), ("mae",)),
    "compile: weighted metrics that are no list": (
        compiled("sgd", "mse", weighted_metrics="mae"),
        ("mae",),
    ),
    "compile: unknown keyword": (compiled("sgd", "mse", metric=["mae"]), ("metric",)),
    "set_weights: too few": (lambda lib, model: model.set_weights([X]), ("1", "4")),
    "set_weights: another shape": (
        lambda lib, model: model.set_weights([*(w + 1 for w in model.get_weights()[:3]), X]),
        ("(1,)", "(20, 3)"),
    ),
    "add: a namesake": (
        lambda lib, model: model.add(lib.layers.Dense(1, name=model.layers[0].name)),
        ("dense",),
    ),
    "add: no layer": (lambda lib, model: model.add("dense"), ("dense",)),
    "apply: a stranger": (
        applied(
            lambda model: [X],
            lambda lib, model: [lib.Variable(X, name="stranger")],
        ),
        ("stranger",),
    ),
    "apply: no gradients": (
        applied(
            lambda model: [None] * 4,
            lambda lib, model: model.trainable_variables,
        ),
        ("No gradients",),
    ),
    "apply: too few gradients": (
        lambda lib, model: model.optimizer.apply([np.ones((WIDTH, 2), "float32")]),
        ("1", "4"),
    ),
}


# Mistakes that Keras accepts or refuses with an unclear type or message, and a note on that.
# tinynet raises a ValueError.
BETTER = {
    "fit: nothing": (
        fitted(x=X[:0], y=Y[:0]),
        ("empty",),
        "StopIteration is no message",
    ),
    "evaluate: nothing": (evaluated(x=X[:0], y=Y[:0]), ("empty",), "StopIteration, too"),
    "predict: nothing": (predicted(X[:0]), ("empty",), "an UnboundLocalError"),
    "train_on_batch: nothing": (on_batch("train", X[:0], Y[:0]), ("empty",), "all weights NaN"),
    "train_on_batch: y of another length": (
        on_batch("train", X, Y[:7]),
        (SHORT, "'y' sizes: 7"),
        "an error of the backend",
    ),
    "fit: no y": (fitted(y=None), ("y", "None"), "the message differs with the backend"),
    "evaluate: no y": (evaluated(y=None), ("y", "None"), "likewise"),
    "train_on_batch: no y": (on_batch("train", X), ("y", "None"), "likewise"),
    "fit: y wider than the outputs": (
        fitted(y=np.ones((ROWS, 3))),
        ("(20, 3)", "(20, 1)"),
        "broadcast in silence",
    ),
    "evaluate: y wider than the outputs": (
        evaluated(y=np.ones((ROWS, 3))),
        ("(20, 3)", "(20, 1)"),
        "broadcast in silence",
    ),
    "fit: x a number": (fitted(x=np.float32(3)), ("x", "3.0"), "an IndexError"),
    "fit: y a number": (fitted(y=np.float32(3)), ("y", "3.0"), "an IndexError"),
    "fit: ragged lists": (fitted(x=[[1.0, 2.0], [3.0]]), ("x",), "lists are welcome, if regular"),
    **{
        f"fit: batches of {size!r}": (fitted(batch_size=size), ("batch_size", repr(size)), "")
        for size in (-1, 2.5, "8")
    },
    **{
        f"fit: {steps!r} steps": (fitted(steps_per_epoch=steps), ("steps", repr(steps)), "")
        for steps in (-1, 2.5, "8")
    },
    **{
        f"fit: {share} to validate": (fitted(validation_split=share), (str(share),), "odd slices")
        for share in (-0.5, 1.5)
    },
    "fit: a function as callback": (fitted(callbacks=[print]), ("callback", "print"), ""),
    "fit: a loud run": (fitted(verbose="loud"), ("verbose", "loud"), "taken for 1"),
}


def small(lib: Any) -> Any:
    return stack(lib, lib.layers.Dense(2, "tanh"), lib.layers.Dense(1))


def trained(lib: Any, run_eagerly: Any) -> Any:
    """Return a model that has been trained by an optimizer that has slots."""
    model = small(lib)
    watched = {"metrics": ["mae"], "weighted_metrics": ["mse"]}
    chosen = lib.optimizers.SGD(0.05, momentum=0.9)
    model.compile(chosen, "mse", run_eagerly=run_eagerly[lib], **watched)
    model.fit(X, Y, batch_size=8, verbose=0)
    return model


@over(DONE, "call", "words")
def test_wrong_uses_of_a_model_are_refused_as_by_keras(run_eagerly, call, words):
    mine, theirs = in_both(lambda lib: refusal(call, lib, trained(lib, run_eagerly)))
    assert theirs is not None
    assert_refused(mine, theirs.kind, words)


@over(BETTER, "call", "words", "note")
def test_errors_that_keras_misses_or_reports_unclearly_are_value_errors(
    run_eagerly, call, words, note
):
    assert_refused(refusal(call, tn, trained(tn, run_eagerly)), ValueError, words)


def snapshot(model: Any) -> dict[str, Any]:
    """Return everything that a refused call must not change."""
    optimizer = model.optimizer
    return {
        "weights": model.get_weights(),
        "optimizer": [v.numpy().copy() for v in optimizer.variables],
        "compiled": (id(optimizer), model.loss, model.loss_weights, model.compiled, model.built),
        "layers": [(id(layer), layer.trainable, layer.built) for layer in model.layers],
        "road": model.run_eagerly,
    }


# Both libraries look at validation data after the first epoch.
AT_ONCE = {key: row[:1] for key, row in (DONE | BETTER).items() if "widths to val" not in key}


@over(AT_ONCE, "call")
def test_a_refused_call_changes_nothing_and_training_continues(run_eagerly, call):
    model, untouched = in_both(lambda lib: trained(tn, run_eagerly))
    before = snapshot(model)
    assert refusal(call, tn, model) is not None
    assert_agree(snapshot(model), before, rtol=0)
    for one in (model, untouched):
        one.fit(X, Y, batch_size=8, validation_split=0.2, epochs=2, verbose=0, shuffle=False)
    assert_agree(model.history.history, untouched.history.history, rtol=0)
    assert_agree(model.evaluate(X, Y, verbose=0), untouched.evaluate(X, Y, verbose=0), rtol=0)


# -- first fits -----------------------------------------------------------------------------------

FIRST = {
    "unknown loss": ({"loss": "msse"}, {}, ("msse",)),
    "unknown metric": ({"metrics": ["rmse"]}, {}, ("rmse",)),
    "unknown weighted metric": ({"weighted_metrics": ["rmse"]}, {}, ("rmse",)),
    "a number as metric": ({"metrics": [3]}, {}, ("3",)),
    "a number as loss": ({"loss": 3}, {}, ("3",)),
    "words": ({}, {"x": WORDS}, ("Invalid dtype",)),
    "y of another length": ({}, {"y": Y[:7]}, ("'y' sizes: 7",)),
    "weights that do not fit": ({}, {"sample_weight": np.ones((ROWS, 5))}, ("5",)),
    "one axis": ({}, {"x": Y}, ("min_ndim=2", "ndim=1", "(20,)")),
}


def first_fit(lib: Any, run_eagerly: Any, options: Any, data: Any) -> tuple[Any, Any]:
    """Return a model of tinynet whose first fit was refused, and the refusal."""
    model = lib.Sequential([lib.layers.Dense(2, "tanh"), lib.layers.Dense(1)])
    options = {"optimizer": "sgd", "loss": "mse", "run_eagerly": run_eagerly[lib], **options}
    model.compile(**options)
    refused = refusal(lambda: model.fit(**{"x": X, "y": Y, "verbose": 0, **data}))
    return model if lib is tn else None, refused


@over(FIRST, "options", "data", "words")
def test_a_wrong_first_fit_is_refused_as_by_keras_and_can_be_corrected(
    run_eagerly, options, data, words
):
    (model, mine), (_, theirs) = in_both(lambda lib: first_fit(lib, run_eagerly, options, data))
    assert theirs is not None
    assert_refused(mine, theirs.kind, words)
    corrected = {"optimizer": "sgd", "loss": "mse", "run_eagerly": run_eagerly[tn]}
    untouched, _ = in_both(lambda lib: first_fit(tn, run_eagerly, {}, {"epochs": 0}))[0]
    for one in (model, untouched):
        one.compile(**corrected)
        one.fit(X, Y, batch_size=8, verbose=0, shuffle=False)
    assert_agree(model.history.history, untouched.history.history, rtol=0)
    assert_agree(model.get_weights(), untouched.get_weights(), rtol=0)


def test_a_loss_that_is_not_reduced_is_a_type_error_as_in_keras(run_eagerly):
    def run(lib):
        unreduced = lib.losses.MeanSquaredError(reduction=None)
        return first_fit(lib, run_eagerly, {"loss": unreduced}, {})

    (model, mine), (_, theirs) = in_both(run)
    assert_refused(mine, theirs.kind, ("(20,)",))
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_training_a_model_that_is_not_compiled_is_refused_as_by_keras(call):
    mine, theirs = in_both(lambda lib: refusal(lambda: getattr(small(lib), call)(X, Y)))
    assert_refused(mine, theirs.kind, ("compile()",))


@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch"])
def test_training_without_a_loss_is_a_value_error(call):
    """Keras on JAX reports a loss of 0; on TensorFlow and PyTorch it raises this error."""
    model = small(tn)
    model.compile("sgd")
    assert_refused(refusal(lambda: getattr(model, call)(X, Y)), ValueError, ("No loss",))


def test_unfreezing_a_layer_without_compiling_again_is_refused_as_by_keras(run_eagerly):
    def run(lib):
        model = small(lib)
        model.layers[0].trainable = False
        model.compile("adam", "mse", run_eagerly=run_eagerly[lib])
        model.fit(X, Y, verbose=0)
        model.layers[0].trainable = True
        before, refused = model.get_weights(), refusal(lambda: model.fit(X, Y, verbose=0))
        return model if lib is tn else None, before, refused

    (model, before, mine), (_, _, theirs) = in_both(run)
    assert_refused(mine, theirs.kind, ("dense/kernel", "compile"))
    assert_agree(model.get_weights(), before, rtol=0)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)


# -- accepted arguments ---------------------------------------------------------------------------

# Keras refuses the left argument without a reason; it means the right one.
HARMLESS = {
    "whole numbers for optimizers": (
        lambda lib: lib.optimizers.SGD(1, momentum=0, clipnorm=1),
        lambda lib: lib.optimizers.SGD(1.0, momentum=0.0, clipnorm=1.0),
    ),
    "numpy's numbers for optimizers": (
        lambda lib: lib.optimizers.Adam(np.float32(0.5)),
        lambda lib: lib.optimizers.Adam(0.5),
    ),
}


def run_of(lib: Any, run_eagerly: Any, optimizer: Any, units: Any, weight: Any, *data: Any) -> Any:
    model = lib.Sequential([lib.layers.Input((WIDTH,)), lib.layers.Dense(units)])
    model.compile(optimizer, "mse", loss_weights=weight, run_eagerly=run_eagerly[lib])
    history = model.fit(*data, verbose=0, epochs=2)
    return history.history, model.evaluate(*data, verbose=0), model.get_weights()


@over(HARMLESS, "loose", "strict")
def test_lists_and_numbers_of_any_type_are_accepted(run_eagerly, loose, strict):
    columns = np.stack([Y, -Y], -1)

    def run(lib):
        if lib is tn:
            data = X.tolist(), columns.tolist()
            return run_of(lib, run_eagerly, loose(lib), np.int64(2), 2, *data)
        return run_of(lib, run_eagerly, strict(lib), 2, 2.0, X, columns)

    assert_agree(*in_both(run))
