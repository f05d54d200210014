"""Layers, callbacks and files: what other engines got wrong in silence.

The expected numbers are arithmetic, shown beside them, or those of a training without a break.
"""

import math
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, everything, normal, refused

import tinynet as tn
from tinynet import callbacks, layers, optimizers

ROADS = {"eager": {"run_eagerly": True}, "compiled": {"jit_compile": False}}
on_every_road = pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)


def compiled(*stack: Any, rate: float = 0.0, loss: Any = "mse", **options: Any) -> Any:
    model = tn.Sequential([tn.Input((1,)), *stack])
    model.compile(optimizers.SGD(rate), loss, **options)
    return model


# -- normalization ----------------------------------------------------------------------------


def normalized(x: Any, road: Any, **options: Any) -> tuple[Any, Any]:
    """Return a BatchNormalization after one batch of training, and its outputs in that step."""
    norm = layers.BatchNormalization(momentum=0.5, epsilon=0.25, **options)
    outputs = norm(np.array(x, "float32"), training=True).numpy()
    model = compiled(layers.BatchNormalization(momentum=0.5, epsilon=0.25, **options), **road)
    model.train_on_batch(np.array(x, "float32"), np.array(x, "float32"))
    return model.layers[0], outputs


@on_every_road
def test_moving_statistics_are_those_of_the_batch_with_momentum_of_the_old(road):
    """PyTorch, MLX: biased to normalize, unbiased to remember; momentum of the new.

    pytorch/pytorch#19902, pytorch/pytorch#60528, ml-explore/mlx#3817. As in Keras, both are biased.
    """
    norm, outputs = normalized([[1.0], [5.0]], road)  # mean 3, variance 4
    assert_close(norm.moving_mean.numpy(), [0.5 * 0 + 0.5 * 3])
    assert_close(norm.moving_variance.numpy(), [0.5 * 1 + 0.5 * 4])
    assert_close(outputs[:, 0], np.array([-2.0, 2.0]) / math.sqrt(4 + 0.25), 1e-6)


@on_every_road
def test_a_batch_of_one_sample_leaves_finite_statistics(road):
    """Torch: NaN, n / (n - 1), in the last batch of an epoch (torch/nn#1271)."""
    norm, outputs = normalized([[7.0]], road)
    assert (norm.moving_mean.numpy(), norm.moving_variance.numpy()) == (3.5, 0.5)
    assert outputs == 0.0


@on_every_road
def test_a_frozen_normalization_uses_its_statistics_and_keeps_them(road):
    """Keras: they moved on, and batches were normalized by their own (keras-team/keras#7085)."""
    model = compiled(layers.BatchNormalization(epsilon=0.0), **road)
    model.layers[0].trainable = False
    found = model.train_on_batch(np.array([[3.0], [5.0]]), np.zeros((2, 1)))
    assert found == pytest.approx((9 + 25) / 2)  # (x - 0) / 1
    assert [w.tolist() for w in model.get_weights()] == [[1.0], [0.0], [0.0], [1.0]]


@pytest.mark.parametrize("kind", [layers.BatchNormalization, layers.LayerNormalization])
def test_normalization_is_right_far_from_0(kind):
    """tt-metal, Caffe, MLX: E[x^2] - E[x]^2 (tenstorrent/tt-metal#45968, BVLC/caffe#3963).

    google/objax#182, ml-explore/mlx#2238
    """
    x = np.array([[1449.0], [1450.0], [1451.0]], "float32")
    x = x if kind is layers.BatchNormalization else x.T
    y = kind(epsilon=1e-6)(x, training=True).numpy().ravel()
    assert_close(y, np.array([-1.0, 0.0, 1.0]) / math.sqrt(2 / 3), 1e-5, 1e-6)


# -- regularization and initial weights -----------------------------------------------------------


def test_the_penalty_of_a_shared_layer_counts_once():
    """Keras: once for each use, or model around it (keras-team/keras#8807, #8700, #15909)."""
    inner = tn.Sequential(
        [tn.Input((1,)), layers.Dense(1, use_bias=False, kernel_regularizer="l1")]
    )
    inner.set_weights([[[3.0]]])
    a, b = tn.Input((1,)), tn.Input((1,))
    model = tn.Model([a, b], layers.add([inner(a), inner(b), inner.layers[0](a)]))
    model.compile("sgd", "mse")
    x = np.zeros((2, 1))
    assert model.evaluate([x, x], x, verbose=0) == pytest.approx(0.01 * 3.0)
    assert len(model.losses) == 1


def test_layers_of_one_seed_differ_and_repeat():
    """NetKet: one seed made all layers equal (netket/netket#241)."""

    def weights() -> Any:
        tn.utils.set_random_seed(3)
        model = tn.Sequential([tn.Input((4,)), layers.Dense(4), layers.Dense(4)])
        return model.layers[0].kernel.numpy(), model.layers[1].kernel.numpy()

    (one, two), again = weights(), weights()
    assert (one != two).all()
    assert_all_same((one, two), again)


# -- callbacks --------------------------------------------------------------------------------


class Losses(tn.callbacks.Callback):
    """Sets what the epochs' logs say."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["val_loss"] = self.values[epoch]


def counting(*values: float, **options: Any) -> tuple[Any, list[float], Any]:
    """Train a model whose weight counts its epochs, with these losses and a callback."""
    model = compiled(layers.Dense(1, use_bias=False), rate=1.0, loss=lambda t, p: -p)
    model.set_weights([[[0.0]]])
    x = np.ones((1, 1))
    calls = [Losses(*values), *options.pop("callbacks", ())]
    history = model.fit(x, x, epochs=len(values), callbacks=calls, verbose=0, **options)
    return model, float(model.get_weights()[0][0, 0]), history


@pytest.mark.parametrize("patience", [1, 9])
def test_the_weights_of_the_best_epoch_come_back_also_if_training_was_not_stopped(patience):
    """Keras: only if it was stopped early (keras-team/keras#12511, tensorflow/tensorflow#35634)."""
    stop = callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    _, weight, history = counting(5.0, 2.0, 3.0, 4.0, callbacks=[stop])
    assert weight == 2.0
    assert len(history.epoch) == (3 if patience == 1 else 4)


def test_a_checkpoint_passes_over_nan(tmp_path):
    """Lightning: after NaN nothing was better (Lightning-AI/pytorch-lightning#2636, #1008)."""
    path = tmp_path / "best.weights.h5"
    keep = callbacks.ModelCheckpoint(path, "val_loss", save_best_only=True, save_weights_only=True)
    model, weight, _ = counting(math.nan, 3.0, math.nan, 2.0, 4.0, callbacks=[keep])
    model.load_weights(path)
    assert (weight, float(model.get_weights()[0][0, 0])) == (5.0, 4.0)


def test_training_is_not_stopped_while_it_gets_better_after_nan():
    """Lightning: comparisons with NaN are False (Lightning-AI/pytorch-lightning#1008)."""
    stop = callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    values = (math.nan, 5.0, 4.0, 3.0, math.nan, 2.0, math.nan, math.nan, 1.0)
    _, weight, history = counting(*values, callbacks=[stop])
    assert (weight, history.epoch) == (6.0, list(range(8)))


def test_the_rate_falls_after_as_many_epochs_as_patience_says():
    """aprender, PyTorch: one epoch early, or late (paiml/aprender#2135, pytorch/pytorch#119763).

    As in Keras, the epoch that is the last of `patience` ones without progress reduces the rate.
    """
    plateau = callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_delta=0.0)
    _, _, history = counting(*[1.0] * 6, callbacks=[plateau])
    # The logs of an epoch have the rate that it trained with.
    assert history.history["learning_rate"] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


# -- files --------------------------------------------------------------------------------------


def network(**road: Any) -> Any:
    tn.utils.set_random_seed(5)
    model = tn.Sequential([tn.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    schedule = optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    model.compile(optimizers.Adam(schedule, amsgrad=True), "mse", **road)
    return model


@on_every_road
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_loaded_model_trains_on_as_if_it_had_never_been_saved(suffix, road, tmp_path):
    """Keras: iterations or all of the optimizer were lost (keras-team/keras#13027, tf-keras#70).

    tensorflow/tensorflow#40342
    """
    x, y, path = normal(0, 8, 3), normal(1, 8, 1), tmp_path / f"model{suffix}"
    model = network(**road)
    model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    if suffix == ".keras":
        model.save(path)
        other = tn.saving.load_model(path)
    else:
        model.save_weights(path)
        other = network(**road)
        other.load_weights(path)
    histories = [m.fit(x, y, 4, epochs=2, shuffle=False, verbose=0).history for m in (model, other)]
    assert histories[0] == histories[1]
    assert_all_same(everything(model), everything(other))


def test_weights_of_frozen_layers_are_loaded_into_their_own_layers(tmp_path):
    """Keras: trainable weights were saved first, and loaded in that order (keras#10777)."""
    path, stack = tmp_path / "m.weights.h5", [layers.Dense(2), layers.Dense(2), layers.Dense(2)]
    model = tn.Sequential([tn.Input((2,)), *stack])
    model.layers[0].trainable = False
    model.save_weights(path)
    other = tn.Sequential([tn.Input((2,)), *[layers.Dense(2) for _ in stack]])
    other.load_weights(path)
    assert_all_same(
        [w for layer in model.layers for w in layer.get_weights()],
        [w for layer in other.layers for w in layer.get_weights()],
    )


def test_weights_of_other_shapes_are_refused_and_change_nothing(tmp_path):
    """Keras: weights of a file were taken in order, whatever layers it had (keras#3488)."""
    path = tmp_path / "m.weights.h5"
    tn.Sequential([tn.Input((2,)), layers.Dense(2), layers.Dense(3)]).save_weights(path)
    other = tn.Sequential([tn.Input((2,)), layers.Dense(2), layers.Dense(4)])
    before = other.get_weights()
    with refused(ValueError, "dense"):
        other.load_weights(path)
    assert_all_same(other.get_weights(), before)
