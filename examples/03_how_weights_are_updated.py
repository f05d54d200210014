"""How the weights are updated: one step with all its numbers, and the path of many steps.

Does training change weights "randomly-ish" and keep the changes that help? No. Each step computes
the gradient: how fast the loss grows if a weight grows. Then it moves each weight a little in the
opposite direction. Nothing is tried out. Only the start and the order of the samples are random.

First, one step on two points is printed with all its numbers; a pocket calculator can check them.
Then the neuron descends over its loss surface: once by plain gradient descent (SGD), once by Adam.
Last comes the program that `fit` runs in every step.

    python examples/03_how_weights_are_updated.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.callbacks import WeightHistory
from tinynet.layers import Dense, Input
from tinynet.models import Sequential
from tinynet.optimizers import SGD, Adam

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None


def build_neuron(optimizer, w, b):
    """Return one neuron, w x + b, compiled with the optimizer and the mean squared error."""
    model = Sequential([Input((1,)), Dense(1, name="neuron")], name="net")
    model.set_weights([[[w]], [b]])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def explain():
    """Print one step of SGD and one of Adam for the neuron 2 x + 1 and points on the line x."""
    x = y = np.array([[1.0], [3.0]])
    explanations = {}
    for optimizer in (SGD(learning_rate=0.01), Adam(learning_rate=0.01)):
        name = type(optimizer).__name__
        explanations[name] = build_neuron(optimizer, 2.0, 1.0).explain_step(x, y)
        print(explanations[name], end="\n\n")
    return explanations


def generate_data():
    """Return a hundred points around the line 1.35 x + 0.5."""
    x = np.linspace(0, 1, 100).reshape(-1, 1)
    return x, 1.35 * x + 0.5 + 0.33 * np.random.randn(*x.shape)


def walk(x, y, optimizer, start, steps=60):
    """Train the neuron on all points in each step; return it with the path of its weights."""
    model = build_neuron(optimizer, *start)
    record = WeightHistory("batch")
    model.fit(x, y, batch_size=len(x), epochs=steps, verbose=0, callbacks=[record])
    path = np.array([[w.item(), b.item()] for w, b in record.weights])
    rate = float(optimizer.learning_rate)
    print(f"{type(optimizer).__name__}, learning rate {rate:.2g}, {steps} steps:")
    for step in (0, 1, 2, steps):
        print(f"  after {step:2} steps: w = {path[step, 0]:6.3f}, b = {path[step, 1]:6.3f}")
    return model, record, path


def draw(path, x, y, walks):
    """Save pictures of the loss surface, each with the path of one optimizer."""
    both = np.concatenate([points for _, _, points in walks.values()])
    (left, bottom), (right, top) = both.min(axis=0) - 0.4, both.max(axis=0) + 0.4
    fig, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for ax, (name, (model, record, _)) in zip(axes, walks.items(), strict=True):
        tn.viz.plot_loss_surface(model, x, y, record, extent=(left, right, bottom, top), ax=ax)
        ax.set(xlabel="weight w", ylabel="bias b")
        ax.set_title(name, pad=24)
    fig.savefig(path, dpi=100)
    plt.close(fig)


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(3)
    print("One step with all its numbers\n")
    explanations = explain()

    x, y = generate_data()
    start = (-1.0, 2.5)
    gradient_descent = walk(x, y, SGD(learning_rate=0.7), start)
    adam = walk(x, y, Adam(learning_rate=0.2), start)
    w, b = np.polyfit(x.ravel(), y.ravel(), 1)
    print(f"linear regression: w = {w:6.3f}, b = {b:6.3f}\n")

    print("The program that fit runs in each step of SGD: forward to the loss, backward to the")
    print("gradient, and the update. tinynet has recorded the step and written these lines:\n")
    source = gradient_descent[0].train_function.source
    print(source[source.index("    def train_step") : source.index("\n    return")])

    path = Path(out) / "how_weights_are_updated.png"
    walks = {"Plain gradient descent (SGD)": gradient_descent, "Adam": adam}
    draw(path, x, y, walks)
    print(f"picture: {path}")
    return {
        "steps": explanations,
        "data": (x, y),
        "line": (w, b),
        "walks": {"sgd": gradient_descent[2], "adam": adam[2]},
        "source": source,
        "picture": path,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
