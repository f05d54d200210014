"""Your own primitive, layer and loss, which train like the built-in ones.

An oven is switched on, and its temperature is measured: low at first, then rising, then high. But
the thermometer is bad, and every seventh reading is an outlier. This example defines three things
that tinynet does not have:

- a primitive: the function x / sqrt(1 + x^2), which rises from -1 to 1, with the rule for its
  derivative, (1 + x^2)^(-3/2). Finite differences check the rule.
- a layer with four weights that have a meaning: where the curve rises, how steeply, how far, and
  around which value.
- a loss that hardly grows for large errors, so that outliers have little effect.

    python examples/09_your_own.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Input
from tinynet.models import Sequential
from tinynet.optimizers import Adam
from tinynet.viz.style import BLUE, VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None

TRUTH = {"place": 3.0, "steepness": 1.5, "height": 0.8, "base": 2.0}


def ramp(x):
    """Return a number from -1 to 1 that rises with x, most steeply at 0."""
    return x / np.sqrt(1 + x * x)


# A name, a NumPy function, and a rule: `ct` is the derivative of the loss with respect to the
# result y = f(x); the rule returns the derivative of the loss with respect to x.
rise = tn.primitive("rise", ramp, lambda ct, y, x: ct * (1 + x * x) ** -1.5, elementwise=True)


class Rise(tn.Layer):
    """A curve that rises from low to high: height * rise(steepness * (x - place)) + base."""

    def build(self, input_shape):
        """Create the weights, which start at 1."""
        self.curve = {name: self.add_weight((1,), "ones", name=name) for name in TRUTH}

    def call(self, x):
        """Return the height of the curve at x."""
        w = self.curve
        return w["height"] * rise(w["steepness"] * (x - w["place"])) + w["base"]


class Robust(tn.Loss):
    """log(1 + (error / 0.2)^2): like the squared error for small errors, but robust to outliers."""

    def call(self, y_true, y_pred):
        """Return the loss of each sample."""
        return tn.ops.mean(tn.ops.log1p(((y_pred - y_true) / 0.2) ** 2), axis=-1)


def generate_data():
    """Return times, readings with every seventh an outlier, and the true temperatures."""
    x = np.linspace(0, 8, 140).reshape(-1, 1)
    rising = ramp(TRUTH["steepness"] * (x - TRUTH["place"]))
    temperature = TRUTH["height"] * rising + TRUTH["base"]
    y = temperature + 0.1 * np.random.randn(*x.shape)
    y[::7] = np.random.uniform(3, 6, y[::7].shape)
    return x, y, temperature


def train(x, y, loss):
    """Return a model of the layer, trained with this loss."""
    model = Sequential([Input((1,)), Rise()])
    model.compile(Adam(learning_rate=0.02), loss=loss)
    tn.check_model_grads(model, x[::10], y[::10])
    model.fit(x, y, epochs=300, verbose=0)
    return model


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(1)
    tn.check_grads(rise, ([-2.0, 0.3, 5.0],))
    print("the first and second derivatives of the primitive agree with finite differences")

    x, y, temperature = generate_data()
    models = {"the squared error": train(x, y, "mse"), "our own loss": train(x, y, Robust())}
    found = {
        name: {
            weight: variable.numpy().item() for weight, variable in model.layers[0].curve.items()
        }
        for name, model in models.items()
    }
    for name, curve in {**found, "truth": TRUTH}.items():
        print(f"{name:>17}: " + ", ".join(f"{weight} {w:.2f}" for weight, w in curve.items()))
    source = models["our own loss"].train_function.source
    print("the compiled step of fit calls the primitive like any other function:")
    print("\n".join(line for line in source.splitlines() if "rise_with(t" in line))

    path = Path(out) / "your_own.png"
    draw(path, x, y, temperature, models)
    print(f"picture: {path}")
    return {"data": (x, y, temperature), "found": found, "source": source, "picture": path}


def draw(path, x, y, temperature, models):
    """Save a picture of the readings and of the fitted curves."""
    fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    ax.scatter(x, y, s=14, color="0.6", label="readings")
    ax.plot(x, temperature, color="black", lw=7, alpha=0.2, label="the true temperature")
    for (name, model), style in zip(models.items(), ("--", "-"), strict=True):
        color = BLUE if style == "--" else VERMILION
        ax.plot(x, model.predict(x, verbose=0), style, color=color, lw=2, label=f"by {name}")
    ax.set(xlabel="time", ylabel="temperature", title="Your own layer, loss and primitive")
    ax.legend(loc="lower right")
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
