"""Learning rates: too high, too low, decaying, and the highest one that works.

The learning rate is how far a step goes along the gradient. If it is too low, training takes
forever. If it is too high, each step overshoots the minimum by more than the last, and the loss
explodes. The limit can be computed: it is 2 divided by the largest curvature of the loss. The
inputs here run from 0 to 199, which makes the loss so steep that even 0.001 is far too high, a
common beginner's mistake. Just below the limit the weight is soon found, but along the bias the
loss is 13,000 times flatter, and 200 such steps hardly change it. Scaling the inputs solves both
problems.

    python examples/05_learning_rates.py [--out FOLDER]
"""

import argparse
import textwrap
import warnings
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Dense, Input, Normalization
from tinynet.models import Sequential
from tinynet.optimizers import SGD
from tinynet.optimizers.schedules import ExponentialDecay
from tinynet.viz.style import CYCLE

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None

EPOCHS = 200


def train(x, y, rate, *layers):
    """Return the losses of gradient descent on all points in each step, and its warnings."""
    tn.utils.set_random_seed(1)
    model = Sequential([Input((1,)), *layers, Dense(1)])
    model.compile(SGD(learning_rate=rate), loss="mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # of overflows
        warnings.simplefilter("always", tn.DivergenceWarning)
        history = model.fit(x, y, batch_size=len(x), epochs=EPOCHS, verbose=0)
    return np.array(history.history["loss"]), [str(warning.message) for warning in caught]


def limit_of(x, y, *layers):
    """Return the highest learning rate that works, as tinynet computes it."""
    tn.utils.set_random_seed(1)
    model = Sequential([Input((1,)), *layers, Dense(1)])
    model.compile("sgd", loss="mse")
    return model.max_learning_rate(x, y)


def main(out="."):
    """Run the example; return the results, which the tests check."""
    np.random.seed(1)
    x = np.arange(200.0)
    y = 0.5 * x + 20 + 5 * np.random.randn(200)
    limit = limit_of(x, y)
    scaled = Normalization()
    scaled.adapt(x.reshape(-1, 1))
    limit_scaled = limit_of(x, y, scaled)
    print(f"the highest rate that works: {limit:.3g}; with scaled inputs {limit_scaled:.3g}")

    decay = ExponentialDecay(0.9 * limit_scaled, decay_steps=50, decay_rate=0.5)
    runs = {
        "too high: 1.05 x the limit": train(x, y, 1.05 * limit),
        "just below: 0.95 x the limit": train(x, y, 0.95 * limit),
        "too low: 0.001 x the limit": train(x, y, 0.001 * limit),
        "scaled inputs, 0.1 x their limit": train(x, y, 0.1 * limit_scaled, scaled),
        "scaled inputs, decaying from 0.9 x their limit": train(x, y, decay, scaled),
    }
    for name, (losses, _) in runs.items():
        print(f"{name:46} loss {losses[0]:9.4g} -> {losses[-1]:9.4g}")
    (warning,) = runs["too high: 1.05 x the limit"][1]
    print(f"\nThe first one got a warning:\n{textwrap.indent(textwrap.fill(warning, 86), '  ')}")

    path = Path(out) / "learning_rates.png"
    fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    for (name, (losses, _)), color in zip(runs.items(), CYCLE, strict=False):
        ax.semilogy(np.where(losses < 1e6, losses, np.nan), color=color, label=name)
    ax.set(xlabel="step", ylabel="mean squared error", title="The same line, five learning rates")
    ax.legend()
    fig.savefig(path, dpi=100)
    plt.close(fig)
    print(f"\npicture: {path}")
    return {
        "data": (x, y),
        "limits": (limit, limit_scaled),
        "losses": {name: losses for name, (losses, _) in runs.items()},
        "warnings": {name: warned for name, (_, warned) in runs.items()},
        "picture": path,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
