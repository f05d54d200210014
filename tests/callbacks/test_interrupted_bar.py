"""Whatever ends a run, the next line of output begins at its start."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from helpers import over
from native import NATIVE

import tinynet as tn
from tinynet.callbacks import LambdaCallback

X, Y = np.ones((40, 2)), np.ones((40, 1))
ROADS = {"eager": {"run_eagerly": True}, "numpy": {}, "c": {"jit_compile": NATIVE}}
RUNS: dict[str, Callable] = {
    "fit": lambda model, fail: model.fit(X, Y, 4, 3, 1, [fail]),
    "evaluate": lambda model, fail: model.evaluate(X, Y, 4, 1, callbacks=[fail]),
    "predict": lambda model, fail: model.predict(X, 4, 1, callbacks=[fail]),
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@over(ROADS, "options")
@over(RUNS, "run")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_exception_ends_the_line_of_the_bar(options, run, error):
    model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)])
    model.compile("sgd", "mse", **options)
    ended = []

    def fail(batch, logs):
        ended.append(batch)
        if len(ended) == 13 or (len(ended) == 3 and run is not RUNS["fit"]):
            raise error

    hooks = ("on_train_batch_end", "on_test_batch_end", "on_predict_batch_end")
    shown = Terminal()
    with contextlib.redirect_stdout(shown), pytest.raises(error):
        run(model, LambdaCallback(**dict.fromkeys(hooks, fail)))
    assert shown.getvalue().endswith("\n")
    assert not shown.getvalue().endswith("\n\n")
    if run is RUNS["fit"]:
        assert len(model.history.history["loss"]) == 1  # of the epoch that ended
        assert len(ended) == 13
