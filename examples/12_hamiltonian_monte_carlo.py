"""Hamiltonian Monte Carlo: which lines separate two classes, and how sure is that?

Training finds the one logistic curve that fits best. But thirty noisy observations do not determine
it: many curves fit almost as well. Bayes' rule gives each pair of weights a probability density,
and Hamiltonian Monte Carlo draws pairs from it. It treats a pair as the position of a ball on the
surface of minus the log-density, kicks the ball in a random direction, follows it for a few steps
of physics, and accepts or rejects the place where it ends. The force on the ball is the gradient,
so each step of physics needs one. `tn.jit` compiles it.

The densities of `scipy.stats` do not accept tensors, so they are written here: a line or two each.

    python examples/12_hamiltonian_monte_carlo.py [--out FOLDER]
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

try:
    from scipy.special import gammaln
except ImportError:
    raise SystemExit("This example needs SciPy: pip install scipy") from None

STEPS, SIZE = 12, 0.25  # of the physics, between two draws


def normal(x, mean, scale):
    """Return the log-density of the normal distribution."""
    return -(((x - mean) / scale) ** 2) / 2 - np.log(scale) - np.log(2 * np.pi) / 2


def student_t(x, df, mean, scale):
    """Return the log-density of Student's t distribution: rare large values are expected."""
    height = gammaln((df + 1) / 2) - gammaln(df / 2) - np.log(df * np.pi) / 2 - np.log(scale)
    return height - (df + 1) / 2 * np.log1p(((x - mean) / scale) ** 2 / df)


def generate_data():
    """Return 30 hours of study, and whether each exam was passed."""
    hours = np.random.uniform(0, 6, 30)
    passed = np.random.rand(30) < 1 / (1 + np.exp(-1.2 * (hours - 3)))
    return hours, passed.astype(float)


def log_density_given(x, y):
    """Return the log-density of the weights (slope, offset), up to a constant."""

    def log_density(w):
        slope, offset = w
        z = slope * (x - 3) + offset
        prior = student_t(slope, 4, 0, 2) + normal(offset, 0, 3)  # before any observation
        return prior + (y * z - np.logaddexp(0, z)).sum()

    return log_density


def sample(log_density, start, draws):
    """Return draws from a density, and the fraction of the proposals that were accepted."""
    value_and_force = tn.jit(tn.value_and_grad(log_density))
    w, accepted, samples = start, 0, []
    height, force = (t.numpy() for t in value_and_force(w))
    for _ in range(draws):
        new, new_force, kick = w, force, np.random.randn(*w.shape)
        momentum = kick
        for _ in range(STEPS):  # the leapfrog integrator: half a kick, a move, half a kick
            momentum = momentum + SIZE / 2 * new_force
            new = new + SIZE * momentum
            new_height, new_force = (t.numpy() for t in value_and_force(new))
            momentum = momentum + SIZE / 2 * new_force
        gain = new_height - height + (kick @ kick - momentum @ momentum) / 2
        if np.log(np.random.rand()) < gain:  # the physics was followed well enough
            w, height, force = new, new_height, new_force
            accepted += 1
        samples.append(w)
    return np.array(samples), accepted / draws


def main(out="."):
    """Run the example; return the results, which the tests check."""
    np.random.seed(2)
    x, y = generate_data()
    log_density = log_density_given(x, y)
    tn.check_grads(log_density, (np.array([1.0, -0.5]),))

    samples, accepted = sample(log_density, np.zeros(2), 4000)
    samples = samples[200:]  # without the way from the start
    print(f"{len(samples)} draws, {100 * accepted:.0f} % of the proposals were accepted")
    for name, draws in zip(("slope", "offset"), samples.T, strict=True):
        low, high = np.quantile(draws, (0.05, 0.95))
        print(f"{name:>6}: {draws.mean():5.2f}, with probability 0.9 from {low:.2f} to {high:.2f}")
    hours = np.linspace(0, 6, 100)
    curves = 1 / (1 + np.exp(-(samples[:, :1] * (hours - 3) + samples[:, 1:])))

    path = Path(out) / "hamiltonian_monte_carlo.png"
    draw(path, x, y, samples, hours, curves)
    print(f"picture: {path}")
    return {"data": (x, y), "samples": samples, "accepted": accepted, "picture": path}


def draw(path, x, y, samples, hours, curves):
    """Save a picture of the draws, and of the curves that they stand for."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
    left.plot(*samples.T, ".", color=BLUE, ms=3, alpha=0.25)
    left.plot(*samples.mean(0), "o", color="black", label="mean")
    left.set(xlabel="slope", ylabel="offset", title="Draws of the two weights")
    left.legend()
    right.plot(hours, curves[::40].T, color=BLUE, lw=1, alpha=0.12)
    right.plot(hours, curves.mean(0), color="black", lw=2, label="probability, given the data")
    right.plot(x, y, "o", color=VERMILION, label="exams")
    right.set(xlabel="hours of study", ylabel="passed", title="Each draw is a curve")
    right.legend(loc="lower right", bbox_to_anchor=(1, 0.08))
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
