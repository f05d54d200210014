"""A recurrent network by hand, from NumPy-like functions and a dict of weights.

tinynet has no recurrent layers, but its functions are enough to write one. The network reads a
wave, one number at a time. It keeps a state, which each number changes, and predicts the next
number from the state. `tn.grad` differentiates through all steps in time, and `tn.jit` compiles
the loop. After training, the network continues a wave that it has never seen: it reads its own
predictions.

    python examples/15_recurrent.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.viz.style import BLUE, VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None

UNITS, READ, AHEAD = 20, 20, 30  # of the state; numbers that are read, and that are continued


def waves(count, length):
    """Return waves of random period, phase and height, as an array of shape (count, length)."""
    period, phase, height = np.random.uniform((8, 0, 0.5), (16, 2 * np.pi, 1), (count, 3)).T
    t = np.arange(length)[:, None]
    return (height * np.sin(2 * np.pi * t / period + phase)).T


def initial_weights():
    """Return the weights of the network by name."""
    return {
        "state": np.eye(UNITS) + 0.05 * np.random.randn(UNITS, UNITS),
        "input": 0.3 * np.random.randn(1, UNITS),
        "bias": np.zeros(UNITS),
        "output": 0.1 * np.random.randn(UNITS, 1),
    }


def step(w, state, x):
    """Return the next state and the prediction of the next number, for a batch of numbers."""
    state = np.tanh(state @ w["state"] + x @ w["input"] + w["bias"])
    return state, state @ w["output"]


def loss(w, batch):
    """Return the mean squared error of all predictions."""
    state, errors = np.zeros((len(batch), UNITS)), []
    for t in range(batch.shape[1] - 1):
        state, prediction = step(w, state, batch[:, t : t + 1])
        errors.append(prediction - batch[:, t + 1 : t + 2])
    return (np.concatenate(errors, axis=1) ** 2).mean()


def train(w, updates):
    """Return trained weights and the losses, by Adam written out."""
    value_and_grad = tn.jit(tn.value_and_grad(loss))
    mean = {name: np.zeros_like(value) for name, value in w.items()}
    square, losses = dict(mean), []
    for t in range(1, updates + 1):
        value, gradient = value_and_grad(w, waves(32, READ + AHEAD))
        losses.append(value.item())
        for name, g in gradient.items():
            g = g.numpy()
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.99 * square[name] + 0.01 * g * g
            slope = mean[name] / (1 - 0.9**t)
            w[name] = w[name] - 0.005 * slope / (np.sqrt(square[name] / (1 - 0.99**t)) + 1e-8)
    return w, losses


def continued(w, start, ahead):
    """Return the wave that the network expects to follow `start`."""
    state, numbers = np.zeros((1, UNITS)), [*start]
    for t in range(len(start) + ahead - 1):
        state, prediction = step(w, state, np.array([[numbers[t]]]))
        if t >= len(start) - 1:
            numbers.append(prediction.item())
    return np.array(numbers)


def main(out="."):
    """Run the example; return the results, which the tests check."""
    np.random.seed(0)
    w, losses = train(initial_weights(), 1500)
    last = np.mean(losses[-50:])
    print(f"mean squared error {losses[0]:.3f} before training, {last:.5f} after")
    shown = waves(3, READ + AHEAD)
    found = np.array([continued(w, wave[:READ], AHEAD) for wave in shown])
    error = np.sqrt(np.mean((found - shown)[:, READ:] ** 2))
    print(f"three new waves, continued by {AHEAD} numbers: error {error:.3f} (root mean square)")

    path = Path(out) / "recurrent.png"
    draw(path, shown, found)
    print(f"picture: {path}")
    return {"weights": w, "losses": losses, "waves": shown, "found": found, "picture": path}


def draw(path, shown, found):
    """Save a picture of the waves and of their continuations."""
    fig, axes = plt.subplots(3, 1, figsize=(7, 5), layout="constrained", sharex=True)
    for ax, wave, guess in zip(axes, shown, found, strict=True):
        ax.plot(wave, color="black", lw=6, alpha=0.15, label="the wave")
        ax.plot(range(READ), guess[:READ], "o", ms=3, color=BLUE, label="read")
        later = range(READ - 1, len(guess))
        ax.plot(later, guess[READ - 1 :], color=VERMILION, label="continued by the network")
    axes[0].legend(loc="upper right", ncols=3)
    axes[0].set(title="A recurrent network, written by hand", ylim=(-1.1, 1.9))
    axes[-1].set(xlabel="time")
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
