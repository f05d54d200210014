"""Functions whose derivatives other engines got wrong, or gave in silence as NaN.

Each story says what went wrong, and where it was reported. tinynet's value and gradient are
compared with arithmetic: eager, as NumPy, and as C.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from native import all_in_c

import tinynet as tn
from tinynet import ops

INF, NAN = math.inf, math.nan
SIGMOID = 1 / (1 + math.exp(-1))


class Story(NamedTuple):
    """What went wrong elsewhere, and a function with its value and gradient at a point."""

    told: str
    f: Callable[[Any], Any]
    at: Any
    value: float
    slope: Any
    curvature: Any = None  # the sums of the Hessian's rows


STORIES = {
    # -- kinks and singular points
    "norm of 0": Story(
        "PyTorch and autograd: NaN (pytorch/pytorch#2421, HIPS/autograd#151). 0 is a subgradient.",
        ops.norm,
        [0.0, 0.0],
        0.0,
        [0.0, 0.0],
    ),
    "squared norm of 0": Story(
        "JAX: NaN, although the gradient is 2 x (jax-ml/jax#4177, jax-ml/jax#21723).",
        lambda x: ops.norm(x) ** 2,
        [0.0, 0.0],
        0.0,
        [0.0, 0.0],
    ),
    "standard deviation of equal numbers": Story(
        "PyTorch, JAX, Keras: NaN (pytorch/pytorch#4320, jax-ml/jax#11716, keras-team/keras#2960).",
        ops.std,
        [1.0, 1.0],
        0.0,
        [0.0, 0.0],
    ),
    "standard deviation of one number": Story(
        "TensorFlow: NaN, although it is 0 everywhere (tensorflow/tensorflow#56830).",
        ops.std,
        [-0.8],
        0.0,
        [0.0],
    ),
    "equal largest elements": Story(
        "MXNet and Theano: each got the whole gradient (apache/mxnet#18563, Theano/Theano#4568).",
        ops.max,
        [1.0, 1.0, 0.0],
        1.0,
        [0.5, 0.5, 0.0],
    ),
    "the larger of two equal numbers": Story(
        "PyTorch: wrong gradients (pytorch/pytorch#56734); autograd: 1 and 0 (HIPS/autograd#212).",
        lambda x: ops.maximum(x[0], x[1]),
        [1.0, 1.0],
        1.0,
        [0.5, 0.5],
    ),
    "maximum of a stack of one tensor": Story(
        "autograd: twice the gradient (HIPS/autograd#141).",
        lambda x: ops.max(ops.stack([x, x])),
        2.0,
        2.0,
        1.0,
        0.0,
    ),
    "0 to a power, in the exponent": Story(
        "PyTorch: NaN, 0 * log(0), for d/db 0 ** b (pytorch/pytorch#27134).",
        lambda b: ops.sum(ops.power(np.array([0.0, 2.0]), b)),
        [1.0, 1.0],
        2.0,
        [0.0, 2 * math.log(2)],
        [0.0, 2 * math.log(2) ** 2],
    ),
    "0 to the power of 0": Story(
        "Drake: NaN in polynomials with a constant term x ** 0 (RobotLocomotion/drake#23862).",
        lambda x: ops.sum(x**0 + x**2),
        [0.0, 3.0],
        1.0 + 10.0,
        [0.0, 6.0],
        [2.0, 2.0],
    ),
    "logsumexp of -inf alone": Story(
        "JAX and PyTorch: NaN, although log(0 + 0) is -inf for good (jax-ml/jax#6811).",
        ops.logsumexp,
        [-INF, -INF],
        -INF,
        [0.0, 0.0],
    ),
    "logsumexp of a mask": Story(
        "PyTorch: NaN at masked elements (pytorch/pytorch#31829). Their weight is 0.",
        ops.logsumexp,
        [-INF, 1.0],
        1.0,
        [0.0, 1.0],
    ),
    "logaddexp of equal numbers": Story(
        "Keras on TensorFlow: 1 and 0 (keras-team/keras#23616). exp(1) is half of the sum.",
        lambda x: ops.logaddexp(x[0], x[1]),
        [1.0, 1.0],
        1.0 + math.log(2),
        [0.5, 0.5],
        [0.0, 0.0],
    ),
    "softplus of large numbers": Story(
        "Burn: inf, and NaN for the gradient (tracel-ai/burn#5373).",
        lambda x: ops.sum(ops.softplus(x)),
        [-1000.0, 0.0, 1000.0],
        1000.0 + math.log(2),
        [0.0, 0.5, 1.0],
        [0.0, 0.25, 0.0],
    ),
    "saturated sigmoid": Story(
        "snnTorch: inf / inf in e^-x / (1 + e^-x)^2 (jeshraghian/snntorch#433).",
        lambda x: ops.sum(ops.sigmoid(x)),
        [-1000.0, 1.0],
        SIGMOID,
        [0.0, SIGMOID * (1 - SIGMOID)],
        [0.0, SIGMOID * (1 - SIGMOID) * (1 - 2 * SIGMOID)],
    ),
    "softmax of large numbers": Story(
        "Flux: the gradient of log_softmax divided by a softmax of 0 (FluxML/NNlib.jl#68).",
        lambda x: ops.log_softmax(x)[0],
        [-431.0, 279.0, 427.0],
        -431.0 - 427.0,
        [1.0, 0.0, -1.0],
    ),
    "product with one 0": Story(
        "PyTorch and Burn: NaN, product / 0 (pytorch/pytorch#773, tracel-ai/burn#5533).",
        ops.prod,
        [2.0, 0.0, 3.0, 4.0],
        0.0,
        [0.0, 24.0, 0.0, 0.0],
        [12.0, 12.0 + 8.0 + 6.0, 8.0, 6.0],
    ),
    "cumulative product with zeros": Story(
        "TensorFlow: NaN, later 0 (tensorflow/tensorflow#3862, tensorflow/tensorflow#119430).",
        lambda x: ops.sum(ops.cumprod(x)),  # a + a b + a b c + a b c d
        [2.0, 0.0, 0.0, 3.0],
        2.0,
        [1.0, 2.0, 0.0, 0.0],
        [1.0, 1.0 + 8.0, 8.0, 0.0],  # d2/dc db = a + a d
    ),
    "floor": Story(
        "TensorFlow: the gradient of floor(x) was 1 (tensorflow/tensorflow#897).",
        lambda x: ops.sum(x + ops.floor(x)),
        [3.8],
        6.8,
        [1.0],
    ),
    "the two largest of unsorted numbers": Story(
        "MLX: gradients went to other elements (ml-explore/mlx#1428).",
        lambda x: ops.sum(ops.top_k(x, 2)[0]),
        [[1.0, 2.0, 6.0, 4.0, 5.0], [9.0, 5.0, 6.0, 7.0, 8.0]],
        11.0 + 17.0,
        [[0.0, 0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0, 1.0]],
    ),
    "distances of points to themselves": Story(
        "Stan: an infinite gradient of distance(x, x) (stan-dev/math#3031).",
        lambda x: ops.sum(ops.norm(x[:, None] - x[None], axis=-1)),
        [[0.0, 0.0], [3.0, 4.0]],
        10.0,
        [[-1.2, -1.6], [1.2, 1.6]],
    ),
    "angle at the origin": Story(
        "JAX: NaN of arctan2 where another branch is chosen (jax-ml/jax#1052).",
        lambda x: ops.sum(ops.where(x == 0.0, 0.0, ops.arctan2(x, x))),
        [3.0, 0.0],
        math.pi / 4,
        [0.0, 0.0],
    ),
    # -- masks
    "logarithm of a masked 0": Story(
        "JAX and tinygrad: NaN from the branch not taken (jax-ml/jax#347, tinygrad/tinygrad#12409)."
        " With `where` around the argument, too, the gradient is right.",
        lambda x: ops.sum(ops.where(x > 0.0, ops.log(ops.where(x > 0.0, x, 1.0)), 0.0)),
        [0.0, 2.0, -1.0],
        math.log(2),
        [0.0, 0.5, 0.0],
        [0.0, -0.25, 0.0],
    ),
    "mean without NaN": Story(
        "JAX: NaN gradients of nanvar and nanstd (jax-ml/jax#8140).",
        lambda x: ops.nanvar(x) + ops.nanmean(x),  # 1 + 2; (x - 2) + 1 / 2
        [1.0, NAN, 3.0],
        3.0,
        [-0.5, 0.0, 1.5],
    ),
    "quotient without NaN": Story(
        "lenstronomy on JAX: NaN from the quotient not chosen (lenstronomy/JAXtronomy#66).",
        lambda x: ops.sum(ops.divide_no_nan(x, x - 1.0)),
        [1.0, 2.0],
        2.0,
        [0.0, -1.0],  # -1 / (x - 1)^2
        [0.0, 2.0],
    ),
    # -- indices
    "an element taken twice": Story(
        "PyTorch and Nabla: the last one counted (pytorch/pytorch#1528, invenia/Nabla.jl#139).",
        lambda x: ops.sum(x[[0, 2, 0]] * np.array([1.0, 10.0, 100.0])),
        [0.0, 0.0, 1.0, 0.0],
        10.0,
        [101.0, 0.0, 10.0, 0.0],
    ),
    "an element taken twice along an axis": Story(
        "PyTensor on MLX: duplicates overwritten, in silence (pymc-devs/pytensor#2242).",
        lambda x: ops.sum(ops.take_along_axis(x, np.array([0, 0, 2]), 0)),
        [1.0, 1.0, 1.0],
        3.0,
        [2.0, 0.0, 1.0],
    ),
    "a step over the end": Story(
        "MLX: the gradient of a slice of one element landed elsewhere (ml-explore/mlx#4444).",
        lambda x: ops.sum(x[4:2:-3]) + 10.0 * ops.sum(x[1:3:4]),
        [0.0, 1.0, 2.0, 3.0, 4.0],
        14.0,
        [0.0, 10.0, 0.0, 0.0, 1.0],
    ),
    "a negative step": Story(
        "cgt: code assumed a positive step (joschu/cgt#13).",
        lambda x: ops.sum(x[::-2] * np.array([1.0, 10.0, 100.0])),
        [0.0, 1.0, 2.0, 3.0, 4.0],
        4.0 + 20.0,
        [100.0, 0.0, 10.0, 0.0, 1.0],
    ),
    "an empty slice": Story(
        "JAX: wrong gradient of an empty slice with a step (jax-ml/jax#4599).",
        lambda x: ops.sum(x[3:1:2]) + ops.sum(x),
        [1.0, 2.0, 3.0, 4.0],
        10.0,
        [1.0, 1.0, 1.0, 1.0],
    ),
    # -- broadcasting and repeated use
    "a bias that is broadcast": Story(
        "nd4j: the gradient kept the broadcast shape (deeplearning4j/nd4j#2424).",
        lambda b: ops.sum(np.arange(12.0).reshape(3, 4) * b),
        [[1.0, 1.0, 1.0, 1.0]],
        66.0,
        [[12.0, 15.0, 18.0, 21.0]],
    ),
    "an inner axis that is broadcast": Story(
        "nd4j: [3, 4, 5] + [3, 1, 5] had one gradient for both (deeplearning4j/nd4j#2503).",
        lambda b: ops.sum((np.ones((2, 3, 2)) + b) ** 2),
        [[[1.0, 2.0]]],
        6 * 4.0 + 6 * 9.0,
        [[[24.0, 36.0]]],
        [[[12.0, 12.0]]],
    ),
    "a subexpression used again": Story(
        "micrograd: each path went through it again (karpathy/micrograd#2).",
        lambda x: (lambda y: (lambda z: z * z)(y + y))(x * x),  # 4 x^4
        3.0,
        324.0,
        16 * 27.0,
        48 * 9.0,
    ),
    "one tensor as both arguments": Story(
        "TensorFlow: recompute_grad(a + b) of a, a was wrong (tensorflow/tensorflow#36999).",
        lambda x: (lambda a, b: ops.sum(a * b + a))(x, x),
        [2.0, 3.0],
        4.0 + 9.0 + 5.0,
        [5.0, 7.0],
        [2.0, 2.0],
    ),
    # -- derivatives of derivatives
    "second derivative of tanh": Story(
        "AutoGrad.jl: nothing (denizyuret/AutoGrad.jl#62).",
        lambda x: ops.sum(ops.tanh(x)),
        [0.5],
        math.tanh(0.5),
        [1 - math.tanh(0.5) ** 2],
        [-2 * math.tanh(0.5) * (1 - math.tanh(0.5) ** 2)],
    ),
    "second derivative of cross-entropy": Story(
        "TensorFlow: zeros, in silence (tensorflow/tensorflow#7403, tensorflow/tensorflow#5876).",
        lambda x: tn.losses.CategoricalCrossentropy(from_logits=True)([[0.0, 1.0]], x[None]) + x[0],
        np.array([1.0, 1.0], "float32"),
        math.log(2) + 1.0,
        [1.5, -0.5],
        [0.0, 0.0],  # rows 1/4, -1/4
    ),
    # -- large and small numbers
    "cross-entropy of equal large logits": Story(
        "PyTorch: 0 in place of log(2) (pytorch/pytorch#11752).",
        lambda x: tn.losses.CategoricalCrossentropy(from_logits=True)([[0.0, 1.0]], x),
        np.array([[1e8, 1e8]], "float32"),
        math.log(2),
        [[0.5, -0.5]],
    ),
    "variance far from 0": Story(
        "Flax and TensorFlow: negative, E[x^2] - E[x]^2 (google/flax#1491,"
        " tensorflow/tensorflow#3290).",
        ops.var,
        [1e8, 1e8 + 1, 1e8 + 2],
        2 / 3,
        [-2 / 3, 0.0, 2 / 3],
        [0.0, 0.0, 0.0],
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _compiles_at_once() -> Iterator[None]:
    with all_in_c():
        yield


ROADS = {"eager": lambda f: f, "NumPy": lambda f: tn.jit(f, native=False), "C": tn.jit}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("name", STORIES)
def test_value_and_gradient_are_right(name, road):
    story = STORIES[name]
    at = story.at if isinstance(story.at, np.ndarray) else np.array(story.at, "float64")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(divide by zero|invalid value)", RuntimeWarning)
        value, slope = tn.value_and_grad(ROADS[road](story.f))(at)
    rtol = 100 * np.finfo(at.dtype).eps
    np.testing.assert_allclose(value, story.value, rtol)
    np.testing.assert_allclose(slope, story.slope, rtol, 1e-15)
    assert (slope.shape, slope.dtype) == (at.shape, at.dtype)


@pytest.mark.parametrize("name", [name for name in STORIES if STORIES[name].curvature is not None])
def test_second_derivative_is_right(name):
    story = STORIES[name]
    at = story.at if isinstance(story.at, np.ndarray) else np.array(story.at, "float64")
    found = tn.hvp(story.f, (at,), (np.ones_like(at),))[0]
    np.testing.assert_allclose(found, story.curvature, 1e-6, 1e-7)


def test_nan_of_a_branch_not_taken_comes_with_a_warning():
    """JAX and tinygrad: the NaN came in silence (jax-ml/jax#347, tinygrad/tinygrad#12409)."""
    f = lambda x: ops.where(x == 0.0, 0.0, x * ops.sqrt(x))  # noqa: E731
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert math.isnan(tn.grad(f)(0.0))
