"""Newton's method: the regression line in a single step.

Gradient descent knows the slope of the loss at the current point, but not how far to go; so it
takes many short steps. The second derivatives, the Hessian, say how the slope itself changes.
Newton's method uses both: it steps to the point where the slope would be zero if it kept changing
at the current rate. For the squared error of a line this is exact, because the loss is quadratic.
So a single step reaches the minimum: the regression line, as linear algebra computes it.

    python examples/07_newton.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.viz.style import VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None

START = np.array([-1.0, 2.5])


def generate_data():
    """Return a hundred points around the line 1.35 x + 0.5."""
    x = np.linspace(0, 1, 100)
    return x, 1.35 * x + 0.5 + 0.33 * np.random.randn(*x.shape)


def main(out="."):
    """Run the example; return the results, which the tests check."""
    np.random.seed(3)
    x, y = generate_data()

    def loss(line):
        return tn.ops.mean((line[0] * x + line[1] - y) ** 2)

    gradient = tn.grad(loss)(START).numpy()
    hessian = tn.hessian(loss)(START).numpy()
    newton = START - np.linalg.solve(hessian, gradient)
    w, b = np.polyfit(x, y, 1)
    for name, line in (("start", START), ("one Newton step", newton), ("regression", (w, b))):
        height = loss(np.array(line)).item()
        print(f"{name:>16}: w = {line[0]:7.4f}, b = {line[1]:7.4f}, loss {height:.4f}")
    print(f"gradient at the start: {gradient[0]:.4f}, {gradient[1]:.4f}")
    print("its derivatives, the Hessian:")
    for row in hessian:
        print(f"    {row[0]:.4f} {row[1]:.4f}")

    rate = 1.0 / np.linalg.eigvalsh(hessian)[-1]  # the longest step that never overshoots
    path = [START]
    while loss(path[-1]).item() > 1.001 * loss(newton).item():
        path.append(path[-1] - rate * tn.grad(loss)(path[-1]).numpy())
    print(f"gradient descent needs {len(path) - 1} steps to come within 0.1 % of that loss")

    picture = Path(out) / "newton.png"
    draw(picture, x, y, np.array(path), newton)
    print(f"picture: {picture}")
    return {
        "data": (x, y),
        "hessian": hessian,
        "newton": newton,
        "line": (w, b),
        "steps": len(path) - 1,
        "picture": picture,
    }


def draw(path, x, y, descent, newton):
    """Save a picture of the loss, with both paths to its minimum."""
    ws, bs = np.linspace(-1.4, 2.6, 80), np.linspace(-0.4, 3.0, 80)
    errors = ws[None, :, None] * x + bs[:, None, None] - y
    fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    losses = (errors**2).mean(-1)
    levels = np.geomspace(losses.min(), losses.max(), 25)
    filled = ax.contourf(ws, bs, losses, levels, norm="log", cmap="Blues")
    ticks = [tick for tick in (0.2, 0.5, 1, 2, 5, 10) if losses.min() < tick < losses.max()]
    fig.colorbar(filled, ax=ax, label="mean squared error", ticks=ticks, format="%.2g")
    steps = f"gradient descent, {len(descent) - 1} steps"
    ax.plot(*descent.T, ".-", color=VERMILION, label=steps)
    ax.annotate("", newton, START, arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 2})
    ax.plot([], [], color="black", lw=2, label="Newton's method, one step")
    ax.plot(*START, "o", mfc="white", mec="black", label="start")
    ax.set(xlabel="weight w", ylabel="bias b", title="Two paths to the minimum")
    ax.legend()
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
