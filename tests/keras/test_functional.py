"""Functional models as Keras has them: functions of tensors in a graph, subclasses, structures."""

from __future__ import annotations

import inspect
import json
import operator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import assert_same, normal, refused
from hypothesis import assume, given, settings, strategies as st
from side_by_side import SEEDS, assert_agree, assert_both_agree, in_both

import tinynet as tn
from tinynet import tree
from tinynet.layers.operation import OPERATIONS

BOTH = pytest.mark.parametrize(("writer", "reader"), [(tn, keras), (keras, tn)], ids=["to", "from"])
few = settings(max_examples=10, deadline=None)

X, Y = (np.random.default_rng(seed).uniform(0.1, 0.9, (4, 3, 3)).astype("f4") for seed in (0, 1))


def outputs(model: Any, data: Any) -> list[np.ndarray]:
    """Return the outputs of a model as a list of arrays."""
    return [np.asarray(x) for x in tree.flatten(model(data))]


def plain(config: Any) -> Any:
    return json.loads(json.dumps(config))


# -- functions of `ops` ---------------------------------------------------------------------------


def matrices(ops: Any, x: Any) -> Any:
    """Return symmetric matrices whose eigenvalues are positive and differ."""
    return x + ops.transpose(x, (0, 2, 1)) + np.diag(np.array([3, 5, 8], "f4"))


# Calls by the functions' names, where they are no functions of one or two tensors alone.
CALLS: dict[str, Any] = {
    "arccosh": lambda ops, x, y: ops.arccosh(x + 1.5),
    "broadcast_to": lambda ops, x, y: ops.broadcast_to(x[:1, :], (2, 3, 3)),
    "cast": lambda ops, x, y: ops.cast(x, "float16"),
    "cholesky": lambda ops, x, y: ops.cholesky(matrices(ops, x)),
    "clip": lambda ops, x, y: ops.clip(x, 0.2, 0.6),
    "concatenate": lambda ops, x, y: ops.concatenate([x, y], axis=1),
    "det": lambda ops, x, y: ops.det(matrices(ops, x)),
    "diag": lambda ops, x, y: ops.diag(x[0], 1),
    "diagonal": lambda ops, x, y: ops.diagonal(x, 1, axis1=1, axis2=2),
    "eigh": lambda ops, x, y: ops.eigh(matrices(ops, x))[0],
    "einsum": lambda ops, x, y: ops.einsum("bij,bjk->bik", x, y),
    "expand_dims": lambda ops, x, y: ops.expand_dims(x, axis=(1, -1)),
    "flip": lambda ops, x, y: ops.flip(x, axis=2),
    "full_like": lambda ops, x, y: ops.full_like(x, 3.0),
    "getitem": lambda ops, x, y: x[..., None, 1:, :2],
    "hstack": lambda ops, x, y: ops.hstack([x, y]),
    "inv": lambda ops, x, y: ops.inv(matrices(ops, x)),
    "isclose": lambda ops, x, y: ops.isclose(x, y, 0.1, 0.2),
    "kron": lambda ops, x, y: ops.kron(x[0], y[0]),
    "logical_and": lambda ops, x, y: ops.logical_and(x > 0.5, y > 0.5),
    "logical_not": lambda ops, x, y: ops.logical_not(x > 0.5),
    "logical_or": lambda ops, x, y: ops.logical_or(x > 0.5, y > 0.5),
    "logical_xor": lambda ops, x, y: ops.logical_xor(x > 0.5, y > 0.5),
    "logsumexp": lambda ops, x, y: ops.logsumexp(x, axis=-1, keepdims=True),
    "max": lambda ops, x, y: ops.max(x, axis=(1, 2)),
    "mean": lambda ops, x, y: ops.mean(x, axis=-1, keepdims=True),
    "moveaxis": lambda ops, x, y: ops.moveaxis(x, 1, 2),
    "one_hot": lambda ops, x, y: ops.one_hot(ops.cast(4 * x, "int32"), 4),
    "outer": lambda ops, x, y: ops.outer(x[0, 0], y[0, 0]),
    "pad": lambda ops, x, y: ops.pad(x, ((0, 0), (1, 0), (0, 2)), constant_values=2.0),
    "pinv": lambda ops, x, y: ops.pinv(matrices(ops, x)),
    "repeat": lambda ops, x, y: ops.repeat(x, 2, axis=1),
    "reshape": lambda ops, x, y: ops.reshape(x, (-1, 9)),
    "roll": lambda ops, x, y: ops.roll(x, 1, axis=1),
    "rot90": lambda ops, x, y: ops.rot90(x, axes=(1, 2)),
    "searchsorted": lambda ops, x, y: ops.searchsorted(np.array([0.2, 0.4], "f4"), y[0, 0]),
    "slogdet": lambda ops, x, y: ops.slogdet(matrices(ops, x)),
    "solve": lambda ops, x, y: ops.solve(matrices(ops, x), y),
    "split": lambda ops, x, y: ops.split(x, 3, axis=-1),
    "squeeze": lambda ops, x, y: ops.squeeze(x[:, :1], axis=1),
    "stack": lambda ops, x, y: ops.stack([x, y], axis=-1),
    "svd": lambda ops, x, y: ops.svd(matrices(ops, x), compute_uv=False),
    "swapaxes": lambda ops, x, y: ops.swapaxes(x, 1, 2),
    "top_k": lambda ops, x, y: ops.top_k(x, 2),
    "take_along_axis": lambda ops, x, y: ops.take_along_axis(x, ops.argsort(y, axis=1), axis=1),
    "take": lambda ops, x, y: ops.take(x, np.array([0, 2]), axis=1),
    "tensordot": lambda ops, x, y: ops.tensordot(x, y[0], axes=1),
    "tile": lambda ops, x, y: ops.tile(x, (1, 2, 1)),
    "trace": lambda ops, x, y: ops.trace(x, 0, 1, 2),
    "transpose": lambda ops, x, y: ops.transpose(x, (0, 2, 1)),
    "var": lambda ops, x, y: ops.var(x, axis=0),
    "vstack": lambda ops, x, y: ops.vstack([x, y]),
    "where": lambda ops, x, y: ops.where(x > y, x, 0.0),
}
NOT_IN_KERAS = {"atleast_1d", "atleast_2d", "column_stack", "divmod", "eigvalsh", "positive"}
NOT_IN_KERAS |= {"remainder", "rint", "svdvals"}
NOT_READ = {"rot90"}  # Keras does not read it again, not even its own
OTHER_SHAPE = {"slogdet"}  # Keras says that the sign is one for the whole batch

CALLS["column_stack"] = lambda ops, x, y: ops.column_stack([x[0], y[0]])
CALLS["eigvalsh"] = lambda ops, x, y: ops.eigvalsh(matrices(ops, x))


def call_of(name: str) -> Any:
    """Return a function ``(ops, x, y)`` that calls a function of `ops`."""
    takes = [p for p in inspect.signature(getattr(tn.ops, name)).parameters if p in ("x1", "x2")]
    default = lambda ops, x, y: getattr(ops, name)(*((x, y) if takes else (x,)))  # noqa: E731
    return CALLS.get(name, default)


def model_of(lib: Any, call: Any) -> Any:
    x, y = lib.Input((3, 3), name="x"), lib.Input((3, 3), name="y")
    return lib.Model([x, y], call(lib.ops, x, y))


def nodes(model: Any) -> list[Any]:
    """Return class, config and calls of the functions in a model, as files have them."""
    layers = plain(model.get_config())["layers"]
    return [layer for layer in layers if ".ops." in layer["module"]]


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - NOT_IN_KERAS))
def test_a_function_of_placeholders_is_a_node_that_the_other_library_reads(name):
    ours, theirs = in_both(lambda lib: model_of(lib, call_of(name)))
    expected = outputs(theirs, [X, Y])
    shapes = [[tuple(x.shape) for x in model.outputs] for model in (ours, theirs)]
    assert shapes[0] == shapes[1] or name in OTHER_SHAPE
    for mine, other in zip(nodes(ours), nodes(theirs), strict=True):
        keys = ("module", "class_name", "registered_name", "name")
        assert [mine[key] for key in keys] == [other[key] for key in keys]
        config = {k: v for k, v in mine["config"].items() if v is not None}
        assert config.items() <= other["config"].items()
    read = [tn.Model.from_config(plain(model.get_config())) for model in (ours, theirs)]
    if name not in NOT_READ:
        read.append(keras.Model.from_config(plain(ours.get_config())))
    for model in (ours, *read):
        assert_agree(outputs(model, [X, Y]), expected, 1e-4)


@pytest.mark.parametrize("name", sorted(NOT_IN_KERAS))
def test_a_function_that_keras_lacks_is_a_node_as_well(name):
    model = model_of(tn, call_of(name))
    again = tn.Model.from_config(plain(model.get_config()))
    for found, expected in zip(outputs(again, [X, Y]), outputs(model, [X, Y]), strict=True):
        assert_same(found, expected)


# Operators of two placeholders, or of one and a number, in the order of their arguments.
OPERATORS = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod),
    *(lambda a, b: abs(a) ** b, lambda a, b: -a + b, lambda a, b: round(a) - b),
]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.ne]


@few
@given(st.data(), SEEDS)
def test_expressions_of_placeholders_are_the_graphs_of_keras(data, seed):
    steps = data.draw(st.lists(st.tuples(st.integers(0, 8), st.integers(-1, 3)), min_size=1))
    compare = data.draw(st.sampled_from([None, *COMPARISONS]))
    number, swapped = data.draw(st.sampled_from([0.5, 2, -1.25])), data.draw(st.booleans())

    def build(lib: Any) -> Any:
        made = [lib.Input((3,), name="a"), lib.Input((3,), name="b")]
        for kind, at in steps:
            one, two = made[-1], made[at % len(made)] if at >= 0 else number
            made.append(OPERATORS[kind](*((two, one) if swapped and at < 0 else (one, two))))
        out = made[-1] if compare is None else lib.ops.where(compare(*made[-2:]), made[-1], 0.0)
        return lib.Model(made[:2], lib.layers.Dense(2, name="dense")(out[:, ::-1]))

    ours, theirs = in_both(build)
    assert plain(ours.get_config()["layers"]) == plain(theirs.get_config()["layers"])
    assert [x.name for x in ours.operations] == [x.name for x in theirs.operations]
    assert [x.name for x in ours.layers] == [x.name for x in theirs.layers]
    theirs.set_weights(ours.get_weights())
    x = normal(seed, 2, 5, 3).astype("f4") + 3
    with np.errstate(all="ignore"):  # powers of powers, divisions by 0
        found, expected = (outputs(model, [*x]) for model in (ours, theirs))
    assume(all(np.isfinite(each).all() for each in expected))
    assert_agree(found, expected, 1e-4)


def test_a_summary_lists_functions_between_the_layers():
    def summary(lib: Any) -> str:
        x = lib.Input((4,))
        y = lib.layers.Dense(3)(lib.ops.expand_dims(x * 2 + 1, 1)[:, 0])
        text: list[str] = []
        lib.Model(x, y + lib.ops.sum(x, -1, keepdims=True)).summary(print_fn=text.append)
        return text[0]

    assert_both_agree(summary)


@BOTH
def test_a_file_with_functions_is_read_by_the_other_library(writer, reader, tmp_path):
    x = writer.Input((4,))
    hidden = writer.layers.Dense(3, activation="tanh")(x / 2)
    gate = writer.ops.softmax(hidden) * hidden
    model = writer.Model(x, writer.ops.concatenate([gate, x[:, 1:3]], axis=-1))
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    again = reader.models.load_model(tmp_path / "model.keras")
    assert_agree(outputs(again, X[:, 0, [0, 1, 2, 0]]), outputs(model, X[:, 0, [0, 1, 2, 0]]))


def test_training_through_functions_reaches_the_losses_of_keras(run_eagerly):
    def run(lib: Any) -> Any:
        x = lib.Input((3,))
        y = lib.layers.Dense(4)(x) * 2 - x[:, :1]
        model = lib.Model(x, lib.layers.Dense(1)(lib.ops.tanh(y) ** 2))
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
        return model.fit(X[:, 0], Y[:, 0, :1], epochs=3, verbose=0).history, model.get_weights()

    assert_both_agree(run)


def test_activations_and_layers_take_expressions():
    def run(lib: Any) -> Any:
        x = lib.Input((3,))
        model = lib.Model(x, lib.layers.Add()([lib.activations.sigmoid(x), 2 * x]))
        return outputs(model, X[:, 0])

    assert_both_agree(run)


def test_an_argument_that_no_node_can_hold_is_refused():
    with refused(ValueError, "sum", "weights", "axis"):
        OPERATIONS["sum"].from_config({"name": "total", "weights": 3})
    with pytest.raises(NotImplementedError, match="symbolic"):
        list(tn.Input((2,)))


# -- outputs and inputs that are given twice ------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", ["mse", "mae"]], ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["tensor", "layer"])
def test_an_output_given_twice_has_two_losses(run_eagerly, loss, shared):
    def run(lib: Any) -> Any:
        x, layer = lib.Input((3,)), lib.layers.Dense(1, name="d")
        first = layer(x)
        model = lib.Model(x, [first, layer(x) if shared else first])
        model.compile("sgd", loss, metrics=["mae", "mse"], run_eagerly=run_eagerly[lib])
        x, y = X[:, 0], Y[:, 0, :1]
        history = model.fit(x, [y, 2 * y], epochs=2, verbose=0).history
        return history, model.evaluate(x, [y, 2 * y], verbose=0, return_dict=True)

    assert_both_agree(run)


def test_the_loss_of_an_output_given_twice_is_the_sum():
    x = tn.Input((3,))
    d = tn.layers.Dense(1)(x)
    model = tn.Model(x, [d, d])
    model.compile("sgd", "mse")
    one, two = (np.mean((outputs(model, X[:, 0])[0] - k * Y[:, 0, :1]) ** 2) for k in (1, 2))
    y = [Y[:, 0, :1], 2 * Y[:, 0, :1]]
    assert model.evaluate(X[:, 0], y, verbose=0)[0] == pytest.approx(one + two, rel=1e-6)


def test_an_input_given_twice_has_the_value_of_the_last():
    def run(lib: Any) -> Any:
        x = lib.Input((3,), name="x")
        model = lib.Model([x, x], x * 2)
        again = lib.models.clone_model(model) if lib is tn else model
        return outputs(model, [X[:, 0], Y[:, 0]]), outputs(again, [X[:, 0], Y[:, 0]])

    assert_both_agree(run)


# -- subclasses -----------------------------------------------------------------------------------


def subclasses(lib: Any) -> dict[str, Any]:
    class Plain(lib.Model):
        pass

    class Named(lib.Model):
        def __init__(self, units: int = 2, **kwargs: Any) -> None:
            x = lib.Input((3,))
            super().__init__(inputs=x, outputs=lib.layers.Dense(units)(x), **kwargs)
            self.units = units

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "name": self.name}

    return {"Plain": Plain, "Named": Named}


def by_position(lib: Any) -> Any:
    x = lib.Input((3,))
    return subclasses(lib)["Plain"](x, lib.layers.Dense(2)(x))


def by_keyword(lib: Any) -> Any:
    x = lib.Input((3,))
    return subclasses(lib)["Plain"](inputs=x, outputs=lib.layers.Dense(2)(x), name="mine")


def by_super(lib: Any) -> Any:
    return subclasses(lib)["Named"](4)


@pytest.mark.parametrize("build", [by_position, by_keyword, by_super])
def test_a_subclass_with_a_graph_is_a_functional_model(build):
    def run(lib: Any) -> Any:
        model = build(lib)
        model.compile("sgd", "mse", run_eagerly=True)
        y = np.zeros(model(X[:, 0]).shape, "f4")
        names = [type(model).__name__, model.name, *(layer.name for layer in model.layers)]
        again = type(model).from_config(model.get_config())
        again.set_weights(model.get_weights())
        shapes = [list(x.shape) for x in (model.input, again.output)]
        history = model.fit(X[:, 0], y, verbose=0).history
        return names, sorted(model.get_config()), shapes, outputs(model, X[:, 0]), history

    assert_both_agree(run)


@BOTH
@pytest.mark.parametrize("build", [by_position, by_keyword, by_super])
def test_a_subclass_with_a_graph_is_read_by_the_other_library(writer, reader, build, tmp_path):
    model = build(writer)
    model.save(tmp_path / "model.keras")
    for lib in (writer, reader):
        again = lib.models.load_model(tmp_path / "model.keras", custom_objects=subclasses(lib))
        assert type(again).__name__ == type(model).__name__
        assert_agree(outputs(again, X[:, 0]), outputs(model, X[:, 0]))


def test_a_subclass_with_a_graph_keeps_the_arguments_of_its_constructor(tmp_path):
    class Own(tn.Model):
        def __init__(self, units: int = 2, **kwargs: Any) -> None:
            x = tn.Input((3,))
            super().__init__(x, tn.layers.Dense(units)(x), **kwargs)

    for units in (3, 4):  # also after the first, which made the class functional
        model = Own(units)
        model.save(tmp_path / "model.keras")
        again = tn.models.load_model(tmp_path / "model.keras", custom_objects={"Own": Own})
        assert_same(outputs(again, X[:, 0])[0], outputs(model, X[:, 0])[0])


# -- tensors of layers and models -----------------------------------------------------------------


def test_models_are_cut_at_the_inputs_and_outputs_of_layers():
    def run(lib: Any) -> Any:
        layers = [lib.layers.Dense(n, name=f"dense{n}") for n in (3, 4, 5)]
        x = lib.Input((3,))
        full = lib.Model(x, layers[2](layers[1](layers[0](x))))
        for i, layer in enumerate(layers):
            layer.set_weights([np.full(w.shape, 0.1 * (i + 1), "f4") for w in layer.get_weights()])
        cuts = [
            (full.inputs, full.layers[0].output),
            (full.inputs, full.layers[1].output),
            (full.get_layer("dense4").output, full.outputs),
            (full.get_layer("dense4").input, full.get_layer("dense5").output),
        ]
        models = [lib.Model(*cut) for cut in cuts]
        data = [X[:, 0], X[:, 0], np.ones((2, 4), "f4"), X[:, 0]]
        both = [*zip(models, data, strict=True)]
        return [outputs(m, [x] if isinstance(m.input, list) else x) for m, x in both]

    assert_both_agree(run)


def test_a_layer_that_was_never_called_has_no_input():
    def refusing(lib: Any) -> str:
        with pytest.raises(AttributeError, match="never"):
            return str(lib.layers.Dense(1).input)
        return "refused"

    assert_both_agree(refusing)


# -- structures of inputs -------------------------------------------------------------------------


def optional_sum(lib: Any) -> Any:
    class Sum(lib.layers.Layer):
        def call(self, x: Any, y: Any = None) -> Any:
            return x if y is None else x + y

        def compute_output_shape(self, x_shape: Any) -> Any:
            return x_shape

    a, b = lib.Input((3,), name="a"), lib.Input((3,), name="b", optional=True)
    return lib.Model({"a": a, "b": b}, Sum()(a, b))


def test_an_optional_input_may_be_none():
    x, y = X[:, 0], Y[:, 0]
    given = [[x, None], [x, y], {"a": x, "b": None}, {"a": x, "b": y}]
    assert_both_agree(lambda lib: [outputs(optional_sum(lib), data) for data in given[2:]])
    for data in given[:2]:
        named = dict(zip("ab", data, strict=True))
        assert_agree(*(outputs(optional_sum(tn), each) for each in (data, named)))
    for lib in (tn, keras):
        with pytest.raises(ValueError, match="not optional"):
            optional_sum(lib)({"a": None, "b": x})


def test_an_output_that_is_not_connected_is_named():
    for lib in (tn, keras):
        a, b = lib.Input((2,), name="input1"), lib.Input((2,), name="input2")
        with pytest.raises(ValueError, match=r"output2.*not connected"):
            lib.Model(a, {"output1": a * 2, "output2": b * 3})


def test_inputs_have_the_declared_dtype_and_rank():
    def run(lib: Any) -> Any:
        a, b = lib.Input((2,), dtype="float16"), lib.Input((2,), dtype="int32")
        c, d = lib.Input((3,)), lib.Input(())
        model = lib.Model([a, b, c, d], [a + 2, b + 2, c + d[:, None], d * 2])
        data = [np.ones((4, 2)), np.full((4, 2), 3.7), X[:, 0, :, None], Y[:, 0, :1]]
        return [(str(np.asarray(x).dtype), x) for x in outputs(model, data)]

    assert_both_agree(run)


def test_nested_structures_of_inputs_and_outputs_survive_files(tmp_path: Path):
    def run(lib: Any) -> Any:
        a, b, c = (lib.Input((n,), name=f"i{n}") for n in (1, 2, 3))
        dense = [lib.layers.Dense(2, kernel_initializer="ones") for _ in range(3)]
        first, second, third = dense[0](a), dense[1](b), dense[2](c)
        model = lib.Model(
            {"i1": a, "others": {"i2": b, "i3": c}}, {"1": first, "others": (second, [third])}
        )
        ones = [np.ones((2, n), "f4") for n in (1, 2, 3)]
        data = {"i1": ones[0], "others": {"i2": ones[1], "i3": ones[2]}}
        model.save(tmp_path / "nested.keras")
        again = lib.models.load_model(tmp_path / "nested.keras")
        return [outputs(m, data) for m in (model, again)]

    assert_both_agree(run)


NESTED = [
    lambda one, two: {"a": one, "b": {"c": two}},
    lambda one, two: [one, {"q": two}],
    lambda one, two: {"b": [one, two]},
    lambda one, two: [[one], [two]],
]


@pytest.mark.parametrize("nested", NESTED)
def test_losses_and_targets_are_nested_as_the_outputs_are(nested):
    def run(lib):
        x = lib.Input((3,))
        model = lib.Model(x, nested(lib.layers.Dense(2)(x), lib.layers.Dense(1)(x)))
        model.compile("sgd", nested("mse", "mae"))
        data = X[:, 0], nested(Y[:, 0, :2], Y[:, 1, :1])
        history = model.fit(*data, epochs=2, batch_size=2, verbose=0).history
        return history, model.evaluate(*data, verbose=0, return_dict=True)

    assert_both_agree(run)
