"""Check every gradient yourself.

A gradient is easy to test: change a weight a little, and see how much the loss changes. That is
slow and only approximate, but it needs no calculus, and it catches any mistake in the calculus.
Here it is done by hand for one neuron, then for a whole network by `check_model_grads`. Last, a
rule is broken on purpose, to show that the check notices it.

    python examples/06_check_gradients.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.models import Sequential
from tinynet.viz.style import VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None


def by_hand(x, y):
    """Return the gradient of a neuron's loss at w = 2, and its approximations by small changes."""

    def loss(w):
        return tn.ops.mean((tn.ops.sigmoid(w * x) - y) ** 2)

    exact = tn.grad(loss)(tn.tensor(np.array(2.0))).item()
    moves = 10.0 ** -np.arange(1, 13)
    found = [(loss(2.0 + h).item() - loss(2.0 - h).item()) / (2 * h) for h in moves]
    print(f"the gradient by tinynet:  {exact:.12f}")
    for h, estimate in zip(moves[::3], found[::3], strict=True):
        print(f"w changed by {h:7.0e}:     {estimate:.12f}")
    return exact, moves, np.array(found)


def check_network(x, y):
    """Check all gradients of a network of three layers; raise AssertionError if one is wrong."""
    hidden = [Dense(4, activation="tanh"), Dense(3, activation="sigmoid")]
    model = Sequential([Input((2,)), *hidden, Dense(1)])
    model.compile("sgd", loss="mse")
    tn.check_model_grads(model, x, y, order=2)
    print(f"all {model.count_params()} gradients of a network and their derivatives are correct")


def wrong_sine(x):
    """Return the sine, but detached from the gradient: as if its rule were missing."""
    return tn.ops.sin(x.detach()) + 0.0 * x


def main(out="."):
    """Run the example; return the results, which the tests check."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal(50), rng.random(50)
    exact, moves, found = by_hand(x, y)

    check_network(rng.standard_normal((6, 2)), rng.standard_normal((6, 1)))

    tn.check_grads(tn.ops.sin, ([0.5, 1.0],))
    try:
        tn.check_grads(wrong_sine, ([0.5, 1.0],))
    except AssertionError as error:
        complaint = str(error)
    print(f"the check of a rule that is broken on purpose:\n{complaint}")

    path = Path(out) / "check_gradients.png"
    fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    ax.loglog(moves, abs(found - exact), "o-", color=VERMILION)
    ax.text(2e-3, 1e-7, "too large:\nthe loss is curved", ha="right")
    ax.text(3e-10, 1e-6, "too small:\nnumbers have 16 digits")
    ax.set(xlabel="change of the weight", ylabel="error of the gradient")
    ax.set_title("A gradient by small changes: small, but not too small")
    fig.savefig(path, dpi=100)
    plt.close(fig)
    print(f"picture: {path}")
    return {
        "data": (x, y),
        "exact": exact,
        "moves": moves,
        "found": found,
        "complaint": complaint,
        "picture": path,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
