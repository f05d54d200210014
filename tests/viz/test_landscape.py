"""Loss surfaces: losses, paths and minima agree with independent computation."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_same, everything, normal, refused
from hypothesis import given, settings, strategies as st
from matplotlib.figure import Figure

import tinynet as tn
from tinynet import viz
from tinynet.callbacks import WeightHistory
from tinynet.layers import Dense, Dropout, Input
from tinynet.viz.planes import random_direction

SEEDS = st.integers(0, 2**32 - 1)
FINE = {"rtol": 2e-5, "atol": 1e-6}  # float32 against float64


def line(seed: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Return points around a line."""
    x, (w, b) = normal(seed, 20), normal(seed + 1, 2)
    return x, w * x + b + noise * normal(seed + 2, 20)


def neuron(x: Any, y: Any, epochs: int = 5, **options: Any) -> tuple[tn.Model, WeightHistory]:
    """Return a neuron trained on points, and its record."""
    model = tn.Sequential([Input((1,)), Dense(1, name="neuron")])
    model.compile(tn.optimizers.SGD(0.1), "mse", **options)
    record = WeightHistory()
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[record])
    return model, record


def network(**options: Any) -> tuple[tn.Model, np.ndarray, np.ndarray, WeightHistory]:
    """Return a larger model that was trained, with its data and its record."""
    model = tn.Sequential(
        [
            Input((3,)),
            Dense(4, "tanh", kernel_regularizer=tn.regularizers.L2(0.1), name="first"),
            Dropout(0.5, seed=1),
            Dense(2, name="second"),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"], **options)
    x, y, record = normal(0, 12, 3), normal(1, 12, 2), WeightHistory("batch")
    model.fit(x, y, epochs=4, batch_size=4, verbose=0, callbacks=[record])
    return model, x, y, record


def labelled(ax: Any) -> dict[str, np.ndarray]:
    """Return the data of the lines in a picture by their labels."""
    return {each.get_label(): each.get_xydata() for each in ax.lines}


# -- losses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("eager", [False, True])
@given(seed=SEEDS)
def test_losses_are_the_mean_squared_errors_of_the_lines(eager, seed):
    x, y = line(seed)
    model, record = neuron(x, y, run_eagerly=eager)
    found = viz.loss_surface(model, x, y, record, resolution=5)
    errors = found.xs[None, :, None] * x + found.ys[:, None, None] - y
    assert_close(found.losses, (errors**2).mean(axis=-1), **FINE)
    assert found.labels == ("neuron/kernel", "neuron/bias")


@pytest.mark.parametrize("eager", [False, True])
def test_losses_over_two_of_many_weights_are_those_of_evaluate(eager):
    model, x, y, record = network(run_eagerly=eager)
    names = ("first/kernel[2, 1]", "second/bias[0]")
    found = viz.loss_surface(model, x, y, record, names, resolution=4)
    assert found.labels == names
    kept = model.get_weights()
    for (row, column), loss in np.ndenumerate(found.losses):
        weights = [w.copy() for w in kept]
        weights[0][2, 1], weights[3][0] = found.xs[column], found.ys[row]
        model.set_weights(weights)
        assert_close(loss, model.evaluate(x, y, verbose=0)[0], **FINE)
    end = viz.loss_surface(model, x, y, record, names, resolution=4)
    assert_same(end.losses, found.losses)  # the other weights are those at the end of the path


@pytest.mark.parametrize("history", [True, False])
def test_losses_over_directions_are_those_at_the_weights_there(history):
    model, x, y, record = network()
    path = record if history else None
    found = viz.loss_surface(model, x, y, path, extent=(-1, 1, -2, 2), resolution=3)
    middle = model.evaluate(x, y, verbose=0)[0]
    assert_close(found.losses[1, 1], middle, **FINE)  # 0, 0 is where the path ended
    assert not np.isclose(found.losses, middle, 1e-3).all()


def test_the_surface_is_the_loss_of_all_samples_in_one_batch():
    x, y = normal(0, 100), normal(1, 100)
    model, record = neuron(x, y)
    found = viz.loss_surface(model, x, y, record, resolution=3)
    model.set_weights([found.xs[[[2]]], found.ys[[0]]])
    assert_close(found.losses[0, 2], model.evaluate(x, y, verbose=0), **FINE)


def test_drawing_a_surface_does_not_change_the_model():
    model, x, y, record = network()
    before, kept = everything(model), [w.copy() for each in record.weights for w in each]
    modes = model.evaluate(x, y, verbose=0), model.train_function.compilations
    viz.loss_surface(model, x, y, record, resolution=3)
    viz.loss_surface(model, x, y, resolution=3)
    for found, expected in zip(everything(model), before, strict=True):
        assert_same(found, expected)
    for found, expected in zip([w for each in record.weights for w in each], kept, strict=True):
        assert_same(found, expected)
    assert (model.evaluate(x, y, verbose=0), model.train_function.compilations) == modes


@pytest.mark.parametrize("eager", [False, True])
def test_losses_that_layers_add_count_but_their_state_is_not_changed(eager):
    class Counting(tn.Layer):
        def build(self, input_shape: Any) -> None:
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs: Any) -> Any:
            self.calls.assign(self.calls + 1)
            self.add_loss(0.5 * tn.ops.mean(inputs**2))
            return inputs

    model = tn.Sequential([Input((1,)), Dense(1), Counting()])
    model.compile("sgd", "mse", run_eagerly=eager)
    x, y = line(0)
    model(x[:, None])
    before = everything(model), [float(loss) for loss in model.losses]
    found = viz.loss_surface(model, x, y, extent=(0, 1, 0, 1), resolution=2)
    for one, other in zip(everything(model), before[0], strict=True):
        assert_same(one, other)
    assert [float(loss) for loss in model.losses] == before[1]
    outputs = x  # of the weight 1 and the bias 0
    added = 0.5 * (outputs**2).mean()
    assert_close(found.losses[0, 1], ((outputs - y) ** 2).mean() + added, **FINE)


def test_a_surface_before_the_first_fit_does_not_change_the_fit():
    def fitted(draws: bool) -> list[np.ndarray]:
        tn.utils.set_random_seed(1)
        model = tn.Sequential([Input((1,)), Dense(1)])
        model.compile("sgd", "mse")
        x, y = line(0)
        if draws:
            viz.loss_surface(model, x, y, resolution=2)
        model.fit(x, y, batch_size=4, verbose=0)
        return model.get_weights()

    for one, other in zip(fitted(False), fitted(True), strict=True):
        assert_same(one, other)


def test_a_layer_that_branches_on_numbers_is_run_eagerly():
    class Steep(tn.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * 2.0 if tn.ops.sum(inputs) > 0 else inputs

    model = tn.Sequential([Input((1,)), Dense(1), Steep()])
    model.compile("sgd", "mse", run_eagerly=True)
    found = viz.loss_surface(model, [1.0], [0.0], extent=(-2, 2, -1, 1), resolution=3)
    outputs = found.xs + found.ys[:, None]
    assert_close(found.losses, np.where(outputs > 0, 2 * outputs, outputs) ** 2)


# -- the path and the minimum ----------------------------------------------------------------------


@given(SEEDS)
def test_the_path_over_two_weights_is_the_record_and_the_minimum_is_least_squares(seed):
    x, y = line(seed)
    model, record = neuron(x, y)
    found = viz.loss_surface(model, x, y, record, resolution=3)
    assert_close(found.path, [[w.item() for w in weights] for weights in record.weights])
    best = np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]).astype(float), y, rcond=None)[0]
    assert_close(found.minimum, best, rtol=1e-4, atol=1e-5)
    corners = (found.xs[0], found.xs[-1]), (found.ys[0], found.ys[-1])
    for (low, high), walked in zip(corners, found.path.T, strict=True):
        assert low < walked.min()
        assert walked.max() < high


def test_principal_directions_explain_more_of_the_path_than_random_ones():
    model, x, y, record = network()
    found = viz.loss_surface(model, x, y, record, resolution=2)
    rows = np.array([np.concatenate([w.ravel() for w in each]) for each in record.weights], float)
    strength = np.linalg.eigvalsh((rows - rows[-1]).T @ (rows - rows[-1]))[::-1]
    assert_close((found.path**2).sum(axis=0), strength[:2], rtol=1e-6)
    assert_close(found.path[-1], [0.0, 0.0])
    shares = [f"{share:.0%}" for share in strength[:2] / strength.sum()]
    assert [label.rpartition("(")[2] for label in found.labels] == [f"{s})" for s in shares]


def test_a_straight_path_gets_a_random_direction_orthogonal_to_it():
    model, x, y, record = network()
    record.weights = record.weights[:2]
    found = viz.loss_surface(model, x, y, record, resolution=2)
    assert "100%" in found.labels[0]
    assert found.labels[1] == "random direction 2"
    assert_close(found.path[:, 1], [0.0, 0.0])


@given(SEEDS)
def test_a_random_direction_has_the_norm_of_the_weights_of_each_unit(seed):
    layer = Dense(3, bias_initializer="ones")
    layer.build((None, 4))
    kernel, bias = layer.get_weights()
    origin = np.concatenate([kernel.ravel(), bias]).astype(float)
    found = random_direction(layer.weights, origin, np.random.default_rng(seed))
    units = np.linalg.norm(found[:12].reshape(4, 3), axis=0)
    assert_close(units, np.linalg.norm(kernel, axis=0), rtol=1e-6)
    assert_close(np.linalg.norm(found[12:]), np.sqrt(3))


def test_random_directions_depend_on_the_seed_alone():
    model, x, y, _ = network()
    first, again, other = (viz.loss_surface(model, x, y, seed=s, resolution=2) for s in (1, 1, 2))
    assert_same(first.losses, again.losses)
    assert not np.array_equal(first.losses, other.losses)


@pytest.mark.parametrize("loss", ["mae", lambda y, z: tn.ops.sum(z[:, 0] * y[:, 0])])
def test_without_curvature_no_minimum_is_reported(loss):
    model = tn.Sequential([Input((1,)), Dense(1)])
    model.compile("sgd", loss)
    assert viz.loss_surface(model, [[1.0], [2.0]], [[1.0], [2.0]], resolution=3).minimum is None


def test_weights_and_losses_that_are_not_finite_are_left_out():
    x, y = line(0)
    model, record = neuron(x, y)
    record.weights[2][0][...] = np.inf
    found = viz.loss_surface(model, x, y, record, extent=(-1e30, 1e30, -1, 1), resolution=3)
    assert len(found.path) == len(record.weights) - 1
    assert not np.isfinite(found.losses[:, 0]).any()
    viz.plot_loss_surface(model, x, y, record, extent=(-1e30, 1e30, -1, 1), resolution=3)


# -- the picture -----------------------------------------------------------------------------------


@settings(max_examples=6)
@given(SEEDS)
def test_along_a_contour_the_loss_is_its_level(seed):
    x, y = line(seed)
    model, record = neuron(x, y)
    ax = viz.plot_loss_surface(model, x, y, record, resolution=50)
    filled, lines = ax.collections[:2]
    assert set(lines.levels) < set(filled.levels)
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        for w, b in path.vertices:
            assert_close(((w * x + b - y) ** 2).mean(), level, rtol=0.05, atol=1e-6)


def test_the_picture_has_path_start_end_minimum_and_labels():
    x, y = line(3)
    model, record = neuron(x, y)
    figure = Figure()
    ax = figure.subplots()
    assert viz.plot_loss_surface(model, x, y, record, resolution=8, ax=ax) is ax
    drawn, path = labelled(ax), [[w.item() for w in weights] for weights in record.weights]
    assert_close(drawn["path"], path)
    assert_close(drawn["start"], path[:1])
    assert_close(drawn["end"], path[-1:])
    assert_close(drawn["minimum"], [viz.loss_surface(model, x, y, record).minimum], 1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("neuron/kernel", "neuron/bias")
    assert [each.get_ylabel() for each in figure.axes] == ["neuron/bias", "mean squared error"]
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(said) == ["end", "minimum", "path", "start"]
    far = viz.plot_loss_surface(model, x, y, record, extent=(8, 9, 8, 9), resolution=3)
    assert "minimum" not in labelled(far)  # it is not in the picture


@pytest.mark.parametrize(("noise", "kind"), [(0.0, "LogNorm"), (30.0, "Normalize")])
def test_the_colour_scale_is_logarithmic_if_losses_differ_by_decades(noise, kind):
    x, y = line(0, noise)
    model, record = neuron(x, y)
    extent = (-2, 2, -2, 2)
    filled = viz.plot_loss_surface(model, x, y, record, extent=extent, resolution=20).collections[0]
    assert type(filled.norm).__name__ == kind


def test_without_a_history_there_is_no_path():
    model, x, y, _ = network()
    ax = viz.plot_loss_surface(model, x, y, resolution=3)
    assert "path" not in labelled(ax)
    assert ax.get_xlabel() == "random direction 1"


def test_invalid_arguments_of_surfaces_are_refused():
    x, y = line(0)
    model, record = neuron(x, y)
    bare = tn.Sequential([Input((1,)), Dense(1)])
    small = tn.Sequential([Input((1,)), Dense(1, use_bias=False)])
    small.compile("sgd", "mse")
    late = tn.Sequential([Dense(1)], name="late")
    late.compile("sgd", "mse")
    larger = network()[0]
    draw = viz.plot_loss_surface
    for words, call in {
        ("expected a model", "list"): lambda: draw([1], x, y),
        ("'late'", "not built"): lambda: draw(late, x, y),
        ("not compiled",): lambda: draw(bare, x, y),
        ("two trainable weights", "1"): lambda: draw(small, x, y),
        ("history", "WeightHistory", "History"): lambda: draw(model, x, y, model.history),
        ("history", "no weights are recorded"): lambda: draw(model, x, y, WeightHistory()),
        ("history", "shapes", "(3, 4)"): lambda: draw(larger, normal(0, 4, 3), y[:4], record),
        ("weights", "two", "(0, 1, 2)"): lambda: draw(model, x, y, weights=(0, 1, 2)),
        ("weights", "different"): lambda: draw(model, x, y, weights=(1, -1)),
        ("weights", "below 2", "5"): lambda: draw(model, x, y, weights=(0, 5)),
        ("weights", "neuron/kernel", "'w'"): lambda: draw(model, x, y, weights=(0, "w")),
        ("weights", "[9, 0]"): lambda: draw(model, x, y, weights=(0, "neuron/kernel[9, 0]")),
        ("extent", "(1, 0, 0, 1)"): lambda: draw(model, x, y, extent=(1, 0, 0, 1)),
        ("extent", "(0, 1)"): lambda: draw(model, x, y, extent=(0, 1)),
        ("resolution", "1"): lambda: draw(model, x, y, resolution=1),
        ("ax", "ndarray"): lambda: draw(model, x, y, ax=Figure().subplots(2)),
        ("finite nowhere",): lambda: draw(model, x * np.nan, y, record),
        ("samples", "20", "19"): lambda: draw(model, x, y[1:]),
    }.items():
        with refused(ValueError, *words):
            call()
