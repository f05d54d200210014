"""Curves, fits, weights and animations show the numbers of training, models and data."""

import subprocess
import sys
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from helpers import assert_close, normal, refused
from matplotlib.figure import Figure
from PIL import Image

import tinynet as tn
from tinynet import viz
from tinynet.callbacks import WeightHistory
from tinynet.layers import Dense, Input
from tinynet.optimizers import schedules

X = np.linspace(-1, 1, 24)
Y = 2 * X + 1 + 0.1 * normal(0, 24)


def neuron(record: WeightHistory | None = None, epochs: int = 3, **options: Any) -> tn.Model:
    model = tn.Sequential([Input((1,)), Dense(1, name="neuron")])
    model.compile(tn.optimizers.SGD(0.1), "mse", metrics=["mae"])
    callbacks = [] if record is None else [record]
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=callbacks, **options)
    return model


def built(outputs: int, inputs: int = 2, activation: str | None = None, loss: Any = "mse") -> Any:
    model = tn.Sequential([Input((inputs,)), Dense(outputs, activation)])
    model.compile("sgd", loss)
    return model


def labels(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


# -- histories -------------------------------------------------------------------------------------


def test_a_history_is_drawn_as_one_axes_for_the_loss_and_each_metric():
    model = neuron(validation_split=0.25)
    logs = model.history.history
    figure = viz.plot_history(model.history)
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "mean absolute error"]
    for ax, name in zip(figure.axes, ("loss", "mae"), strict=True):
        training, validation = (each.get_xydata().T for each in ax.lines)
        assert_close(training, [[1, 2, 3], logs[name]])
        assert_close(validation, [[1, 2, 3], logs[f"val_{name}"]])
        assert ax.get_xlabel() == "epoch"
        assert labels(ax)[0] == f"training (last {logs[name][-1]:.3g})"


def test_validation_with_validation_freq_is_drawn_at_its_epochs():
    model = neuron(epochs=7, validation_split=0.25, validation_freq=3)
    (ax, _) = viz.plot_history(model.history).axes
    assert ax.lines[1].get_xdata().tolist() == [3, 6]


def test_epochs_are_numbered_as_in_the_run_or_from_one():
    model = neuron(epochs=5, initial_epoch=2)
    assert viz.plot_history(model.history).axes[0].lines[0].get_xdata().tolist() == [3, 4, 5]
    logs = {"loss": [1.0, 0.5]}
    assert viz.plot_history(logs).axes[0].lines[0].get_xdata().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("losses", "scale"), [([1.0, 0.5], "linear"), ([1.0, 1e-3], "log"), ([1.0, 0.0], "linear")]
)
def test_losses_that_fall_by_decades_get_a_logarithmic_scale(losses, scale):
    assert viz.plot_history({"loss": losses}).axes[0].get_yscale() == scale


def test_infinite_values_leave_a_gap_and_vector_metrics_are_several_lines():
    figure = viz.plot_history({"loss": [1.0, np.inf, 2.0], "r2": [np.ones(2), np.zeros(2)] * 1})
    assert np.isnan(figure.axes[0].lines[0].get_ydata()[1])
    assert len(figure.axes[1].lines) == 2


# -- learning rates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.CosineDecay(0.1, 10),
        tn.optimizers.Adam(schedules.ExponentialDecay(0.1, 2, 0.5)),
        tn.optimizers.SGD(0.25),
        lambda step: 1 / (step + 1),
        0.5,
    ],
)
def test_the_learning_rate_of_each_step_is_drawn(schedule):
    ax = viz.plot_learning_rate(schedule, 12)
    rate = getattr(schedule, "_rate", schedule)
    expected = [rate(i) if callable(rate) else float(rate) for i in range(12)]
    assert_close(ax.lines[0].get_xydata().T, [range(12), expected])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "learning rate")


# -- fits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_a_fit_of_one_input_shows_the_data_and_the_predictions(shape):
    model, x = neuron(), X.reshape(shape)
    ax = viz.plot_fit(model, x, Y)
    assert_close(ax.collections[0].get_offsets(), np.column_stack([X, Y]), 1e-6)
    inputs, outputs = ax.lines[0].get_xydata().T
    assert inputs[0] < X.min() < X.max() < inputs[-1]
    assert_close(outputs, model.predict(inputs.reshape(shape), verbose=0).ravel(), 1e-5, 1e-6)
    assert labels(ax) == ["data", "model"]


def test_several_outputs_are_several_curves():
    ax = viz.plot_fit(built(2, 1), X, np.column_stack([Y, -Y]))
    assert labels(ax) == ["data 0", "model 0", "data 1", "model 1"]
    assert len({each.get_color() for each in ax.lines}) == 2


PLANE = normal(5, 40, 2)
LABELS = (PLANE[:, 0] > 0) * 1


@pytest.mark.parametrize(
    ("activation", "loss", "threshold"),
    [
        ("sigmoid", "binary_crossentropy", 0.5),
        (None, tn.losses.BinaryCrossentropy(from_logits=True), 0.0),
    ],
)
def test_the_border_of_two_classes_is_where_the_output_is_at_its_threshold(
    activation, loss, threshold
):
    model = built(1, activation=activation, loss=loss)
    ax = viz.plot_fit(model, PLANE, LABELS)
    border = next(
        c for c in ax.collections if np.array_equal(getattr(c, "levels", []), [threshold])
    )
    points = border.get_paths()[0].vertices
    assert_close(model.predict(points, verbose=0), np.full((len(points), 1), threshold), 0, 1e-3)
    assert labels(ax) == ["class 0", "class 1"]


@pytest.mark.parametrize("one_hot", [False, True])
def test_several_classes_are_regions_of_the_largest_output(one_hot):
    model = built(3, activation="softmax", loss="mse")
    classes = np.arange(40) % 3
    ax = viz.plot_fit(model, PLANE, np.eye(3)[classes] if one_hot else classes)
    assert labels(ax) == ["class 0", "class 1", "class 2"]
    for i in range(3):
        dots = next(c for c in ax.collections if c.get_label() == f"class {i}")
        assert_close(dots.get_offsets(), PLANE[classes == i])
    regions, points = ax.collections[0].get_paths(), normal(6, 30, 2)
    largest = model.predict(points, verbose=0)
    sure = np.diff(np.sort(largest, axis=1)[:, 1:]).ravel() > 0.05  # not on a border
    low, high = PLANE.min(axis=0), PLANE.max(axis=0)
    within = ((points > low) & (points < high)).all(axis=1) & sure
    for point, i in zip(points[within], largest[within].argmax(axis=1), strict=True):
        assert [region.contains_point(point) for region in regions] == [k == i for k in range(3)]


def test_a_regression_over_two_inputs_shares_its_colour_scale_with_the_data():
    ax = viz.plot_fit(built(1), PLANE, PLANE[:, 0] * 3)
    filled, dots = ax.collections[0], ax.collections[-1]
    assert filled.norm is dots.norm
    assert_close(dots.get_array(), PLANE[:, 0] * 3)


# -- weights ---------------------------------------------------------------------------------------


def test_small_weights_are_drawn_as_matrices_with_numbers():
    model = tn.Sequential([Input((3,)), Dense(2, name="one"), Dense(1, use_bias=False, name="two")])
    figure = viz.plot_weights(model)
    shown = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert list(shown) == ["one/kernel (3, 2)", "one/bias (2,)", "two/kernel (2, 1)"]
    for ax, weight in zip(shown.values(), model.get_weights(), strict=True):
        assert_close(ax.images[0].get_array(), np.atleast_2d(weight))
        written = [text.get_text() for text in ax.texts]
        assert written == [f"{value:.2f}" for value in weight.ravel()]
    scales = {ax.images[0].get_clim() for ax in shown.values()}
    largest = max(np.abs(weight).max() for weight in model.get_weights())
    assert_close([*scales], [(-largest, largest)])


def test_large_weights_are_drawn_as_histograms_of_all_elements():
    model = tn.Sequential([Input((100,)), Dense(60, use_bias=False)])
    (ax,) = [ax for ax in viz.plot_weights(model).axes if ax.get_title()]
    assert sum(bar.get_height() for bar in ax.patches) == 6000


# -- animations ------------------------------------------------------------------------------------


def test_an_animation_has_a_frame_for_each_record_and_is_small(tmp_path):
    record, path = WeightHistory("batch"), tmp_path / "descent.gif"
    model = neuron(record, 5)
    viz.animate_descent(model, X, Y, record, path, fps=4, resolution=10)
    with Image.open(path) as film:
        assert film.n_frames == len(record.weights) == 6
        film.seek(5)
        assert 1500 < film.info["duration"] < 2500  # milliseconds: it pauses at its end
    assert path.stat().st_size < 60 * 8192


def test_each_frame_shows_the_line_and_the_point_of_its_weights():
    record = WeightHistory()
    model = neuron(record, 20)
    kept = model.get_weights()
    film = viz.animate_descent(model, X, Y, record, frames=5, resolution=4)
    film._draw_was_started = True  # or matplotlib warns that it was not
    left, right = film._fig.axes[:2]
    shown = [0, 5, 10, 15, 20]
    assert film._save_count == len(shown) + 24  # the last frame for two more seconds
    lines = {each.get_label(): each for each in right.lines}
    for frame, place in enumerate(shown):
        film._func(frame)
        (w,), (b,) = (each.ravel() for each in record.weights[place])
        x, y = left.lines[0].get_xydata().T
        assert_close(y, w * x + b, 1e-5, 1e-6)
        walked = [[v.item() for v in weights] for weights in record.weights[: place + 1]]
        assert_close(lines["path"].get_xydata(), walked)
        assert_close(lines["now"].get_xydata(), walked[-1:])
        loss = ((w * X + b - Y) ** 2).mean()
        assert left.get_title("left") == f"step {record.steps[place]:<6} loss {loss:.3g}"
    for found, expected in zip(model.get_weights(), kept, strict=True):
        assert_close(found, expected, 0, 0)


def test_drawing_does_not_undo_that_the_first_figure_of_a_notebook_makes_it_interactive(
    monkeypatch,
):
    import matplotlib.pyplot as plt

    def first_figure(*args, **kwargs):
        plt.rcParams["interactive"] = True  # as the backend of notebooks does
        return Figure()

    monkeypatch.setattr(plt, "figure", first_figure)
    monkeypatch.setitem(plt.rcParams, "interactive", False)
    before = plt.rcParams["figure.max_open_warning"]
    viz.plot_learning_rate(0.1, steps=3)
    assert plt.rcParams["interactive"]
    assert plt.rcParams["figure.max_open_warning"] == before


# -- figures and axes ------------------------------------------------------------------------------


def test_pictures_are_drawn_in_the_given_axes():
    figure = Figure()
    one, two, three = figure.subplots(1, 3)
    model = neuron()
    assert viz.plot_fit(model, X, Y, ax=one) is one
    assert viz.plot_learning_rate(0.1, 3, ax=two) is two
    assert viz.plot_history({"loss": [1.0]}, ax=three) is figure
    figure = Figure()
    assert viz.plot_weights(model, ax=figure.subplots(1, 2)) is figure
    assert len(figure.axes) == 3  # with the colour bar


def test_figures_are_freed_without_pyplot_and_many_may_be_open_with_it():
    script = """
import gc, sys, warnings, weakref
warnings.simplefilter("error")
from tinynet import viz
axes = weakref.ref(viz.plot_learning_rate(0.1, 3))
gc.collect()
assert axes() is None and "matplotlib.pyplot" not in sys.modules
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
before = dict(matplotlib.rcParams)
for _ in range(22):
    ax = viz.plot_learning_rate(0.1, 3)
assert plt.gcf() is ax.figure and len(plt.get_fignums()) == 22
assert dict(matplotlib.rcParams) == before
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_viz_and_matplotlib_are_loaded_on_first_use():
    script = """
import sys, tinynet as tn
loaded = {"tinynet.viz", "matplotlib"}
assert not loaded & set(sys.modules)
assert tn.viz.plot_model is tn.utils.plot_model and "matplotlib" not in sys.modules
for module in (tn, tn.utils):
    assert not hasattr(module, "nothing")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_drawing_does_not_change_the_settings_of_matplotlib():
    before = dict(mpl.rcParams)
    model = neuron()
    viz.plot_history(model.history)
    viz.plot_fit(model, X, Y)
    viz.plot_weights(model)
    assert dict(mpl.rcParams) == before


def test_what_cannot_be_drawn_is_refused():
    model, record = neuron(), WeightHistory()
    bare, flat = (tn.Sequential([Input((1,)), x]) for x in (Dense(1), tn.layers.Flatten()))
    late = tn.Sequential([Dense(1)], name="late")
    axes = Figure().subplots(1, 3)
    for words, call in {
        ("history", "ndarray"): lambda: viz.plot_history(X),
        ("history", "one epoch"): lambda: viz.plot_history({}),
        ("ax", "2 axes", "3"): lambda: viz.plot_history(model.history, ax=axes),
        ("ax", "int"): lambda: viz.plot_learning_rate(0.1, 3, ax=1),
        ("steps", "0"): lambda: viz.plot_learning_rate(0.1, 0),
        ("schedule", "'sgd'"): lambda: viz.plot_learning_rate("sgd", 3),
        ("'late'", "not built"): lambda: viz.plot_fit(late, X, Y),
        ("one or two inputs", "(4, 3)"): lambda: viz.plot_fit(built(1, 3), np.ones((4, 3)), X[:4]),
        ("y", "24 rows", "23"): lambda: viz.plot_fit(model, X, Y[1:]),
        ("y", "1 columns", "2"): lambda: viz.plot_fit(model, X, np.ones((24, 2))),
        ("y", "classes from 0 to 2"): lambda: viz.plot_fit(built(3), PLANE, PLANE[:, 0]),
        ("'late'", "weights"): lambda: viz.plot_weights(late),
        ("has no weights",): lambda: viz.plot_weights(flat),
        ("ax", "2 axes"): lambda: viz.plot_weights(model, ax=axes),
        ("history", "None"): lambda: viz.animate_descent(model, X, Y, None),
        ("no weights are recorded",): lambda: viz.animate_descent(model, X, Y, record),
        ("fps", "0"): lambda: viz.animate_descent(model, X, Y, record, fps=0),
        ("one input", "(40, 2)"): lambda: viz.animate_descent(built(1), PLANE, LABELS, record),
        ("not compiled",): lambda: viz.animate_descent(bare, X, Y, record),
    }.items():
        with refused(ValueError, *words):
            call()


def test_without_matplotlib_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: viz.plot_history({"loss": [1.0]}),
        lambda: viz.plot_learning_rate(0.1, 3),
        lambda: viz.plot_graph(tn.tensor(1.0)),
    ):
        with pytest.raises(ImportError, match=r"extra 'plot' of tinynet: pip install"):
            draw()
