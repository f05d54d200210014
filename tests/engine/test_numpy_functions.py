"""NumPy's functions, methods and operators on tensors: values, gradients, constants, refusals."""

import inspect
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import (
    CONSTANT,
    METHODS,
    METHODS_CONSTANT,
    OF_NUMBERS,
    SMOOTH,
    arguments,
    calls,
    evaluated,
    functions_in,
)
from helpers import assert_close, assert_same, leaf, refused
from hypothesis import given, strategies as st
from programs import assert_same_results, eagerly
from strategies import SEEDS

import tinynet as tn
from tinynet import ops
from tinynet.engine.operators import _DISCRETE, _METHODS, _OURS, _parameters, name_of
from tinynet.tree import flatten

WITH_GRADIENT = calls(SMOOTH) + calls(METHODS)
CONSTANTS = calls(CONSTANT) + calls(METHODS_CONSTANT)
ALL = WITH_GRADIENT + CONSTANTS + calls(OF_NUMBERS)


def parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def flat(f: Callable[..., Any]) -> Callable[..., tn.Tensor]:
    """Return `f` with all its results in one vector."""
    return lambda *xs: ops.concatenate([ops.ravel(t) for t in parts(f(*xs))])


@pytest.mark.parametrize("call", ALL)
@pytest.mark.parametrize("make", [leaf, tn.tensor, tn.Variable])
def test_the_value_is_numpys(call, make):
    f, arrays = evaluated(call), arguments(call)
    expected, found = f(*arrays), f(*map(make, arrays))
    assert len(parts(expected)) == len(parts(found))
    for one, other in zip(parts(expected), parts(found), strict=True):
        if isinstance(one, (np.ndarray, np.generic)) and not isinstance(other, (bool, np.bool_)):
            assert isinstance(other, tn.Tensor)
            assert other.dtype == one.dtype
            np.testing.assert_allclose(other.data, one, 1e-13, 1e-15, equal_nan=call in CONSTANTS)
        else:
            assert one == other


@pytest.mark.parametrize("call", WITH_GRADIENT)
def test_the_gradient_is_right(call):
    f, arrays = evaluated(call), arguments(call)
    tn.check_grads(flat(f), tuple(arrays), order=2, step=1e-3)
    xs = [leaf(a) for a in arrays]
    flat(f)(*xs).sum().backward()
    assert any(x.grad is not None and np.any(x.grad) for x in xs)


@pytest.mark.parametrize("call", CONSTANTS + calls(OF_NUMBERS))
def test_predicates_counts_and_shapes_are_constants(call):
    f, arrays = evaluated(call), arguments(call)
    for part in parts(f(*map(leaf, arrays))):
        assert not getattr(part, "requires_grad", False)


@pytest.mark.parametrize("call", WITH_GRADIENT)
def test_float32_stays_float32(call):
    if "float" not in call:
        f, arrays = evaluated(call), arguments(call, "float32")
        assert {part.dtype for part in parts(f(*map(leaf, arrays)))} == {np.dtype("float32")}


@pytest.mark.parametrize("call", WITH_GRADIENT)
@np.errstate(all="ignore")
def test_compiled_equals_eager_in_value_and_gradient(call):
    f, arrays = flat(evaluated(call)), arguments(call, "float32")

    def value_and_gradients(*xs: tn.Tensor) -> Any:
        y, pullback = tn.vjp(f, *xs)
        return y, list(pullback(ops.ones_like(y)))

    found = tn.jit(value_and_gradients)(*arrays)
    assert_same_results(found, eagerly(value_and_gradients, arrays))


@pytest.mark.parametrize("call", [call for call in CONSTANTS if "tolist" not in call])
@np.errstate(all="ignore")
def test_constants_that_are_tensors_are_compiled(call):
    f, arrays = evaluated(call), arguments(call, "float32")
    expected = eagerly(f, arrays)
    if isinstance(expected, tn.Tensor):
        assert_same_results(tn.jit(f)(*arrays), expected)


@pytest.mark.parametrize("call", [*calls(OF_NUMBERS), "x.tolist()"])
def test_what_depends_on_the_numbers_is_refused_while_a_function_is_recorded(call):
    f, arrays = evaluated(call), arguments(call)
    with refused(TypeError, "recorded", "numbers"):
        tn.jit(lambda *xs: [f(*xs), xs[0]])(*arrays)


PRODUCTS = [np.dot, np.inner, np.outer, np.kron, np.matmul, np.multiply, np.tensordot]


@pytest.mark.parametrize("product", PRODUCTS, ids=name_of)
@pytest.mark.parametrize("ranks", [*itertools.product(range(4), repeat=2)])
def test_products_of_operands_of_any_ranks_are_numpys_or_an_error_where_numpy_has_one(
    product, ranks
):
    rng = np.random.default_rng(0)
    for lengths in ((2, 2, 2), (2, 3, 2), (3, 2, 1)):
        arrays = [rng.normal(size=lengths[:rank]) for rank in ranks]
        try:
            expected = product(*arrays)
        except (ValueError, IndexError):
            with pytest.raises((ValueError, IndexError)):
                product(*map(tn.tensor, arrays))
            continue
        found = product(*map(tn.tensor, arrays))
        assert_close(found, expected)
        assert type(found.data) is np.ndarray


@st.composite
def einsums(draw: Any) -> tuple[str, list[np.ndarray]]:
    """Draw subscripts, sometimes wrong ones, and operands; some lengths are 1 and broadcast."""
    sizes = {"a": 2, "b": 3, "c": 2, "...": draw(st.sampled_from([(), (2,), (2, 3)]))}
    indices = st.lists(st.sampled_from([*sizes]), max_size=3, unique_by=lambda i: i or None)
    diagonal = st.lists(st.sampled_from("ac"), max_size=3)
    terms = draw(st.lists(indices | diagonal, min_size=1, max_size=3))
    rng = np.random.default_rng(draw(SEEDS))
    arrays = []
    for term in terms:
        lengths = [sizes[i] if i == "..." else (sizes[i],) for i in term]
        arrays.append(rng.normal(size=sum(lengths, ())))
    text = ",".join("".join(term) for term in terms)
    result = draw(st.none() | st.permutations(sorted({i for term in terms for i in term})))
    return (
        text if result is None else f"{text}->{''.join(result[draw(st.integers(0, 2)) :])}",
        arrays,
    )


@given(einsums(), st.booleans())
def test_einsum_of_any_subscripts_is_numpys_or_an_error_where_numpy_has_one(drawn, optimize):
    text, arrays = drawn
    try:
        expected = np.einsum(text, *arrays)
    except ValueError:
        with refused(ValueError, "einsum"):
            np.einsum(text, *map(tn.tensor, arrays))
        return
    found = np.einsum(text, *map(tn.tensor, arrays), optimize=optimize)
    assert_close(found, expected, 1e-10, 1e-10)
    tn.check_grads(lambda *xs: np.einsum(text, *xs), tuple(arrays), order=1, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_at_equal_distances_have_the_floating_dtype_of_their_ends(dtype):
    for start, stop in ((0, np.array(0.1, dtype)), (np.dtype(dtype).type(0.1), 1.0)):
        ends = np.array([start, stop], dtype)
        expected = np.linspace(*ends.astype("float64"), 7).astype(dtype)
        assert_same(tn.ops.linspace(start, stop, 7), expected)
        assert_same(np.linspace(*map(tn.tensor, ends), 7), expected)
    assert tn.ops.linspace(np.array(0), np.array(3)).dtype == "float32"


# -- completeness -----------------------------------------------------------------------------

MADE_WITHOUT_AN_ARRAY = {  # NumPy asks nobody
    *("zeros", "ones", "full", "eye", "identity", "arange", "linspace")
}
OF_NUMPY = [f for f in _OURS if getattr(np, f.__name__, None) is f]  # not of np.linalg, nor SciPy's


def test_every_function_that_we_have_is_called_here():
    called = set().union(*map(functions_in, ALL))
    missing = {f for f in OF_NUMPY if f not in {getattr(np, name, None) for name in called}}
    assert {f.__name__ for f in missing} == MADE_WITHOUT_AN_ARRAY


def test_every_function_of_tensors_that_numpy_has_is_in_ops():
    names = {f.__name__ for f in OF_NUMPY}
    assert {name for name in names if not hasattr(ops, name)} == {
        "around",
        "degrees",
        "fix",
        "radians",
    }


def test_the_page_of_operations_lists_all_functions_and_methods():
    text = (Path(tn.__file__).parents[1] / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [a-z ,]+ \| `(.*)` \|$", text, re.M)
    listed = " ".join(rows).split()
    assert sorted(listed) == sorted(dir(ops))
    (methods,) = re.findall(r"these\s+methods: `([^`]*)`", text)
    hidden = {"backward", "detach", "numpy"}  # of tensors alone
    assert {*methods.split()} == {
        n for n in _METHODS if n[0] != "_" and n not in {"T", "mT"}
    } - hidden


PUBLIC = {
    f"{prefix}{name}": f
    for prefix, namespace in {"np.": np, "np.linalg.": np.linalg, "np.fft.": np.fft}.items()
    for name, f in sorted(vars(namespace).items())
    if callable(f) and not inspect.isclass(f) and name[0] != "_"
}
DISPATCHED = [
    name
    for name, f in PUBLIC.items()
    if isinstance(f, np.ufunc) or (hasattr(f, "_implementation") and "save" not in name)
]


LACKING = [name for name in DISPATCHED if PUBLIC[name] not in _OURS]
OF_FLOATS = [name for name in LACKING if PUBLIC[name].__name__ not in _DISCRETE]


@pytest.mark.parametrize("name", OF_FLOATS)
@pytest.mark.filterwarnings("ignore")
def test_a_function_that_we_lack_names_itself_and_gives_no_wrong_number(name):
    """Of one, two or three tensors: a refusal, or a result that does not depend on the numbers."""
    function = PUBLIC[name]
    for count in (1, 2, 3):
        t = leaf([[2.0, 1.0], [0.5, 3.0]])
        try:
            found = function(*[t] * count)
        except TypeError as error:
            message = str(error)
            named = f"{name.rpartition('.')[0]}.{function.__name__}" in message
            refuses = "no gradient" in message or "of a tensor" in message
            assert (named and refuses) or "argument" in message, message
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
        else:
            other = function(*[leaf([[7.0, 1.0], [0.5, -3.0]])] * count)
            assert repr(found) == repr(other)


DISCRETE = {"bool", "int", "str", "type", "b", "i"}


def kinds(result: Any) -> set[str]:
    """Return the kinds of the arrays in a result, and the names of the types of its other parts."""

    def kind(x: Any) -> str:
        if isinstance(x, (np.ndarray, np.generic)):
            return x.dtype.kind
        return "type" if isinstance(x, (type, np.dtype)) else type(x).__name__

    return {kind(x) for x in flatten(result)}


@pytest.mark.parametrize("name", [n for n in LACKING if "memory" not in n])
@pytest.mark.filterwarnings("ignore")
def test_places_counts_predicates_and_text_have_no_gradient_and_are_those_of_the_numbers(name):
    function, matrix = PUBLIC[name], np.array([[2.0, 1.0], [0.5, 3.0]])
    for arrays in ([matrix], [matrix, 1], [matrix, matrix], [matrix[0], np.array([0.5, 1.5])]):
        try:
            expected = function(*arrays)
        except (TypeError, ValueError, IndexError, AttributeError):
            continue  # it takes other arguments
        if name in ("np.isneginf", "np.isposinf") and len(arrays) > 1:
            continue  # the second argument is out=
        is_discrete = kinds(expected) <= DISCRETE
        assert is_discrete or function.__name__ not in _DISCRETE
        if is_discrete:
            given = [leaf(x) if isinstance(x, np.ndarray) else x for x in arrays]
            assert repr(function(*given)) == repr(expected)


KEYWORDS = {
    "np.sort": lambda t: np.sort(t, kind="stable"),
    "np.argsort": lambda t: np.argsort(t, stable=True),
    "np.exp": lambda t: np.exp(t, where=np.array([True, False])),
    "np.add": lambda t: np.add(t, t, casting="no"),
    "np.reshape": lambda t: np.reshape(t, (4,), order="F"),
    "np.where": lambda t: np.where(t > 0),
    "np.var": lambda t: np.var(t, mean=t),
    "np.searchsorted": lambda t: np.searchsorted(t[0], t, sorter=[1, 0]),
    "np.take": lambda t: np.take(t, [0, 9], mode="clip"),
    "np.stack": lambda t: np.stack([t, t], dtype="float32"),
    "np.zeros_like": lambda t: np.zeros_like(t, shape=(3,)),
    "np.mean": lambda t: np.mean(t, dtype="float64"),
    "np.log": lambda t: np.log(t, dtype="float64"),
    "np.pad": lambda t: np.pad(t, 1, "linear_ramp", end_values=2.0),
    "np.einsum": lambda t: np.einsum(t, [0, 1], [0]),
}


@pytest.mark.parametrize("name", KEYWORDS)
def test_an_option_that_we_lack_is_refused_by_the_name_of_the_function(name):
    with pytest.raises((TypeError, ValueError), match=name.partition(".")[2]) as caught:
        KEYWORDS[name](leaf([[2.0, 1.0], [0.5, 3.0]]))
    if caught.type is TypeError:
        assert str(caught.value).startswith(f"{name} of a tensor: ")


@pytest.mark.parametrize("function", _OURS, ids=name_of)
def test_a_default_is_numpys(function):
    _, names = _parameters(function)
    ours = inspect.signature(_OURS[function]).parameters
    try:
        theirs = inspect.signature(function).parameters
    except ValueError:  # before NumPy 2.4, some functions in C have no signature
        theirs = ours
    if function.__name__ in MADE_WITHOUT_AN_ARRAY:
        return
    for name, p in theirs.items():
        if name in names and p.default not in (p.empty, np._NoValue):
            assert ours[names[name]].default == p.default


def test_the_error_of_an_unknown_option_says_what_to_do():
    with refused(TypeError, "np.sort of a tensor", "kind=", "expected only a, axis", "detach()"):
        np.sort(leaf([2.0, 1.0]), kind="stable")


WITH_KEEPDIMS = ["all", "any", "max", "mean", "min", "prod", "std", "sum", "var"]
WITH_KEEPDIMS += ["nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar"]


@pytest.mark.parametrize("name", WITH_KEEPDIMS)
@pytest.mark.parametrize("keepdims", ["float64", np.float64, None])
def test_a_dtype_in_the_place_of_keepdims_is_refused(name, keepdims):
    """NumPy's methods have `dtype` or `out` there: ``x.mean(0, "float64")``."""
    t = leaf([[2.0, 1.0], [0.5, 3.0]])
    calls = [lambda: getattr(ops, name)(t, 0, keepdims)]
    calls += [lambda: getattr(t, name)(0, keepdims)] * (name in ("max", "mean", "min", "sum"))
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=r"keepdims: expected a bool, received"):
            call()


def test_the_error_of_a_method_with_an_unknown_option_names_the_method():
    with refused(TypeError, "reshape() got an unexpected keyword argument 'order'"):
        leaf([2.0, 1.0]).reshape(2, order="F")


@pytest.mark.parametrize("function", [np.isclose, np.allclose, ops.isclose, ops.allclose])
@pytest.mark.parametrize("option", ["rtol", "atol"])
def test_a_tolerance_is_a_number_also_in_a_tensor(function, option):
    x, y = np.array([1.0, 2.0]), np.array([1.25, 3.0])
    found = function(leaf(x), y, **{option: tn.tensor(np.array(0.3))})
    np.testing.assert_array_equal(found, getattr(np, function.__name__)(x, y, **{option: 0.3}))
    with refused(TypeError, f"{option}: expected a number"):
        function(leaf(x), y, **{option: y})


def test_a_where_without_initial_is_refused_for_an_extreme():
    for extreme in (np.max, np.min):
        with refused(ValueError, "initial=", "received None"):
            extreme(leaf([1.0, 2.0]), where=[True, False])


def test_a_where_does_not_enlarge_what_is_reduced():
    with refused(ValueError, "broadcast_to"):
        np.sum(leaf([1.0, 2.0]), where=np.ones((3, 2), bool))


MISTAKES: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "einsum lengths": (lambda t: np.einsum("ij,jk", t, t), ["einsum", "ij,jk", "(2, 3)"]),
    "einsum diagonal": (lambda t: np.einsum("ii", t), ["einsum", "'ii'", "(2, 3)"]),
    "einsum rank": (lambda t: np.einsum("i", t), ["einsum", "'i'", "(2, 3)"]),
    "einsum operands": (lambda t: np.einsum("ij", t, t), ["einsum", "'ij'", "(2, 3), (2, 3)"]),
    "einsum result": (lambda t: np.einsum("ij->k", t), ["einsum", "'k'"]),
    "einsum dots": (lambda t: np.einsum("...j->j", t), ["einsum", "'...'"]),
    "tensordot lengths": (lambda t: np.tensordot(t, t, ([0], [1])), ["tensordot", "(2, 3)"]),
    "tensordot axes": (lambda t: np.tensordot(t, t, ([0, 1], [0])), ["tensordot", "(2, 3)"]),
    "pad mode": (lambda t: np.pad(t, 1, "mean"), ["pad", "edge", "'mean'"]),
    "pad numbers": (lambda t: np.pad(t, 1, constant_values=(1, 2)), ["pad", "one number"]),
    "roll": (lambda t: np.roll(t, 1, axis=5), ["roll", "(2, 3)", "5"]),
    "split": (lambda t: np.split(t, 4, axis=1), ["split", "(2, 3)", "equal"]),
    "moveaxis": (lambda t: np.moveaxis(t, [0, 1], [0]), ["moveaxis", "[0, 1]", "[0]"]),
    "side": (lambda t: np.searchsorted(t[0], t, side="both"), ["searchsorted", "'both'"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_an_error_names_the_function_and_what_was_received(what):
    call, words = MISTAKES[what]
    with refused(ValueError, *words):
        call(leaf(np.arange(6.0).reshape(2, 3)))


def test_an_operator_in_place_makes_a_new_tensor():
    t = leaf([1.0, 2.0])
    x = t
    for step in ("x += 1.0", "x -= t", "x *= 2.0", "x /= 2.0", "x **= 2", "x %= 5.0", "x //= 2.0"):
        before = x
        scope = {"x": x, "t": t}
        exec(step, scope)
        x = scope["x"]
        assert x is not before
    assert t.tolist() == [1.0, 2.0]
