"""From tinynet to Keras and back: one network, trained in turns, and a file that needs neither.

A network is saved to a file in Keras's format: its layers, its weights, and the state of its
optimizer. Either library can load the file and continue the training. Here a network learns a wave
for 100 epochs with tinynet, for 100 more with Keras, and for 100 more with tinynet, while a copy is
trained with tinynet alone. Both end with the same loss, except for rounding.

Without Keras (`pip install keras jax`) tinynet takes all turns. Last, the network is exported: as a
Python file of a few lines that needs NumPy alone.

    python examples/10_keras_and_back.py [--out FOLDER]
"""

import argparse
import os
import runpy
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.models import Sequential, load_model
from tinynet.optimizers import Adam
from tinynet.viz.style import BLUE, VERMILION

try:
    import h5py  # noqa: F401 (files in Keras's format need it)
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib and h5py: pip install '.[plot,h5]'") from None

EPOCHS = 100


def other_side():
    """Return the `load_model` of the second turn and its name: of Keras, or else of tinynet."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        from keras.models import load_model as load
    except ImportError as error:
        print(f"Keras cannot be used here ({error}): tinynet takes its turn.")
        return load_model, "tinynet, too"
    return load, "Keras"


def build():
    """Return a compiled network with sixteen hidden units."""
    model = Sequential([Input((1,)), Dense(16, activation="tanh"), Dense(1)])
    model.compile(Adam(learning_rate=0.05), loss="mse")
    return model


def train(model, x, y, epochs=EPOCHS):
    """Return the losses of some epochs; all turns see the same batches, without shuffling."""
    return model.fit(x, y, epochs=epochs, shuffle=False, verbose=0).history["loss"]


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(1)
    x = np.random.uniform(-3, 3, (128, 1)).astype("float32")
    y = np.sin(2 * x) + 0.1 * np.random.randn(*x.shape).astype("float32")
    model, stays = build(), build()
    stays.set_weights(model.get_weights())
    load, other = other_side()

    file = Path(out) / "wave.keras"
    turns = {"1. tinynet": train(model, x, y)}
    model.save(file)
    there = load(file)
    turns[f"2. {other}"] = train(there, x, y)
    there.save(file)
    model = load_model(file)
    difference = np.abs(model.predict(x, verbose=0) - there.predict(x, verbose=0)).max()
    turns["3. tinynet"] = train(model, x, y)
    alone = train(stays, x, y, 3 * EPOCHS)
    for turn, losses in turns.items():
        print(f"{turn:16} loss {losses[0]:.6f} -> {losses[-1]:.6f}")
    print(f"{'without a break':16} loss {alone[0]:.6f} -> {alone[-1]:.6f}")
    print(f"predictions before and after saving in {other} differ by at most {difference:.1e}")

    program = Path(out) / "wave.py"
    model.export(program, format="numpy", verbose=False)
    predict = runpy.run_path(str(program))["predict"]
    same = np.array_equal(predict(x), model.predict(x, verbose=0))
    print(
        f"{program} needs NumPy alone; its predictions are {'identical' if same else 'different'}"
    )

    path = Path(out) / "keras_and_back.png"
    draw(path, x, y, predict, turns, alone)
    print(f"picture: {path}")
    return {
        "data": (x, y),
        "turns": turns,
        "alone": alone,
        "predicted": predict(x),
        "weights": model.get_weights(),
        "files": (file, program),
        "picture": path,
    }


def draw(path, x, y, predict, turns, alone):
    """Save a picture of the losses of all turns, and of the learned wave."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.semilogy(np.arange(1, len(alone) + 1), alone, color="0.8", lw=7, label="without a break")
    colors = (BLUE, VERMILION, BLUE)
    for i, ((turn, losses), color) in enumerate(zip(turns.items(), colors, strict=True)):
        epochs = i * EPOCHS + np.arange(1, EPOCHS + 1)
        left.semilogy(epochs, losses, color=color, label=turn)
    left.set_yticks([0.5, 0.2, 0.1, 0.05, 0.02], ["0.5", "0.2", "0.1", "0.05", "0.02"])
    left.yaxis.set_minor_formatter("")
    left.set(xlabel="epoch", ylabel="mean squared error", title="One training, in three turns")
    left.legend()
    right.scatter(x, y, s=12, color="0.6", label="data")
    line = np.linspace(-3, 3, 200, dtype="float32").reshape(-1, 1)
    right.plot(line, predict(line), color=BLUE, lw=2, label="the exported program")
    right.set(xlabel="x", ylabel="y", title="The wave, predicted by NumPy alone", ylim=(-1.4, 1.8))
    right.legend(loc="upper center", ncols=2)
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
