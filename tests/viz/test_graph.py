"""Graphs: a box for each value, an arrow for each use of it, and no overlapping texts."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from helpers import normal, refused
from hypothesis import given, settings, strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

import tinynet as tn
from tinynet import viz
from tinynet.compiler.record import record
from tinynet.layers import Add, Dense, Input


def texts_of(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def boxes(ax: Any) -> list[tuple[Any, list[str]]]:
    """Return the boxes of a picture, each with the texts in it."""
    found = [patch.get_bbox() for patch in ax.patches if isinstance(patch, Rectangle)]
    return [(b, [t.get_text() for t in ax.texts if b.contains(*t.get_position())]) for b in found]


def arrows(ax: Any) -> list[np.ndarray]:
    """Return the points of each arrow, from its tail to its head."""
    paths = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
    return [p._path_original.vertices for p in paths]


def uses(ax: Any) -> list[tuple[str, str]]:
    """Return the first texts of the boxes that each arrow begins at and ends at."""
    named = [(box.padded(0.5), texts[0]) for box, texts in boxes(ax)]

    def at(point: Any) -> str:
        return next(name for box, name in named if box.contains(*point))

    return [(at(points[0]), at(points[-1])) for points in arrows(ax)]


def assert_legible(ax: Any) -> None:
    """Assert that each text is inside one box and overlaps no other text and no other box."""
    figure = ax.figure
    figure.draw_without_rendering()
    texts = [text.get_window_extent() for text in ax.texts]
    frames = [p.get_window_extent() for p in ax.patches if isinstance(p, Rectangle)]
    for one, other in [*combinations(texts, 2), *combinations(frames, 2)]:
        assert not one.padded(-1).overlaps(other.padded(-1))
    for text in texts:
        around = [f for f in frames if f.x0 <= text.x0 and text.x1 <= f.x1 and f.overlaps(text)]
        assert len(around) == 1


# -- tapes -----------------------------------------------------------------------------------------


def test_a_square_has_two_arrows_from_one_value():
    x = tn.tensor(3.0, requires_grad=True)
    ax = viz.plot_graph(x * x, names={"x": x})
    assert uses(ax) == [("x", "multiply")] * 2
    first, second = arrows(ax)
    assert first[-1][0] < second[-1][0]  # side by side
    assert_legible(ax)


def test_leaves_show_their_gradients_after_backward():
    x, y = tn.tensor(3.0, requires_grad=True), tn.tensor(2.0)
    z = x * x + y
    before = viz.plot_graph(z, names={"x": x, "y": y, "z": z})
    texts = {box[0]: box[1:] for _, box in boxes(before)}
    assert texts == {
        "z": ["add", "11"],
        "multiply": ["9"],
        "x": ["3", "no gradient yet"],
        "y": ["2"],
    }
    z.backward()
    after = {box[0]: box[1:] for _, box in boxes(viz.plot_graph(z, names={"x": x}))}
    assert after["x"] == ["3", "gradient", "6"]


@settings(max_examples=12)
@given(st.floats(-1, 1), st.floats(-1, 1))
def test_gradients_of_all_values_obey_the_chain_rule_and_are_stored_nowhere(a, b):
    x, y = (tn.tensor(np.array(v), requires_grad=True) for v in (a, b))
    squares = x * x
    angle = squares + y
    half = tn.tensor(0.5)
    loss = tn.ops.sin(angle) * y - half
    names = {"x": x, "y": y, "squares": squares, "angle": angle, "half": half, "loss": loss}
    drawn = [box for _, box in boxes(viz.plot_graph(loss, names=names, gradients=True))]
    shown = {box[0]: box[-2:] for box in drawn}
    slope = np.cos(a * a + b) * b
    y_twice = slope + np.sin(a * a + b)  # y is added to the squares, and a factor
    exact = {"loss": 1.0, "angle": slope, "squares": slope, "x": slope * 2 * a, "y": y_twice}
    for name, gradient in exact.items():
        word, number = shown[name]
        assert word == "gradient"
        assert float(number) == pytest.approx(gradient, rel=1e-3, abs=1e-12)
    assert ["half", "0.5"] in drawn  # a constant, without a gradient
    assert x.grad is None
    assert y.grad is None


def test_each_rule_runs_once_for_the_gradients_of_all_values():
    calls = []

    def rule(ct, y, x):
        calls.append(x)
        return 2.0 * ct

    double = tn.primitive("double", lambda x: 2.0 * x, rule)
    x = tn.tensor(3.0, requires_grad=True)
    values = [x]
    for _ in range(12):
        values.append(double(values[-1]))
    drawn = [box for _, box in boxes(viz.plot_graph(values[-1], gradients=True))]
    assert len(calls) == 12
    shown = {float(box[-1]) for box in drawn if "gradient" in box}
    assert shown == {2.0**k for k in range(13)}


def test_a_legend_explains_the_colours_that_are_there():
    x, y = tn.tensor(3.0, requires_grad=True), tn.tensor(2.0)
    tape, function = viz.plot_graph(x * y + y), viz.plot_graph(lambda x: x * 2.0 + x, 1.0)
    legends = [[t.get_text() for t in ax.get_legend().get_texts()] for ax in (tape, function)]
    assert set(legends[0]) == {"result", "operation", "requires a gradient", "constant"}
    assert set(legends[1]) == {"result", "operation", "input", "constant"}
    ax = viz.plot_graph(x * y + y)
    ax.figure.draw_without_rendering()
    legend, whole = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert whole.contains(legend.x0, legend.y0)
    assert whole.contains(legend.x1, legend.y1)
    frames = [p.get_window_extent() for p in ax.patches if isinstance(p, Rectangle)]
    assert not any(frame.overlaps(legend) for frame in frames)


def test_leaves_are_named_and_only_small_arrays_show_their_numbers():
    w, x = tn.Variable([[1.0], [2.0]]), tn.tensor(normal(0, 9, 2))
    loss = tn.ops.sum(x @ w)
    loss.backward()
    texts = [lines for _, lines in boxes(viz.plot_graph(loss, names={"w": w, "x": x}))]
    total = [f"{v:.3f}".rstrip("0") for v in np.asarray(x).sum(axis=0)]
    (weight,) = [lines for lines in texts if lines[0] == "w"]
    assert weight[1:5] == ["[[1.],", " [2.]]", "float32 (2, 1)", "gradient"]
    assert [line.strip(" [],").rstrip("0") for line in weight[5:]] == total
    assert ["x", "float32 (9, 2)"] in texts
    assert ["matmul", "float32 (9, 1)"] in texts


def test_arrows_enter_in_the_order_of_the_arguments():
    a, b = tn.tensor(1.0, requires_grad=True), tn.tensor(2.0, requires_grad=True)
    one, other = a - b, b - a  # a is left of b, or right of it: one of the two has to cross arrows
    ax = viz.plot_graph(one * other, names={"a": a, "b": b, "one": one, "other": other})
    ends = sorted((points[-1][0], *use) for points, use in zip(arrows(ax), uses(ax), strict=True))
    assert [tail for _, tail, head in ends if head == "one"] == ["a", "b"]
    assert [tail for _, tail, head in ends if head == "other"] == ["b", "a"]


FUNCTIONS = [tn.ops.sin, tn.ops.exp, tn.ops.tanh, tn.ops.sum]
OPERATIONS = [tn.ops.add, tn.ops.subtract, tn.ops.multiply]


@settings(max_examples=12)
@given(st.data())
def test_any_graph_is_legible_and_has_an_arrow_for_each_use(data):
    values = [tn.tensor(normal(i, 2), requires_grad=True) for i in range(3)]
    count = 0
    for _ in range(data.draw(st.integers(1, 35))):
        inputs = [
            data.draw(st.sampled_from(values[-6:])) for _ in range(data.draw(st.integers(1, 2)))
        ]
        f = data.draw(st.sampled_from(FUNCTIONS if len(inputs) == 1 else OPERATIONS))
        with np.errstate(all="ignore"):  # numbers may overflow
            values.append(f(*inputs))
    ax = viz.plot_graph(values[-1])
    pending, seen = [values[-1]], set()
    while pending:
        t = pending.pop()
        if t not in seen:
            seen.add(t)
            inputs = t.equation.inputs if t.equation else ()
            pending += inputs
            count += len(inputs)
    assert (len(boxes(ax)), len(arrows(ax))) == (len(seen), count)
    ends = [np.linalg.norm(points[-1] - points[-2]) for points in arrows(ax)]
    assert min(ends, default=1) > 0.1  # or a head would point nowhere
    assert_legible(ax)


def test_a_picture_is_shrunk_to_fit_its_axes():
    x = tn.tensor(normal(0, 2, 2), requires_grad=True)
    y = x
    for _ in range(12):
        y = tn.ops.tanh(y) * x
    figure = Figure(figsize=(14, 8), dpi=300, layout="constrained")
    left, right = figure.subplots(1, 2)
    assert viz.plot_graph(y, ax=left) is left
    viz.plot_graph(y, ax=right, rankdir="LR")
    assert_legible(left)
    assert_legible(right)


# -- programs --------------------------------------------------------------------------------------


def test_a_function_is_drawn_as_the_program_that_is_recorded():
    def f(a: Any, b: Any) -> Any:
        return tn.ops.sin(a) * b - 2.0 * a

    program = record(lambda a, b: [f(a, b)], [tn.tensor([1.0, 2.0]), tn.tensor(3.0)])
    for function in (f, tn.jit(f)):
        ax = viz.plot_graph(function, [1.0, 2.0], 3.0)
        heads = [texts[0] for _, texts in boxes(ax)]
        operations = [equation.primitive.name for equation in program.equations.values()]
        assert sorted(heads) == sorted(["a", "b", "2", *operations])
        assert sorted(uses(ax)) == [
            ("2", "multiply"),
            ("a", "multiply"),
            ("a", "sin"),
            ("b", "multiply"),
            ("multiply", "subtract"),
            ("multiply", "subtract"),
            ("sin", "multiply"),
        ]
        assert ["a", "float32 (2,)"] in [texts for _, texts in boxes(ax)]
        assert_legible(ax)


def test_no_argument_of_several_is_called_by_the_name_of_all():
    ax = viz.plot_graph(lambda *xs: xs[0] - xs[1], 1.0, 2.0)
    assert sorted(texts[0] for _, texts in boxes(ax)) == ["subtract", "t1", "t2"]


def test_the_parts_of_a_training_step_have_different_colours():
    model = tn.Sequential([Input((3,)), Dense(4, "tanh"), Dense(2, "sigmoid"), Dense(1)])
    model.compile("adam", "mse")
    model.fit(normal(0, 8, 3), normal(1, 8, 1), batch_size=8, verbose=0)
    ax = viz.plot_graph(model.train_function)
    program = model.train_function.executable.program
    assert len(program.equations) > 40
    used = [x for equation in program.equations.values() for x in equation.inputs]
    assert len(arrows(ax)) == len(used)
    assert len(boxes(ax)) == len(program.equations) + len(set(used) - set(program.equations))
    grounds = {p.get_facecolor() for p in ax.patches if isinstance(p, Rectangle)}
    assert len(grounds) == 6  # inputs, constants, forward, loss, backward, update
    assert {"getitem  index=[0:12]", "concatenate  axis=0"} < set(texts_of(ax))
    assert_legible(ax)


# -- models and refusals ---------------------------------------------------------------------------


def test_a_model_is_drawn_by_its_layers():
    x = Input((3,), name="in")
    one, two = Dense(4, "relu", name="one")(x), Dense(4, name="two")(x)
    model = tn.Model(x, Add(name="both")([one, two]))
    ax = viz.plot_graph(model)
    heads = [text for text in texts_of(ax) if "(" in text and "shape" not in text]
    assert sorted(heads) == ["both (Add)", "in (InputLayer)", "one (Dense)", "two (Dense)"]
    assert len(arrows(ax)) == 4
    assert "Input shape: [(None, 4), (None, 4)]" in texts_of(ax)
    assert_legible(
        viz.plot_graph(model, ax=Figure(figsize=(3, 2), dpi=500).subplots(), rankdir="LR")
    )


def test_things_that_are_no_computation_are_refused():
    late = tn.Sequential([Dense(1)], name="late")
    unseen = tn.Sequential([Input((1,)), Dense(1)])
    unseen.compile("sgd", "mse")
    for words, call in {
        ("expected a tensor, a model, or a function", "int"): lambda: viz.plot_graph(1),
        ("arguments", "Tensor"): lambda: viz.plot_graph(tn.tensor(1.0), 2.0),
        ("'late'", "not built"): lambda: viz.plot_graph(late),
        ("gradients", "a tensor is drawn"): lambda: viz.plot_graph(lambda: 1.0, gradients=True),
        ("has not run yet",): lambda: viz.plot_graph(unseen.train_function),
        ("rankdir", "'UP'"): lambda: viz.plot_graph(tn.tensor(1.0), rankdir="UP"),
    }.items():
        with refused(ValueError, *words):
            call()
