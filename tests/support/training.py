"""Strategies: optimizers with all of their options, and whole trainings of small models."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from helpers import normal
from hypothesis import strategies as st

import tinynet as tn

# -- optimizers -------------------------------------------------------------------------------

RATES = {
    "SGD": st.sampled_from([0.003, 0.02]),
    "Adam": st.sampled_from([0.003, 0.1]),
    "AdamW": st.sampled_from([0.003, 0.1]),
    "RMSprop": st.sampled_from([0.001, 0.01]),
    "Adagrad": st.sampled_from([0.003, 0.1]),
    "Adamax": st.sampled_from([0.003, 0.1]),
    "Nadam": st.sampled_from([0.003, 0.1]),
}
CLIPS = st.sampled_from(
    [{}, {"clipnorm": 0.3}, {"clipvalue": 0.05}, {"global_clipnorm": 0.4}, {"clipnorm": 0.0}]
)
DECAYS = st.sampled_from([{}, {"weight_decay": 0.1}, {"weight_decay": 0.0}])
MOMENTA = st.sampled_from([0.0, 0.5, 0.95])
FLAGS = {"SGD": "nesterov", "Adam": "amsgrad", "AdamW": "amsgrad", "RMSprop": "centered"}
OWN = {
    "SGD": {"momentum": MOMENTA},
    "Adam": {
        "beta_1": st.sampled_from([0.0, 0.5, 0.95]),
        "beta_2": st.sampled_from([0.5, 0.6, 0.9999]),  # small: v decreases, too
    },
    "AdamW": {"beta_1": st.sampled_from([0.0, 0.95])},
    "RMSprop": {"rho": st.sampled_from([0.5, 0.95]), "momentum": MOMENTA},
    "Adagrad": {"initial_accumulator_value": st.sampled_from([0.01, 0.5])},
    "Adamax": {"beta_1": st.sampled_from([0.0, 0.95]), "beta_2": st.sampled_from([0.5, 0.999])},
    "Nadam": {"beta_1": st.sampled_from([0.5, 0.95]), "beta_2": st.sampled_from([0.5, 0.999])},
}
AVERAGES = st.sampled_from(
    [{}] * 3
    + [{"use_ema": True}, {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}]
    + [{"gradient_accumulation_steps": 2}]
)
# Adam and RMSprop divide a gradient by its own size, so the rounding error of a gradient near 0
# would decide a whole step. A large epsilon prevents that. Small ones are for given gradients.
LARGE, SMALL = st.sampled_from([1e-3, 0.1]), st.sampled_from([1e-7, 1e-8, 1e-5])


@st.composite
def optimizers(draw: Any, epsilons: Any = LARGE) -> tuple[str, dict[str, Any]]:
    """Draw the name of an optimizer and options for it."""
    name = draw(st.sampled_from(sorted(OWN)))
    options = {"learning_rate": draw(RATES[name])}
    options |= {FLAGS[name]: draw(st.booleans())} if name in FLAGS else {}
    if name != "SGD":
        options["epsilon"] = draw(epsilons)
    own = draw(st.fixed_dictionaries({}, optional=OWN[name]))
    return name, {**options, **own, **draw(DECAYS), **draw(CLIPS), **draw(AVERAGES)}


def made(lib: Any, optimizer: tuple[str, dict[str, Any]]) -> Any:
    name, options = optimizer
    return getattr(lib.optimizers, name)(**options)


# -- whole trainings --------------------------------------------------------------------------


def classes(module: Any, base: type) -> list[str]:
    """Return the names of a module's classes below `base` that can be made without arguments."""
    found = []
    for name in dir(module):
        kind = getattr(module, name)
        if inspect.isclass(kind) and issubclass(kind, base) and kind is not base:
            parameters = [*inspect.signature(kind).parameters.values()]
            if all(p.default is not p.empty or p.kind >= p.KEYWORD_ONLY for p in parameters):
                found.append(name)
    return found


ACTIVATIONS = [n for n in dir(tn.activations) if n not in ("get", "serialize", "deserialize")]
# Poisson takes positive predictions.
LOSSES = [n for n in classes(tn.losses, tn.losses.LossFunction) if n != "Poisson"]
METRICS = classes(tn.metrics, tn.metrics.Metric)
METRICS = [n for n in METRICS if n not in ("Mean", "Sum", "Poisson")]
WIDTH = 3

# From the layer's own options and the tensors so far to another tensor of the same width.
BLOCKS: dict[str, Callable[..., Any]] = {
    "AlphaDropout": lambda ts, **_: tn.layers.AlphaDropout(0.2)(ts[-1]),
    "BatchNormalization": lambda ts, **_: tn.layers.BatchNormalization(momentum=0.5)(ts[-1]),
    "Dense": lambda ts, **options: tn.layers.Dense(WIDTH, **options)(ts[-1]),
    "Dropout": lambda ts, **_: tn.layers.Dropout(0.3)(ts[-1]),
    "Dropout of columns": lambda ts, **_: tn.layers.Dropout(0.4, (None, 1))(ts[-1]),
    "ELU": lambda ts, **_: tn.layers.ELU(0.5)(ts[-1]),
    "Lambda": lambda ts, **_: tn.layers.Lambda(tn.activations.tanh)(ts[-1]),
    "LayerNormalization": lambda ts, **_: tn.layers.LayerNormalization()(ts[-1]),
    "RMSNormalization": lambda ts, **_: tn.layers.RMSNormalization()(ts[-1]),
    "UnitNormalization": lambda ts, **_: tn.layers.UnitNormalization()(ts[-1]),
    "GroupNormalization": lambda ts, **_: tn.layers.GroupNormalization(1)(ts[-1]),
    "PReLU": lambda ts, **_: tn.layers.PReLU("ones")(ts[-1]),
    "Identity": lambda ts, **_: tn.layers.Identity()(ts[-1]),
    "LeakyReLU": lambda ts, **_: tn.layers.LeakyReLU(0.2)(ts[-1]),
    "Normalization": lambda ts, **_: tn.layers.Normalization(mean=0.1, variance=2.0)(ts[-1]),
    "ReLU": lambda ts, **_: tn.layers.ReLU(2.0, 0.1)(ts[-1]),
    "Rescaling": lambda ts, **_: tn.layers.Rescaling(1.5, [0.1, 0.2, 0.3])(ts[-1]),
    "Reshape": lambda ts, **_: tn.layers.Flatten()(tn.layers.Reshape((1, -1))(ts[-1])),
    "Softmax": lambda ts, **_: tn.layers.Softmax()(ts[-1]),
    "Add": lambda ts, **_: tn.layers.add([ts[-1], ts[0]]),
    "Average": lambda ts, **_: tn.layers.average([ts[-1], ts[0], ts[-1]]),
    "Concatenate": lambda ts, **options: tn.layers.Dense(WIDTH, **options)(
        tn.layers.concatenate([ts[-1], ts[0]])
    ),
    "Maximum": lambda ts, **_: tn.layers.maximum([ts[-1], ts[0]]),
    "Minimum": lambda ts, **_: tn.layers.minimum([ts[-1], ts[0]]),
    "Multiply": lambda ts, **_: tn.layers.multiply([ts[-1], ts[0]]),
    "Subtract": lambda ts, **_: tn.layers.subtract([ts[-1], ts[0]]),
}
REGULARIZERS = st.sampled_from([None, None, "l1", "l2", "l1_l2"])
OPTIONS = st.fixed_dictionaries(
    {"activation": st.sampled_from(ACTIVATIONS), "use_bias": st.booleans()},
    optional={
        "kernel_regularizer": REGULARIZERS,
        "bias_regularizer": REGULARIZERS,
        "activity_regularizer": REGULARIZERS,
        "kernel_constraint": st.sampled_from(["max_norm", "min_max_norm", "unit_norm"]),
        "bias_constraint": st.just("non_neg"),
    },
)


class Output(NamedTuple):
    """An output: its loss, its metrics, and whether these use sample weights."""

    loss: str
    metrics: list[str]
    weighted: bool

    def targets(self, seed: int, rows: int) -> np.ndarray:
        classes = np.random.default_rng(seed).integers(0, WIDTH, rows)
        if "Sparse" in self.loss:
            return classes
        return np.eye(WIDTH)[classes] if "entropy" in self.loss else normal(seed, rows, WIDTH)

    def activation(self) -> str:
        binary = "sigmoid" if "Binary" in self.loss else "softmax"
        return binary if "entropy" in self.loss else "linear"


class Training(NamedTuple):
    """A model, what it is compiled with, and how it is trained."""

    inputs: int
    blocks: list[tuple[str, dict[str, Any]]]
    outputs: list[Output]
    optimizer: tuple[str, dict[str, Any]]
    rows: int
    batch_size: int
    sample_weight: bool
    floatx: str

    def model(self, **options: Any) -> Any:
        """Return the model, compiled with these options."""
        tn.utils.clear_session()
        tn.utils.set_random_seed(7)
        entrances = [tn.Input((WIDTH,)) for _ in range(self.inputs)]
        tensors = entrances if self.inputs == 1 else [*entrances, tn.layers.add(entrances)]
        for name, own in self.blocks:
            tensors.append(BLOCKS[name](tensors, **own))
        results = [tn.layers.Dense(WIDTH, out.activation())(tensors[-1]) for out in self.outputs]
        several = len(results) > 1
        model = tn.Model(entrances if self.inputs > 1 else entrances[0], results)
        metrics = [[getattr(tn.metrics, n)() for n in out.metrics] for out in self.outputs]
        weighted = [m if out.weighted else [] for m, out in zip(metrics, self.outputs, strict=True)]
        plain = [[] if out.weighted else m for m, out in zip(metrics, self.outputs, strict=True)]
        model.compile(
            made(tn, self.optimizer),
            [getattr(tn.losses, out.loss)() for out in self.outputs],
            metrics=plain if several else plain[0],
            weighted_metrics=weighted if several else weighted[0],
            on_divergence="ignore",
            **options,
        )
        return model

    def data(self) -> tuple[Any, Any, Any]:
        """Return inputs, targets and sample weights."""
        x = [normal(i, self.rows, WIDTH, dtype=self.floatx) for i in range(self.inputs)]
        y = [out.targets(10 + i, self.rows) for i, out in enumerate(self.outputs)]
        weights = abs(normal(20, self.rows, dtype=self.floatx)) if self.sample_weight else None
        return x if self.inputs > 1 else x[0], y if len(y) > 1 else y[0], weights


@st.composite
def outputs(draw: Any) -> Output:
    loss = draw(st.sampled_from(LOSSES))
    fitting = [name for name in METRICS if ("Sparse" in name) == ("Sparse" in loss)]
    metrics = draw(st.lists(st.sampled_from(fitting), max_size=2, unique=True))
    return Output(loss, metrics, draw(st.booleans()))


def trainings(floats: Any = st.sampled_from(["float32", "float64"])) -> Any:
    """Return a strategy of whole trainings."""
    return st.builds(
        Training,
        st.integers(1, 2),
        st.lists(st.tuples(st.sampled_from(sorted(BLOCKS)), OPTIONS), max_size=4),
        st.lists(outputs(), min_size=1, max_size=2),
        optimizers(),
        st.sampled_from([7, 8]),
        st.sampled_from([3, 4]),
        st.booleans(),
        floats,
    )
