"""Models that are driven through the same drawn calls on each road, beside real Keras.

A world is a library with its models: tinynet eagerly, as NumPy and as C, and Keras on JAX where it
is installed. After each call of the machine all worlds have the same results, weights and optimizer
states. Some calls fail on purpose: in a callback, in a generator, in a part of the model, or by
Ctrl-C at any line of the package.
"""

import copy
import os
import pickle
import signal
import tempfile
import weakref
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import running, traced
from helpers import assert_agree, normal
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from load import live
from native import NATIVE, all_in_c, lacked
from training import made, optimizers

import tinynet as tn
from tinynet.compiler.executable import CACHE_SIZE

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
try:
    import keras
except ImportError:
    keras = None

ROWS, WIDTH = 8, 3
ROADS: dict[str, dict[str, Any]] = {
    "eager": {"run_eagerly": True, "jit_compile": False},
    "NumPy": {"run_eagerly": False, "jit_compile": False},
    "C": {"run_eagerly": False, "jit_compile": NATIVE},
}
RTOL = 1e-4  # of numbers after many steps, whose rounding errors add up


class PlannedError(Exception):
    """What the parts that fail on purpose raise."""


# -- parts that fail on purpose -------------------------------------------------------------------


@cache
def fragile(lib: Any, base: type, method: str) -> type:
    """Return a subclass of a part whose `method` raises `PlannedError` while `broken` is set."""
    original = getattr(base, method)

    @wraps(original)
    def call(self, *args, **kwargs):
        if self.broken:
            raise PlannedError
        return original(self, *args, **kwargs)

    kind = type(f"Fragile{base.__name__}", (base,), {method: call, "broken": False})
    return published(lib, kind)


def published(lib: Any, kind: type) -> type:
    """Return a class after it was registered for files, and as a global name for pickles."""
    kind.__module__, kind.__qualname__ = __name__, f"{kind.__name__}Of{lib.__name__.title()}"
    globals()[kind.__qualname__] = kind
    return lib.saving.register_keras_serializable("machine")(kind)


class Parts:
    """The parts of a library from which models are made; each can be broken."""

    def __init__(self, lib: Any) -> None:
        self.Dense = fragile(lib, lib.layers.Dense, "call")
        self.Loss = fragile(lib, lib.losses.MeanSquaredError, "call")
        self.Metric = fragile(lib, lib.metrics.MeanAbsoluteError, "update_state")
        self.Regularizer = fragile(lib, lib.regularizers.L2, "__call__")
        self.Constraint = fragile(lib, lib.constraints.MaxNorm, "__call__")


parts = cache(Parts)

# -- models ---------------------------------------------------------------------------------------


def hidden(lib: Any, name: str = "hidden", **options: Any) -> Any:
    return parts(lib).Dense(WIDTH, "tanh", name=name, **options)


def line(lib: Any) -> Any:
    kept = parts(lib).Constraint(0.9)
    layers = [hidden(lib, kernel_constraint=kept), lib.layers.Dense(1, name="out")]
    return lib.Sequential([lib.Input((WIDTH,)), *layers])


def lazy(lib: Any) -> Any:
    penalty = parts(lib).Regularizer(0.01)
    return lib.Sequential(
        [hidden(lib, kernel_regularizer=penalty), lib.layers.Dense(1, name="out")]
    )


def shared(lib: Any) -> Any:
    x, layer = lib.Input((WIDTH,)), hidden(lib)
    return lib.Model(x, lib.layers.Dense(1, name="out")(layer(layer(x) + x)))


def nested(lib: Any) -> Any:
    x = lib.Input((WIDTH,))
    batch = lib.layers.BatchNormalization(momentum=0.5)
    inner = lib.Sequential([hidden(lib), batch, lib.layers.Dropout(0.3, seed=3)])
    return lib.Model(x, lib.layers.Dense(1, name="out")(inner(x)))


@cache
def network(lib: Any, takes_training: bool) -> type:
    """Return a subclassed model, which uses a layer twice.

    Its layers act as in training only if `call` has an argument `training`.
    """

    class Network(lib.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden, self.out = hidden(lib), lib.layers.Dense(1, name="out")
            self.batch = lib.layers.BatchNormalization(momentum=0.5)

        def call(self, x):
            return self.out(self.hidden(self.batch(self.hidden(x))))

    class Training(Network):
        def call(self, x, training=None):
            return self.out(self.hidden(self.batch(self.hidden(x), training=training)))

    return published(lib, Training if takes_training else Network)


MODELS: dict[str, Callable[[Any], Any]] = {
    "a line of layers": line,
    "a line that is built later": lazy,
    "a graph that uses a layer twice": shared,
    "a model in a model": nested,
    "a subclass": lambda lib: network(lib, False)(name="network"),
    "a subclass that takes training": lambda lib: network(lib, True)(name="network"),
}


def all_layers(model: Any) -> list[Any]:
    """Return the layers with weights, those inside other layers included."""
    found = [x for x in [*model._flatten_layers()][1:] if x.weights]
    return sorted(found, key=lambda x: x.name)


# -- worlds ---------------------------------------------------------------------------------------


class World:
    """A library, its models, and the road on which it runs them."""

    def __init__(self, lib: Any, road: str, make: Callable[[Any], Any], folder: str) -> None:
        self.lib, self.road, self.path = lib, road, Path(folder)
        lib.utils.clear_session(free_memory=False)
        lib.utils.set_random_seed(0)
        self.models = {"main": make(lib)}

    def __repr__(self) -> str:
        return f"{self.lib.__name__} {self.road}"

    @property
    def is_keras(self) -> bool:
        return self.lib is keras

    def options(self) -> dict[str, Any]:
        return {"run_eagerly": True} if self.is_keras else ROADS[self.road]

    def do(self, call: Callable[..., Any], **drawn: Any) -> Any:
        """Return what a call returns, or the error that it raises on purpose."""
        self.lib.utils.set_random_seed(1)  # for the order of the samples
        try:
            return call(self, **drawn)
        except (PlannedError, KeyboardInterrupt) as error:
            return type(error).__name__

    def layer(self, name: str) -> Any:
        return next(x for x in self.models["main"]._flatten_layers() if x.name == name)

    def state(self) -> dict[str, Any]:
        """Return all numbers that training changes."""
        found: dict[str, Any] = {}
        for name, model in self.models.items():
            found[name] = [np.array(w) for w in model.weights]
            if model.compiled and steps_of(model):  # before, Keras makes its slots later
                for variable in model.optimizer.variables:
                    kind = f"{name} {variable.name.rstrip('_0123456789').rsplit('_', 1)[-1]}"
                    found.setdefault(kind, []).append(np.array(variable))
        return dict(sorted(found.items()))


# -- calls, the same in each world ----------------------------------------------------------------

X, Y = normal(0, ROWS, WIDTH), normal(1, ROWS, 1)
WEIGHT = abs(normal(2, ROWS))
KINDS = {
    "arrays": lambda x, y: (x, y),
    "double": lambda x, y: (x.astype("float64"), y.astype("float64")),
    "integers": lambda x, y: ((3 * x).astype("int32"), y),
    "columns": lambda x, y: (np.asfortranarray(x), y[:, 0]),
}


def compile_(world, which, optimizer, loss, metrics):
    own = parts(world.lib)
    world.models[which].compile(
        made(world.lib, optimizer),
        loss=own.Loss() if loss == "own" else loss,
        metrics=[own.Metric(name="own") if m == "own" else m for m in metrics],
        weighted_metrics=[],
        **world.options(),
    )


def fit(world, which, kind, weighted, validated, **options):
    x, y = KINDS[kind](X, Y)
    options |= {"sample_weight": WEIGHT} if weighted else {}
    options |= {"validation_data": (x[2:], y[2:])} if validated else {}
    return world.models[which].fit(x, y, verbose=0, **options).history


def fit_generator(world, which, sizes, fails):
    """Fit batches of a generator, which raises after the last one if it fails.

    Keras reads ahead, so it is given one that ends there.
    """

    def batches():
        for size in sizes:
            yield X[:size], Y[:size]
        if fails and not world.is_keras:
            raise PlannedError

    model, first = world.models[which], steps_of(world.models[which])
    with pytest.raises(PlannedError) if fails and not world.is_keras else nullcontext():
        model.fit(batches(), shuffle=False, verbose=0)
    assert steps_of(model) == first + (len(sizes) if model.trainable_weights else 0)


def evaluate(world, which, kind, batch_size):
    x, y = KINDS[kind](X, Y)
    return world.models[which].evaluate(x, y, batch_size, 0, return_dict=True)


def predict(world, which, kind, batch_size):
    x, _ = KINDS[kind](X, Y)
    model = world.models[which]
    return [model.predict(x, batch_size, 0), np.array(model(X))]


def on_batch(world, which, size, weighted):
    model, given = world.models[which], [X[:size], Y[:size], *([WEIGHT[:size]] * weighted)]
    train = model.train_on_batch(*given)
    return [train, model.test_on_batch(*given), model.predict_on_batch(X[:size])]


def set_weights(world, which, factor):
    model = world.models[which]
    model.set_weights([factor * w for w in model.get_weights()])


def assign(world, which, place, value):
    weights = world.models[which].trainable_weights
    if weights:
        chosen = weights[place % len(weights)]
        chosen.assign(np.full(chosen.shape, value, "float32"))


def set_learning_rate(world, which, rate):
    world.models[which].optimizer.learning_rate = rate


def set_trainable(world, which, place, value):
    """Set it for a layer, or for the whole model."""
    layers = [world.models[which], *all_layers(world.models[which])]
    layers[place % len(layers)].trainable = value


def save_and_load(world, which, way):
    """Replace a model by its file's, or by a copy, which goes on as the model itself would.

    Keras copies by way of a file, without the state of random generators; so it keeps its model.
    """
    model, path = world.models[which], world.path
    if way == "keras":
        model.save(path / "m.keras")
        world.models[which] = world.lib.saving.load_model(path / "m.keras")
    elif way == "weights":
        model.save_weights(path / "m.weights.h5")
        model.set_weights([0 * w for w in model.get_weights()])
        model.load_weights(path / "m.weights.h5")
    elif not world.is_keras:
        world.models[which] = (
            pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
        )
    if not world.is_keras:  # a file has only `run_eagerly`
        world.models[which].jit_compile = world.options()["jit_compile"]


def frozen_copy(world, which, place):
    """Train a copy of a model, freeze or thaw a layer of it, and train it again."""
    model = copy.deepcopy(world.models[which])
    found = [model.train_on_batch(X, Y)]
    layer = (layers := all_layers(model))[place % len(layers)]
    layer.trainable = not layer.trainable
    try:
        found += [model.train_on_batch(X, Y), model.predict(X, verbose=0)]
    except ValueError as error:
        found.append(str(error))
    return found


def twin(world):
    """Make another model, which shares a layer with the main one."""
    layers = [world.layer("hidden"), world.lib.layers.Dense(1, name="other")]
    world.models["twin"] = world.lib.Sequential([world.lib.Input((WIDTH,)), *layers], name="twin")


def stopped(world, which, hook, count, error):
    """Fit until a hook of a callback was called `count` times, which then raises an error."""
    calls = 0

    def fail(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == count:
            if error is KeyboardInterrupt:
                signal.raise_signal(signal.SIGINT)
            raise error

    model = world.models[which]
    callback = type("Failing", (world.lib.callbacks.Callback,), {hook: fail})()
    options = {"validation_data": (X, Y)} if "test" in hook else {}
    model.fit(X, Y, 3, 2, 0, [callback], **options)


def steps_of(model: Any) -> int:
    return int(model.optimizer.iterations)


def until(world, which, steps):
    """Fit until that many steps are done, at most those of two epochs."""
    model, first = world.models[which], steps_of(world.models[which])
    steps = steps if model.trainable_weights else 0
    with suppress(PlannedError):
        stopped(world, which, "on_train_batch_begin", steps + 1, PlannedError)
    assert steps_of(model) == first + steps


def interrupted(world, which, line):
    """Fit, interrupted by Ctrl-C at a line of the package; return how many steps were done."""
    model, first = world.models[which], steps_of(world.models[which])
    trace = traced(line, lambda: signal.raise_signal(signal.SIGINT))
    with suppress(KeyboardInterrupt):
        running(lambda: model.fit(X, Y, 3, 2, 0), trace)
    return steps_of(model) - first


BROKEN: dict[str, Callable[[Any], list[Any]]] = {
    "layer": all_layers,
    "loss": lambda model: [model.loss],
    "metric": lambda model: model._given_metrics[0] or [],
    "regularizer": lambda model: [
        getattr(x, "kernel_regularizer", None) for x in all_layers(model)
    ],
    "constraint": lambda model: [getattr(x, "kernel_constraint", None) for x in all_layers(model)],
}
CALLS = {
    "fit": lambda model: model.fit(X, Y, 3, verbose=0).history,
    "evaluate": lambda model: model.evaluate(X, Y, 3, 0, return_dict=True),
    "predict": lambda model: model.predict(X, 3, 0),
}


def usual(world, which, method):
    return CALLS[method](world.models[which])


def broken(world, which, part, method):
    """Call a method of a model of which a part is broken, in tinynet; it changes nothing."""
    model = world.models[which]
    chosen = [x for x in BROKEN[part](model) if hasattr(x, "broken")]
    for each in chosen:
        each.broken = True
    before = world.state()
    try:
        return CALLS[method](model)
    except PlannedError:
        if before[which]:  # it was built
            assert_agree(world.state(), before, 0)
        raise
    finally:
        for each in chosen:
            each.broken = False


# -- the machine ----------------------------------------------------------------------------------

WHICH = st.sampled_from(["main", "twin"])
KIND, SIZES = st.sampled_from(["arrays", *KINDS]), st.sampled_from([3, 3, 8])
PLACES = st.integers(0, 20)
HOOKS = st.sampled_from(
    [
        *("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"),
        *("on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"),
        *("on_epoch_end", "on_train_end"),
    ]
)
COMPILED = {
    "optimizer": optimizers(),
    "loss": st.sampled_from(["mse", "own", "huber"]),
    "metrics": st.sampled_from([[], ["mae"], ["own", "mae"]]),
}
FITS = {
    "batch_size": SIZES,
    "epochs": st.integers(1, 3),
    "shuffle": st.booleans(),
    "kind": KIND,
    "weighted": st.booleans(),
    "validated": st.booleans(),
}


class Worlds(RuleBasedStateMachine):
    """Call the same in all worlds; compare their results."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.folder = self.open.enter_context(tempfile.TemporaryDirectory())
        self.open.enter_context(all_in_c())
        self.open.enter_context(lacked())

    @initialize(make=st.sampled_from([*MODELS]), **COMPILED)
    def begin(self, make, **compiled):
        self.tensors = live()
        roads = [(tn, road) for road in ROADS] + ([(keras, "")] if keras else [])
        self.worlds = [World(*road, MODELS[make], self.folder) for road in roads]
        self.compiled: dict[str, Any] = {}  # by model, what it was compiled with
        self.stale: set[str] = set()  # models that have to be compiled before they are trained
        self.compile_as("main", **compiled)

    # -- how calls are made --

    @property
    def ours(self) -> list[World]:
        return [world for world in self.worlds if not world.is_keras]

    def all(self, call: Callable[..., Any], worlds: Any = None, **drawn: Any) -> Any:
        """Call in all worlds, whose results must agree; return that of the first one."""
        first, *others = worlds or self.worlds
        found = first.do(call, **drawn)
        for world in others:
            print(call.__name__, drawn, world)  # pytest shows it after a failure
            assert_agree(world.do(call, **drawn), found, RTOL)
        return found

    def of(self, which: str, trains: bool = False) -> str:
        """Return the model if there is one, else the main one; compile it if that is necessary."""
        which = which if which in self.compiled else "main"
        if trains and which in self.stale:
            self.compile_as(which, **self.compiled[which])
        return which

    def of_stoppable(self, which: str) -> str | None:
        """Return the model, unless the end of `fit` replaces its weights by averages.

        Keras does that on JAX after an error, too, unlike on its other backends.
        """
        which = self.of(which, trains=True)
        return None if "use_ema" in self.compiled[which]["optimizer"][1] else which

    def compile_as(self, which: str, **options: Any) -> None:
        self.compiled[which] = options
        self.stale.discard(which)
        self.all(compile_, which=which, **options)

    # -- rules --

    @rule(which=WHICH, options=st.fixed_dictionaries(COMPILED))
    def compile(self, which, options):
        self.compile_as(self.of(which), **options)

    @rule(which=WHICH, options=st.fixed_dictionaries(FITS))
    def fit(self, which, options):
        self.all(fit, which=self.of(which, trains=True), **options)

    @rule(which=WHICH, sizes=st.lists(st.sampled_from([2, 3, 8]), min_size=1, max_size=4))
    def fit_generator(self, which, sizes):
        self.all(fit_generator, which=self.of(which, trains=True), sizes=sizes, fails=False)

    @rule(which=WHICH, kind=KIND, size=SIZES)
    def evaluate(self, which, kind, size):
        self.all(evaluate, which=self.of(which), kind=kind, batch_size=size)

    @rule(which=WHICH, kind=KIND, size=SIZES)
    def predict(self, which, kind, size):
        self.all(predict, which=self.of(which), kind=kind, batch_size=size)

    @rule(which=WHICH, size=st.sampled_from([2, 3, 8]), weighted=st.booleans())
    def on_batch(self, which, size, weighted):
        self.all(on_batch, which=self.of(which, trains=True), size=size, weighted=weighted)

    @rule(which=WHICH, factor=st.sampled_from([0.5, 1.2]))
    def set_weights(self, which, factor):
        self.all(set_weights, which=self.of(which), factor=factor)

    @rule(which=WHICH, place=PLACES, value=st.sampled_from([0.1, -0.5]))
    def assign(self, which, place, value):
        self.all(assign, which=self.of(which), place=place, value=value)

    @rule(which=WHICH, rate=st.sampled_from([0.001, 0.05]))
    def set_learning_rate(self, which, rate):
        self.all(set_learning_rate, which=self.of(which), rate=rate)

    @rule(which=WHICH, place=PLACES, value=st.booleans())
    def set_trainable(self, which, place, value):
        self.all(set_trainable, which=self.of(which), place=place, value=value)
        self.stale |= {*self.compiled}

    @rule(which=WHICH, place=PLACES)
    def train_a_copy_after_a_change_of_trainable(self, which, place):
        """Without another `compile`, which Keras would demand."""
        self.all(frozen_copy, self.ours, which=self.of(which, trains=True), place=place)

    @rule(which=WHICH, way=st.sampled_from(["keras", "pickle", "copy", "weights"]))
    def save_and_load(self, which, way):
        which = self.of(which, trains=True)
        if not self.worlds[0].models[which].optimizer.built:  # Keras cannot load such a file
            self.all(on_batch, which=which, size=2, weighted=False)
        if way in ("pickle", "copy") and "twin" in self.compiled:
            way = "keras"  # a copy does not share a layer, which the model of Keras would
        self.all(save_and_load, which=which, way=way)

    @rule(options=st.fixed_dictionaries(COMPILED))
    def twin(self, options):
        self.all(twin)
        self.compile_as("twin", **options)
        for which in ("main", "twin", "main", "twin"):
            self.on_batch(which, size=3, weighted=False)

    @rule(by=st.integers(1, 2))
    def change_roads(self, by):
        """Let each model of tinynet take the road of another one, without `compile`."""
        roads = [world.road for world in self.ours]
        for i, world in enumerate(self.ours):
            world.road = roads[(i + by) % len(roads)]
            for model in world.models.values():
                for name, value in world.options().items():
                    setattr(model, name, value)

    @rule(which=WHICH, hook=HOOKS, count=st.integers(1, 5), error=st.sampled_from([0, 1]))
    def stopped_by_a_callback(self, which, hook, count, error):
        error = [PlannedError, KeyboardInterrupt][error]
        if which := self.of_stoppable(which):
            self.all(stopped, which=which, hook=hook, count=count, error=error)

    @rule(which=WHICH, world=st.integers(0, 2), line=st.integers(1, 900))
    def interrupted(self, which, world, line):
        chosen = self.ours[world]
        if not (which := self.of_stoppable(which)):
            return
        self.all(until, which=which, steps=6)  # so that the line is not one of a first call
        steps = chosen.do(interrupted, which=which, line=line)
        others = [w for w in self.worlds if w is not chosen]
        # Before the first step it is as if `fit` had not been called.
        self.all(until, self.worlds if steps == 0 else others, which=which, steps=steps)

    @rule(which=WHICH, sizes=st.lists(st.sampled_from([2, 3, 8]), max_size=4))
    def stopped_by_a_generator(self, which, sizes):
        if sizes and (which := self.of_stoppable(which)):
            self.all(fit_generator, which=which, sizes=sizes, fails=True)

    @rule(which=WHICH, part=st.sampled_from([*BROKEN]), method=st.sampled_from([*CALLS]))
    def stopped_by_a_part(self, which, part, method):
        drawn = {"which": self.of(which, trains=True), "method": method}
        self.all(usual, **drawn)
        found = self.all(broken, self.ours, part=part, **drawn)
        if keras and not (isinstance(found, str) and found == "PlannedError"):
            assert_agree(self.worlds[-1].do(usual, **drawn), found, RTOL)

    # -- after each rule --

    @invariant()
    def states_agree(self):
        first, *others = [world.state() for world in self.worlds]
        for world, state in zip(self.worlds[1:], others, strict=True):
            print(world)
            assert_agree(state, first, RTOL)

    @invariant()
    def few_steps_are_kept(self):
        caches = [
            x for w in self.ours for model in w.models.values() for x in model._steps.values()
        ]
        assert all(len([*cache._steps]) <= CACHE_SIZE for cache in caches)

    def teardown(self) -> None:
        """Assert that models hold few tensors, and that none is left when they are gone."""
        self.open.close()
        if not hasattr(self, "tensors"):
            return  # `begin` failed
        models = [model for world in self.ours for model in world.models.values()]
        variables = sum(len(m.variables) + len(m.optimizer.variables) for m in models)
        assert live() - self.tensors <= 4 * variables
        gone = [*map(weakref.ref, models)]
        del self.worlds, models
        assert live() <= self.tensors
        assert not any(model() for model in gone)


TestWorlds = Worlds.TestCase
TestWorlds.settings = settings(
    stateful_step_count=12, max_examples=settings.default.max_examples // 3
)
TestWorlds.pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data"),
    pytest.mark.filterwarnings("ignore:Error reading persistent compilation cache entry"),
]
