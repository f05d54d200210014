"""`explain_step` explains the step that Keras's gradients and optimizers take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from side_by_side import RTOL, SEEDS, WIDTH, Stack, assert_agree, give_weights, numbers, stacks

import tinynet as tn

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.01}),
    "amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True, "clipvalue": 0.05}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "clipnorm": 0.1}),
}
SLOTS = {"SGD": ["momentum"], "Adam": ["momentum", "velocity"], "AdamW": ["momentum", "velocity"]}


def trained(lib: Any, network: Stack, name: str, options: dict[str, Any], seed: int) -> Any:
    """Return a model that has taken one step, and the batch for the next step."""
    model = network.build(lib)
    x, y = numbers(seed, 6, WIDTH), numbers(seed + 1, 6, network.layers[-1].units)
    give_weights(model, seed)
    # Eager in both: compiling the step of each network would take most of the time.
    model.compile(getattr(lib.optimizers, name)(**options), "mse", run_eagerly=True)
    model.train_on_batch(x, y)
    return model, x[::-1].copy(), y


@pytest.mark.filterwarnings("ignore:softmax over axis", "ignore:You are using a softmax")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@settings(max_examples=4, deadline=None)
@given(network=stacks(), seed=SEEDS)
def test_explain_step_shows_the_step_that_keras_takes(optimizer, network, seed):
    import keras

    name, options = OPTIMIZERS[optimizer]
    ours, x, y = trained(tn, network, name, options, seed)
    theirs, *_ = trained(keras, network, name, options, seed)
    explained = ours.explain_step(x, y)
    before = [w.numpy() for w in theirs.trainable_variables]
    loss = theirs.train_on_batch(x, y)
    assert_agree(explained.loss, loss)
    for change, old, new in zip(
        explained.changes.values(), before, theirs.trainable_variables, strict=True
    ):
        assert_agree(change.before, old)
        scale = max(float(abs(new.numpy()).max()), 1e-3)
        np.testing.assert_allclose(change.after, new.numpy(), RTOL, 2 * RTOL * scale)
    slots = {v.path.rsplit("_", 1)[-1]: v for v in theirs.optimizer.variables}
    for slot in SLOTS.get(name, []):
        if slot in slots:  # of the last weight
            last = list(explained.changes.values())[-1].slots[slot]
            np.testing.assert_allclose(last, slots[slot].numpy(), 1e-4, 1e-7)
