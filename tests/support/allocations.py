"""Calls whose memory is refused at one moment, and what they leave behind.

`python allocations.py FOLDER MEMORY:MOST,... OPERATION...` refuses memory to each operation, once
in each child process, at about `MOST` moments that are spread evenly: at all of them for 0, or
if they are few. It prints what was found, a line of JSON for each child. `MEMORY` is a key of
`MEMORIES`.
"""

import ctypes
import faulthandler
import gc
import json
import os
import pickle
import random
import re
import resource
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn
from tinynet.compiler import toolchain
from tinynet.configs.files import memory as reading
from tinynet.engine.bind import modes
from tinynet.layers.symbolic import building, context

# -- memory that is refused ------------------------------------------------------------------------

# Allocators of NumPy and of Python, whose allocation number `left` fails.
ALLOCATORS = """
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
long left, seen;
static int fails(void) { seen++; return left > 0 && --left == 0; }

/* A `PyDataMem_Handler`. */
static void *get(void *none, size_t n) { return fails() ? NULL : malloc(n); }
static void *zeros(void *none, size_t n, size_t size) { return fails() ? NULL : calloc(n, size); }
static void *resize(void *none, void *p, size_t n) { return fails() ? NULL : realloc(p, n); }
static void drop(void *none, void *p, size_t n) { free(p); }
struct {
    char name[127];
    uint8_t version;
    void *none;
    void *(*get)(void *, size_t), *(*zeros)(void *, size_t, size_t);
    void *(*resize)(void *, void *, size_t);
    void (*drop)(void *, void *, size_t);
} handler = {"refusing", 1, NULL, get, zeros, resize, drop};

/* Python's allocators of its domains, and those that take their place. */
typedef struct {
    void *context, *(*get)(void *, size_t), *(*zeros)(void *, size_t, size_t);
    void *(*resize)(void *, void *, size_t);
    void (*drop)(void *, void *);
} domain;
domain usual[3];
#define OF(x) const domain *d = x
static void *get_of(void *x, size_t n) { OF(x); return fails() ? NULL : d->get(d->context, n); }
static void *zeros_of(void *x, size_t n, size_t size)
{
    OF(x);
    return fails() ? NULL : d->zeros(d->context, n, size);
}
static void *resize_of(void *x, void *p, size_t n)
{
    OF(x);
    return fails() ? NULL : d->resize(d->context, p, n);
}
static void drop_of(void *x, void *p) { OF(x); d->drop(d->context, p); }
#define REFUSING(i) {&usual[i], get_of, zeros_of, resize_of, drop_of}
domain refusing[] = {REFUSING(0), REFUSING(1), REFUSING(2)};
"""
KIND = b"mem_handler"  # of a capsule, which keeps a pointer to this name
SET_HANDLER = 304  # the place of `PyDataMem_SetHandler` in the table of NumPy's C API


@cache
def library() -> Any:
    return toolchain.load(ALLOCATORS)


def address(name: str, offset: int = 0) -> ctypes.c_void_p:
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(library(), name)) + offset)


class Counted:
    """Memory of which one allocation can be refused, by its number."""

    left: Any  # the number in C; to write to it needs no memory

    def moments(self, call: Callable[[], Any], fails: Callable[[int], bool]) -> int:
        """Return how many allocations a call makes."""

        def counted() -> dict[str, Any]:
            self.refuse(0)
            call()
            return {"count": ctypes.c_long.in_dll(library(), "seen").value}

        return outcome(counted)["count"]

    def refuse(self, moment: int) -> None:
        """Let one allocation fail, the one of this number from now on; none if it is 0."""
        self.take_place()
        self.left = ctypes.c_long.in_dll(library(), "left")
        ctypes.c_long.in_dll(library(), "seen").value = 0
        self.left.value = moment

    def allow(self) -> None:
        """Let no more allocations fail."""
        self.left.value = 0

    def take_place(self) -> None:
        """Become the allocator."""


class Arrays(Counted):
    """The memory of NumPy's arrays."""

    def take_place(self) -> None:
        """Become NumPy's allocator, in this thread."""
        function, pointer, python = ctypes.PYFUNCTYPE, ctypes.c_void_p, ctypes.pythonapi
        read = function(pointer, ctypes.py_object, ctypes.c_char_p)
        new = function(ctypes.py_object, pointer, ctypes.c_char_p, pointer)
        capsule = vars(np)["_core"]._multiarray_umath._ARRAY_API
        table = read(("PyCapsule_GetPointer", python))(capsule, None)
        place = ctypes.cast(table, ctypes.POINTER(pointer))[SET_HANDLER]
        set_handler = function(ctypes.py_object, ctypes.py_object)(place)
        set_handler(new(("PyCapsule_New", python))(address("handler"), KIND, None))


class Objects(Counted):
    """The memory of Python's objects."""

    def take_place(self) -> None:
        """Become Python's allocator in its three domains."""
        size = 5 * ctypes.sizeof(ctypes.c_void_p)
        for i in range(3):
            ctypes.pythonapi.PyMem_GetAllocator(i, address("usual", i * size))
        for i in range(3):
            ctypes.pythonapi.PyMem_SetAllocator(i, address("refusing", i * size))


class Space:
    """The address space of the process, of which a call may take some pages more."""

    pages = 200  # from one moment to the next

    def refuse(self, moment: int) -> None:
        """Limit the address space."""
        now = int(Path("/proc/self/statm").read_text().split()[0])
        most = (now + moment * self.pages) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

    def allow(self) -> None:
        """Lift the limit."""
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)

    def moments(self, call: Callable[[], Any], fails: Callable[[int], bool]) -> int:
        """Return by how many moments a call needs more space than there is."""
        last = 1
        while fails(last):
            last *= 2
        return last


MEMORIES: dict[str, Any] = {"arrays": Arrays(), "objects": Objects(), "space": Space()}

# -- models ----------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
Y = X[:, :1] - 2 * X[:, 1:2]
LARGE = np.random.default_rng(0).normal(size=(64, 1024)).astype("float32")
NATIVE = toolchain.compiler() is not None
ROADS: dict[str, dict[str, Any]] = {
    "eager": {"run_eagerly": True},
    "NumPy": {"jit_compile": False},
    "C": {"jit_compile": NATIVE},
}


def unbuilt() -> Any:
    tn.utils.clear_session()
    glorot = tn.initializers.GlorotUniform(seed=1)
    layers = [
        tn.layers.Dense(3, "tanh", kernel_initializer=glorot, kernel_regularizer="l2", name="in"),
        tn.layers.BatchNormalization(name="batch"),
        tn.layers.Dropout(0.3, seed=2, name="dropout"),
        tn.layers.Dense(1, kernel_initializer=glorot, kernel_constraint="max_norm", name="out"),
    ]
    return tn.Sequential(layers, name="model")


def built(**options: Any) -> Any:
    model = unbuilt()
    model.build((None, 3))
    metrics = ["mae", tn.metrics.R2Score()]
    model.compile(tn.optimizers.Adam(0.1), "mse", metrics=metrics, **options)
    return model


def trained(**options: Any) -> Any:
    model = built(**options)
    on_batch(0, model)
    return model


def large(**options: Any) -> Any:
    tn.utils.clear_session()
    dense = tn.layers.Dense(512, "relu", kernel_initializer=tn.initializers.HeNormal(seed=3))
    model = tn.Sequential([tn.Input((1024,)), dense])
    model.compile("adam", "mse", **options)
    return model


def state(model: Any) -> list[np.ndarray]:
    """Return the numbers of a model; slots that are not made yet are 0, as at the start."""
    optimizer, trains = model.optimizer, model.trainable_variables
    assert optimizer.built == bool(optimizer.groups), "The optimizer is half built."
    slots = [] if optimizer.built else [np.zeros(v.shape, v.dtype) for v in trains for _ in "mv"]
    return [*[v.numpy() for v in (*model.variables, *optimizer.variables)], *slots]


# -- operations ------------------------------------------------------------------------------------


class Operation(NamedTuple):
    """A call that needs memory.

    `make` returns a thing, `call` uses it and returns numbers, `state` returns those that the thing
    holds. `moves` lead the thing through all states that `call` may leave when it fails.
    """

    make: Callable[[], Any]
    call: Callable[[Any], Any]
    state: Callable[[Any], Any] = lambda thing: []
    moves: tuple[Callable[[Any], Any], ...] = ()


def once(make: Any, call: Any, state: Any) -> Operation:
    """Return an operation that changes the state, if it does, at once."""
    return Operation(make, call, state, (call,))


def fit(model: Any) -> Any:
    return model.fit(X, Y, batch_size=2, shuffle=False, verbose=0).history


def on_batch(at: int, model: Any) -> Any:
    return model.train_on_batch(X[at : at + 2], Y[at : at + 2])


def evaluate(model: Any) -> Any:
    return model.evaluate(X, Y, batch_size=2, verbose=0)


def predict(model: Any) -> Any:
    return model.predict(X, batch_size=2, verbose=0)


def fit_large(model: Any) -> Any:
    return model.fit(LARGE, LARGE[:, :512], batch_size=64, shuffle=False, verbose=0).history


def build(model: Any) -> Any:
    model.build((None, 3))


def compile_again(model: Any) -> Any:
    model.compile("sgd", "mae", jit_compile=False)
    return compiled_with(model)


def compiled_with(model: Any) -> list[Any]:
    return [type(model.optimizer).__name__, model.loss, model.jit_compile, model.compiled]


def set_weights(model: Any) -> None:
    model.set_weights([np.full(w.shape, 2.0) for w in model.weights])


@cache
def folder(process: int = 0) -> Path:
    return Path(tempfile.mkdtemp(dir=sys.argv[1]))


@cache
def saved(name: str) -> Path:
    path, model = folder() / name, trained()
    model.save(path) if name.endswith(".keras") else model.save_weights(path)
    return path


def load_weights(model: Any) -> None:
    model.load_weights(saved("m.weights.npz"))


def save(model: Any) -> Any:
    model.save(folder(os.getpid()) / "m.keras")
    return contents(model)


def contents(model: Any) -> Any:
    """Return the numbers in the files that this process has saved."""
    paths = folder(os.getpid()).iterdir()
    return [state(tn.models.load_model(path)) for path in paths if path.suffix != ".lock"]


def jitted(native: bool) -> Any:
    return tn.jit(lambda x: tn.ops.tanh(x @ x.T).sum(0), native=native)


def squares(w: Any) -> Any:
    return ((X @ w - Y) ** 2).sum()


class Training:
    """A training loop of a user's own."""

    def __init__(self) -> None:
        self.weight, self.adam = tn.Variable([[1.0], [2.0], [3.0]]), tn.optimizers.Adam(0.1)

    def step(self) -> Any:
        self.weight.zero_grad()
        squares(self.weight).backward()
        return self.adam.apply([self.weight.grad], [self.weight]).numpy()

    def state(self) -> Any:
        found = [v.numpy() for v in (self.weight, *self.adam.variables)]
        return found if self.adam.built else [*found, np.zeros((3, 1)), np.zeros((3, 1))]


START = [[1.0], [2.0], [3.0]]
OPERATIONS: dict[str, Operation] = {}
for _road, _options in ROADS.items():
    _make = partial(built, **_options)
    _steps = tuple(partial(on_batch, at) for at in (0, 2, 4))
    OPERATIONS |= {
        f"fit {_road}": Operation(_make, fit, state, _steps),
        f"first step {_road}": once(_make, partial(on_batch, 0), state),
        f"step {_road}": once(partial(trained, **_options), partial(on_batch, 0), state),
        f"evaluate {_road}": Operation(_make, evaluate, state),
        f"predict {_road}": Operation(_make, predict, state),
        f"large fit {_road}": once(partial(large, **_options), fit_large, state),
    }
OPERATIONS |= {
    "build": once(unbuilt, build, lambda m: m.get_weights() if m.built else []),
    "compile": once(built, compile_again, compiled_with),
    "set_weights": once(built, set_weights, state),
    "load_weights": once(built, load_weights, state),
    "load_model": Operation(list, lambda _: state(tn.models.load_model(saved("m.keras")))),
    "save": once(trained, save, contents),
    "pickle": Operation(trained, lambda m: state(pickle.loads(pickle.dumps(m))), state),
    "explain_step": Operation(
        built, lambda m: [[*row.values()] for row in m.explain_step(X[:2], Y[:2]).rows], state
    ),
    "max_learning_rate": Operation(built, lambda m: m.max_learning_rate(X[:2], Y[:2]), state),
    "jit NumPy": Operation(partial(jitted, False), lambda f: f(X).numpy()),
    "jit C": Operation(partial(jitted, NATIVE), lambda f: f(X).numpy()),
    "no_grad": Operation(list, tn.no_grad()(lambda thing: [])),
    "grad": Operation(list, lambda _: tn.grad(squares)(START).numpy()),
    "hessian": Operation(list, lambda _: tn.hessian(squares)(START).numpy()),
    "apply": once(Training, Training.step, Training.state),
}

# -- what is left ----------------------------------------------------------------------------------


def leftovers(thing: Any) -> list[str]:
    """Return what a call has left in the library's state, and the locks that it still holds."""
    found = [name for name, value in modes_now().items() if value != CLEAN[name]]
    locks = [building]
    if isinstance(thing, tn.Model):
        steps = [step for known in vars(thing).get("_steps", {}).values() for step in known._steps]
        locks += [thing.lock, *(step.executable._lock for step in steps)]

    def take() -> None:
        for lock in locks:
            if lock.acquire(blocking=False):
                lock.release()
            else:
                found.append(f"lock {lock}")

    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        found.append("Ctrl-C held back")
    thread = threading.Thread(target=take)  # to which no lock belongs yet
    thread.start()
    thread.join()
    return found


def modes_now() -> dict[str, Any]:
    found = {name: getattr(modes, name) for name in dir(modes) if not name.startswith("_")}
    found |= {name: getattr(context, name) for name in ("scope", "training", "inside")}
    return found | {"allocator": reading.allocator}


CLEAN = modes_now()


def same(found: Any, expected: Any) -> bool:
    """Return whether two structures of numbers are equal bit for bit."""
    if isinstance(expected, dict):
        return [*found] == [*expected] and all(same(found[k], expected[k]) for k in expected)
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    return np.array_equal(found, expected)


class Whole(NamedTuple):
    """A state that may be left, and what the next call returns and leaves."""

    state: Any
    returns: Any
    leaves: Any


def whole_states(operation: Operation) -> Iterator[Whole]:
    """Yield the states that an operation may leave."""
    for i in range(len(operation.moves) + 1):
        thing = operation.make()
        for move in operation.moves[:i]:
            move(thing)
        before = operation.state(thing)
        yield Whole(before, operation.call(thing), operation.state(thing))


def problem(operation: Operation, thing: Any, expected: list[Whole]) -> str:
    """Return what is wrong with a thing that a failed call has left; "" if nothing is."""
    if left := leftovers(thing):
        return f"It left {left}."
    now = operation.state(thing)
    known = [whole for whole in expected if same(now, whole.state)]
    if not known:
        return f"The state {now} is none of {[whole.state for whole in expected]}."
    return differences(operation, thing, operation.call(thing), known[0])


def differences(operation: Operation, thing: Any, result: Any, expected: Whole) -> str:
    """Return how the result of a whole call, and the state after it, differ from the expected."""
    pairs = {"returns": result, "leaves": operation.state(thing)}.items()
    wrong = ((how, x, getattr(expected, how)) for how, x in pairs)
    return " ".join(f"The call {how} {x}, not {y}." for how, x, y in wrong if not same(x, y))


def refused(
    operation: Operation, expected: list[Whole], thing: Any, memory: Any, moment: int
) -> dict[str, Any]:
    """Return what a call leaves to which memory is refused at a moment."""
    kinds, in_program = list[str](), False
    memory.refuse(moment)
    try:
        result = operation.call(thing)
    except BaseException as error:
        memory.allow()
        kinds = [type(error).__name__, str(error)]
        files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
        in_program = any(file.startswith("<tinynet") for file in files)
        found = problem(operation, thing, expected)
    else:  # nothing was refused, or Python or NumPy did without it
        memory.allow()
        found = differences(operation, thing, result, expected[0])
    return {"error": ": ".join(kinds), "problem": found, "in_program": in_program}


def outcome(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `call` returns in a child process, or how that ended."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.close(reading)
        faulthandler.enable(writing, all_threads=False)
        try:
            found = call()
        except BaseException:
            found = {"error": "", "problem": traceback.format_exc()}
        with os.fdopen(writing, "w") as pipe:
            json.dump(found, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    if text.startswith("{"):
        return json.loads(text)
    crash = re.search('File ".*', text)  # the innermost call of Python
    return {"error": f"crash: {crash[0]}" if crash else "", "problem": "" if crash else text}


FEW = 40  # moments, of which none is left out


def reports_of(
    name: str, expected: list[Whole], thing: Any, memory: str, most: int
) -> Iterator[dict[str, Any]]:
    """Yield what is found after memory was refused to an operation, for some moments or all."""
    operation = OPERATIONS[name]

    def report(moment: int) -> dict[str, Any]:
        about = {"operation": name, "memory": memory, "moment": moment}
        child = partial(refused, operation, expected, thing, MEMORIES[memory], moment)
        return about | outcome(child)

    call = partial(operation.call, thing)
    count = MEMORIES[memory].moments(call, lambda moment: bool(report(moment)["error"]))
    step = max(1, count // (most or count)) if count > FEW else 1
    first = random.Random(name).randint(1, step)
    yield from map(report, range(first, count + 1, step))


def main(memories: str, names: list[str]) -> None:
    """Print the reports. `memories` has names, each with how often that memory is refused."""
    flags = ("-O0" if flag.startswith("-O") else flag for flag in toolchain.FLAGS)
    toolchain.FLAGS = tuple(flags)  # compilers are quicker then
    for name in names or OPERATIONS:
        operation = OPERATIONS[name]
        expected, thing = [*whole_states(operation)], operation.make()
        gc.collect()
        gc.freeze()  # so that children share this memory
        for each in memories.split(","):
            memory, _, most = each.partition(":")
            for report in reports_of(name, expected, thing, memory, int(most)):
                print(json.dumps(report), flush=True)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    main(sys.argv[2], sys.argv[3:])
