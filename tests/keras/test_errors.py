"""Mistakes: refused with Keras' types of exception, saying what was received, changing nothing.

Each row of a table is a call, made in both libraries, and words that the message must hold. Where
Keras itself fails badly or not at all, `BETTER` has the type that is expected here, and why.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from side_by_side import ROWS, WIDTH, assert_agree, in_both, numbers

import tinynet as tn

X, Y = numbers(0, ROWS, WIDTH), numbers(1, ROWS)
NAN = float("nan")


def refusal(call: Callable[..., Any], *arguments: Any) -> BaseException | None:
    """Return the exception that a call ends with, or None."""
    try:
        call(*arguments)
    except Exception as error:
        return error
    return None


def assert_refused(error: BaseException | None, expected: type, words: tuple[str, ...]) -> None:
    assert isinstance(error, expected), repr(error)
    assert not [word for word in words if word not in str(error)], str(error)


def over(table: dict[str, Any], *names: str) -> Any:
    """Parametrize a test over the rows of `table`, called by their keys."""
    rows = [pytest.param(*row, id=key) for key, row in table.items()]
    return pytest.mark.parametrize(names, rows)


# -- what is made ---------------------------------------------------------------------------------


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
    "an optimizer's class": (lambda lib: lib.optimizers.get(lib.optimizers.SGD), ("SGD",)),
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
    "building a stack anew": (
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
    # what is got from a model
    "no layer asked for": (lambda lib: lazy(lib).get_layer(), ()),
    "a layer asked for twice": (lambda lib: lazy(lib).get_layer("dense", 0), ("dense", "0")),
    "an unknown layer": (lambda lib: lazy(lib).get_layer("nope"), ("nope", "dense")),
    "a layer too many": (lambda lib: lazy(lib).get_layer(index=5), ("5", "1")),
}


@over(MADE, "call", "words")
def test_a_mistake_in_making_things_is_refused_as_by_keras(call, words):
    mine, theirs = in_both(lambda lib: refusal(call, lib))
    assert theirs is not None
    assert_refused(mine, type(theirs), words)
