"""A Gaussian process, with its hyperparameters found by SciPy.

A Gaussian process predicts a curve from a few noisy points, together with an error bar. It has
three hyperparameters: how high the curve is, how fast it changes, and how strong the noise is. The
data decide: the best values give the observed points the highest probability. SciPy's optimizer
searches for them and needs the gradient. tinynet computes it through a determinant and the solution
of a linear system, in float64.

    python examples/14_gaussian_process.py [--out FOLDER]
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

START = {"height": 1.0, "length": 1.0, "noise": 0.5}


def generate_data():
    """Return 40 noisy points on a curve, with a gap without points."""
    x = np.sort(np.concatenate([np.random.uniform(0, 4, 25), np.random.uniform(6, 10, 15)]))
    return x, np.sin(1.5 * x) + 0.5 * np.cos(0.5 * x) + 0.15 * np.random.randn(*x.shape)


def covariance(height, length, a, b):
    """Return the covariance of the curve's values at `a` and at `b`: nearby values are similar."""
    return height**2 * np.exp(-(((a[:, None] - b) / length) ** 2) / 2)


def multivariate_normal(x, mean, covariance):
    """Return the log-density of the multivariate normal distribution."""
    x = x - mean
    return -(x @ np.linalg.solve(covariance, x) + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2


def surprise(logs, x, y):
    """Return minus the log-probability of the points, given the logarithms of START's values."""
    height, length, noise = np.exp(logs)
    return -multivariate_normal(y, 0, covariance(height, length, x, x) + noise**2 * np.eye(len(x)))


def predict(values, x, y, at):
    """Return the mean of the curve at new places, and its standard deviation."""
    height, length, noise = values.values()
    factor = np.linalg.cholesky(covariance(height, length, x, x) + noise**2 * np.eye(len(x)))
    between = np.linalg.solve(factor, covariance(height, length, x, at))
    mean = between.T @ np.linalg.solve(factor, y)
    return mean, np.sqrt(height**2 - (between**2).sum(0))


def main(out="."):
    """Run the example; return the results, which the tests check."""
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise SystemExit("This example needs SciPy: pip install scipy") from None
    np.random.seed(5)
    x, y = generate_data()
    value_and_grad = tn.jit(tn.value_and_grad(lambda logs: surprise(logs, x, y)))

    def objective(logs):
        value, gradient = value_and_grad(logs)
        return value.item(), gradient.numpy()

    result = minimize(objective, np.log([*START.values()]), jac=True, method="BFGS")
    found = dict(zip(START, np.exp(result.x).tolist(), strict=True))
    print(f"{result.nfev} evaluations, minus log-probability {result.fun:.2f}")
    print(", ".join(f"{name} {value:.3f}" for name, value in found.items()))

    path = Path(out) / "gaussian_process.png"
    draw(path, x, y, {"before": START, "after": found})
    print(f"picture: {path}")
    return {"data": (x, y), "found": found, "value": result.fun, "picture": path}


def draw(path, x, y, hyperparameters):
    """Save a picture of the predictions before and after the search."""
    at = np.linspace(-0.5, 10.5, 200)
    fig, axes = plt.subplots(2, 1, figsize=(7, 6), layout="constrained", sharex=True, sharey=True)
    for ax, (when, values) in zip(axes, hyperparameters.items(), strict=True):
        mean, deviation = predict(values, x, y, at)
        band = mean - 2 * deviation, mean + 2 * deviation
        ax.fill_between(at, *band, color=BLUE, alpha=0.2, label="two standard deviations")
        ax.plot(at, mean, color=BLUE, label="prediction")
        ax.plot(x, y, "o", ms=4, color=VERMILION, label="points")
        title = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
        ax.set(ylabel="y", title=f"{when} the search: {title}")
    axes[0].legend(loc="upper right", ncols=3, fontsize="small")
    axes[0].set(ylim=(-2.5, 4))
    axes[1].set(xlabel="x")
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
