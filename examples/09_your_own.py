"""Your own primitive, layer and loss, which train like those that are there.

An oven is switched on, and its warmth is measured: low at first, then rising, then high. But the
thermometer is bad, and every seventh reading is nonsense. Three things are made for this here, as
none like them is there:

- a primitive: the function arctan, whose curve rises from low to high, with the rule for its
  derivative, 1 / (1 + x^2). It is checked: a step to both sides shows how steep the curve is.
- a layer with four weights that can be read: where the curve rises, how steeply, how high, and
  from which height.
- a loss that hardly grows any more when an error is large, so that nonsense counts for little.

    python examples/09_your_own.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draw to files, without a display
import matplotlib.pyplot as plt
import numpy as np

import tinynet as tn
from tinynet.engine.primitives.elementwise import unary
from tinynet.layers import Input
from tinynet.models import Sequential
from tinynet.optimizers import Adam

TRUTH = {"place": 3.0, "steepness": 1.5, "height": 0.8, "base": 2.0}

# What it computes, a sentence, and its rule: `ct` is the slope of the loss in the result y = f(x);
# the rule returns the slope of the loss in x.
arctan = unary(np.arctan, "Return the angle whose tangent is x.", lambda ct, y, x: ct / (1 + x * x))


class Rise(tn.Layer):
    """A curve that rises from low to high: height * arctan(steepness * (x - place)) + base."""

    def build(self, input_shape):
        """Make the weights, all of them 1 at first."""
        self.curve = {name: self.add_weight((1,), "ones", name=name) for name in TRUTH}

    def call(self, x):
        """Return the height of the curve at x."""
        w = self.curve
        return w["height"] * arctan(w["steepness"] * (x - w["place"])) + w["base"]


class Patient(tn.Loss):
    """log(1 + (error / 0.2)^2): like the squared error for small errors, patient with large."""

    def call(self, y_true, y_pred):
        """Return the loss of each sample."""
        return tn.ops.mean(tn.ops.log1p(((y_pred - y_true) / 0.2) ** 2), axis=-1)


def generate_data():
    """Return times, readings of which every seventh is nonsense, and the warmth as it was."""
    x = np.linspace(0, 8, 140).reshape(-1, 1)
    warmth = TRUTH["height"] * np.arctan(TRUTH["steepness"] * (x - TRUTH["place"])) + TRUTH["base"]
    y = warmth + 0.1 * np.random.randn(*x.shape)
    y[::7] = np.random.uniform(3, 6, y[::7].shape)
    return x, y, warmth


def train(x, y, loss):
    """Return the layer's model, trained on this loss."""
    model = Sequential([Input((1,)), Rise()])
    model.compile(Adam(learning_rate=0.02), loss=loss)
    tn.check_model_grads(model, x[::10], y[::10])
    model.fit(x, y, epochs=300, verbose=0)
    return model


def main(out="."):
    """Tell the story; return what the tests check."""
    tn.utils.set_random_seed(1)
    tn.check_grads(arctan, ([-2.0, 0.3, 5.0],))
    print("the rule of arctan agrees with finite differences, and so does the rule of its slope")

    x, y, warmth = generate_data()
    models = {"the squared error": train(x, y, "mse"), "our own loss": train(x, y, Patient())}
    found = {
        name: {
            weight: variable.numpy().item() for weight, variable in model.layers[0].curve.items()
        }
        for name, model in models.items()
    }
    for name, curve in {**found, "truth": TRUTH}.items():
        print(f"{name:>17}: " + ", ".join(f"{weight} {w:.2f}" for weight, w in curve.items()))
    source = models["our own loss"].train_function.source
    print("the compiled step of fit calls it like any other function:")
    print("\n".join(line for line in source.splitlines() if "arctan(" in line))

    path = Path(out) / "your_own.png"
    draw(path, x, y, warmth, models)
    print(f"picture: {path}")
    return {"data": (x, y, warmth), "found": found, "source": source, "picture": path}


def draw(path, x, y, warmth, models):
    """Save the readings, and what was made of them."""
    fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    ax.scatter(x, y, s=14, color="0.6", label="readings")
    ax.plot(x, warmth, color="black", lw=7, alpha=0.2, label="the warmth, as it was")
    for (name, model), style in zip(models.items(), ("--", "-"), strict=True):
        color = "tab:blue" if style == "--" else "tab:red"
        ax.plot(x, model.predict(x, verbose=0), style, color=color, lw=2, label=f"by {name}")
    ax.set(xlabel="time", ylabel="warmth", title="A layer, a loss and a primitive of one's own")
    ax.legend(loc="lower right")
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="the folder of the picture")
    main(parser.parse_args().out)
