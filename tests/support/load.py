"""Load runs: millions of steps, many threads, long chains, many layers, large arrays, many shapes.

``python tests/support/load.py`` runs all parts, ``python tests/support/load.py steps chains`` some.
Each fails if a result is wrong or memory grows, and prints what it did in which time and memory.
`tests/test_load.py` runs each with small numbers.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

import tinynet as tn
from tinynet.compiler.executable import CACHE_SIZE
from tinynet.compiler.toolchain import compiler
from tinynet.engine.tensor import Tensor

NATIVE = compiler() is not None
MB = 1 << 20
X = np.linspace(-1, 1, 3000, dtype="float32").reshape(1000, 3)
Y = X.sum(1, keepdims=True)


def rss() -> int:
    """Return the memory that this process has now, in MB; 0 where that is not known."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 // MB if status.exists() else 0


def live() -> int:
    """Return the number of tensors that exist."""
    gc.collect()
    return sum(type(x) is Tensor for x in gc.get_objects())


@contextmanager
def flat(what: str, run: Callable[[], Any], most: int = 8) -> Iterator[None]:
    """Run once to fill the caches, then the block, in which memory must not grow by `most` MB."""
    run()
    tensors, before, start = live(), rss(), time.process_time()
    yield
    seconds, after = time.process_time() - start, rss()
    print(
        f"{what}: {seconds:.1f} s of CPU, {before} MB at the start, {after} MB at the end",
        flush=True,
    )
    assert after - before <= most
    assert live() <= tensors


def network(units: int = 4, **options: Any) -> Any:
    tn.utils.set_random_seed(0)
    layers = [tn.Input((3,)), tn.layers.Dense(units, "tanh"), tn.layers.Dense(1)]
    model = tn.Sequential(layers)
    model.compile(tn.optimizers.Adam(1e-3), "mse", **{"jit_compile": NATIVE, **options})
    return model


# -- the parts, of which `n` is the size ----------------------------------------------------------


def steps(n: int = 1_000_000) -> None:
    """Train `n` steps of one sample as C, a tenth as NumPy and a fiftieth eagerly."""
    roads = {
        "C": (1, {}),
        "NumPy": (10, {"jit_compile": False}),
        "eager": (50, {"run_eagerly": True}),
    }
    for road, (part, options) in roads.items():
        model, epochs = network(**options), max(1, n // part // len(X))
        fit = partial(model.fit, X, Y, 1, verbose=0)
        with flat(f"{epochs * len(X):,} steps, {road}", partial(fit, epochs=2)):
            fit(epochs=epochs)
        assert int(model.optimizer.iterations) == (epochs + 2) * len(X)
        assert model.evaluate(X, Y, verbose=0) < 0.1


def predicts(n: int = 1_000_000) -> None:
    """Call `predict` `n` times, `evaluate` and `train_on_batch` a hundredth of that."""
    model = network()
    calls = {
        "predict": (n, lambda: model.predict(X[:2], verbose=0)),
        "evaluate": (n // 100, lambda: model.evaluate(X[:2], Y[:2], verbose=0)),
        "train_on_batch": (n // 100, lambda: model.train_on_batch(X[:2], Y[:2])),
    }
    for name, (count, call) in calls.items():
        with flat(f"{count:,} calls of {name}", call):
            for _ in range(count):
                call()


def threads(n: int = 2000) -> None:
    """Let 8 threads, switched each microsecond, train their own models and call a shared one."""
    count, before = 8, sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    shared, wrong, start = network(), [], time.process_time()
    alone = network()
    alone.fit(X[:64], Y[:64], 8, n // 100, verbose=0, shuffle=False)
    expected = shared.predict(X[:2], verbose=0), shared.evaluate(X[:64], Y[:64], verbose=0)
    cubes = tn.jit(tn.grad(lambda x: tn.ops.sum(x**3)))

    def work(i: int) -> None:
        try:
            own = models[i]
            own.fit(X[:64], Y[:64], 8, n // 100, verbose=0, shuffle=False)
            for weight, other in zip(own.get_weights(), alone.get_weights(), strict=True):
                np.testing.assert_array_equal(weight, other)
            for k in range(n):
                np.testing.assert_array_equal(shared.predict(X[:2], verbose=0), expected[0])
                if k % 20 == 0:
                    assert shared.evaluate(X[:64], Y[:64], verbose=0) == expected[1]
                    assert cubes(np.full(2, i, "float64")).tolist() == [3.0 * i * i] * 2
        except BaseException as error:
            wrong.append(error)

    models = [network() for _ in range(count)]
    workers = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(before)
    seconds = time.process_time() - start
    print(f"{count} threads, {n:,} predictions each: {seconds:.1f} s of CPU", flush=True)
    if wrong:
        raise wrong[0]


def chains(n: int = 100_000) -> None:
    """Compute `n` operations one after the other, their gradient, and the same compiled."""

    def chain(x: Any) -> Any:
        for _ in range(n // 2):
            x = x * 1.00001 + 1e-6
        return tn.ops.sum(x)

    x, slope = np.linspace(-1, 1, 8), 1.00001 ** (n // 2)
    for name, function in {"eager": tn.grad(chain), "jit": tn.jit(tn.grad(chain))}.items():
        start = time.process_time()
        np.testing.assert_allclose(function(x), np.full(8, slope), 1e-9)
        print(
            f"{n:,} operations, {name}: {time.process_time() - start:.1f} s of CPU, {rss()} MB",
            flush=True,
        )
    np.testing.assert_allclose(tn.jit(chain)(x), chain(tn.tensor(x)).item(), 1e-12)


def layers(n: int = 1000) -> None:
    """Make, train, save and load a model of `n` layers."""
    import tempfile

    start = time.process_time()
    tn.utils.set_random_seed(0)
    hidden = [tn.layers.Dense(4, "tanh") for _ in range(n - 1)]
    model = tn.Sequential([tn.Input((3,)), *hidden, tn.layers.Dense(1)])
    for options in ({"jit_compile": NATIVE}, {"jit_compile": False}, {"run_eagerly": True}):
        model.compile("sgd", "mse", **options)
        model.fit(X[:64], Y[:64], epochs=2, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/m.keras")
        loaded = tn.models.load_model(f"{folder}/m.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    print(f"{n:,} layers: {time.process_time() - start:.1f} s of CPU, {rss()} MB", flush=True)


def elements(n: int = 100_000_000) -> None:
    """Compute a gradient, an update and a prediction with arrays of `n` elements."""
    start, x = time.process_time(), np.ones(n, "float32")
    square = tn.grad(lambda x: tn.ops.mean(x * x))
    for function in (square, tn.jit(square, native=NATIVE)):
        slope = np.asarray(function(x))
        assert slope.shape == (n,)
        np.testing.assert_allclose(slope[[0, n // 2, -1]], 2 / n, 1e-6)
    del slope
    weight = tn.Variable(x)
    tn.optimizers.SGD(0.5).apply([tn.tensor(x)], [weight])
    assert weight.numpy()[[0, -1]].tolist() == [0.5, 0.5]
    del weight, x
    model, rows = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)]), np.ones((n, 1), "float32")
    one = model.predict(rows[:1], verbose=0)
    assert (model.predict(rows, n // 8, verbose=0) == one).all()
    print(f"{n:,} elements: {time.process_time() - start:.1f} s of CPU, {rss()} MB", flush=True)


def shapes(n: int = 5000) -> None:
    """Train, predict and call a compiled function with batches of `n` sizes."""
    model, function = network(jit_compile=False), tn.jit(lambda x: tn.ops.sum(x * x))

    def call(size: int) -> None:
        x = np.ones((size, 3), "float32")
        model.train_on_batch(x, x[:, :1])
        model.predict(x, size, verbose=0)
        assert function(x).item() == 3.0 * size

    # The larger ones come first: the heap settles when they have gone through the caches.
    first, later = range(n, n // 2, -1), range(n // 2, 0, -1)
    with flat(f"{n:,} batch shapes", lambda: [*map(call, first)]):
        for size in later:
            call(size)
    for steps in model._steps.values():
        assert len([*steps._steps]) <= CACHE_SIZE
        assert len(steps._small) <= CACHE_SIZE


PARTS = {
    part.__name__: part for part in (steps, predicts, threads, chains, layers, elements, shapes)
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        print(f"{name}: {PARTS[name].__doc__}")
        PARTS[name]()
