"""The same training on many processes, and a sweep of independent trainings.

One line distributes the script: each process, a rank, computes the gradient of its part of each
batch, and the sum of these gradients changes the weights. So the number of ranks changes the time
that it takes, but not the network. Then the ranks train networks of different widths independently.

    python examples/16_many_processes.py
    mpiexec -n 4 python examples/16_many_processes.py

The second command needs ``pip install -e '.[mpi]'``. For a cluster, see docs/many_processes.md.
"""

import numpy as np

import tinynet as tn

ROWS, WIDTHS = 2000, (2, 4, 8)


def two_spirals(rows=ROWS):
    """Return points on two spirals, and to which of them each belongs."""
    rng = np.random.default_rng(0)
    which = rng.integers(0, 2, rows)
    angle = rng.uniform(0.5, 2.5 * np.pi, rows)
    direction = angle + np.pi * which
    points = np.stack([np.cos(direction), np.sin(direction)], 1) * angle[:, None] / 4
    return points + 0.05 * rng.standard_normal((rows, 2)), which


def network(width):
    tn.utils.set_random_seed(1)
    hidden = [tn.layers.Dense(width, "tanh") for _ in range(2)]
    model = tn.Sequential([tn.Input((2,)), *hidden, tn.layers.Dense(1, "sigmoid")])
    model.compile(tn.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


def accuracy_of(width):
    """Train one network of the sweep, on one process; return its accuracy."""
    x, y = two_spirals()
    return network(width).fit(x, y, batch_size=100, epochs=20, verbose=0).history["accuracy"][-1]


def main():
    """Train on all ranks, then run the sweep; the first rank prints."""
    parallel = tn.distribution.DataParallel()
    tn.distribution.set_distribution(parallel)  # the one line
    x, y = two_spirals()
    model = network(16)
    history = model.fit(x, y, batch_size=100, epochs=40, verbose=0, validation_split=0.2).history
    accuracies = tn.distribution.map(accuracy_of, WIDTHS)
    if parallel.rank == 0:
        ranks = "1 rank" if parallel.size == 1 else f"{parallel.size} ranks"
        print(f"{ranks}, each with {100 / parallel.size:.0f} samples of a batch")
        print(
            f"accuracy {history['accuracy'][-1]:.3f}, validated {history['val_accuracy'][-1]:.3f}"
        )
        for width, accuracy in zip(WIDTHS, accuracies, strict=True):
            print(f"width {width:2}: accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
