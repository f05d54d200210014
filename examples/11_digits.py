"""Handwritten digits: a network that classifies them, and its mistakes.

The data are 1797 handwritten digits, as pictures of 8 by 8 pixels. The network has one input for
each pixel and one output for each digit. Softmax turns the outputs into probabilities: positive
numbers whose sum is 1. The loss is small if the probability of the correct digit is large.

A network can memorize its samples and still misread new ones. So some digits are not used for
training: a validation set says when to stop, namely when its loss no longer falls (early stopping);
a test set, used only once, at the end, says how well the network reads.

    pip install '.[examples]'    (scikit-learn, for the digits, and matplotlib)
    python examples/11_digits.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.callbacks import EarlyStopping
from tinynet.layers import Dense, Input, Rescaling
from tinynet.models import Sequential
from tinynet.optimizers import Adam
from tinynet.viz.style import BLUE, VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None


def load_digits():
    """Return the pictures, as rows of 64 numbers from 0 to 16, and the digits, shuffled."""
    try:
        from sklearn import datasets
    except ImportError:
        raise SystemExit("This example needs scikit-learn: pip install scikit-learn") from None
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.permutation(len(x))
    return x[order].astype("float32"), y[order]


def build():
    """Return a network of 64 inputs, 64 hidden units and 10 outputs."""
    layers = [Rescaling(1 / 16), Dense(64, activation="relu"), Dense(10, activation="softmax")]
    model = Sequential([Input((64,)), *layers])
    model.compile(
        Adam(learning_rate=0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(1)
    x, y = load_digits()
    # The first 400 are for the test, the last 280 for validation.
    (x_test, x, x_valid), (y_test, y, y_valid) = (np.split(a, [400, 1517]) for a in (x, y))
    model = build()
    stop = EarlyStopping(monitor="val_loss", patience=10, restore_best_weights=True)
    options = {"validation_data": (x_valid, y_valid), "callbacks": [stop]}
    history = model.fit(x, y, epochs=200, verbose=0, **options).history
    epochs = len(history["loss"])
    print(
        f"{model.count_params()} weights, trained on {len(x)} digits, validated on {len(x_valid)}:"
    )
    print(f"  stopped after {epochs} epochs, with the weights of epoch {stop.best_epoch + 1}")

    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    read = model.predict(x_test, verbose=0).argmax(axis=1)
    wrong = np.flatnonzero(read != y_test)
    print(f"of {len(y_test)} new digits, it reads {100 * accuracy:.1f} % right;")
    print(f"  {len(wrong)} are misread:")
    print("  " + ", ".join(f"{y_test[i]} as {read[i]}" for i in wrong))
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (y_test, read), 1)

    path = Path(out) / "digits.png"
    draw(
        path, history, stop.best_epoch, confusion, [(x_test[i], y_test[i], read[i]) for i in wrong]
    )
    print(f"picture: {path}")
    return {
        "test": (x_test, y_test),
        "weights": model.get_weights(),
        "history": history,
        "best": stop.best_epoch,
        "loss": loss,
        "accuracy": accuracy,
        "confusion": confusion,
        "picture": path,
    }


def draw(path, history, best, confusion, misread):
    """Save a picture of the losses, the confusion matrix, and the first nine misread digits."""
    fig = plt.figure(figsize=(13, 4.3), layout="constrained")
    left, middle, right = fig.subfigures(1, 3, width_ratios=(1, 1, 0.8))
    ax = left.subplots()
    epochs = np.arange(1, len(history["loss"]) + 1)
    ax.semilogy(epochs, history["loss"], color=BLUE, label="training set")
    ax.semilogy(epochs, history["val_loss"], color=VERMILION, label="validation set")
    ax.axvline(best + 1, color="0.6", ls="--", label="lowest: these weights are kept")
    ax.set(xlabel="epoch", ylabel="cross-entropy", title="The loss")
    ax.legend()

    ax = middle.subplots()
    ax.imshow(np.sqrt(confusion), cmap="Blues")  # the square root makes single mistakes visible
    for (digit, read), count in np.ndenumerate(confusion):
        if count:
            color = "white" if digit == read else "black"
            ax.text(read, digit, count, ha="center", va="center", color=color)
    ax.set(xticks=range(10), yticks=range(10), xlabel="read as", ylabel="written")
    ax.set_title("Confusion matrix")

    right.suptitle("Misread")
    for ax in (axes := right.subplots(3, 3)).flat:
        ax.axis("off")
    for ax, (picture, digit, read) in zip(axes.flat, misread, strict=False):
        ax.imshow(picture.reshape(8, 8), cmap="Greys")
        ax.set_title(f"{digit}, read as {read}", fontsize=10)
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
