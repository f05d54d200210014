"""The engine beside an oracle, a naive engine of another design, driven through the same steps.

The oracle computes forwards: every number carries its derivatives in all numbers of all leaves, by
the rules of school. It knows no tape, no walk, no cotangents and no broadcasting; NumPy spreads it
over arrays of objects.
"""

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from helpers import assert_close, refused
from hypothesis import settings, strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import tinynet as tn
from tinynet import ops

# -- the oracle -------------------------------------------------------------------------------


class Number:
    """A float and its derivatives: ``slopes[leaf, position]``."""

    def __init__(self, value: float, *parts: tuple[float, "Number"]) -> None:
        self.value, self.slopes = value, {}
        for factor, x in parts:  # the chain rule
            for key, slope in x.slopes.items():
                self.slopes[key] = self.slopes.get(key, 0.0) + factor * slope

    def __add__(self, other: "Number") -> "Number":
        return Number(self.value + other.value, (1.0, self), (1.0, other))

    def __sub__(self, other: "Number") -> "Number":
        return Number(self.value - other.value, (1.0, self), (-1.0, other))

    def __mul__(self, other: "Number") -> "Number":
        return Number(self.value * other.value, (other.value, self), (self.value, other))

    def __truediv__(self, other: "Number") -> "Number":
        a, b = self.value, other.value
        return Number(a / b, (1 / b, self), (-a / b**2, other))


def largest(numbers: Any) -> Number:
    top = max(x.value for x in numbers)
    tied = [x for x in numbers if x.value == top]
    return Number(top, *((1 / len(tied), x) for x in tied))


def of_one(value: Callable[[float], float], slope: Callable[[float], float]) -> Any:
    return np.frompyfunc(lambda x: Number(value(x.value), (slope(x.value), x)), 1, 1)


def numbers_of(leaf: Any, array: np.ndarray) -> np.ndarray:
    """Return the numbers of a leaf, or of a constant for None."""
    out = np.empty(array.shape, object)
    for position, value in np.ndenumerate(array):
        out[position] = Number(float(value))
        if leaf is not None:
            out[position].slopes = {(leaf, position): 1.0}
    return out


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


# -- the operations ---------------------------------------------------------------------------


class Node(NamedTuple):
    """One and the same thing in both engines, and the leaves from which gradients flow to it."""

    tensor: tn.Tensor
    numbers: np.ndarray
    leaves: frozenset[int]


def boxed(x: Any) -> np.ndarray:
    """Return an array of objects also where NumPy has taken a single one out of it."""
    out = np.empty(np.shape(x), object)
    out[...] = x
    return out


def values(numbers: np.ndarray) -> np.ndarray:
    return np.array([x.value for x in numbers.ravel()]).reshape(numbers.shape)


# Of two nodes and Hypothesis' data, each returns what both engines compute and from how many, or
# None where they cannot.


def unary(ours: Any, oracle: Any) -> Any:
    return lambda a, b, data: (ours(a.tensor), oracle(a.numbers), 1)


def binary(ours: Any, oracle: Any) -> Any:
    def operation(a, b, data):
        try:
            numbers = oracle(a.numbers, b.numbers)
        except ValueError:  # their shapes do not fit
            with refused(ValueError, str(b.tensor.shape)):
                ours(a.tensor, b.tensor)
            return None
        return ours(a.tensor, b.tensor), numbers, 2

    return operation


def beside_an_array(a, b, data):
    array = data.draw(hnp.arrays("float64", a.tensor.shape, elements=QUARTERS))
    numbers = numbers_of(None, array) * a.numbers
    tensor = array * a.tensor if data.draw(st.booleans()) else a.tensor * array
    array[...] = np.nan  # which must not matter
    return tensor, numbers, 1


def summed(axis: int | None, keepdims: bool) -> Any:
    def operation(a, b, data):
        along = axis if a.tensor.ndim else None
        numbers = np.sum(a.numbers, along, keepdims=keepdims)
        return a.tensor.sum(along, keepdims), numbers, 1

    return operation


def largest_of_rows(a, b, data):
    rows = a.numbers.reshape(-1, *a.numbers.shape[-1:])
    numbers = np.empty(len(rows), object)
    numbers[:] = [largest(np.ravel(row)) for row in rows]
    axis = -1 if a.tensor.ndim else None
    return a.tensor.max(axis), numbers.reshape(a.numbers.shape[:-1]), 1


def indexed(a, b, data):
    shape = a.tensor.shape
    kinds = [hnp.basic_indices(shape, allow_newaxis=True, max_dims=3)]
    if shape:
        kinds += [hnp.integer_array_indices(shape), hnp.arrays(bool, shape)]
    index = data.draw(st.one_of(*kinds))
    return a.tensor[index], a.numbers[index], 1


def rearranged(a, b, data):
    axes = data.draw(st.permutations(range(a.tensor.ndim)))
    tensor, numbers = a.tensor.transpose(tuple(axes)), a.numbers.transpose(axes)
    return tensor.reshape(-1, 1), numbers.reshape(-1, 1), 1


def joined(a, b, data):
    ours = ops.concatenate([a.tensor.reshape(-1), b.tensor.reshape(-1)])
    return ours, np.concatenate([a.numbers.reshape(-1), b.numbers.reshape(-1)]), 2


def detached(a, b, data):
    return a.tensor.detach(), numbers_of(None, values(a.numbers)), 0


OPERATIONS = {
    "tanh": unary(ops.tanh, of_one(math.tanh, lambda x: 1 - math.tanh(x) ** 2)),
    "sin": unary(np.sin, of_one(math.sin, math.cos)),
    "negative": unary(lambda t: -t, of_one(lambda x: -x, lambda x: -1.0)),
    "sigmoid": unary(ops.sigmoid, of_one(sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)))),
    "relu": unary(ops.relu, of_one(lambda x: max(x, 0.0), lambda x: float(x > 0))),
    "halved": unary(lambda t: t / 2, of_one(lambda x: x / 2, lambda x: 0.5)),
    "square root": unary(
        lambda t: (t * t + 1.0) ** 0.5,
        of_one(lambda x: math.hypot(x, 1), lambda x: x / math.hypot(x, 1)),
    ),
    "+": binary(operator.add, operator.add),
    "-": binary(operator.sub, operator.sub),
    "*": binary(operator.mul, operator.mul),
    "/": binary(lambda a, b: a / (b * b + 1.0), lambda a, b: a / (b * b + Number(1.0))),
    "@": binary(operator.matmul, operator.matmul),
    "maximum": binary(np.maximum, np.frompyfunc(lambda *ab: largest(ab), 2, 1)),
    "join": joined,
    "* array": beside_an_array,
    "sum": summed(None, keepdims=False),
    "sum of rows": summed(-1, keepdims=False),
    "sum of columns": summed(0, keepdims=True),
    "max": largest_of_rows,
    "index": indexed,
    "rearrange": rearranged,
    "detach": detached,
}
FLAGS = st.booleans()
QUARTERS = st.integers(-8, 8).map(lambda n: n / 4)  # so that ties do occur
SHAPES = st.sampled_from([(), (3,), (1, 3), (2, 1), (2, 3), (3, 3)])  # most of them broadcast
ARRAYS = hnp.arrays("float64", SHAPES, elements=QUARTERS)


# -- the steps --------------------------------------------------------------------------------

BACK = st.integers(0, 20)  # how many nodes ago one was made, counted round and round
NAMES = st.sampled_from(list(OPERATIONS))
PROGRAMS = st.lists(st.tuples(NAMES, BACK, BACK), min_size=5, max_size=15)


class BothEngines(RuleBasedStateMachine):
    """Build graphs in both engines, walk them in any order, and compare all there is."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Node] = []
        self.leaf_of: dict[int, tn.Tensor] = {}
        self.grads: dict[int, np.ndarray | None] = {}  # the oracle's, by leaf
        self.sections: list[Any] = []  # of no_grad, each left after one operation

    def node(self, back: int) -> Node:
        return self.made[-1 - back % len(self.made)]

    @initialize(a=ARRAYS, b=ARRAYS, program=PROGRAMS, data=st.data())
    def two_leaves_and_what_is_made_of_them(self, a, b, program, data):
        self.leaf(a)
        self.leaf(b)
        for step in program:
            self.operate(*step, data)

    @rule(array=ARRAYS)
    def leaf(self, array):
        key = len(self.leaf_of)
        self.leaf_of[key] = tn.tensor(array, requires_grad=True)
        self.grads[key] = None
        self.made.append(Node(self.leaf_of[key], numbers_of(key, array), frozenset([key])))

    @rule(name=NAMES, a=BACK, b=BACK, data=st.data())
    def operate(self, name, a, b, data):
        a, b = self.node(a), self.node(b)
        computed = OPERATIONS[name](a, b, data)
        if computed is None:
            return
        tensor, numbers, used = computed
        numbers, leaves = boxed(numbers), frozenset().union(*(x.leaves for x in (a, b)[:used]))
        if self.sections:
            numbers, leaves = numbers_of(None, values(numbers)), frozenset()
            self.sections.pop().__exit__(None, None, None)
        if numbers.size and np.abs(values(numbers)).max() <= 100:
            self.made.append(Node(tensor, numbers, leaves))

    @rule()
    def enter_no_grad(self):
        self.sections.append(tn.no_grad())
        self.sections[-1].__enter__()

    @rule(x=BACK, repeats=st.integers(1, 3), seed=st.integers(0, 99))
    def backward(self, x, repeats, seed):
        x = self.node(x)
        if x.leaves:
            self.backward_from(x, repeats, seed)
        else:
            with refused(ValueError, "backward"):
                x.tensor.backward()

    @rule(key=BACK)
    def zero_grad(self, key):
        key %= len(self.leaf_of)
        self.leaf_of[key].zero_grad()
        self.grads[key] = None

    def backward_from(self, x: Node, repeats: int, seed: int) -> None:
        scalar = x.tensor.shape == ()
        ct = np.ones(()) if scalar else np.random.default_rng(seed).uniform(-1, 1, x.tensor.shape)
        for _ in range(repeats):
            x.tensor.backward(None if scalar else ct)
        for key in x.leaves:
            if self.grads[key] is None:
                self.grads[key] = np.zeros(self.leaf_of[key].shape)
        for position, number in np.ndenumerate(x.numbers):
            for (key, where), slope in number.slopes.items():
                self.grads[key][where] += repeats * ct[position] * slope

    @invariant()
    def all_gradients_agree(self):
        for key, expected in self.grads.items():
            found = self.leaf_of[key].grad
            assert (found is None) == (expected is None)
            if expected is not None:
                assert type(found) is np.ndarray
                assert_close(found, expected, rtol=1e-9, atol=1e-9)

    @invariant()
    def all_values_agree(self):
        for x in self.made:
            assert_close(x.tensor, values(x.numbers))
            assert x.tensor.requires_grad == bool(x.leaves)

    def teardown(self) -> None:
        while self.sections:
            self.sections.pop().__exit__(None, None, None)
        for x in self.made:  # from which few machines have drawn to walk
            if x.leaves:
                self.backward_from(x, repeats=1, seed=0)
        self.all_gradients_agree()


TestBothEngines = BothEngines.TestCase
TestBothEngines.settings = settings(
    stateful_step_count=30, max_examples=5 * settings.default.max_examples
)
