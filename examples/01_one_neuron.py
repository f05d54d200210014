"""One neuron finds the regression line.

A neuron with one input computes w * x + b: a straight line. Here it is trained on a hundred noisy
points. Small steps that lower the loss lead it to the line that linear regression computes at once.
With a high learning rate it is close after 30 epochs. With a low one it needs more epochs but ends
closer, unless it starts too far away: a step of Adam is about as long as the learning rate, so the
4,000 steps of a thousand epochs at 0.001 cover a distance of at most 4.

    python examples/01_one_neuron.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.models import Model
from tinynet.optimizers import Adam
from tinynet.viz.style import GREEN, VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None


def generate_data():
    """Return a hundred points around the line 1.35 x + 0.5."""
    x = np.linspace(0, 1, 100)
    y = 1.35 * x + np.random.randn(*x.shape) * 0.33 + 0.5
    return x, y


def build_model(hidden=0, use_bias=True):
    """Return one neuron, after a layer of `hidden` neurons if there are any."""
    inputs = Input(shape=[1])
    x = Dense(hidden, use_bias=use_bias)(inputs) if hidden else inputs
    return Model(inputs=inputs, outputs=Dense(1, activation="linear", use_bias=use_bias)(x))


def fit(x, y, learning_rate, epochs):
    """Return a neuron trained with Adam."""
    model = build_model()
    start = model.layers[1].get_weights()[0].item()
    model.compile(loss="mean_squared_error", optimizer=Adam(learning_rate=learning_rate))
    history = model.fit(x, y, epochs=epochs, verbose=0)
    first, last = history.history["loss"][0], history.history["loss"][-1]
    print(f"Adam, learning rate {learning_rate}, {epochs} epochs, from the weight {start:.2f}:")
    print(f"  loss {first:.3f} -> {last:.3f}")
    return model


def compare(model, slope, intercept):
    """Print weight and bias of the neuron next to slope and intercept of the regression."""
    w, b = model.layers[1].get_weights()
    print(f"  weight {w[0][0]:.2f}, slope     {slope:.2f}")
    print(f"  bias   {b[0]:.2f}, intercept {intercept:.2f}")


def draw(path, x, y, models, slope, intercept):
    """Save a picture of the points, the regression line and the lines of the neurons."""
    fig, ax = plt.subplots(figsize=(6, 4))
    ax.scatter(x, y, s=14, color="0.6", label="data")
    ax.plot(x, slope * x + intercept, color=GREEN, lw=6, alpha=0.4, label="lin-regress")
    for (label, model), style in zip(models.items(), ("-", "--"), strict=True):
        ax.plot(x, model.predict(x, verbose=0), style, color=VERMILION, label=label)
    ax.set(xlabel="x", ylabel="y", title="One neuron and linear regression")
    ax.legend()
    fig.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(fig)


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(3)
    x, y = generate_data()
    slope, intercept = np.polyfit(x, y, 1)

    quick = fit(x, y, learning_rate=0.6, epochs=30)
    compare(quick, slope, intercept)
    quick.summary()
    patient = fit(x, y, learning_rate=0.001, epochs=1000)
    compare(patient, slope, intercept)

    print("Trainable parameters:")
    counts = {
        "one neuron": build_model().count_params(),
        "with a hidden unit before it": build_model(hidden=1).count_params(),
        "without bias": build_model(use_bias=False).count_params(),
    }
    for network, count in counts.items():
        print(f"  {network}: {count}")

    path = Path(out) / "one_neuron.png"
    models = {"neural-net, 30 epochs": quick, "neural-net, 1000 epochs": patient}
    draw(path, x, y, models, slope, intercept)
    print(f"picture: {path}")
    return {
        "line": (slope, intercept),
        "quick": [v.item() for v in quick.get_weights()],
        "patient": [v.item() for v in patient.get_weights()],
        "counts": counts,
        "picture": path,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
