"""SciPy's special functions on tensors, and what is written with them.

The laws in `test_primitives.py` compare the values and two orders of derivatives of each primitive.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special as sp
import scipy.stats
from helpers import assert_close, assert_same, leaf, over, refused
from strategies import typical

import tinynet as tn
from tinynet.engine.bind import PRIMITIVES
from tinynet.engine.primitives import special

ROOT = Path(tn.__file__).parents[1]
UFUNCS = {f.__name__: f for f in special.of_scipy() if isinstance(f, np.ufunc)}


def arrays_for(name: str) -> list[np.ndarray]:
    """Return arguments of a function from its case in the laws."""
    known = {"expit": "sigmoid"}.get(name, name)
    return typical((PRIMITIVES.get(f"scipy.special.{known}") or PRIMITIVES[known]).cases[0])


every_function = pytest.mark.parametrize("name", UFUNCS)


@every_function
def test_a_ufunc_of_scipy_gives_a_tensor_with_scipys_numbers(name):
    arrays = arrays_for(name)
    expected = UFUNCS[name](*arrays)
    for make in (tn.tensor, tn.Variable):
        found = UFUNCS[name](*arrays[:-1], make(arrays[-1]))
        assert isinstance(found, tn.Tensor)
        assert_close(found, expected, 1e-14, 1e-15)
    assert UFUNCS[name](*arrays[:-1], leaf(arrays[-1])).requires_grad


@every_function
def test_derivatives_of_three_orders_agree_with_finite_differences(name):
    *constants, x = arrays_for(name)
    tn.check_grads(lambda x: UFUNCS[name](*constants, x), (x,), order=3)


@every_function
def test_compiled_gradients_equal_the_eager_ones(name):
    *constants, x = arrays_for(name)
    f = tn.value_and_grad(lambda x: np.sum(UFUNCS[name](*constants, x) ** 2))
    compiled = tn.jit(f)
    for found, expected in zip(compiled(x), f(x), strict=True):
        assert_same(found, expected)
    assert compiled.compilations == 1


@pytest.mark.parametrize("f", [sp.iv, sp.gammainc, sp.betaln])
def test_a_function_of_two_arguments_that_has_no_derivative_is_refused(f):
    for arguments in ((leaf(2.0), 1.5), (2.0, leaf(1.5))):
        with refused(TypeError, f"scipy.special.{f.__name__} has no gradient"):
            f(*arguments)
    assert_close(f(tn.tensor(np.array(2.0)), 1.5), f(2.0, 1.5))


def test_ufuncs_of_scipy_without_a_derivative_refuse_to_lose_a_gradient():
    x = np.array([0.25, 0.5])
    tried = 0
    for name, f in vars(sp).items():
        if isinstance(f, np.ufunc) and f.nin == 1 and f is not UFUNCS.get(f.__name__):
            tried += 1
            with refused(TypeError, f"scipy.special.{f.__name__} has no gradient"):
                f(leaf(x))
            np.testing.assert_array_equal(f(tn.tensor(x)), f(x), err_msg=name)
    assert tried > 20


def test_aliases_are_the_functions_they_stand_for():
    assert_close(sp.digamma(leaf([1.5])), sp.psi(np.float32([1.5])), 1e-6)


def test_options_that_we_lack_are_refused():
    with refused(TypeError, "scipy.special.erf of a tensor", "where"):
        sp.erf(leaf([1.0]), where=np.array([True]))
    with refused(TypeError, "scipy.special.erf", "out="):
        sp.erf(leaf([1.0]), out=np.zeros(1))


def test_dtypes_are_those_of_the_arguments():
    for dtype in ("float16", "float32", "float64"):
        y, pullback = tn.vjp(lambda x: sp.gammaln(x), np.array([1.5, 2.5], dtype))
        assert {y.dtype, pullback(y)[0].dtype} == {np.dtype(dtype)}
    assert sp.gammaln(tn.tensor(np.array([3, 4]))).dtype == tn.backend.floatx()


# -- where a rule has a special place ---------------------------------------------------------


def test_derivatives_at_zero():
    zero = np.array(0.0)
    assert_same(tn.grad(sp.i1)(zero), 0.5)  # i1(x) = x / 2 + ...
    assert_same(tn.grad(tn.grad(sp.i0))(zero), 0.5)  # i0(x) = 1 + x^2 / 4 + ...


@np.errstate(divide="ignore")
def test_x_log_y_where_both_are_zero():
    assert_same(tn.grad(sp.xlogy, 1)(np.array(0.0), np.array(0.0)), 0.0)
    assert_same(tn.grad(sp.xlogy, 1)(np.array(0.0), np.array(0.5)), 0.0)


def test_log_ndtr_far_in_the_tail():
    # The inverse Mills ratio is -x + 1 / (-x) - ... for large negative x.
    assert_close(tn.grad(sp.log_ndtr)(np.array(-100.0)), 100.0 + 1 / 100.0, 1e-7)


# -- log-densities, in a line each ------------------------------------------------------------

x, mean = np.array([0.3, -1.2, 2.5]), np.array([0.1, 0.4, -0.2])
COVARIANCE = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 0.5]])
DENSITIES: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "normal": (
        lambda x, m, s: -0.5 * ((x - m) / s) ** 2 - np.log(s) - 0.5 * np.log(2 * np.pi),
        lambda x, m, s: scipy.stats.norm.logpdf(x, m, s),
        (x, mean, np.array(1.5)),
    ),
    "Student t": (
        lambda x, n: (
            sp.gammaln((n + 1) / 2)
            - sp.gammaln(n / 2)
            - (np.log(n * np.pi) + (n + 1) * np.log1p(x**2 / n)) / 2
        ),
        lambda x, n: scipy.stats.t.logpdf(x, n),
        (x, np.array(4.5)),
    ),
    "multivariate normal": (
        lambda x, m, c: (
            -0.5 * (x - m) @ np.linalg.solve(c, x - m) - 0.5 * np.linalg.slogdet(2 * np.pi * c)[1]
        ),
        lambda x, m, c: scipy.stats.multivariate_normal.logpdf(x, m, c),
        (x, mean, COVARIANCE),
    ),
    "gamma": (
        lambda x, a: sp.xlogy(a - 1, x) - x - sp.gammaln(a),
        lambda x, a: scipy.stats.gamma.logpdf(x, a),
        (np.array([0.5, 2.0]), np.array(2.5)),
    ),
    "beta": (
        lambda x, a, b: (
            sp.xlogy(a - 1, x)
            + sp.xlog1py(b - 1, -x)
            - sp.gammaln(a)
            - sp.gammaln(b)
            + sp.gammaln(a + b)
        ),
        lambda x, a, b: scipy.stats.beta.logpdf(x, a, b),
        (np.array([0.2, 0.7]), np.array(2.5), np.array(1.5)),
    ),
}


@over(DENSITIES, "density")
def test_log_densities_in_a_line_are_scipys_and_have_gradients(density):
    ours, scipys, arrays = density
    assert_close(ours(*map(leaf, arrays)), scipys(*arrays), 1e-12)
    tn.check_grads(ours, arrays)
    everywhere = tuple(range(len(arrays)))
    f = tn.grad(lambda *xs: np.sum(ours(*xs)), everywhere)
    for found, expected in zip(tn.jit(f)(*arrays), f(*arrays), strict=True):
        assert_same(found, expected)


def test_the_gradient_of_a_multivariate_normal_is_the_known_one():
    precision = np.linalg.inv(COVARIANCE)
    by_x, by_mean, by_covariance = tn.grad(DENSITIES["multivariate normal"][0], (0, 1, 2))(
        x, mean, COVARIANCE
    )
    assert_close(by_x, -precision @ (x - mean))
    assert_close(by_mean, precision @ (x - mean))
    outer = np.outer(precision @ (x - mean), precision @ (x - mean))
    assert_close(by_covariance, (outer - precision) / 2)


# -- SciPy is optional ------------------------------------------------------------------------


def in_a_process(script: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return run.stdout


def test_scipy_is_imported_when_one_of_its_functions_is_first_used():
    script = (
        "import sys, tinynet as tn, numpy as np; t = tn.tensor([0.5], requires_grad=True)\n"
        "np.exp(t); tn.ops.erfc(t); print('scipy' in sys.modules)\n"
        "tn.ops.erf(t); print('scipy' in sys.modules)"
    )
    assert in_a_process(script).split() == ["False", "True"]


def test_without_scipy_an_error_says_what_to_install():
    script = (
        "import sys; sys.modules['scipy'] = None\n"
        "import tinynet as tn\n"
        "try: tn.ops.erf(0.5)\n"
        "except ImportError as error: print(error)"
    )
    assert "extra 'scipy' of tinynet: pip install" in in_a_process(script)


def test_a_users_primitive_may_have_the_name_of_a_function_of_scipy():
    script = (
        "import numpy as np, scipy.special, tinynet as tn\n"
        "from tinynet.engine.bind import primitive\n"
        "primitive('erf', np.sin)\n"
        "print(scipy.special.erf(tn.tensor(0.0, requires_grad=True)).item())"
    )
    assert in_a_process(script) == "0.0\n"


def test_erf_and_its_inverse():
    assert_close(tn.ops.erf(np.array([0.5, -1.0])), sp.erf([0.5, -1.0]), 1e-15)
    assert_close(tn.ops.erfinv(np.array([0.5, -0.9])), sp.erfinv([0.5, -0.9]), 1e-15)
