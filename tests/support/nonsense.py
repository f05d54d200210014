"""Nonsense arguments for the whole public surface, which is found by introspection.

`python tests/support/nonsense.py 20000 7` tries 20,000 calls, drawn with the seed 7, and prints the
bad answers. Functions, constructors, methods, and functions that functions return are called with
valid arguments, of which one is replaced by nonsense. An answer is good if the call works, or if it
raises a documented kind of exception in words of the package, which name the argument or show what
was received, and say what was expected; and if then nothing has changed: no attribute of the
object, no number in it or in an argument, no global setting.
"""

import gc
import inspect
import io
import os
import random
import re
import signal
import socket
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout, suppress
from functools import cached_property, partial
from types import FunctionType, ModuleType
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from faults import PACKAGE

import tinynet as tn
from tinynet.engine.bind import modes
from tinynet.layers.merging import Merge

GOOD = (
    AssertionError,
    ValueError,
    TypeError,
    NotImplementedError,
    IndexError,
    KeyError,
    ImportError,
    OSError,
)
# The class `KerasTensor` is public for `isinstance` alone. The second function would hide the
# objects of the others.
UNSAFE = {"KerasTensor", "clear_session"}
# What is computed again when it is needed.
UNSEEN = {"_tensor", "_seen", "__weakref__", "__dict__", "_steps", "_corrections"}
UNSEEN |= {"_memory", "version", "_objective", "_writers"}
VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "NaN": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-1": lambda: -1,
    "10 ** 30": lambda: 10**30,
    "1.5": lambda: 1.5,
    "a word": lambda: "nonsense",
    "bytes": lambda: b"\xff",
    "object": lambda: object(),
    "a class": lambda: dict,
    "a list": lambda: [1, None, "a"],
    "a dict": lambda: {"a": [1]},
    "an empty array": lambda: np.zeros((0, 2)),
    "an array of objects": lambda: np.array([None, "a"], object),
    "complex": lambda: 1j,
    "unsigned": lambda: np.uint8(3),
    "a function": lambda: len,
    "deep": lambda: [[[[]]]],
}


def model(features: int = 2) -> Any:
    made = tn.Sequential([tn.Input((features,)), tn.layers.Dense(1, kernel_initializer="ones")])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


def functional() -> Any:
    x = tn.Input((2,))
    return tn.Model(x, tn.layers.Dense(1)(x))


def built() -> Any:
    sgd = tn.optimizers.SGD()
    sgd.build(model().trainable_variables)
    return sgd


def shards() -> str:
    os.makedirs("shards", exist_ok=True)
    np.save("shards/a.x.npy", X)
    return "shards"


def recorded(features: int) -> Any:
    made = tn.callbacks.WeightHistory()
    model(features).fit(np.ones((2, features)), Y, epochs=2, verbose=0, callbacks=[made])
    return made


def cosine() -> Any:
    return tn.optimizers.schedules.CosineDecay(0.5, 10)


def summed(x: Any, *more: Any) -> Any:
    return tn.ops.sum(x * x)


X, Y, PLACE = np.ones((2, 2)), np.ones((2, 1)), tn.Input((2,))

SLOTS = ("momentum", "velocity", "accumulator", "norm", "average_gradient", "velocity_hat")
SCALARS = dict.fromkeys(("learning_rate", "alpha", "ahead", "gradient_share", "correction"), 0.5)
SCALARS |= {"ema_momentum": 0.5, "ema_share": 0.5}

# Valid arguments: names of parameters, perhaps after that of the function or class that has them,
# and an expression. Of other parameters it is an array of ones with shape (2, 2).
TABLE = """
f fn function impl thing primals.f: summed
map.function: abs
map.cases: []
activations.serialize.activation Activation.activation: tn.activations.relu
dtype set_floatx.value: "float32"
shape target_shape: (2,)
input_shape: (None, 2)
Add.input_shape Concatenate.input_shape Subtract.input_shape: [(None, 2)] * 2
add.inputs average.inputs concatenate.inputs maximum.inputs minimum.inputs: [np.ones((2, 2))] * 2
multiply.inputs subtract.inputs Add.inputs Average.inputs Concatenate.inputs: [np.ones((2, 2))] * 2
Maximum.inputs Minimum.inputs Multiply.inputs Subtract.inputs xs stack.x: [np.ones((2, 2))] * 2
seed steps k n num_classes N axis2 destination shift repeats stop units: 1
batch epoch initial_epoch step current target start index_in_weight processes num: 1
axis axis1 source arange.start: 0
set_epsilon.value rate stddev scale share minimum: 0.5
initial_learning_rate learning_rate schedule fill_value x_min decay_rate: 0.5
getitem.index: (0, 1)
take.indices take_along_axis.indices: np.zeros((2, 2), int)
reshape.newshape: (4,)
Tensor.reshape.n: 4
Tensor.transpose.n: (1, 0)
indices_or_sections pad_width: 1
searchsorted.sorted_sequence: np.arange(3.0)
subscripts: "ij,jk->ik"
cholesky.x inv.x solve.a: np.eye(2)
where.x1 where.x2 x_max: 1.5
decay_steps first_decay_steps: 10
PiecewiseConstantDecay.boundaries: [1, 2]
PiecewiseConstantDecay.values: [0.5, 0.2, 0.1]
set_distribution.value noise_shape identifier minimum input_signature: None
mask_for.x: tn.ops.ones((2, 2))
title argument what get_registered_object.name primitive.name: "dense"
add_weight.shape add_variable.shape: ()
compute_loss.y_pred compute_metrics.y_pred: Y
Optimizer.apply.trainable_variables: None
grads_and_vars: [(np.ones((2, 1)), tn.Variable(np.ones((2, 1))))]
variables: []
var_list: []
variable: tn.Variable(np.ones((2, 1)))
decays: True
Slotted.scalars update.scalars stepped.scalars averaged.scalars: SCALARS
update.slots stepped.slots: {name: tn.ops.ones((2, 2)) for name in SLOTS}
update.param update.grad stepped.param stepped.grad average averaged.param: tn.ops.ones((2, 2))
scalars_at.steps: range(1, 3)
write.state updated.state: []
updated.grads: {}
optimizer_variables: [v.numpy() for v in built().variables]
stateless_apply.trainable_variables: [np.ones((2, 1)), np.ones(1)]
Layer.trainable_variables Layer.non_trainable_variables: []
BackupAndRestore.backup_dir: "backup"
CSVLogger.filename: "log.csv"
LearningRateScheduler.schedule: lambda epoch: 0.5
set_params.params: {"verbose": 0, "epochs": 1, "steps": 1}
Shards.folder: shards()
sparse_categorical_crossentropy.y_true SparseCategoricalCrossentropy.y_true: np.ones(2)
sparse_categorical_accuracy.y_true sparse_top_k_categorical_accuracy.y_true: np.ones(2)
Functional.inputs Functional.outputs: PLACE
load_model.filepath: "saved.keras"
animate_descent.model: model(1)
animate_descent.x animate_descent.y: Y
animate_descent.history: recorded(1)
animate_descent.frames animate_descent.resolution: 2
loss_surface.resolution plot_loss_surface.resolution: 2
Tensor.swapaxes.args Tensor.searchsorted.args: 1
broadcast_to.shape: (2, 2)
einsum.subscripts: "ij->i"
einsum.operands: np.ones((2, 2))
flat_sequence: [np.ones((2, 2))]
get_file.origin: "http://localhost/x"
loss_surface.y plot_loss_surface.y plot_fit.y: Y
plot_history.history: {"loss": [1.0]}
vjp().ct: 1.0
SKLearnClassifier.fit.y: np.array([0, 1])
SKLearnRegressor.fit.y SKLearnTransformer.fit.y: np.ones(2)
loss: 0.5
Tensor.dot.args: np.ones((2, 2))
Tensor.repeat.args: 1
GroupNormalization.groups: 1
state_tree: {}
of_batches.mode: "train"
config custom_objects module_objects params: {}
metrics.deserialize.config: "mse"
schedules.deserialize.config: tn.optimizers.schedules.serialize(cosine())
learning_rate_schedule: cosine()
initializer: tn.initializers.Ones()
regularizer: tn.regularizers.L2()
constraint: tn.constraints.NonNeg()
metric: tn.metrics.Mean()
optimizer: tn.optimizers.SGD()
model: model()
layer: tn.layers.Dense(1)
get_registered_name.obj: tn.layers.Dense
obj: summed
weights: [np.ones((2, 1)), np.ones(1)]
Layer.set_weights.weights: []
filepath: "model.keras"
save_weights.filepath load_weights.filepath: "model.weights.npz"
path: "kernel"
export.format: "numpy"
export.verbose: 0
json_string: model().to_json()
metric_variables: [0.0]
Mean.metric_variables: [0.0, 0.0]
primals tangents vectors check_grads.args: (np.ones((2, 2)),)
vjp.primals Tensor.take.args: 1
plot_graph.args grad().args value_and_grad().args hessian().args jacobian().args: 1.0
elementwise_grad().args vmap().args: np.ones((2, 2))
Input.shape InputLayer.shape InputLayer.from_config.shape: (2,)
from_config.config: {}
InputLayer.from_config.config: {"shape": (2,)}
Model.from_config.config Sequential.from_config.config: model().get_config()
Functional.from_config.config: functional().get_config()
Optimizer.from_config.config: {"learning_rate": 0.5}
build_from_config.config: {"input_shape": (None, 2)}
fit.x evaluate.x explain_step.x: X
fit.y evaluate.y train_on_batch.y test_on_batch.y max_learning_rate.y explain_step.y: Y
compute_loss.y compute_loss.y_pred compute_metrics.y compute_metrics.y_pred: Y
fit.verbose evaluate.verbose predict.verbose: 0
Model.loss_surface.y plot_loss_surface.y check_model_grads.y: Y
train_step.data test_step.data prepared.batch: (X, Y)
predict_step.data: X
get_layer.index: 0
Model.export.format: "numpy"
grads: [np.ones((2, 1)), np.ones(1)]
"""
VALID = {
    name: compile(line.partition(": ")[2], name, "eval")
    for line in TABLE.strip().splitlines()
    for name in line.partition(": ")[0].split()
}
MAKERS: dict[str, Callable[[], Any]] = {
    "Model": model,
    "Functional": functional,
    "Sequential": model,
    "Tensor": lambda: 2.0 * tn.tensor(X, requires_grad=True),
    "Explanation": lambda: model().explain_step(X, Y),
}


def ready(made: Any) -> Any:
    """Return an object of which the methods can be called: built, trained or set."""
    if isinstance(made, tn.layers.Layer):
        with suppress(NotImplementedError):
            made([X, X] if isinstance(made, Merge) else X)
    elif isinstance(made, tn.optimizers.Optimizer):
        made.build(model().trainable_variables)
    elif isinstance(made, tn.callbacks.Callback):
        made.set_model(model())
        made.set_params({"verbose": 0, "epochs": 1, "steps": 1})
        with suppress(ValueError):  # of `SwapEMAWeights`
            made.on_train_begin({})
    elif hasattr(made, "warm_start"):  # an estimator of scikit-learn
        made.fit(X, np.array([0, 1]))
    return made


VARIABLE = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


class Call(NamedTuple):
    """A public callable with parameters."""

    name: str
    make: Callable[[], tuple[Any, Any]]  # returns the object whose method it is, and the callable
    parameters: tuple[inspect.Parameter, ...]

    def given(self) -> dict[str, Any]:
        """Return valid arguments for parameters that have no default, or are in `VALID`."""
        *_, owner, own = ("", *self.name.split("."))
        found: dict[str, Any] = {}
        for p in self.parameters:
            keys = f"{owner}.{own}.{p.name}", f"{own}.{p.name}", f"{owner}.{p.name}"
            needed = p.default is p.empty and p.kind not in VARIABLE
            known = [VALID[key] for key in (*keys, *[p.name] * needed) if key in VALID]
            if known or needed:
                found[p.name] = eval(known[0], globals()) if known else np.ones((2, 2))
        return found

    def run(self, function: Any, given: dict[str, Any]) -> Any:
        """Call `function`; arguments are named, except those that cannot be."""
        named, first = dict(given), []
        several = any(p.kind is p.VAR_POSITIONAL and p.name in given for p in self.parameters)
        for p in self.parameters:
            if p.kind is p.VAR_KEYWORD and p.name in named:
                named["unknown"] = named.pop(p.name)
            elif p.name in named and (
                p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)
                or (several and p.kind is p.POSITIONAL_OR_KEYWORD)
            ):
                first.append(named.pop(p.name))
        return function(*first, **named)


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the public functions and classes of a module, and of the modules in it."""
    for name in dir(module):
        thing = getattr(module, name)
        if isinstance(thing, ModuleType) and thing.__name__.startswith("tinynet"):
            yield from public(thing)
        elif callable(thing):
            yield f"{module.__name__}.{name}".partition(".")[2], thing


def methods(cls: type) -> Iterator[str]:
    """Yield the names of the methods that tinynet defines for a class."""
    for name in dir(cls):
        home = next(c for c in cls.__mro__ if name in vars(c))
        is_public = name[0] != "_" or name == "__call__"
        is_public &= not name.endswith("_request")  # scikit-learn's
        if is_public and home.__module__.startswith("tinynet") and callable(getattr(cls, name)):
            yield name


def signature(function: Any) -> tuple[inspect.Parameter, ...]:
    try:
        return tuple(inspect.signature(function).parameters.values())
    except ValueError:  # of a class of Python
        return ()


def surface() -> list[Call]:
    """Return all public callables that have parameters, each once: methods where they are new."""
    found, seen = [], set()
    for name, thing in public(tn):
        if thing in seen or name.rpartition(".")[2] in UNSAFE:
            continue
        seen.add(thing)
        own = Call(name, lambda thing=thing: (None, thing), signature(thing))
        found.append(own)
        for method in methods(thing) if isinstance(thing, type) else ():
            function = inspect.getattr_static(thing, method)
            if function not in seen:
                seen.add(function)
                is_bound = isinstance(function, (classmethod, staticmethod))
                parameters = signature(getattr(thing, method))[0 if is_bound else 1 :]
                found.append(Call(f"{name}.{method}", partial(bound, own, method), parameters))
        if isinstance(thing, FunctionType) and "." not in name:
            for i, function in enumerate(functions_in(own)):
                make = partial(lambda own, i: (None, functions_in(own)[i]), own, i)
                found.append(Call(f"{name}()", make, signature(function)))
    return [call for call in found if call.parameters]


def functions_in(call: Call) -> list[Any]:
    """Return the functions that a valid call returns."""
    try:
        return [*tn.tree.instances(FunctionType, (call.run(call.make()[1], call.given()),))]
    except GOOD:
        return []


def bound(made: Call, method: str) -> tuple[Any, Any]:
    """Return a new object of a class, and its method."""
    maker = MAKERS.get(made.name.rpartition(".")[2])
    owner = ready(maker() if maker else made.run(made.make()[1], made.given()))
    return owner, getattr(owner, method)


def frozen(thing: Any, path: str, found: dict[str, Any], seen: dict[int, Any]) -> dict[str, Any]:
    """Add to `found` what can be compared of a thing, and of its parts, by their paths."""
    simple = (str, bytes, int, float, complex, type(None), np.generic, np.dtype)
    if isinstance(thing, simple) or id(thing) in seen:
        found[path] = repr(thing) if isinstance(thing, simple) else id(thing)
        return found
    seen[id(thing)] = thing
    parts: dict[str, Any] = {}
    if isinstance(thing, np.ndarray):
        found[path] = thing.dtype, thing.shape, thing.tobytes()
    elif isinstance(thing, dict):
        parts = {repr(key): value for key, value in thing.items()}
    elif isinstance(thing, (set, frozenset)):
        found[path] = {*map(id, thing)}
    elif isinstance(thing, (list, tuple)):
        parts = {str(i): value for i, value in enumerate(thing)}
    elif isinstance(thing, type) or not type(thing).__module__.startswith("tinynet"):
        found[path] = id(thing)
    else:
        slots = (name for c in type(thing).__mro__ for name in getattr(c, "__slots__", ()))
        names = {*getattr(thing, "__dict__", ()), *slots} - UNSEEN
        # A first step makes slots of 0, also one that is then refused.
        names -= {"_slots", "groups", "built"} if isinstance(thing, tn.Optimizer) else set()
        names = {n for n in names if not isinstance(getattr(type(thing), n, 0), cached_property)}
        parts = {name: getattr(thing, name, None) for name in sorted(names)}
    if isinstance(thing, (dict, list)):
        found[f"{path}: "] = [*parts]
    for name, part in parts.items():
        frozen(part, f"{path}.{name}", found, seen)
    return found


def state(owner: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a call must not change if it is refused."""
    found = frozen(given, "argument", frozen(owner, "object", {}, {}), {})
    return found | {"settings": (tn.backend.floatx(), tn.backend.epsilon(), modes.grad)}


def answer(call: Call, owner: Any, function: Any, argument: str, what: str) -> str | None:
    """Return what is bad about the answer to a call with one wrong argument, "" if it is good.

    None if the call worked.
    """
    value, given = VALUES[what](), call.given()
    before = state(owner, given)
    try:
        call.run(function, {**given, argument: value})
    except GOOD as error:
        after = state(owner, given)
        if changed := [key for key in before if before[key] != after.get(key)]:
            return f"changed {changed[:3]}: {type(error).__name__}: {str(error)[:60]}"
        is_named = any(p.name == argument and p.kind not in VARIABLE for p in call.parameters)
        return complaint(error, argument if is_named else "", value)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:90]}"
    return None


def complaint(error: Exception, argument: str, value: Any) -> str:
    """Return what is bad about the words of an error."""
    text, last = str(error), traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, NotImplementedError) or "no network" in text or last.name == "summed":
        return ""  # a base class, or the error of a user's own function
    if "unexpected keyword argument" in text or "sklearn" in last.filename:  # in their own words
        return ""
    if isinstance(error, AssertionError) and "check_grads" in text:  # which is its answer
        return ""
    if isinstance(error, (KeyError, UnicodeError, AssertionError)) or not re.search(
        OURS, last.filename
    ):
        return f"{type(error).__name__} from {last.filename[-30:]}: {text[:90]}"
    shown = any(form in text for form in (repr(value)[:20], str(value)[:20], type(value).__name__))
    is_named = shown or re.search(rf"\b{argument}\b", text)
    if re.search(COMPLETE, text) or (is_named and re.search(WORDS, text, re.I)):
        return ""
    return f"{type(error).__name__} says little: {text[:120]}"


OURS = f"{re.escape(PACKAGE)}|{re.escape(os.path.basename(__file__))}"
COMPLETE = r"(?is)(expected|must|missing|is built for).*(received|found)|received.*expected"
COMPLETE += r"|\(\) of shape|Received: |Invalid dtype: .*expected"
WORDS = r"received|expected|must|not|unknown|\bno\b|need|make sure|missing|takes|scope"
SECONDS = 60  # after which a call hangs


def hangs(*_: Any) -> None:
    raise RuntimeError("hangs")


def no_network(*_: Any, **__: Any) -> Any:
    raise OSError("no network in this test: not connected")


def bad_answers(count: int, seed: int, rooms: str = "") -> tuple[list[str], int]:
    """Return the bad answers to `count` drawn calls, and how many calls there could be."""
    rows = [(c, p.name) for c in surface() if c.name.startswith(rooms) for p in c.parameters]
    # Many epochs take long.
    skipped = {("epochs", "10 ** 30"), ("steps", "10 ** 30"), ("order", "10 ** 30")}
    pairs = [(*row, what) for row in rows for what in VALUES if (row[1], what) not in skipped]
    drawn = random.Random(seed)
    chosen = drawn.sample(pairs, min(count, len(pairs)))
    chosen.sort(key=lambda row: row[0].name)
    found = []
    here, before = os.getcwd(), signal.signal(signal.SIGALRM, hangs)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(gc.collect)  # while warnings are ignored: of an animation that nobody showed
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(mock.patch.object(socket, "create_connection", no_network))
        stack.enter_context(mock.patch("builtins.input", return_value="n"))
        os.chdir(stack.enter_context(tempfile.TemporaryDirectory()))
        model().save("saved.keras")
        model().save_weights("model.weights.npz")
        stack.enter_context(mock.patch.dict(os.environ, KERAS_HOME=os.getcwd()))
        last: Any = None
        try:
            for call, argument, what in chosen:
                if last is None or last[0] is not call:
                    last = call, *call.make()
                signal.alarm(SECONDS)
                problem = answer(*last, argument, what)
                signal.alarm(0)
                if problem:
                    found.append(f"{call.name}({argument}={what}): {problem}")
                if problem != "":
                    last = None
                    tn.backend.set_floatx("float32")
                    tn.backend.set_epsilon(1e-7)
        finally:
            os.chdir(here)
            signal.signal(signal.SIGALRM, before)
    return found, len(pairs)


if __name__ == "__main__":
    bad, possible = bad_answers(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
    print(*bad, f"{len(bad)} bad answers; {possible} calls are possible", sep="\n")
