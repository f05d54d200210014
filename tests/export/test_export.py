"""Exported files predict what the model predicts: with NumPy alone, and in onnxruntime."""

import builtins
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import normal, refused
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from networks import alone, network, samples
from programs import OPERATIONS, Drawn, functions, recorded

import tinynet as tn
from tinynet import activations, layers, ops, tree
from tinynet.compiler.passes import RULES, lower, simplify
from tinynet.compiler.program import Program
from tinynet.engine.bind import PRIMITIVES
from tinynet.engine.primitives import linalg, special
from tinynet.export.forward import Forward, forward_of
from tinynet.export.numpy_file import NUMBERS, Body, array_text, file_text
from tinynet.export.onnx_file import NODES, onnx_model
from tinynet.layers import Activation, Add, Dense, Input, Layer
from tinynet.models import Model, Sequential

HEAD = f"import base64\nimport numpy as np\n{NUMBERS}"
many = settings(max_examples=5 * settings.default.max_examples)
SIZES = (1, 2, 31, 32, 33, 70)  # predict works in batches of 32


def only_numpy(name: str, *rest: Any) -> Any:
    """Import a module that an exported file may use."""
    assert name.split(".")[0] in ("numpy", "base64"), name
    return __import__(name, *rest)


def run(text: str) -> dict[str, Any]:
    """Return the definitions of an exported file, which can import NumPy alone."""
    allowed = {**vars(builtins), "__import__": only_numpy}
    scope: dict[str, Any] = {"__name__": "exported", "__builtins__": allowed}
    exec(compile(text, "exported", "exec"), scope)
    return scope


def exported(model: Any, **options: Any) -> dict[str, Any]:
    """Return the definitions of the NumPy file of a model."""
    return run(file_text(forward_of(model, **options), model.name, "1.0"))


def assert_same_bits(found: Any, expected: Any) -> None:
    """Assert that two structures of arrays are equal in form, types and every bit."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same_bits(one, other)
        return
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)
    if expected.dtype.kind == "f":  # 0 and -0 are equal, but have different bits
        sign = [np.signbit(x) | np.isnan(x) for x in (found, expected)]
        np.testing.assert_array_equal(*sign)


# -- drawn networks ---------------------------------------------------------------------------

quietly = pytest.mark.filterwarnings("ignore:.*softmax over axis")


@many
@quietly
@given(st.data(), st.sampled_from(SIZES))
def test_the_numpy_file_of_any_network_predicts_the_same_bits(drawn, rows):
    model = network(drawn.draw)
    xs, predict = samples(model, rows), exported(model)["predict"]
    with np.errstate(all="ignore"):
        for size in (32, 5):
            expected = model.predict(alone(xs), verbose=0, batch_size=size)
            assert_same_bits(predict(*xs, batch_size=size), expected)


@quietly
@given(st.data(), st.integers(0, 40))
def test_onnxruntime_agrees_on_any_network(drawn, rows):
    model = network(drawn.draw, st.just("float32"))
    xs = samples(model, rows)
    with np.errstate(all="ignore"):
        expected = exported(model)["predict"](*xs)
    found = in_onnxruntime(forward_of(model), xs)
    for one, other in zip(tree.flatten(expected), found, strict=True):
        assert one.shape == other.shape
        scale = np.abs(one).max(initial=1.0)
        if scale < 1e6:
            np.testing.assert_allclose(other / scale, one / scale, rtol=0, atol=5e-6)


def in_onnxruntime(forward: Forward, xs: list[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of the ONNX model of a forward pass."""
    runtime = pytest.importorskip("onnxruntime")
    runtime.set_default_logger_severity(4)
    session = runtime.InferenceSession(onnx_model(forward, "g", "1.0").SerializeToString())
    names = [x.name for x in session.get_inputs()]
    return session.run(None, dict(zip(names, xs, strict=True)))


# -- drawn programs: each primitive, in every layout ------------------------------------------


def program_of(drawn: Drawn) -> Program:
    """Return a drawn function as the exporters see it: unlowered, with variables as constants."""
    rules = tuple(rule for rule in RULES if rule is not lower)
    program = simplify(recorded(drawn.function, drawn.first), rules)
    held = {v: variable.array for v, variable in program.captured.items()}
    return replace(program, constants={**program.constants, **held}, captured={})


def compiled(drawn: Drawn) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        found = tn.jit(drawn.function)(*map(tn.tensor, drawn.second))
    return [np.array(t) for t in tree.flatten(found)]


def of_text(drawn: Drawn) -> list[np.ndarray]:
    """Return the outputs of the NumPy text of a drawn function."""
    body = Body(Forward(program_of(drawn), {}))
    arguments = ", ".join(body.names[v] for v in body.program.inputs)
    lines = [HEAD, *(array_text(*item) for item in body.arrays.items())]
    lines += [*body.functions.values(), f"def f({arguments}):"]
    lines += [f"    {line}" for line in [*body.lines, f"return [{', '.join(body.results)}]"]]
    with np.errstate(all="ignore"):
        found = run("\n".join(lines))["f"](*(np.array(x, order="C") for x in drawn.second))
    return [np.asarray(x) for x in found]


WITHOUT_TEXT = [
    name
    for name, primitive in PRIMITIVES.items()
    if name in ("scatter", "random_bits")  # of gradients and of draws alone
    or primitive.impl.__module__ in (linalg.__name__, special.__name__)
]


@many
@given(functions(names=[name for name in OPERATIONS if name not in WITHOUT_TEXT]))
def test_the_text_of_any_program_computes_the_same_bits(drawn):
    assert_same_bits(of_text(drawn), compiled(drawn))


@pytest.mark.parametrize("name", WITHOUT_TEXT)
@given(st.data())
@np.errstate(all="ignore")
def test_a_primitive_without_text_is_refused_by_its_name(name, data):
    xs = [normal(seed, 3, 3) for seed in (1, 2)]
    step = OPERATIONS[name](data.draw, *map(tn.tensor, xs))
    with refused(ValueError, "no NumPy text", repr(name)):
        of_text(Drawn(lambda a, b: [step(a, b)], xs, xs))


def cube(x: tn.Tensor) -> tn.Tensor:
    return ops.transpose(ops.reshape(x, (17, 23, 5)), (2, 0, 1))


TABLE, REPEATED = (17, 115), (5, 1, 23, 9)

# The last bits of a sum depend on the memory layout.
ORDERS: dict[str, Callable[[tn.Tensor], tn.Tensor]] = {
    "elementwise": lambda x: ops.exp(x.T),
    "sum": lambda x: ops.sum(cube(x), 1),
    "sum of all": lambda x: ops.sum(cube(x), keepdims=True),
    "where": lambda x: ops.where(x.T > 0.3, x.T, 0.7),
    "sigmoid": lambda x: ops.sigmoid(x.T),
    "erfc": lambda x: activations.gelu(x.T),
    "concatenate": lambda x: ops.concatenate([x.T, ops.exp(x.T)], 0),
    "cast": lambda x: ops.exp(ops.cast(ops.cast(x.T, "float64"), "float32")),
    "matmul": lambda x: x.T @ x[:, 3:9],
    "matmul of stacks": lambda x: (
        ops.transpose(ops.reshape(x, (17, 5, 23, 1)), (1, 0, 2, 3)) @ x[:1, :3]
    ),
    "matmul of repeated": lambda x: cube(x) @ ops.broadcast_to(cube(x)[:, :1, :, None], REPEATED),
    "power of repeated": lambda x: ops.power(
        abs(x), ops.broadcast_to(x[:1, :1] * 0.0 + 2.0, TABLE)
    ),
    "index": lambda x: x[:, np.array([3, 1, 4, 1, 5, 92])],
    "slice": lambda x: ops.exp(x[::-2, 1::3]),
    "a new axis": lambda x: ops.exp(x[:, None].T),
}


@pytest.mark.parametrize("what", ORDERS)
def test_memory_layouts_are_those_of_the_compiled_program(what):
    def function(x: tn.Tensor) -> list[tn.Tensor]:
        y = ORDERS[what](x)
        return [y, ops.sum(y), ops.sum(ops.sin(y) * 1.7, 0)]

    for seed in range(5):
        drawn = Drawn(function, [normal(9, *TABLE)], [normal(seed, *TABLE)])
        assert_same_bits(of_text(drawn), compiled(drawn))
    assert_close_in_onnx(drawn, rtol=1e-4, atol=1e-3)  # of sums of a thousand numbers


BRACKETS = {
    "a - (a - (b + a))": lambda a, b: a - (a - (b + a)),
    "a / (b * a) / (a / b)": lambda a, b: a / (b * a) / (a / b),
    "(a + b) * (a - b)": lambda a, b: (a + b) * (a - b),
    "-(a - b) * -a": lambda a, b: -(a - b) * -a,
    "-(a * b)": lambda a, b: -(-(a * b) + b),
    "(a < b) == (a > 0)": lambda a, b: (a < b) == (a > 0),
    "a == ((b < a) != (a < b))": lambda a, b: a == ((b < a) != (a < b)),
    "(a * 3 - b).T[1:]": lambda a, b: (a * 3.0 - b).T[1:],
    "(-2 * a) ** 3": lambda a, b: (-2.0 * a) ** 3,
    "where of numbers": lambda a, b: ops.where(a > b, 1.0, 0.1),
    "an index": lambda a, b: (a + b)[-1, ..., None],
    "one of integers": lambda a, b: ops.argmax(a) * 3 + 1,
}


@pytest.mark.parametrize("what", BRACKETS)
def test_brackets_keep_the_order_of_operations(what):
    drawn = Drawn(
        lambda *xs: [BRACKETS[what](*xs)], [normal(1, 3, 4)] * 2, [normal(2, 3, 4), normal(3, 3, 4)]
    )
    assert_same_bits(of_text(drawn), compiled(drawn))
    assert_close_in_onnx(drawn)


IN_ONNX = [name for name in OPERATIONS if name in NODES or name not in PRIMITIVES]


@many
@given(functions(dtypes=st.just("float32"), names=IN_ONNX))
def test_onnxruntime_agrees_on_any_program(drawn):
    assert_close_in_onnx(drawn, 1e-4, 1e-4)  # each operation multiplies the error of those before


def assert_close_in_onnx(drawn: Drawn, rtol: float = 1e-5, atol: float = 1e-5) -> None:
    program = program_of(drawn)
    for v in program.inputs:
        v.name = "x"
    expected = compiled(drawn)
    try:
        found = in_onnxruntime(Forward(program, {}), drawn.second)
    except Exception as error:  # ONNX lacks some indices, the runtime some dtypes
        if not re.search("getitem|NOT_IMPLEMENTED", str(error)):
            raise
        return
    for one, other in zip(expected, found, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        kept = ~np.isnan(one) if one.dtype.kind == "f" else ...
        np.testing.assert_allclose(other[kept], one[kept], rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", sorted({*PRIMITIVES} - {*NODES}))
@given(st.data())
@np.errstate(all="ignore")
def test_a_primitive_that_onnx_lacks_is_refused_by_its_name(name, data):
    xs = [normal(seed, 3, 3) for seed in (1, 2)]
    step = OPERATIONS[name](data.draw, *map(tn.tensor, xs))
    program = program_of(Drawn(lambda a, b: [step(a, b)], xs, xs))
    if name in {equation.primitive.name for equation in program.equations.values()}:
        with refused(ValueError, "ONNX", repr(name)):
            in_onnxruntime(Forward(program, {}), xs)


# -- numbers ----------------------------------------------------------------------------------

DTYPES = ["float16", "float32", "float64", "int32", "int64", "uint8", "bool"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=12))
)


@given(ARRAYS)
def test_numbers_are_written_exactly(array):
    assert_same_bits(run(f"{HEAD}\n{array_text('held', array)}")["held"], array)


# -- the text of a file -----------------------------------------------------------------------

ONE_NEURON = '''\
"""The network 'line', exported by tinynet 1.0. It needs NumPy alone.

    predict(x)

    x        float32 of shape (n, 1)
    returns  float32 of shape (n, 1)

`forward` is the network. With the same NumPy on the same machine, `predict` returns what
the model's `predict` in tinynet returns, to the last bit.
"""

import numpy as np


def forward(x):
    """Return the outputs for one batch."""
    # Dense, shape (n, 1)
    neuron = np.dot(x, neuron_kernel) + neuron_bias
    return neuron


neuron_kernel = np.array([[1.35]], dtype="float32")
neuron_bias = np.array([0.5], dtype="float32")


def predict(x, batch_size=32):
    """Return the outputs for samples, given as arrays or lists.

    They are computed in batches, since the last bits of a product depend on its number of rows.
    """
    x = samples("x", x, (1,))
    starts = range(0, max(len(x), 1), batch_size)
    parts = [forward(x[i : i + batch_size]) for i in starts]
    return np.concatenate(parts)
'''


def line() -> Model:
    model = Sequential([Input((1,)), Dense(1, name="neuron")], name="line")
    model.set_weights([[[1.35]], [0.5]])
    return model


def test_the_file_of_one_neuron_is_readable():
    text = file_text(forward_of(line()), "line", "1.0")
    assert text.startswith(ONE_NEURON)


def test_each_layer_is_one_line_with_a_comment():
    hidden = Dense(8, "tanh", name="hidden")
    model = Sequential([Input((2,), name="point"), hidden, Dense(3, "softmax", name="class")])
    text = file_text(forward_of(model), "m", "1.0")
    forward = """
def forward(point):
    \"\"\"Return the outputs for one batch.\"\"\"
    # Dense, shape (n, 8)
    hidden = np.tanh(np.dot(point, hidden_kernel) + hidden_bias)
    # Dense, shape (n, 3)
    t1 = np.dot(hidden, class_kernel) + class_bias
    t2 = np.exp(t1 - np.max(t1, axis=1, keepdims=True))
    class_2 = t2 / np.sum(t2, axis=1, keepdims=True)
    return class_2
"""
    assert forward.replace("class_2", "class_2") in text


@pytest.mark.parametrize(
    "name",
    ["class", "np", "n", "predict", "1st", "a b", "été", 'x"""\nimport os\n"""', "len", "\\"],
)
def test_any_name_of_a_layer_gives_a_valid_file(name):
    inputs = Input((2,), name=name)
    model = Model(inputs, {name: Dense(1, name=f"{name}_")(inputs), "b": inputs}, name=name)
    x = normal(0, 40, 2)
    assert_same_bits(exported(model)["predict"](x), model.predict(x, verbose=0))


# -- inputs and outputs of a file -------------------------------------------------------------

ALIKE = [
    lambda x: x,
    lambda x: x.tolist(),
    lambda x: x.astype("float64"),
    lambda x: np.asfortranarray(np.stack([x, x], -1))[..., 0],
    lambda x: np.round(x * 9).astype("int64"),
    lambda x: x > 0,
    lambda x: x[:, 0],
    lambda x: x[..., None],
]


@pytest.mark.parametrize("alike", ALIKE)
def test_a_file_accepts_the_samples_that_the_model_accepts(alike):
    x = alike(normal(0, 70, 1))
    assert_same_bits(exported(line())["predict"](x), line().predict(x, verbose=0))


def test_samples_in_fortran_order_give_the_same_bits():
    model = Sequential([Input((90,)), layers.Softmax()])
    x = np.asfortranarray(normal(0, 70, 90))
    assert_same_bits(exported(model)["predict"](x), model.predict(x, verbose=0))


def test_a_file_does_not_change_its_input():
    x = normal(0, 3, 1)
    before = x.copy()
    exported(Sequential([Input((1,)), Activation("relu")]))["predict"](x)[...] = 7
    assert_same_bits(x, before)


def test_no_samples_give_no_predictions():
    found = exported(line())["predict"](np.zeros((0, 1)))
    assert (found.shape, found.dtype) == ((0, 1), np.float32)


@pytest.mark.parametrize("x", [np.zeros((3, 2)), 1.0, [["a"]], np.zeros((2, 3, 2)), [1j]])
def test_samples_of_another_shape_are_refused(x):
    with refused(ValueError, "x: expected samples", "(1,)", str(np.asarray(x).shape)):
        exported(line())["predict"](x)


def test_all_inputs_need_the_same_number_of_samples():
    first, second = Input((2,), name="first"), Input((2,), name="second")
    predict = exported(Model([first, second], Add()([first, second])))["predict"]
    with refused(ValueError, "(3, 4)"):
        predict(np.zeros((3, 2)), second=np.zeros((4, 2)))


def test_nested_models_and_shared_layers_are_exported():
    inner = Sequential([Input((3,)), Dense(3, "tanh", name="dense"), Dense(3, name="other")])
    inputs = Input((3,))
    model = Model(inputs, Dense(2, name="dense")(inner(inner(inputs))))
    x = normal(0, 40, 3)
    assert_same_bits(exported(model)["predict"](x), model.predict(x, verbose=0))
    np.testing.assert_allclose(
        in_onnxruntime(forward_of(model), [x])[0], model.predict(x, verbose=0), atol=1e-6
    )


class Subclass(Model):
    """A model without placeholders, that returns a dict."""

    def __init__(self):
        super().__init__()
        self.dense = Dense(2)

    def call(self, inputs):
        return {"y": self.dense(inputs), "x": inputs}


def test_a_subclassed_model_is_exported_for_the_shape_it_has_seen_or_is_given():
    model, x = Subclass(), normal(0, 40, 3)
    with refused(ValueError, "subclass", "input_signature"):
        exported(model)
    expected = model.predict(x, verbose=0)
    assert_same_bits(exported(model)["predict"](x), expected)
    assert_same_bits(exported(model, input_signature=[Input((3,))])["predict"](x), expected)


# -- what is refused --------------------------------------------------------------------------


class Function(Layer):
    """A function of tensors as a layer."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


DEPENDING = {
    "a number": lambda x: x - ops.mean(x, axis=0),
    "a shape": lambda x: x[: x.shape[0] // 2],
    "an array": lambda x: x + np.arange(x.shape[0])[:, None],
    "whether to compute sin or matmul": lambda x: ops.sin(x) if x.shape[0] == 97 else x,
    "whether to compute sin or cos": lambda x: ops.sin(x) if x.shape[0] == 97 else ops.cos(x),
}


@pytest.mark.parametrize("what", DEPENDING)
def test_a_layer_whose_outputs_depend_on_the_batch_size_is_refused_by_name(what):
    model = Sequential([Input((2,)), Function(DEPENDING[what], name="odd"), Dense(1)])
    with refused(ValueError, "layer 'odd'", what, "97"):
        exported(model)


@pytest.mark.parametrize("name", ["sort", "tile", "pad", "repeat", "roll"])
def test_a_function_that_counts_positions_through_the_batch_is_refused_by_what_to_use(name):
    more = {"tile": [(1, 2)], "pad": [((0, 0), (1, 1))], "repeat": [2, 1], "roll": [1, 1]}
    odd = Function(lambda x: getattr(ops, name)(x, *more.get(name, [])), name="odd")
    with refused(ValueError, "layer 'odd'", name, "use slices and concatenate"):
        exported(Sequential([Input((4,)), odd]))


def test_a_model_whose_outputs_change_places_with_the_batch_size_is_refused():
    def both(x):
        found = [ops.sin(x), ops.cos(x)]
        return found if x.shape[0] == 97 else found[::-1]

    x = Input((2,))
    with refused(ValueError, "what to return", "97"):
        exported(Model(x, Function(both)(x)))


@pytest.mark.parametrize("rows", [97, 101])
def test_a_last_operation_for_some_batch_sizes_alone_is_refused(rows):
    last = Function(lambda x: ops.sin(x) if x.shape[0] == rows else x)
    with refused(ValueError, "what to return", "97"):
        exported(Sequential([Input((2,)), last]))


def test_the_batch_axis_may_move():
    def moved(x):
        return ops.transpose(ops.reshape(x, (1, x.shape[0], 2, 1)), (1, 3, 2, 0))[..., 0]

    model = Sequential([Input((2,)), Function(moved), Activation("tanh")])
    for rows in (0, 1, 40):
        x = normal(0, rows, 2)
        found = exported(model)["predict"](x)
        assert found.shape == (rows, 1, 2)
        np.testing.assert_allclose(in_onnxruntime(forward_of(model), [x])[0], found, atol=1e-6)


def test_a_constant_may_be_repeated_for_each_sample():
    model = Sequential([Input((2,)), Function(lambda x: x + ops.ones_like(x)[:, :1])])
    x = normal(0, 40, 2)
    assert_same_bits(exported(model)["predict"](x), model.predict(x, verbose=0))
    assert_same_bits(in_onnxruntime(forward_of(model), [x])[0], model.predict(x, verbose=0))


class Counting(Layer):
    """A layer that counts its calls."""

    def build(self, input_shape):
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")

    def call(self, inputs):
        self.calls.assign(self.calls + 1.0)
        return inputs * self.calls


def test_a_model_that_changes_its_variables_is_refused():
    with refused(ValueError, "changes its variable", "calls"):
        exported(Sequential([Input((1,)), Counting(), Dense(1)]))


def test_a_primitive_without_text_or_node_is_refused_by_its_name():
    def slope(x):
        return tn.grad(lambda x: ops.sum(x[:, :1] ** 3))(x)

    forward = forward_of(Sequential([Input((2,)), Function(slope), Dense(1)]))
    for write in (
        lambda: file_text(forward, "m", "1.0"),
        lambda: onnx_model(forward, "m", "1"),
    ):
        with refused(ValueError, "'scatter'"):
            write()


def test_only_the_batch_size_may_be_unknown():
    model = Sequential([Input((None, 2)), Dense(1)])
    with refused(ValueError, "(None, None, 2)", "input_signature"):
        exported(model)
    x = normal(0, 40, 3, 2)
    predict = exported(model, input_signature=[Input((3, 2))])["predict"]
    assert_same_bits(predict(x), model.predict(x, verbose=0))


# -- files ------------------------------------------------------------------------------------

# The folder of NumPy holds other packages, so importing them is forbidden by name.
BARE = """
import sys
sys.path.append(sys.argv[1])
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy"}:
            raise ImportError(name)
sys.meta_path.insert(0, Nothing())
"""

PREDICT = """
import runpy
import numpy as np
path, given, written = sys.argv[2:]
rows = np.load(given)
predict = runpy.run_path(path)["predict"]
np.savez(written, **predict(rows[:, :2], rows[:, 2:]))
"""


def run_bare(script: str, *arguments: Any) -> Any:
    """Run a script in an interpreter that has NumPy and nothing else."""
    folder = str(next(iter(np.__path__)).rpartition("numpy")[0])
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", BARE + script, folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_numpy_file_needs_numpy_alone(tmp_path, capsys):
    first, second = Input((2,), name="first"), Input((1,), name="second")
    ends = [Dense(90, "gelu")(first), Dense(2, "sigmoid")(second)]
    model = Model([first, second], {"b": Dense(2)(ends[0]), "a": ends[1]})
    path, rows = tmp_path / "both.py", normal(0, 40, 3)
    model.export(path, format="numpy")
    assert capsys.readouterr().out == f"Saved artifact at '{path}'.\n"
    given, written = tmp_path / "rows.npy", tmp_path / "predicted.npz"
    np.save(given, rows)
    ran = run_bare(PREDICT, path, given, written)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    found = dict(np.load(written))
    assert_same_bits(found, model.predict([rows[:, :2], rows[:, 2:]], verbose=0))


def test_an_onnx_file_runs_for_any_number_of_samples(tmp_path):
    onnx = pytest.importorskip("onnx")
    model = line()
    model.export(tmp_path / "line.onnx", format="onnx", verbose=False)
    found = onnx.load(tmp_path / "line.onnx")
    assert [x.name for x in found.graph.initializer] == ["neuron_kernel", "neuron_bias"]
    assert [n.op_type for n in found.graph.node] == ["MatMul", "Add"]
    assert [(found.graph.input[0].name, found.graph.output[0].name)] == [("x", "neuron")]
    assert found.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert found.opset_import[0].version == 18
    model.export(tmp_path / "line.onnx", format="onnx", verbose=False, opset_version=20)
    assert onnx.load(tmp_path / "line.onnx").opset_import[0].version == 20


def test_without_onnx_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"extra 'onnx' of tinynet: pip install"):
        line().export(tmp_path / "line.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["tf_saved_model", "numpy", "onnx", "'c'", ".keras"]),
        ({"format": "litert"}, ["litert"]),
        ({"format": "numpy", "is_static": True}, ["is_static"]),
        ({"format": "numpy", "opset_version": 18}, ["opset_version"]),
        ({"format": "c", "opset_version": 18}, ["opset_version"]),
        ({"format": "onnx", "opset_version": 9}, ["opset_version", "at least 18, received 9"]),
    ],
)
def test_a_refused_export_leaves_the_old_file(options, words, tmp_path):
    path = tmp_path / "old"
    path.write_text("old")
    with refused(ValueError, *words):
        line().export(path, **options)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_that_is_not_built_is_refused(tmp_path):
    with refused(ValueError, "not known", "input_signature"):
        Sequential([Dense(1)]).export(tmp_path / "m.py", format="numpy")
