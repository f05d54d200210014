"""Losses, optimizers, metrics and the loop of training: what other engines got wrong in silence.

The expected numbers are arithmetic, shown beside them. The models are so small that it is short.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, refused
from native import NATIVE, all_in_c

import tinynet as tn
from tinynet import layers, losses, metrics, optimizers

ROADS = {
    "eager": {"run_eagerly": True},
    "NumPy": {"jit_compile": False},
    "C": {"jit_compile": NATIVE},
}
on_every_road = pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)


@pytest.fixture(scope="module", autouse=True)
def _compiles_quickly() -> Iterator[None]:
    with all_in_c():
        yield


def line(w: float = 0.0, optimizer: Any = None, loss: Any = "mse", **options: Any) -> Any:
    """Return the model y = w x, compiled; by default its learning rate is 0."""
    model = tn.Sequential([tn.Input((1,)), layers.Dense(1, use_bias=False)])
    model.set_weights([np.full((1, 1), w)])
    model.compile(optimizer or optimizers.SGD(0.0), loss, **options)
    return model


def weight(model: Any) -> float:
    return float(model.get_weights()[0].ravel()[0])


def stepped(optimizer: Any, gradients: list[float], w: float = 1.0) -> list[float]:
    """Return the values of a variable after each of these gradients."""
    v, found = tn.Variable([w]), []
    for g in gradients:
        optimizer.apply([np.array([g], "float32")], [v])
        found.append(float(v.numpy()[0]))
    return found


# -- losses -----------------------------------------------------------------------------------


@on_every_road
def test_targets_of_rank_1_are_compared_sample_by_sample(road):
    """PyTorch, TensorFlow, MLJFlux: (n,) against (n, 1) became (n, n), in silence.

    pytorch/pytorch#16045, tensorflow/tensorflow#37770, FluxML/MLJFlux.jl#152
    """
    x = np.array([1.0, 2.0, 4.0])
    model = line(1.0, **road)
    assert model.evaluate(x, 2 * x, verbose=0) == pytest.approx((1 + 4 + 16) / 3)
    assert losses.MeanSquaredError()(x, x[:, None]) == 0.0


@on_every_road
def test_losses_of_uneven_batches_count_by_their_samples(road):
    """TensorFlow: the mean of means of batches (tensorflow/tensorflow#38596, #27993)."""
    x, y = np.zeros(3), np.sqrt([10.0, 10.0, 9.0])
    model = line(**road)
    expected = (10 + 10 + 9) / 3  # not (10 + 9) / 2
    assert model.evaluate(x, y, batch_size=2, verbose=0) == pytest.approx(expected)
    history = model.fit(x, y, batch_size=2, epochs=2, verbose=0, validation_data=(x, y))
    assert history.history["loss"] == history.history["val_loss"] == pytest.approx([expected] * 2)


def test_losses_divide_by_the_count_and_metrics_by_the_weights():
    """Keras: the loss divides by the count, the metric by the weights (keras-team/keras#19740).

    Both are documented; `reduction="mean_with_sample_weight"` divides losses by the weights, too.
    """
    y_true, y_pred, w = np.array([[1.0], [2.0]]), np.array([[2.0], [3.0]]), np.array([0.0, 1.0])
    loss = losses.MeanAbsoluteError()
    weighted = losses.MeanAbsoluteError(reduction="mean_with_sample_weight")
    assert (loss(y_true, y_pred, w), weighted(y_true, y_pred, w)) == (0.5, 1.0)
    assert metrics.MeanAbsoluteError()(y_true, y_pred, w) == 1.0


@on_every_road
def test_sample_weights_times_ten_thousand_multiply_the_loss_by_it(road):
    """TensorFlow: the loss did not change with the weights (tensorflow/tensorflow#23767)."""
    x, w = np.ones(4), np.array([1.0, 2.0, 3.0, 4.0])
    model = line(3.0, **road)
    found = [model.train_on_batch(x, x, sample_weight=w * s) for s in (1.0, 1e4)]
    assert found == pytest.approx([4 * 2.5, 4 * 2.5e4])


def test_class_weights_are_the_weights_of_the_samples_of_the_classes():
    """Keras: weights were divided by how many are not 0 (keras-team/keras#7394)."""
    x, y = np.ones((4, 1)), np.array([0, 1, 1, 0])
    one, other = line(1.0, optimizers.SGD(0.1)), line(1.0, optimizers.SGD(0.1))
    one.fit(x, y, class_weight={0: 0.0, 1: 3.0}, verbose=0)
    other.fit(x, y, sample_weight=np.array([0.0, 3.0, 3.0, 0.0]), verbose=0)
    assert weight(one) == weight(other) == 1.0
    one.fit(x, y, class_weight={0: 2.0, 1: 3.0}, verbose=0)
    assert weight(one) == pytest.approx(1.0 - 0.1 * (2 * 2 * 2 + 0) / 4)  # 2 (p - y) w / n


def test_label_smoothing_moves_targets_towards_a_half():
    """utils.pytorch: (t + s) / 2 in place of t (1 - s) + s / 2 (eladhoffer/utils.pytorch#13)."""
    t, p, s = np.array([[1.0, 0.0]]), np.array([[0.8, 0.3]]), 0.2
    smooth = t * (1 - s) + s / 2
    expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean()
    assert_close(losses.BinaryCrossentropy(label_smoothing=s)(t, p), expected, 1e-6)
    logits = np.log(p / (1 - p))
    found = losses.BinaryCrossentropy(from_logits=True, label_smoothing=s)(t, logits)
    assert_close(found, expected, 1e-6)


def test_label_smoothing_spreads_over_the_classes_and_is_a_share():
    """Keras: over the last axis, whatever `axis` was (tensorflow/tensorflow#122716, #122714)."""
    t, p = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), np.array([[0.8] * 3, [0.2] * 3])
    found = losses.categorical_crossentropy(t, p, label_smoothing=0.2, axis=0)
    assert_close(found, [-(0.9 * math.log(0.8) + 0.1 * math.log(0.2))] * 3, 1e-6)
    for kind in ("BinaryCrossentropy", "CategoricalCrossentropy", "BinaryFocalCrossentropy"):
        with refused(ValueError, "label_smoothing", "1.5"):
            getattr(losses, kind)(label_smoothing=1.5)([[1.0, 0.0]], [[0.8, 0.2]])


def test_a_crossentropy_of_one_class_warns_that_it_is_0():
    """Keras: all losses were 0, without a word (keras-team/keras#17029)."""
    with pytest.warns(SyntaxWarning, match="one class"):
        assert losses.CategoricalCrossentropy()([[1.0]], [[0.3]]) < 1e-6


def test_no_samples_are_refused():
    """PyTorch: a loss of no samples was NaN, and reached the weights (pytorch/pytorch#141057)."""
    model = line(1.0)
    for call in (model.fit, model.evaluate):
        with refused(ValueError, "at least one sample"):
            call(np.zeros((0, 1)), np.zeros((0, 1)), verbose=0)
    assert weight(model) == 1.0


# -- optimizers -------------------------------------------------------------------------------


def test_adams_epsilon_stands_where_keras_has_it():
    """TensorFlow, PyTorch: epsilon was scaled by the bias correction, or not, by the library.

    tensorflow/tensorflow#9047, pytorch/pytorch#22628, karpathy/nanochat#304
    """
    g, epsilon = 0.5, 10.0  # so large that its place decides
    a = 0.1 * math.sqrt(1 - 0.999) / (1 - 0.9)
    expected = 1.0 - a * (0.1 * g) / (math.sqrt(0.001 * g * g) + epsilon)
    adam = optimizers.Adam(0.1, epsilon=epsilon)
    assert stepped(adam, [g]) == pytest.approx([expected], rel=1e-6)


def test_adam_corrects_its_bias_from_the_first_step_on():
    """mlx, oneflow: no bias correction (oxiglade/mlx-rs#301, Oneflow-Inc/oneflow#5960).

    With a constant gradient each step has the length of the learning rate.
    """
    assert stepped(optimizers.Adam(0.1), [0.3] * 3) == pytest.approx([0.9, 0.8, 0.7], rel=1e-5)


def test_amsgrad_keeps_the_largest_velocity_before_its_correction():
    """Optax and PyTorch's manual: the maximum after the correction (pytorch/pytorch#142323)."""
    gradients, b1, b2 = [4.0, 0.1, 0.1], 0.9, 0.5
    w, m, v, largest, expected = 1.0, 0.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        largest = max(largest, v)
        w -= 0.1 * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (math.sqrt(largest) + 1e-7)
        expected.append(w)
    adam = optimizers.Adam(0.1, beta_2=b2, amsgrad=True)
    assert stepped(adam, gradients) == pytest.approx(expected, rel=1e-5)


def test_weight_decay_is_decoupled_and_has_an_effect():
    """tinygrad: Muon's decay did nothing, below its test's tolerance (tinygrad/tinygrad#17709)."""
    decayed = 1.0 - 0.1 * 2.0  # w (1 - rate * decay), then the step of 0.1
    for kind in (optimizers.AdamW, optimizers.Adam):
        found = stepped(kind(0.1, weight_decay=2.0), [0.3])
        assert found == pytest.approx([decayed - 0.1], rel=1e-5)
    found = stepped(optimizers.SGD(0.1, weight_decay=2.0), [0.3])
    assert found == pytest.approx([decayed - 0.03])


@on_every_road
def test_frozen_weights_do_not_decay(road):
    """OCANNL, Muon: they did (ahrefs/ocannl#673, KellerJordan/Muon#54)."""
    model = tn.Sequential([tn.Input((1,)), layers.Dense(1), layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile(optimizers.SGD(0.1, momentum=0.9, weight_decay=0.5), "mse", **road)
    before = model.get_weights()
    model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=2, verbose=0)
    frozen, trained = model.get_weights()[:2], model.get_weights()[2:]
    assert all((a == b).all() for a, b in zip(frozen, before[:2], strict=True))
    assert not any((a == b).all() for a, b in zip(trained, before[2:], strict=True))


CLIPPED = {  # of the gradients (3, 4) and (0, 12), whose norms are 5, 12 and together 13
    "clipnorm": [[0.6, 0.8], [0.0, 1.0]],
    "global_clipnorm": [[3 / 13, 4 / 13], [0.0, 12 / 13]],
    "clipvalue": [[1.0, 1.0], [0.0, 1.0]],
}


@pytest.mark.parametrize("kind", CLIPPED)
def test_gradients_are_clipped_as_the_name_says(kind):
    """Keras: clipnorm was of all weights, then of each (keras-team/keras#13575).

    tensorflow/tensorflow#36001, tensorflow/tensorflow#52348
    """
    variables = [tn.Variable(np.zeros(2, "float32")) for _ in range(2)]
    optimizer = optimizers.SGD(1.0, **{kind: 1.0})
    optimizer.apply([np.float32([3.0, 4.0]), np.float32([0.0, 12.0])], variables)
    assert_close([-v.numpy() for v in variables], CLIPPED[kind], 1e-6)


@on_every_road
def test_a_schedule_begins_at_step_0_and_a_callable_is_called_at_each_step(road):
    """TensorFlow: a callable's first value was kept (tensorflow/tensorflow#31323)."""
    rates = iter([0.5, 0.25, 0.125] * 2)
    schedule = optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    for rate in (schedule, lambda: next(rates)):
        model = line(0.0, optimizers.SGD(rate), lambda t, p: p, **road)  # the gradient is 1
        found = []
        for _ in range(3):
            model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
            found.append(weight(model))
        assert found == [-0.5, -0.75, -0.875]


@on_every_road
def test_accumulated_gradients_are_averaged_and_the_last_ones_are_kept(road):
    """neural_sp, pet: accumulated gradients were not averaged, and the last ones were dropped.

    hirofumi0810/neural_sp#168, timoschick/pet#36. In tinynet the next call goes on with their sum.
    """
    sgd = optimizers.SGD(0.5, gradient_accumulation_steps=2)
    model = line(0.0, sgd, lambda t, p: t * p, **road)  # the gradient is the target
    found = []
    for target in (1.0, 3.0, 5.0, 3.0):
        model.fit(np.ones((1, 1)), np.full((1, 1), target), verbose=0)
        found.append(weight(model))
    assert found == [0.0, -1.0, -1.0, -3.0]


def test_an_option_that_is_not_supported_is_refused():
    """Scaling a loss is for half precision, which tinynet does not have."""
    with refused(ValueError, "loss_scale_factor"):
        optimizers.SGD(0.1, loss_scale_factor=2.0)


# -- metrics and logs -------------------------------------------------------------------------


@on_every_road
def test_the_loss_of_a_batch_is_that_of_this_batch(road):
    """Keras: train_on_batch gave the mean of all batches so far (keras-team/keras#22617)."""
    model = line(**road)
    found = [model.train_on_batch(np.ones(1), np.full(1, t)) for t in (1.0, 3.0)]
    assert found == [1.0, 9.0]


@on_every_road
def test_metrics_of_an_epoch_forget_the_epoch_before(road):
    """Ludwig: losses of epochs were averages of all epochs (ludwig-ai/ludwig#1659)."""
    model = line(0.0, optimizers.SGD(0.25), metrics=["mae"], **road)
    history = model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=3, verbose=0).history
    assert history["mae"] == [1.0, 0.5, 0.25]  # the error halves: w += 0.25 * 2 (1 - w)
    assert history["loss"] == [1.0, 0.25, 0.0625]


def test_several_binary_outputs_have_an_accuracy_each_by_its_name():
    """Keras: "accuracy" takes them for classes, still (keras-team/keras#2522, #2412).

    "binary_accuracy" does not. A single output is binary for both.
    """
    outputs, y = np.array([[0.9, 0.8], [0.2, 0.9]]), np.array([[1, 0], [0, 1]])
    for columns, expected in ((slice(2), [2 / 2, 3 / 4]), (slice(1), [2 / 2, 2 / 2])):
        model = tn.Sequential([layers.Activation("linear")])
        model.compile(loss="binary_crossentropy", metrics=["accuracy", "binary_accuracy"])
        found = model.evaluate(outputs[:, columns], y[:, columns], verbose=0)
        assert found[1:] == pytest.approx(expected)


# -- data -------------------------------------------------------------------------------------


def test_the_validation_split_is_the_end_of_the_data_before_it_is_shuffled():
    """Keras: users expected it after (keras-team/keras#6422, keras-team/keras#20946)."""
    y = np.array([0.0, 0.0, 0.0, 4.0])
    history = line().fit(y * 0, y, validation_split=0.25, epochs=2, shuffle=True, verbose=0).history
    assert (history["loss"], history["val_loss"]) == ([0.0, 0.0], [16.0, 16.0])


@on_every_road
def test_shuffling_keeps_samples_targets_and_weights_together(road):
    """Keras: generators shuffled one of them (keras-team/keras#7520, keras-team/keras#5048)."""
    x = np.arange(1.0, 33.0)
    model = line(2.0, optimizers.SGD(1e-4), metrics=["mae"], **road)
    history = model.fit(x, 2 * x, 5, epochs=2, sample_weight=x, shuffle=True, verbose=0).history
    assert history["mae"] == history["loss"] == [0.0, 0.0]
    assert_close(model.predict(x, batch_size=5, verbose=0)[:, 0], 2 * x, 1e-6)


@on_every_road
def test_a_layer_that_is_frozen_after_compile_is_frozen(road):
    """Keras: it trained on, without a word (keras-team/keras#6405, keras-team/keras#22413)."""
    model = line(0.0, optimizers.SGD(0.25), **road)
    found = []
    for trainable in (True, False, True):
        model.layers[0].trainable = trainable
        model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0)
        found.append(weight(model))
    assert found == [0.5, 0.5, 0.75]


@on_every_road
def test_dropout_draws_another_mask_at_each_step(road):
    """tinygrad: its JIT repeated the random numbers (tinygrad/tinygrad#1957)."""
    model = tn.Sequential([tn.Input((1000,)), layers.Dropout(0.5, seed=1)])
    model.compile(optimizers.SGD(0.0), lambda t, p: p, metrics=[lambda t, p: p[:, 0]], **road)
    kept = model.fit(np.ones((64, 1000)), np.ones((64, 1000)), 1, epochs=2, verbose=0).history
    assert kept["loss"][0] != kept["loss"][1]
    assert 0.9 < kept["loss"][0] < 1.1  # those that are kept count twice
    assert (model.predict(np.ones((1, 1000)), verbose=0) == 1.0).all()
