"""Wherever a number is an argument, a NumPy scalar of the same value does the same."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_close, over

import tinynet as tn
from tinynet import layers, ops

X = np.arange(6.0).reshape(2, 3)
INTEGERS = [np.int64, np.int32, np.uint8, np.intp]
FLOATS = [np.float64, np.float32, np.float16]


def fitted(**options: Any) -> Any:
    model = tn.Sequential([layers.Input((3,)), layers.Dense(1, kernel_initializer="ones")])
    rate = options.pop("learning_rate", 0.01)
    model.compile(tn.optimizers.SGD(rate), "mse", **options)
    model.train_on_batch(X, X[:, :1])
    return model.get_weights()[0]


TAKE_INTEGERS: dict[str, Any] = {
    "an axis": lambda n: ops.sum(X, axis=n(1)),
    "axes": lambda n: ops.transpose(X, (n(1), n(0))),
    "an axis of softmax": lambda n: ops.softmax(X, n(1)),
    "a length": lambda n: ops.reshape(X, (n(3), n(2))),
    "an index": lambda n: tn.tensor(X)[n(1), n(0) : n(2)],
    "argnums": lambda n: tn.grad(lambda a, b: (a * b).sum(), n(1))(X, X),
    "an exponent": lambda n: tn.tensor(X) ** n(2),
    "the lengths of Reshape": lambda n: layers.Reshape((n(3), n(1)))(X),
    "the axis of Normalization": lambda n: layers.Normalization(n(1), [0.0] * 3, [4.0] * 3)(X),
    "units": lambda n: layers.Dense(n(2), kernel_initializer="ones")(X),
}
TAKE_FLOATS: dict[str, Any] = {
    "a factor": lambda n: tn.tensor(X) * n(0.5),
    "a bound": lambda n: ops.clip(X, n(0.5), n(2.5)),
    "a rate": lambda n: layers.Dropout(n(0.5))(X),
    "a factor of regularization": lambda n: tn.regularizers.L2(n(0.5))(tn.tensor(X)),
    "a learning rate": lambda n: fitted(learning_rate=n(0.5)),
    "a weight of a loss": lambda n: fitted(loss_weights=n(0.5)),
    "a scale": lambda n: layers.Rescaling(n(0.5))(X),
    "a slope": lambda n: layers.LeakyReLU(n(0.5))(-X),
}


@over(TAKE_INTEGERS, "call")
@pytest.mark.parametrize("scalar", INTEGERS)
def test_an_integer_of_numpy_does_what_pythons_does(call, scalar):
    assert_close(call(scalar), call(int))


@over(TAKE_FLOATS, "call")
@pytest.mark.parametrize("scalar", FLOATS)
def test_a_float_of_numpy_does_what_pythons_does(call, scalar):
    assert_close(call(scalar), call(float), rtol=1e-6)
