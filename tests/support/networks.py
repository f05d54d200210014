"""Drawn networks, and samples for them: what the tests of all export formats share."""

from typing import Any

import numpy as np
from helpers import normal
from hypothesis import strategies as st
from strategies import SEEDS

from tinynet import activations, layers, ops
from tinynet.layers import Dense, Input, Layer
from tinynet.models import Model


class Scale(Layer):
    """A custom layer with weights and with operations that no layer of ours uses."""

    def build(self, input_shape):
        self.factor = self.add_weight(input_shape[-1:], "random_normal", name="factor")

    def call(self, inputs):
        flat = ops.reshape(inputs, (inputs.shape[0], -1))
        parts = ops.concatenate([flat[:, 1:], flat[:, :1], ops.ones_like(flat[:, :1])], 1)
        total = ops.sum(ops.transpose(parts), 0)
        return ops.abs(inputs * self.factor) ** 1.5 + ops.reshape(
            total, (-1, *[1] * (inputs.ndim - 1))
        )


ACTIVATIONS = sorted(
    name
    for name, value in vars(activations).items()
    if getattr(value, "__module__", "") == activations.__name__ and name not in ("get", "serialize")
    if not name.startswith("_")
)
PLAIN: list[Any] = [
    lambda **options: layers.Rescaling(0.3, 0.7, **options),
    lambda **options: layers.Normalization(mean=0.5, variance=2.0, **options),
    lambda **options: layers.Dropout(0.5, **options),
    lambda **options: layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2, **options),
    lambda **options: layers.Reshape((-1, 1), **options),
    layers.Flatten,
    layers.Softmax,
    layers.ELU,
    layers.LeakyReLU,
    Scale,
]
MERGING = [
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
]


def network(draw: Any, dtypes: Any = st.sampled_from(["float32", "float64"])) -> Model:
    """Draw a graph of layers with one or two inputs and outputs, and random weights."""
    ranks = draw(st.sampled_from([(), (3,)]))
    widths = st.integers(1, 6) | st.just(40)
    inputs = [Input((*ranks, draw(widths))) for _ in range(draw(st.integers(1, 2)))]
    xs = list(inputs)
    for kind in draw(st.lists(st.sampled_from(["dense", "plain", "merging"]), max_size=5)):
        x, options = draw(st.sampled_from(xs)), {"dtype": draw(dtypes)}
        if kind == "dense":
            name, use_bias = draw(st.sampled_from(ACTIVATIONS)), draw(st.booleans())
            xs.append(Dense(draw(widths), name, use_bias=use_bias, **options)(x))
        elif kind == "plain":
            xs.append(draw(st.sampled_from(PLAIN))(**options)(x))
        else:
            pair = [Dense(2)(layers.Flatten()(y)) for y in (x, draw(st.sampled_from(xs)))]
            xs.append(draw(st.sampled_from(MERGING))(**options)(pair))
    ends = [Dense(2, draw(st.sampled_from(ACTIVATIONS)))(x) for x in xs[-draw(st.integers(1, 2)) :]]
    form = draw(st.sampled_from([list, tuple, lambda ys: dict(zip("ba", ys, strict=False))]))
    model = Model(inputs, form(ends) if len(ends) > 1 else ends[0])
    rng = np.random.default_rng(draw(SEEDS))
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) / np.sqrt(weight.shape[0]))
    return model


def samples(model: Any, rows: int, seed: int = 0) -> list[np.ndarray]:
    return [normal(seed + i, rows, *x.shape[1:]) for i, x in enumerate(model.inputs)]


def alone(things: list[Any]) -> Any:
    return things[0] if len(things) == 1 else things
