"""No gradient is lost in silence: every way in which a number can leave a tensor."""

import array
import cmath
import copy
import decimal
import fractions
import io
import json
import math
import pickle
import random
import statistics
import struct
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_same, leaf, over, refused

import tinynet as tn
from tinynet import ops

X = np.array([2.0, 3.0])

DERIVATIVES: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda f, x: tn.grad(f)(x),
    "has_aux": lambda f, x: tn.grad(lambda x: (x.sum(), f(x)), has_aux=True)(x),
    "value_and_grad": lambda f, x: tn.value_and_grad(f)(x)[1],
    "vjp": lambda f, x: tn.vjp(f, x)[1](1.0)[0],
    "jvp": lambda f, x: tn.jvp(f, (x,), (np.ones(2),))[1],
    "elementwise_grad": lambda f, x: tn.elementwise_grad(f)(x),
    "jacobian": lambda f, x: tn.jacobian(f)(x),
    "hessian": lambda f, x: tn.hessian(f)(x),
    "hvp": lambda f, x: tn.hvp(f, x, np.ones(2)),
    "a tree": lambda f, x: tn.grad(lambda w: f(w["x"]))({"x": x}),
    "inside another": lambda f, x: tn.grad(lambda z: tn.grad(lambda y: y * f(x * z))(1.0))(1.0),
    "outside of the inner": lambda f, x: tn.grad(lambda z: tn.grad(lambda y: y * f(z))(1.0))(x),
}


def written(write: Callable[[np.ndarray, Any], Any]) -> Callable[[Any], Any]:
    """Return the function that writes its argument into an array and returns the array's sum."""

    def f(x: Any) -> Any:
        buffer = np.zeros(2)
        write(buffer, x)
        return buffer.sum()

    return f


def set_first(buffer: np.ndarray, x: Any) -> None:
    buffer[0] = x[0]


def set_all(buffer: np.ndarray, x: Any) -> None:
    buffer[:] = x


# name: a function that takes numbers out of its argument. It raises an error that says what to do.
CUTS: dict[str, Callable[[Any], Any]] = {
    "float()": lambda x: float(x[0]),
    "int()": lambda x: int(x[0]),
    "complex()": lambda x: abs(complex(x[0])),
    "item()": lambda x: x[0].item(),
    "numpy()": lambda x: np.sum(x.numpy() ** 2),
    "math.sin": lambda x: math.sin(x[0]),
    "math.floor": lambda x: math.floor(x[0]),
    "math.fsum": lambda x: math.fsum(x),
    "math.hypot": lambda x: math.hypot(x[0], x[1]),
    "cmath.sin": lambda x: abs(cmath.sin(x[0])),
    "%f": lambda x: float("%f" % x[0]),  # noqa: UP031
    "range": lambda x: len(range(x[0])),
    "the order of a norm": lambda x: ops.norm(X, ord=x[0]),
    "an index of a list": lambda x: [1.0, 2.0, 3.0][x[0]],
    "an index of an array": lambda x: np.ones(3)[x[0]],
    "time.sleep": lambda x: time.sleep(x[0]) or 0.0,
    "statistics.fmean": lambda x: statistics.fmean(x),
    "array.array": lambda x: array.array("d", [x[0]])[0],
    "np.asarray": lambda x: np.asarray(x).sum(),
    "np.array": lambda x: np.array(x).sum(),
    "np.array of objects": lambda x: np.array([x[0], x[1]], dtype=object).sum(),
    "np.array of a list": lambda x: np.array([x[0] ** 2, x[1]]).sum(),
    "np.array of a list of vectors": lambda x: np.array([x**2, x]).sum(),
    "np.array of a nested list": lambda x: np.array([[x[0]], [1.0]], dtype=float).sum(),
    "np.float64": lambda x: np.float64(x[0]),
    "np.sum of a list": lambda x: np.sum([x[0], x[1]]),
    "a list times an array": lambda x: ([x[0], x[1]] * np.ones(2)).sum(),
    "an element of an array": written(set_first),
    "a slice of an array": written(set_all),
    "fill": written(lambda a, x: a.fill(x[0])),
    "np.copyto": written(np.copyto),
    "np.put": written(lambda a, x: np.put(a, [0, 1], x)),
    "np.add.at": written(lambda a, x: np.add.at(a, [0, 1], x)),
    "np.full": lambda x: np.full((2,), x[0]).sum(),
    "np.full_like": lambda x: np.full_like(X, x[0]).sum(),
    "np.arange": lambda x: np.arange(0.0, x[0]).sum(),
    "np.vectorize": lambda x: np.vectorize(math.sin)(x).sum(),
    "np.frompyfunc": lambda x: np.frompyfunc(math.sin, 1, 1)(x).sum(),
    "np.fromiter": lambda x: np.fromiter(x, float).sum(),
    "np.savetxt": lambda x: np.savetxt(io.StringIO(), x) or 0.0,
    "np.save": lambda x: np.save(io.BytesIO(), x) or 0.0,
    "np.testing": lambda x: np.testing.assert_allclose(x, x) or 0.0,
    "np.random.normal": lambda x: np.random.normal(x[0]),
    "Generator.normal": lambda x: np.random.default_rng(0).normal(x).sum(),
    "Polynomial": lambda x: np.polynomial.Polynomial([1.0, 2.0])(x).sum(),
    "ndarray.dot": lambda x: X.dot(x),
    "np.matrix": lambda x: np.ma.array(x).sum(),
    "copy": lambda x: copy.copy(x).sum(),
    "deepcopy": lambda x: copy.deepcopy({"x": x})["x"].sum(),
    "pickle": lambda x: pickle.loads(pickle.dumps(x)).sum(),
    "a new leaf": lambda x: tn.tensor(x, requires_grad=True).sum(),
    "a new leaf of a list": lambda x: tn.tensor([x[0], x[1]], requires_grad=True).sum(),
    "Tensor": lambda x: tn.Tensor(x).sum(),
    "Variable": lambda x: tn.Variable(x).sum(),
    "assign": lambda x: tn.Variable(X).assign(x).sum(),
    "convert_to_numpy": lambda x: ops.convert_to_numpy(x).sum(),
}
if find_spec("scipy"):
    import scipy  # imports its parts when they are used

    CUTS |= {
        "scipy.special.logsumexp": lambda x: scipy.special.logsumexp(x),
        "scipy.special.softmax": lambda x: scipy.special.softmax(x)[0],
        "scipy.stats.norm.logpdf": lambda x: scipy.stats.norm.logpdf(x).sum(),
        "scipy.stats.norm's parameter": lambda x: scipy.stats.norm.logpdf(1.0, x[0], 2.0),
        "scipy.integrate.odeint": lambda x: scipy.integrate.odeint(
            lambda y, t: -y, x, [0.0, 1.0]
        ).sum(),
        "a right-hand side": lambda x: scipy.integrate.odeint(lambda y, t: -y * x[0], 1.0, X).sum(),
        "scipy.integrate.quad": lambda x: scipy.integrate.quad(lambda t: x[0] * t, 0, 1)[0],
        "scipy.linalg.solve": lambda x: scipy.linalg.solve(np.eye(2), x).sum(),
        "scipy.optimize.brentq": lambda x: scipy.optimize.brentq(lambda z: float(z - x[0]), -9, 9),
    }


@over(CUTS, "f")
@over(DERIVATIVES, "derivative")
def test_taking_a_number_out_of_a_tensor_is_an_error_that_says_what_to_do(derivative, f):
    with pytest.raises((TypeError, ValueError)) as caught:
        derivative(f, X)
    # NumPy makes a ValueError of a TypeError when it writes an element. Python then prints both.
    assert "detach()" in "".join(traceback.format_exception(caught.value))


def test_the_error_of_scipys_logsumexp_names_ours():
    special = pytest.importorskip("scipy.special")
    with refused(TypeError, "np.asarray", "tn.ops.logsumexp for SciPy's", "detach()"):
        tn.grad(special.logsumexp)(X)
    assert_close(tn.grad(ops.logsumexp)(X), special.softmax(X))


@over(CUTS, "f")
@over(DERIVATIVES, "derivative")
def test_so_it_is_while_the_derivative_is_recorded(derivative, f):
    with pytest.raises((TypeError, ValueError)) as caught:
        tn.jit(lambda x: derivative(f, x))(X)
    text = "".join(traceback.format_exception(caught.value))
    assert "recorded to be compiled" in text or "detach()" in text


@over(CUTS, "f")
@np.errstate(all="ignore")
def test_a_number_may_leave_a_detached_tensor_and_one_without_gradients(f):
    derivative = tn.grad(lambda x: ops.sum(f(x.detach())) + x.sum())
    untracked = tn.grad(lambda x: x.sum() + tn.no_grad()(lambda: ops.sum(f(x)))())
    for gradient in (derivative, untracked):
        try:
            found = gradient(X)
        except (TypeError, IndexError) as error:  # a float is no index
            assert "integer" in str(error)  # noqa: PT017
        else:
            assert_same(found, np.ones(2))


# Python and NumPy refuse these by themselves.
REFUSED: dict[str, Callable[[Any], Any]] = {
    "%d": lambda x: float("%d" % x[0]),  # noqa: UP031
    "json": lambda x: json.loads(json.dumps(x[0])),
    "struct": lambda x: struct.unpack("d", struct.pack("d", x[0]))[0],
    "bytes": lambda x: len(bytes(x)),
    "memoryview": lambda x: memoryview(x)[0],
    "Fraction": lambda x: float(fractions.Fraction(x[0])),
    "Decimal": lambda x: float(decimal.Decimal(x[0])),
    "statistics.mean": lambda x: statistics.mean(x),
    "np.nditer": lambda x: sum(map(float, np.nditer(x))),
    "np.zeros": lambda x: np.zeros(x[0]).sum(),
    "in place": written(lambda a, x: a.__iadd__(x)),
    "out=": written(lambda a, x: np.add(a, x, out=a)),
}


@over(REFUSED, "f")
@over(DERIVATIVES, "derivative")
def test_what_knows_no_tensors_refuses_them(derivative, f):
    for call in (derivative, lambda f, x: tn.jit(lambda x: derivative(f, x))(x)):
        with pytest.raises((TypeError, struct.error)):
            call(f, X)


# name: (a function, its gradient at X)
KEPT: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "sum of a list": (lambda x: sum([x[0] ** 2, x[1]]), [4.0, 1.0]),
    "max of a list": (lambda x: max([x[0], x[1] * 2.0]), [0.0, 2.0]),
    "sorted": (lambda x: sorted(x)[1], [0.0, 1.0]),
    "math.prod": (lambda x: math.prod([x[0], x[1]]), [3.0, 2.0]),
    "pow": (lambda x: pow(x[0], 3), [12.0, 0.0]),
    "divmod": (lambda x: divmod(x[0], 0.7)[1], [1.0, 0.0]),
    "np.allclose": (lambda x: x.sum() * np.allclose(x, x), [1.0, 1.0]),
    "abs": (lambda x: abs(-x[0]), [1.0, 0.0]),
    "iteration": (lambda x: sum(a * b for a, b in zip(x, X, strict=True)), X),
    "random.gauss": (lambda x: random.gauss(x[0], 1.0), [1.0, 0.0]),
    "np.stack": (lambda x: np.stack([x[0] ** 2, x[1]]).sum(), [4.0, 1.0]),
    "np.concatenate": (lambda x: np.concatenate([x, x * X]).sum(), 1 + X),
    "np.where": (lambda x: np.where([True, False], x, 0.0).sum(), [1.0, 0.0]),
    "np.sum": (lambda x: np.sum(np.square(x)), 2 * X),
    "array @": (lambda x: X @ x, X),
    "tn.tensor of a tensor": (lambda x: tn.tensor(x * x).sum(), 2 * X),
    "tn.tensor of another dtype": (lambda x: tn.tensor(x, "float32").sum(), [1.0, 1.0]),
    "tn.tensor of a list": (lambda x: tn.tensor([x[0] ** 2, x[1]]).sum(), [4.0, 1.0]),
    "sum of ops": (lambda x: ops.sum([x[0] ** 2, x[1]]), [4.0, 1.0]),
    "convert_to_tensor": (lambda x: ops.convert_to_tensor([x[0] ** 2, x[1]]).sum(), [4.0, 1.0]),
    "convert with a dtype": (lambda x: ops.convert_to_tensor([x[0], 1], "float32").sum(), [1, 0]),
    "a list as a factor": (lambda x: (x * [x[0], x[0]]).sum(), [7.0, 2.0]),
    "a list on the left": (lambda x: ([x[0], 2.0] * x).sum(), [4.0, 2.0]),
    "a tuple": (lambda x: ops.exp((x[0], x[1])).sum(), np.exp(X)),
    "a nested list": (lambda x: ops.sum([[x[0], 1.0], [x[1], x[0]]]), [2.0, 1.0]),
    "a list of vectors": (lambda x: ops.matmul([x, X], x).sum(), 2 * X + X),
    "a list beside arrays": (lambda x: ops.sum([x, X, [1.0, 2.0], (x[0], 5)]), [2.0, 1.0]),
    "a comparison": (lambda x: x[0] if x[0] > x[1] else -x[1], [0.0, -1.0]),
    "bool": (lambda x: x[0] * 3.0 if x[1] else x[0], [3.0, 0.0]),
    "text": (lambda x: x[0] * len(f"{x[0]:.3f} {x[1]!r:.1} {x!s:.1}"), [9.0, 0.0]),
}


@over(KEPT, "case")
def test_these_ways_are_differentiated(case):
    f, expected = case
    assert_close(tn.grad(f)(X), expected)
    assert_close(tn.vjp(f, X)[1](1.0)[0], expected)
    assert_close(tn.jacobian(f)(X), expected)
    t = leaf(X)
    f(t).backward()
    assert_close(t.grad, expected)


RECORDERS: dict[str, Any] = {
    "jit": lambda f: lambda *args: tn.jit(f, native=False)(*args),
    "jit of grad": lambda f: tn.jit(tn.grad(lambda x, i: f(x, i).sum()), native=False),
    "vmap": lambda f: lambda *args: tn.vmap(f)(*(np.stack([a, a]) for a in args)),
}
# A function of a tensor and of places, as for NumPy's arrays, and as for tensors.
INSTEAD: dict[str, Any] = {
    "tn.ops.stack for np.array": (
        lambda x, i: np.array([x[1], -x[0]]),
        lambda x, i: ops.stack([x[1], -x[0]]),
    ),
    "tn.ops.take for a[t]": (lambda x, i: X[i] * x, lambda x, i: ops.take(X, i) * x),
}


@over(RECORDERS, "recorder")
@pytest.mark.parametrize("advice", INSTEAD)
def test_the_refusal_while_a_function_is_recorded_says_what_works(recorder, advice):
    wrong, right = INSTEAD[advice]
    with refused(TypeError, "cannot look at the numbers", advice):
        recorder(wrong)(X, np.array([1, 0]))
    recorder(right)(X, np.array([1, 0]))


LEAF, MODEL = leaf(X), tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)])
DOUBLE = LEAF * 2.0
# Functions that use what was given for their argument, and not the argument.
GIVEN: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "the weights of a model": (lambda _: MODEL(X[None]).sum(), MODEL.trainable_variables),
    "a variable": (lambda _: (MODEL.weights[0] ** 2).sum(), MODEL.weights[0]),
    "a leaf in a dict": (lambda _: (LEAF**2).sum(), {"x": [LEAF, X]}),
    "a result": (lambda _: (DOUBLE * 3.0).sum(), DOUBLE),
}


@over(GIVEN, "case")
@pytest.mark.parametrize("name", ["grad", "value_and_grad", "vjp", "jacobian"])
def test_a_function_of_what_was_given_for_its_argument_is_refused(name, case):
    f, given = case
    with refused(ValueError, "f, whose gradient would be 0", "stateless_call", "received [("):
        DERIVATIVES[name](f, given)


@over(GIVEN, "case")
def test_it_is_refused_too_while_it_is_recorded(case):
    f, given = case
    for compiled in (tn.jit(tn.grad(f)), tn.jit(lambda x: tn.grad(f)(x))):
        with refused(ValueError, "f, whose gradient would be 0", "received [("):
            compiled(given)


def test_what_is_given_for_a_constant_argument_too_may_be_used():
    twice = lambda x, y, z=0.0: (y * 2.0 + z * 3.0).sum()  # noqa: E731
    for t in (LEAF, MODEL.weights[0]):
        for gradient in (tn.grad(twice), tn.jit(tn.grad(twice))):
            assert_same(gradient(t, t).detach(), np.zeros_like(t))
            assert_same(gradient(t, 1.0, z=t).detach(), np.zeros_like(t))


def test_what_was_given_may_be_used_beside_the_argument_and_inside_another_derivative():
    assert_close(tn.grad(lambda x: (x * LEAF).sum())(LEAF).detach(), X)
    assert_same(tn.grad(lambda x, y: (x * 2.0).sum(), (0, 1))(LEAF, LEAF)[1], np.zeros(2))
    inner = lambda x: tn.grad(lambda _: (x**2).sum())(x).sum() + (x * 3.0).sum()  # noqa: E731
    assert_close(tn.grad(inner)(LEAF).detach(), np.full(2, 3.0))


@pytest.mark.parametrize("take", ["float()", "np.asarray", "numpy()", "Variable"])
def test_taking_a_number_out_in_another_thread_is_an_error_too(take):
    def f(x: Any) -> Any:
        with ThreadPoolExecutor(1) as others:
            return others.submit(CUTS[take], x).result()

    with refused(TypeError, "detach()"):
        tn.grad(f)(X)
    kept = [float(t) for t in map(leaf, X)]  # when the derivative is there
    assert kept == X.tolist()


def test_tensors_that_another_thread_computes_are_differentiated():
    with ThreadPoolExecutor(1) as others:
        assert_close(tn.grad(lambda x: others.submit(lambda: (x**3).sum()).result())(X), 3 * X**2)
        constant = lambda: float((leaf(X) ** 2).sum())  # noqa: E731
        assert_close(tn.grad(lambda x: x.sum() * others.submit(constant).result())(X), [13.0, 13.0])


def test_numbers_can_be_read_in_a_loop_with_backward():
    w = leaf(X)
    loss = (w * w).sum()
    read = [float(loss), loss.item(), np.asarray(loss).item(), loss.numpy().item()]
    assert read == [13.0] * 4
    assert not tn.tensor(w, requires_grad=True).equation


def test_numbers_that_do_not_depend_on_the_arguments_can_be_read_anywhere():
    w = tn.Variable(X)

    def f(x: Any) -> Any:
        scale = float((w * w).sum()) * np.asarray(w)[0] * w.numpy()[1]
        return (x * scale).sum() * float(tn.grad(lambda y: y * y)(2.0))

    assert_close(tn.grad(f)(X), np.full(2, 13.0 * 2.0 * 3.0 * 4.0))


def test_numbers_can_be_read_when_the_derivative_is_there():
    kept: list[Any] = []
    value, gradient = tn.value_and_grad(lambda x: (kept.append(x * x), kept[0].sum())[1])(X)
    assert (float(value), gradient.numpy().tolist()) == (13.0, [4.0, 6.0])
    assert kept[0].numpy().tolist() == [4.0, 9.0]
    with pytest.raises(ZeroDivisionError):
        tn.grad(lambda x: x[0] / (1 // 0))(X)
    assert float(leaf(2.0) * 3.0) == 6.0  # also after an exception


# -- lists of tensors -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_list_has_the_floating_dtype_of_its_tensors(dtype):
    t, n = leaf([0.5, 1.0], dtype), tn.tensor(np.array([1, 2]))
    for data in ([t[0], 0.1], [0.1, (t[1])], [t[0], n[0]], [n[1], True, t[0]], [[0.1], [t[0]]]):
        numbers = np.array([np.asarray(x, dtype) for x in np.ravel(tn.tensor(data).detach())])
        assert_same(ops.reshape(data, -1).detach(), numbers)
        assert tn.tensor(data).dtype == dtype
    assert tn.tensor([t[0], 0.1])[1].numpy() == np.dtype(dtype).type(0.1)
    assert tn.tensor([t[0], np.float64(1)]).dtype == "float64"
    assert tn.tensor([n[0], 3]).dtype == "int64"
    assert tn.tensor([n[0], 0.5]).dtype == "float32"
    assert_same(tn.tensor([n[0], 2, n[1]]), np.array([1, 2, 2]))


def test_variables_and_constants_may_stand_in_lists():
    v, c = tn.Variable(2.0), tn.tensor(3.0)
    y = ops.sum([v * v, c, v, 1.0])
    y.backward()
    assert v.grad == 5.0
    assert not tn.tensor([c, c]).requires_grad
    assert_same(tn.tensor([v, c]).detach(), np.array([2, 3], "float32"))


def test_a_ragged_list_of_tensors_is_refused():
    t = leaf([1.0, 2.0])
    for data in ([t, t[0]], [t, [1.0]], [[t[0]], [t[0], t[1]]], [t, 1.0]):
        with refused(ValueError, "data", "regular shape", "("):
            tn.tensor(data)


def test_a_tensor_of_a_tensor_is_new():
    leaf_, constant = leaf(X), tn.tensor(X)
    for t in (leaf_, constant):
        new = tn.tensor(t)
        assert new is not t
        assert new.requires_grad == t.requires_grad
        assert_same(new.detach(), X)
