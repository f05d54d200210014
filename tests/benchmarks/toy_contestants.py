"""A contestant for the tests of the benchmarks: NumPy by hand, with a chosen defect."""

import os
import sys
import time

from benchmarks.contestants import by_hand


def train(work, how="right"):
    """Return the fit of NumPy by hand, with the defect `how`."""
    if how == "raises":
        raise ValueError("first line\nboiled over")
    if how == "dies":
        print("some words\nlast words", file=sys.stderr, flush=True)
        os._exit(3)
    if how == "sleeps":
        time.sleep(600)
    if how == "prints":
        print("what a library has to say")
    if how == "other rate":
        work = work._replace(rate=work.rate * 1.5)
    fit = by_hand.train(work)
    if how == "dies when timed":
        return lambda epochs, shuffle: os._exit(4) if shuffle else fit(epochs, shuffle)
    if how == "no numbers":
        return lambda epochs, shuffle: (fit(epochs, shuffle)[0], [float("nan")] * epochs)
    return fit


def predict(work, how="right"):
    """Return the network, with wrong outputs if `how` is "other rate"."""
    call = by_hand.predict(work)
    return (lambda x: call(x) + 0.01) if how == "other rate" else call
