"""Exported C files compile without a warning, and predict what the model predicts."""

import ctypes
import re
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import normal, refused
from hypothesis import given, strategies as st
from native import NATIVE, missing
from networks import alone, network, samples
from programs import Drawn, functions, recorded

import tinynet as tn
from tinynet import layers, ops, tree
from tinynet.compiler import toolchain
from tinynet.compiler.passes import RULES, lower, simplify
from tinynet.export.c_file import c_text
from tinynet.export.forward import Forward, forward_of
from tinynet.layers import Dense, Input
from tinynet.models import Model, Sequential

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-O1"]
numbers = count()


def compiled(text: str, folder: Path, *options: str) -> Any:
    """Return the library that a file compiles to, in strict C99; None without a compiler."""
    if not NATIVE:
        return None
    source, library = folder / "m.c", folder / f"m{next(numbers)}.so"
    source.write_text(text, encoding="utf-8")
    command = [*(toolchain.compiler() or []), *STRICT, *options, "-fPIC", "-shared", "-o"]
    subprocess.run([*command, str(library), str(source), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def call(library: Any, xs: list[np.ndarray], like: list[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of `predict`, which has arrays for them in which no number is right."""
    outs = [np.full(y.shape, np.nan if y.dtype.kind == "f" else 77, y.dtype) for y in like]
    given = [np.array(x, order="C") for x in xs]
    for x in given:
        x.flags.writeable = False
    library.predict(*(ctypes.c_void_p(x.ctypes.data) for x in (*given, *outs)))
    for x, before in zip(given, xs, strict=True):
        np.testing.assert_array_equal(x, before)
    return outs


def text_of(model: Any, **options: Any) -> str:
    return c_text(forward_of(model, rows=1, **options), model.name, "1.0")


def assert_predicts_as(model: Any, xs: list[np.ndarray], folder: Path) -> None:
    """Assert that the file gives for each sample what the model gives, within a few ulps."""
    with np.errstate(all="ignore"):
        expected = tree.flatten(model.predict(alone(xs), verbose=0))
        library = compiled(text_of(model), folder)
    for i in range(len(xs[0]) * NATIVE):
        like = [y[i] for y in expected]
        for found, y in zip(call(library, [x[i] for x in xs], like), like, strict=True):
            scale = np.abs(y).max(initial=1.0)
            tolerance = 1e-5 if xs[0].dtype == "float32" else 1e-13
            if np.isfinite(scale):
                np.testing.assert_allclose(found / scale, y / scale, rtol=0, atol=tolerance)


# -- numbers ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*softmax over axis")
@given(drawn=st.data())
def test_the_file_of_any_network_predicts_what_the_model_does(drawn, tmp_path_factory):
    model = network(drawn.draw)
    assert_predicts_as(model, samples(model, 3), tmp_path_factory.mktemp("c"))


def test_double_precision_is_kept(tmp_path):
    tn.backend.set_floatx("float64")
    try:
        model = Sequential([Input((5,)), Dense(9, "tanh"), Dense(4, "softmax")])
        xs = [normal(0, 3, 5, dtype="float64")]
        assert "double predict" not in text_of(model)
        assert "const double x[5], double y[4]" in text_of(model)
        assert_predicts_as(model, xs, tmp_path)
    finally:
        tn.backend.set_floatx("float32")


def program_of(drawn: Drawn) -> Forward:
    """Return a drawn function as the exporters see it, of one batch."""
    rules = tuple(rule for rule in RULES if rule is not lower)
    program = simplify(recorded(drawn.function, drawn.first), rules)
    held = {v: variable.array for v, variable in program.captured.items()}
    program.constants |= held
    program.captured.clear()
    return Forward(program, {})


@given(drawn=functions())
def test_any_program_computes_what_it_computes_in_python_or_is_refused(drawn, tmp_path_factory):
    forward = program_of(drawn)
    reason = missing(simplify(forward.program))
    if reason:
        with refused(ValueError, "export: C has no", reason.rpartition(" ")[2]):
            c_text(forward, "m", "1.0")
        return
    library = compiled(c_text(forward, "m", "1.0"), tmp_path_factory.mktemp("c"))
    if library:
        with np.errstate(all="ignore"):
            expected = [t.data for t in tree.flatten(drawn.function(*map(tn.tensor, drawn.second)))]
        for found, y in zip(call(library, drawn.second, expected), expected, strict=True):
            np.testing.assert_allclose(found, y, rtol=1e-4, atol=1e-4)


EXTREME = [0.1, 1 / 3, 1e-45, 1.17549435e-38, 3.4028235e38, -0.0, np.inf, -np.inf, np.nan, 16777217]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_constants_are_exact(dtype, tmp_path):
    with np.errstate(all="ignore"):
        array = np.array(EXTREME).astype(dtype)
    if dtype == "int64":
        array = np.array([0, -1, 2**63 - 1, -(2**63), 2**31, -(2**31)])
    forward = program_of(Drawn(lambda x: ops.where(x > 0, array, array), [np.ones(())], []))
    library = compiled(c_text(forward, "m", "1.0"), tmp_path)
    if library:
        (found,) = call(library, [np.ones(())], [array])
        assert found.tobytes() == array.tobytes() or np.isnan(array).any()
        np.testing.assert_array_equal(found, array)


# -- the text of a file -----------------------------------------------------------------------

ABOUT = """\
/* The network 'line', exported by tinynet 1.0. It needs C99 and math.h alone.

       void predict(const float x[1], float y[1]);

   computes the outputs of one sample. Copy this declaration to where it is called; in C++, put
   extern "C" before it. Arrays are in row-major order and must not overlap.

   Memory: 8 bytes of constants, 0 bytes of the stack for intermediate results.
   Nothing is allocated, and nothing is kept between calls, so several threads can call it at once.
   Options of the compiler:

       -DPREDICT_BUFFERS=static    uses static memory instead of the stack, for one thread only
       -Dpredict=another_name      renames the function, for programs with several networks

   The outputs are those of the model's `predict` in tinynet, up to rounding. */

#define PREDICT_X_SIZE 1 /* of shape (1,) */
#define PREDICT_Y_SIZE 1 /* of shape (1,) */
"""

PREDICT = """\
void predict(const float x[1], float y[1])
{
    static const float neuron_kernel[1] = {
        1.35f,
    };
    static const float neuron_bias[1] = {
        -0.5f,
    };
    layer_neuron(x, neuron_kernel, neuron_bias, y);
}
"""


def line() -> Model:
    model = Sequential([Input((1,)), Dense(1, name="neuron")], name="line")
    model.set_weights([[[1.35]], [-0.5]])
    return model


def test_the_file_of_one_neuron_is_readable():
    text = text_of(line())
    assert text.startswith(ABOUT)
    assert text.endswith(PREDICT)
    assert "static void layer_neuron(" in text


def test_each_layer_is_a_function_that_is_called_in_order():
    names = ["first", "second", "third"]
    model = Sequential([Input((2,)), *[Dense(3, "tanh", name=name) for name in names]])
    _, _, main = text_of(model).rpartition("void predict(")
    assert re.findall(r"layer_(\w+)\(", main) == names


def test_the_stated_memory_is_that_of_the_arrays():
    model = Sequential([Input((7,)), Dense(11, "relu"), Dense(5, "relu"), Dense(3)])
    text = text_of(model)
    assert f"Memory: {4 * sum(w.size for w in model.get_weights())} bytes of constants" in text
    taken = [int(n) for n in re.findall(r"PREDICT_BUFFERS float \w+\[(\d+)\];", text)]
    assert sorted(taken)[-2:] == [5, 11]
    assert f"constants, {4 * sum(taken)} bytes of the stack" in text


ANY = ["exp", "expf", "main", "predict", "int", "double", "PREDICT_BUFFERS", "NAN", "été", "a b"]
ANY += ["y", "i0", "_", "1st", "product_float", "layer_x", '*"\n#error', "??=", "\\", "memcpy"]


@pytest.mark.parametrize("name", ANY)
def test_any_name_gives_a_valid_file(name, tmp_path):
    inputs, other = Input((2,), name=name), Input((2,), name=f"{name}2")
    y = layers.Softmax(name=f"{name}3")(layers.Add()([inputs, other]))
    outputs = {name: Dense(1, name=f"{name}4")(y), "x": inputs, "X": Dense(3, "tanh", name="X")(y)}
    model = Model([inputs, other], outputs, name=name)
    assert_predicts_as(model, [normal(0, 3, 2), normal(1, 3, 2)], tmp_path)


# -- inputs and outputs -----------------------------------------------------------------------


def test_inputs_and_outputs_are_parameters_in_order_under_their_names():
    first, second = Input((2,), name="first"), Input((4, 3), name="second")
    model = Model([first, second], {"b": second, "a": [Dense(1)(first), first]})
    parameters = "const float first[2], const float second[12], float y_a_0[1], float y_a_1[2]"
    text = text_of(model)
    assert f"void predict({parameters}, float y_b[12])\n" in text
    assert "#define PREDICT_SECOND_SIZE 12 /* of shape (4, 3) */" in text


ALL: dict[str, Any] = {
    "the same twice": lambda x, z: (h := Dense(2, "tanh")(x), h, h),
    "inputs": lambda x, z: (x, z, x),
    "an unused input": lambda x, z: Dense(2)(x),
    "views": lambda x, z: (layers.Reshape((3, 1))(x), layers.Permute((2, 1))(z) if 0 else z),
    "a constant": lambda x, z: (Function(lambda t: ops.ones_like(t) * 0.5)(x), x),
    "what another output is made of": lambda x, z: (h := Dense(3)(x), layers.ReLU()(h)),
    "parts": lambda x, z: (Function(lambda t: t[:, 1:])(x), Function(lambda t: t[:, ::-1])(x)),
    "no elements": lambda x, z: (Function(lambda t: t[:, :0])(x), x),
    "no elements of others": lambda x, z: (Function(lambda t: ops.exp(t)[:, :0] * 2.0)(x), x),
    "none of the weights": lambda x, z: layers.Add()([x, layers.Softmax()(x)]),
}


class Function(layers.Layer):
    """A function of tensors as a layer."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


@pytest.mark.parametrize("what", ALL)
def test_outputs_may_be(what, tmp_path):
    x, z = Input((3,), name="x"), Input((2, 2), name="z")
    model = Model([x, z], ALL[what](x, z))
    assert_predicts_as(model, [normal(0, 3, 3), normal(1, 3, 2, 2)], tmp_path)


def inverse(x: Any) -> Any:
    return ops.inv(x[:, :, None] * x[:, None, :] + np.eye(3, dtype="float32"))


def test_a_layer_whose_primitive_c_lacks_is_refused_by_its_name(tmp_path):
    model = Sequential([Input((3,)), Function(inverse), Dense(1)])
    path = tmp_path / "m.c"
    path.write_text("old")
    with refused(ValueError, "export: C has no text for the primitive", "'inv'"):
        model.export(path, format="c")
    assert path.read_text() == "old"


# -- files ------------------------------------------------------------------------------------

MAIN = """
#include <stdio.h>
void predict(const float x[3], float y[2]);
void other(const float x[1], float y[1]);
int main(void)
{
    const float x[3] = {0.5f, -1.0f, 2.0f};
    float y[2], z[1];
    predict(x, y);
    other(x, z);
    printf("%.9g %.9g %.9g", y[0], y[1], z[0]);
    return 0;
}
"""


def test_two_networks_run_in_one_program(tmp_path, capsys):
    model = Sequential([Input((3,)), Dense(40, "gelu"), Dense(40, "sigmoid"), Dense(2, "softmax")])
    paths = tmp_path / "one.c", tmp_path / "two.c"
    model.export(paths[0], format="c")
    line().export(paths[1], format="c", verbose=False)
    assert capsys.readouterr().out == f"Saved artifact at '{paths[0]}'.\n"
    if not NATIVE:
        return
    (tmp_path / "main.c").write_text(MAIN)
    for options in (["-O2"], ["-DPREDICT_BUFFERS=static"], ["-fsanitize=undefined,address"]):
        command = [*(toolchain.compiler() or []), *STRICT, "-fno-sanitize-recover=all", *options]
        for name, more in ("main", []), ("one", []), ("two", ["-Dpredict=other"]):
            here = str(tmp_path / name)
            subprocess.run([*command, *more, "-c", f"{here}.c", "-o", f"{here}.o"], check=True)
        objects = [str(tmp_path / f"{name}.o") for name in ("main", "one", "two")]
        program = str(tmp_path / "program")
        subprocess.run([*command, *objects, "-o", program, "-lm"], check=True)
        ran = subprocess.run([program], capture_output=True, text=True, check=True)
        found = np.array(ran.stdout.split(), "float32")
        x = np.array([[0.5, -1.0, 2.0]], "float32")
        expected = [*model.predict(x, verbose=0)[0], *line().predict(x[:, :1], verbose=0)[0]]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_file_calls_functions_of_math_h_alone_and_keeps_no_state(tmp_path):
    model = Sequential([Input((3,)), Dense(40, "gelu"), Dense(9, "softplus"), Dense(2, "softmax")])
    _, _, code = text_of(model).partition("*/")
    headers = {*re.findall(r"#include <(\w+)\.h>", code)}
    assert headers == {
        "float",
        "math",
        "stdbool",
        "stddef",
        "stdint",
    }  # C without a library has all
    called, defined = (
        {*re.findall(rf"{start}(\w+)\(", code, re.M)} for start in (r"\b", r"^[a-z ]*?")
    )
    assert called - defined <= {"erfcf", "expf", "fabsf", "log1pf", "tanhf", "for"}
    assert not re.search(r"__\w+__|__builtin|#pragma", code)
    assert not re.search(r"^ *static (?!const)[^(]*[;=]", code, re.M)
