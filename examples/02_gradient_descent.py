"""Neurons trained by plain gradient descent, compared with the exact solutions.

A neuron trained on squared errors solves the least-squares problem, "just slower and less accurate"
than the formula. But the same loop also trains models for which there is no formula. Three cases: a
line, a linear combination of several inputs, and a logistic curve.

    python examples/02_gradient_descent.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
import tinynet.losses as losses
from tinynet.layers import Dense, Input
from tinynet.models import Sequential
from tinynet.optimizers import SGD
from tinynet.viz.style import GREEN, VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None


def least_squares(x, y):
    """Return the weights and the bias with the least squared error."""
    columns = np.column_stack([x, np.ones(len(x))])
    *w, b = np.linalg.lstsq(columns, y.ravel(), rcond=None)[0]
    return np.array(w), b


def fit_a_line():
    """Train one neuron on 0.1 x + 2 for 200 epochs, then for 500 more."""
    x = (np.random.rand(50) * 10).reshape(-1, 1)
    y = 0.1 * x + 2 + (np.random.randn(50) * 0.1).reshape(-1, 1)
    (w,), b = least_squares(x, y)
    model = Sequential([Input((1,)), Dense(1)])
    model.compile(loss=losses.mean_squared_error, optimizer="sgd")
    lines, loss = [], []
    for epochs in (200, 500):
        loss += model.fit(x, y, epochs=epochs, verbose=0).history["loss"]
        lines.append([v.item() for v in model.get_weights()])
        print(f"  after {len(loss)} epochs: W = {lines[-1][0]:.4f}, b = {lines[-1][1]:.4f}")
    print(f"  least squares:    W = {w:.4f}, b = {b:.4f}")
    return {"x": x, "y": y, "exact": (w, b), "lines": lines, "loss": loss}


def fit_a_combination(n=5):
    """Train one neuron of n inputs on a linear combination of them."""
    x = np.random.rand(200, n)
    truth = np.arange(1, n + 1)
    y = x @ truth + 0.5
    model = Sequential([Input((n,)), Dense(1)])
    model.compile(loss="mse", optimizer=SGD(learning_rate=0.1))
    model.fit(x, y, epochs=200, verbose=0)
    kernel, bias = model.get_weights()
    print(f"  W = {np.round(kernel.ravel(), 3)}, b = {bias[0]:.3f}")
    print(f"  truth: {truth}, 0.5")
    return {"found": (kernel.ravel(), bias[0]), "exact": (truth, 0.5)}


def fit_a_logistic_curve():
    """Train one sigmoid neuron on 1 / (1 + e^-(4 x - 1))."""
    x = np.linspace(-2, 2, 100)
    y = 1 / (1 + np.exp(-(4 * x - 1)))
    model = Sequential([Input((1,)), Dense(1, activation="sigmoid")])
    model.compile(loss="mse", optimizer=SGD(learning_rate=2.0, momentum=0.9))
    model.fit(x, y, epochs=500, verbose=0)
    w, b = (v.item() for v in model.get_weights())
    print(f"  sigmoid({w:.3f} x {b:+.3f}), truth: sigmoid(4 x -1)")
    return {"x": x, "y": y, "found": (w, b), "curve": model.predict(x, verbose=0)}


def draw(path, line, logistic):
    """Save a picture of the line after some epochs, its losses, and the logistic curve."""
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    left.scatter(line["x"], line["y"], s=12, color="0.6", label="data")
    ends = np.array([0.0, 10.0])
    left.plot(
        ends,
        line["exact"][0] * ends + line["exact"][1],
        color=GREEN,
        lw=5,
        alpha=0.4,
        label="exact",
    )
    for (w, b), epochs, style in zip(line["lines"], (200, 700), ("--", "-"), strict=True):
        left.plot(ends, w * ends + b, style, color=VERMILION, label=f"{epochs} epochs")
    left.set(xlabel="x", ylabel="y", title="The line, by gradient descent")
    left.legend()
    middle.semilogy(range(1, 701), line["loss"], color=VERMILION)
    middle.set_ylim(0.8 * min(line["loss"]), 1.2 * line["loss"][1])  # the first loss is far above
    middle.set(xlabel="epoch", ylabel="mean squared error", title="Its loss")
    right.scatter(logistic["x"], logistic["y"], s=12, color="0.6", label="data")
    right.plot(logistic["x"], logistic["curve"], color=VERMILION, label="sigmoid neuron")
    right.set(xlabel="x", ylabel="y", title="A logistic curve")
    right.legend()
    fig.savefig(path, dpi=100)
    plt.close(fig)


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(1)
    print("A line, y = 0.1 x + 2 with noise:")
    line = fit_a_line()
    print("A linear combination of 5 inputs:")
    combination = fit_a_combination()
    print("A logistic curve, by a sigmoid neuron:")
    logistic = fit_a_logistic_curve()
    path = Path(out) / "gradient_descent.png"
    draw(path, line, logistic)
    print(f"picture: {path}")
    return {"line": line, "combination": combination, "logistic": logistic, "picture": path}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
