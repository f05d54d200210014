"""Nonsense arguments for the whole public surface, which is found by introspection.

`python tests/support/nonsense.py 20000 7` tries 20,000 calls, drawn with the seed 7, and prints the
bad answers. An answer is good if the call works, or if it raises a documented kind of exception,
with a message that names the argument or shows what was received, and no weight has changed.
"""

import contextlib
import inspect
import io
import os
import random
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from faults import PACKAGE

import tinynet as tn

GOOD = (ValueError, TypeError, NotImplementedError, IndexError, KeyError, ImportError, OSError)
ROOMS = (
    *("layers", "losses", "metrics", "optimizers", "optimizers.schedules", "callbacks", "ops"),
    *("initializers", "regularizers", "constraints", "activations", "utils", "saving", "random"),
)
UNSAFE = {
    "get_file",
    "clear_session",
    "get_custom_objects",
    "set_random_seed",
    "save_img",
    "seed",
    "KerasTensor",
}
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


def model() -> Any:
    made = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1, kernel_initializer="ones")])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


def methods() -> Iterator[tuple[str, Callable[[Any], Any], dict[str, Any]]]:
    """Yield methods of a model: a name, how to get it from a model, and valid arguments."""
    x, y = np.ones((4, 2)), np.ones((4, 1))
    folder = tempfile.mkdtemp()
    valid: dict[str, dict[str, Any]] = {
        "fit": {"x": x, "y": y, "verbose": 0},
        "evaluate": {"x": x, "y": y, "verbose": 0},
        "predict": {"x": x, "verbose": 0},
        "train_on_batch": {"x": x, "y": y},
        "test_on_batch": {"x": x, "y": y},
        "predict_on_batch": {"x": x},
        "compile": {},
        "set_weights": {"weights": [np.ones((2, 1)), np.ones(1)]},
        "save": {"filepath": f"{folder}/m.keras"},
        "save_weights": {"filepath": f"{folder}/m.weights.npz"},
        "load_weights": {"filepath": f"{folder}/m.weights.npz"},
        "get_layer": {"index": 0},
        "add": {"layer": tn.layers.Dense(1, name="last")},
        "build": {"input_shape": (None, 2)},
        "count_params": {},
        "compute_output_shape": {"input_shape": (None, 2)},
        "max_learning_rate": {"x": x, "y": y},
        "explain_step": {"x": x, "y": y},
    }
    model().save_weights(valid["load_weights"]["filepath"])
    for name, given in valid.items():
        yield f"Model.{name}", lambda made, name=name: getattr(made, name), given


def functions() -> Iterator[tuple[str, Callable[[Any], Any], dict[str, Any]]]:
    """Yield the public functions and classes of all rooms; a valid argument is an array or 1."""
    for room in ROOMS:
        module = tn
        for part in room.split("."):
            module = getattr(module, part)
        for name in dir(module):
            thing = getattr(module, name)
            if name[0] == "_" or not callable(thing) or name in UNSAFE:
                continue
            with contextlib.suppress(ValueError, TypeError):
                parameters = inspect.signature(thing).parameters.values()
                needed = [p.name for p in parameters if p.default is p.empty and p.kind in (0, 1)]
                first = np.ones((2, 2)) if room in ("ops", "activations") else 1
                given = dict.fromkeys(needed, first)
                yield f"{room}.{name}", lambda _, thing=thing: thing, given


def surface() -> list[tuple[str, Any, dict[str, Any], str]]:
    """Return each argument of each public callable: name, getter, valid arguments, argument."""
    rows = []
    for name, get, given in (*methods(), *functions()):
        for p in inspect.signature(get(model())).parameters.values():
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                rows.append((name, get, given, p.name))
    return rows


def answer(get: Any, given: dict[str, Any], argument: str, what: str) -> str | None:
    """Return what is bad about the answer to a call with one wrong argument; None if it is good."""
    made = model()
    before = made.get_weights()
    value = VALUES[what]()
    try:
        called = get(made)
        positional = [p.name for p in inspect.signature(called).parameters.values() if not p.kind]
        arguments = {**given, argument: value}
        first = [arguments.pop(name) for name in positional if name in arguments]
        called(*first, **arguments)
    except GOOD as error:
        text = str(error)
        last = traceback.extract_tb(error.__traceback__)[-1]
        if not all(map(np.array_equal, before, made.get_weights())):
            return "changed weights"
        if isinstance(error, (KeyError, UnicodeError)) or PACKAGE not in last.filename:
            return f"{type(error).__name__} from {os.path.basename(last.filename)}: {text[:90]}"
        named = argument in text or any(word in text.lower() for word in WORDS)
        return None if named else f"{type(error).__name__} says little: {text[:90]}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:90]}"
    return None


WORDS = ("received", "expected", "must", "not", "unknown", "of shape")


MOST_BAD = 0.03  # the share of bad answers that is known; the aim is none
SECONDS = 5  # after which a call hangs


def hangs(*_: Any) -> None:
    raise RuntimeError("hangs")


def bad_answers(count: int, seed: int, rooms: str = "") -> tuple[list[str], int]:
    """Return the bad answers to `count` drawn calls, and how many calls there could be."""
    rows = [row for row in surface() if row[0].startswith(rooms)]
    # Many epochs take long, and a file that is not to be overwritten is asked about.
    skipped = {("epochs", "10 ** 30"), *(("overwrite", what) for what in VALUES)}
    pairs = [(*row, what) for row in rows for what in VALUES if (row[-1], what) not in skipped]
    drawn = random.Random(seed)
    chosen = drawn.sample(pairs, min(count, len(pairs)))
    found = []
    here, before = os.getcwd(), signal.signal(signal.SIGALRM, hangs)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        os.chdir(folder)
        try:
            for name, get, given, argument, what in chosen:
                hidden = io.StringIO()
                with contextlib.redirect_stdout(hidden), np.errstate(all="ignore"):
                    signal.alarm(SECONDS)
                    problem = answer(get, given, argument, what)
                    signal.alarm(0)
                if problem:
                    found.append(f"{name}({argument}={what}): {problem}")
        finally:
            os.chdir(here)
            signal.signal(signal.SIGALRM, before)
    return found, len(pairs)


if __name__ == "__main__":
    bad, possible = bad_answers(int(sys.argv[1]), int(sys.argv[2]))
    print(*bad, f"{len(bad)} bad answers; {possible} calls are possible", sep="\n")
