"""What the tests of `distribution` run under mpiexec: ``python ranks.py FOLDER NAME=ARGUMENT ...``.

Each rank runs the functions in this order, and writes what NAME returns to a file of its own. The
tests call the same functions in their own process, too, which is alone.
"""

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet import layers
from tinynet.callbacks import BackupAndRestore, Callback, CSVLogger, LambdaCallback, ModelCheckpoint
from tinynet.compiler import toolchain
from tinynet.distribution import DataParallel, Shards, initialize, set_distribution
from tinynet.distribution.ranks import digest, team

PROJECT = Path(__file__).parents[2]
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
MPIEXEC = shutil.which("mpiexec", path=PATH)


@contextmanager
def open_input():
    """Give an input that does not end: without one, MPICH's `mpiexec` fails now and then."""
    end, other = os.pipe()
    try:
        yield end
    finally:
        os.close(end)
        os.close(other)


def mpiexec(folder, ranks, work, seconds=100, **environment):
    """Run functions on ranks, by name with their arguments.

    Return the finished process, and by name what each rank returned. The user's numbers of threads
    are not passed on.
    """
    from native import CACHE  # here, since ranks need no pytest

    folder.mkdir(exist_ok=True)
    command = [MPIEXEC, "-n", str(ranks), sys.executable, __file__, str(folder)]
    command += [f"{name}={argument}" for name, argument in work.items()]
    paths = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    inherited = {name: os.environ[name] for name in os.environ if name not in toolchain.THREADS}
    given = {"PYTHONPATH": paths, "TINYNET_CACHE_DIR": CACHE, **environment}
    given["MPIR_CVAR_ENABLE_HEAVY_YIELD"] = "1"  # ranks that wait sleep, where MPICH lets them
    with open_input() as keyboard:
        done = subprocess.run(
            command,
            stdin=keyboard,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**inherited, **given},
        )
    files = {name: [folder / f"{name}-{rank}" for rank in range(ranks)] for name in work}
    return done, {
        name: [pickle.loads(f.read_bytes()) for f in each if f.exists()]
        for name, each in files.items()
    }


def finished(*args, **kwargs):
    """Return what was printed, and by name what each rank returned, of ranks that do not fail."""
    done, found = mpiexec(*args, **kwargs)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout, found


def rank():
    return team().rank


# -- drawn networks -------------------------------------------------------------------------------

OPTIMIZERS = [
    lambda: tn.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    lambda: tn.optimizers.SGD(tn.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)),
    lambda: tn.optimizers.Adam(0.02, weight_decay=0.1),
    lambda: tn.optimizers.Adam(0.02, global_clipnorm=0.5),
    lambda: tn.optimizers.RMSprop(0.01, momentum=0.5),
]
LOSSES = ["mse", "mae", lambda: tn.losses.Huber(0.5), "log_cosh"]


class Recorded(Callback):
    """The hashes of the weights after each epoch."""

    def __init__(self):
        self.hashes = []

    def on_epoch_end(self, epoch, logs=None):
        self.hashes.append([digest(v.array) for v in self.model.weights])


def drawn(seed, jit):
    """Train, evaluate and predict with a network, data and options that are drawn."""
    draw = random.Random(seed)
    floatx = draw.choice(["float64", "float64", "float32"])
    tn.backend.set_floatx(floatx)
    tn.utils.set_random_seed(seed)
    rows, width = draw.choice([5, 23, 41]), draw.choice([1, 3])
    x, y = np.random.standard_normal((rows, width)), np.random.standard_normal((rows, 2))
    tn.utils.set_random_seed(seed + rank())  # what is drawn from now on is that of rank 0
    penalty = draw.choice([None, "l2", "l1"])
    model = tn.Sequential(
        [
            tn.Input((width,)),
            layers.Dense(4, draw.choice(["tanh", "relu"]), kernel_regularizer=penalty),
            *draw.choice([[], [layers.Dropout(0.3)], [layers.Dropout(0.5, noise_shape=(1, 4))]]),
            layers.Dense(3, "sigmoid", activity_regularizer=draw.choice([None, "l2"])),
            layers.Dense(2),
        ]
    )
    loss = draw.choice(LOSSES)
    optimizer = tn.optimizers.SGD(0.05) if floatx == "float32" else draw.choice(OPTIMIZERS)()
    metrics = draw.choice([[], ["mae"], ["mae", tn.metrics.RootMeanSquaredError()]])
    road = {"eager": {"run_eagerly": True}}.get(jit, {"jit_compile": jit})
    loss = loss if isinstance(loss, str) else loss()
    model.compile(optimizer, loss, metrics=metrics, weighted_metrics=metrics[:1], **road)
    weights = draw.choice([None, np.linspace(0, 2, rows)])
    recorded = Recorded()
    options = {
        "batch_size": draw.choice([1, 2, 8, 16]),
        "shuffle": draw.choice([True, False, "batch"]),
        "sample_weight": weights,
        "validation_split": draw.choice([0.0, 0.3]),
        "steps_per_epoch": draw.choice([None, None, 2]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parts that C has no text for, and the end of the data
        history = model.fit(x, y, epochs=3, verbose=0, callbacks=[recorded], **options).history
        on_batch = model.train_on_batch(x[:3], y[:3])
        evaluated = model.evaluate(x, y, batch_size=7, verbose=0, sample_weight=weights)
        predicted = model.predict(x, batch_size=4, verbose=0)
        drawn_after = np.random.random()
    tn.backend.set_floatx("float32")
    return {
        "floatx": floatx,
        "hashes": recorded.hashes,
        "history": history,
        "on batch": on_batch,
        "evaluated": evaluated,
        "predicted": predicted,
        "weights": model.get_weights(),
        "random": drawn_after,
        "native": jit != "eager" and model.train_function.native,
    }


def cases(argument):
    """Run drawn cases, given as ``seed:road`` with commas."""
    found = {}
    for case in argument.split(","):
        seed, road = case.split(":")
        found[case] = drawn(int(seed), {"True": True, "False": False}.get(road, road))
    return found


# -- single properties, one launch for all --------------------------------------------------------


def network(loss="mse", metrics=None, width=2, **options):
    tn.utils.set_random_seed(7)
    model = tn.Sequential([tn.Input((width,)), layers.Dense(3, "tanh"), layers.Dense(1)])
    model.compile(tn.optimizers.SGD(0.1), loss, metrics=metrics, **options)
    return model


def data(rows=20, width=2):
    rng = np.random.default_rng(3)
    return rng.standard_normal((rows, width)), rng.standard_normal((rows, 1))


class Largest(tn.metrics.Metric):
    """A metric that is no sum."""

    def __init__(self):
        super().__init__(name="largest")
        self.most = self.add_variable((), "zeros", name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(tn.ops.maximum(self.most, tn.ops.max(abs(y_true - y_pred))))

    def result(self):
        return self.most.value


class OwnStep(tn.Sequential):
    def train_step(self, data):
        return super().train_step(data)


class AddsSum(layers.Layer):
    def call(self, inputs):
        self.add_loss(tn.ops.sum(inputs))
        return inputs


def error_of(f):
    try:
        f()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def refusals(argument):
    """Return the errors of what cannot be distributed."""
    x, y = data()

    def fit(model, x=x, **options):
        return error_of(lambda: model.fit(x, y, verbose=0, **options))

    own = OwnStep([tn.Input((2,)), layers.Dense(1)])
    own.compile("sgd", "mse")
    adding = tn.Sequential([tn.Input((2,)), AddsSum(), layers.Dense(1)])
    adding.compile("sgd", "mse")
    weights = np.linspace(0, 2, len(x))
    other = tn.Sequential([tn.Input((2,)), layers.Dense(1 + rank())])
    other.compile("sgd", "mse")
    typed = tn.Sequential([tn.Input((2,)), layers.Dense(1, dtype=("float32", "float64")[rank()])])
    typed.compile("sgd", "mse")
    active = tn.Sequential([tn.Input((2,)), layers.Dense(1, ("tanh", "relu")[rank()])])
    active.compile("sgd", "mse")
    restoring = tn.callbacks.EarlyStopping("loss", min_delta=100.0, restore_best_weights=True)
    by_batch = network()
    by_batch.train_on_batch(x[:8], y[:8])
    changed = network()
    change = LambdaCallback(
        on_epoch_end=lambda epoch, logs: changed.layers[1].bias.assign([rank() == 1.0])
    )
    return {
        "sum": fit(network(tn.losses.MeanSquaredError("sum"))),
        "mean of weights": fit(
            network(tn.losses.MeanSquaredError("mean_with_sample_weight")), sample_weight=weights
        ),
        "largest": fit(network(metrics=[Largest()])),
        "own step": fit(own),
        "add_loss": fit(adding),
        "data": fit(network(), x + rank()),
        "batch": error_of(lambda: by_batch.train_on_batch(x[rank() :][:8], y[:8])),
        "size": error_of(lambda: by_batch.test_on_batch(x[: 8 + rank()], y[: 8 + rank()])),
        "model": fit(other),
        "dtype": fit(typed),
        "activation": fit(active),
        "loss": fit(network(("mse", "mae")[rank()])),
        "weights": fit(changed, callbacks=[change]),
        "restored": fit(network(), epochs=3, callbacks=[restoring] * rank()),
        "metrics": fit(network(metrics=["mae"] * rank())),
        "devices": error_of(lambda: DataParallel(devices=["cpu:0"])),
        "allowed": fit(network(tn.losses.MeanSquaredError("mean_with_sample_weight"))),
    }


def same(argument):
    """Return what ranks compute in ways of their own, to be compared with one process."""
    x, y = data()
    model = network()
    found = {"predicted": [model.predict(x[:6], batch_size=4, verbose=0)]}
    # One rank had a batch of two samples before, so it has a compiled step for the next call.
    found["predicted"].append(model.predict(x[:2], verbose=0))
    inputs = tn.Input((2,))
    noisy = layers.Dropout(0.5)(layers.Dense(4, kernel_initializer="ones")(inputs), training=True)
    model = tn.Model(inputs, layers.Dense(1, kernel_initializer="ones")(noisy))
    model.compile("sgd", "mse", metrics=["mae"])
    found["random in evaluations"] = [
        *model.fit(x, y, 5, 3, 0, validation_data=(x, y)).history.values(),
        *model.get_weights(),
    ]
    return found


class Batches:
    """An iterable of batches, which are rows of x and y."""

    def __init__(self, *rows):
        self.rows = rows

    def __iter__(self):
        x, y = data()
        return iter([(x[rows], y[rows]) for rows in self.rows])


def streams(argument):
    """Return what iterables give: batches of all ranks, and parts of which ranks have several."""
    x, _y = data()
    found = {}
    whole = Batches(slice(0, 7), slice(7, 9), slice(9, 20))
    model = network(metrics=["mae"])
    history = model.fit(whole, epochs=3, verbose=0, validation_data=whole).history
    found["whole"] = history, model.get_weights(), model.evaluate(whole, verbose=0)
    shown = []
    show = LambdaCallback(on_predict_batch_end=lambda batch, logs: shown.append(logs["outputs"]))
    found["predicted"] = model.predict(iter([x[:3], x[3:]]), verbose=0, callbacks=[show])
    found["shown"] = shown
    parts = [[slice(0, 5), slice(5, 8)], [slice(8, 12)], [slice(12, 20)]]
    given = Batches(np.r_[0:5, 8:20], slice(5, 8))
    if team().size > 1:
        set_distribution(DataParallel(auto_shard_dataset=False))
        given = Batches(*parts[rank()])
    model = network(metrics=["mae"])
    history = model.fit(given, epochs=3, verbose=0, validation_data=given).history
    found["parts"] = history, model.get_weights(), model.evaluate(given, verbose=0)
    model = network()  # the second epoch has the batch of rank 0 that is left
    history = model.fit(given, epochs=2, steps_per_epoch=1, verbose=0).history
    found["steps"] = history, model.get_weights(), []
    if team().size > 1:
        set_distribution(DataParallel())
        different = Batches(*[slice(0, 7 + rank())] * 3)
        found["different"] = error_of(lambda: model.fit(different, verbose=0))
        moved = Batches(*[slice(rank(), rank() + 7)] * 3)
        found["moved"] = [
            error_of(lambda: model.fit(moved, verbose=0)),
            error_of(lambda: model.predict(moved, verbose=0)),
        ]
    return found


def shards(argument):
    """Return what ranks see of a folder of shards, and the loss of all its samples."""
    folder = Path(argument)
    given = Shards(folder, batch_size=6)
    model = network(metrics=["mae"])
    evaluated = model.evaluate(given, verbose=0)
    orders = [[row for batch in given for row in batch[0].tolist()] for epoch in range(2)]
    history = model.fit(given, epochs=3, verbose=0).history
    return {
        "evaluated": evaluated,
        "orders": team().gather(orders),
        "loss": history["loss"],
        "small": error_of(lambda: Shards(folder, batch_size=team().size - 1)),
        "few": error_of(lambda: Shards(folder / "nothing")),
    }


def stops(argument):
    """Return how many batches each rank has when one rank wants to stop, and when all do.

    Also the number of batches that a callback of rank 0 alone has seen, of epochs if the data of
    one rank end the training, and of predicted samples if a callback of one rank ends that.
    """
    x, y = data()
    found, seen = [], []
    for hook in ("on_train_batch_end", "on_epoch_end"):
        model, count = network(), []

        def stop(number, logs, model=model, count=count):
            count.append(number)
            if rank() == 1 and len(count) == 3:
                model.stop_training = True

        model.fit(x, y, 4, 6, 0, [LambdaCallback(**{hook: stop})])
        found.append(len(count))
    model = network()
    early = tn.callbacks.EarlyStopping("loss", min_delta=100.0, patience=2)
    slower = tn.callbacks.ReduceLROnPlateau("loss", min_delta=100.0, patience=1)
    history = model.fit(x, y, 4, 20, 0, [early, slower]).history
    of_first = [LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))]
    network().fit(x, y, 4, 2, 0, of_first * (rank() == 0))
    model = network()

    def ending():
        for number in range(20):
            model.stop_training = model.stop_training or (number == 7 and rank() == 1)
            yield x[:4], y[:4]

    epochs = len(model.fit(ending(), epochs=4, steps_per_epoch=5, verbose=0).epoch)
    end = lambda batch, logs: setattr(model, "stop_predicting", rank() == batch == 1)  # noqa: E731
    calls = [LambdaCallback(on_predict_batch_end=end)]
    predicted = len(model.predict(iter([x[:5]] * 4), verbose=0, callbacks=calls))
    rates = history["learning_rate"]
    return found, len(history["loss"]), rates, team().gather(len(seen)), epochs, predicted


def files(argument):
    """Save by all means while training on all ranks, and print."""
    folder, (x, y) = Path(argument), data()
    model = network()
    calls = [CSVLogger(folder / "log.csv"), ModelCheckpoint(folder / "{epoch}.keras", verbose=1)]
    model.fit(x, y, epochs=2, verbose=2, callbacks=calls)
    model.summary()
    model.save_weights(folder / "w.weights.npz")
    model.export(folder / "net.py", format="numpy", verbose=False)
    loaded = network()
    loaded.load_weights(folder / "w.weights.npz")
    missing = error_of(lambda: model.save(folder / "missing" / "m.keras"))
    odd = tn.Sequential([tn.Input((2,)), Indescribable()])
    same = all(
        (a == b).all() for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True)
    )
    return {
        "same": same,
        "missing": missing,
        "odd": error_of(lambda: odd.save(folder / "m.keras")),
        "loaded": tn.models.load_model(folder / "2.keras").built,
    }


def interrupted(argument):
    """Train with a backup; rank 0 fails in one epoch, if it is to."""
    folder, epoch = argument.split(":")
    tn.backend.set_floatx("float64")
    tn.utils.set_random_seed(11)
    model = tn.Sequential(
        [tn.Input((2,)), layers.Dense(4, "tanh"), layers.Dropout(0.3), layers.Dense(1)]
    )
    model.compile(tn.optimizers.Adam(0.05), "mse")

    def fail(now, logs):
        if now == int(epoch) and not rank():
            raise KeyError("interrupted")

    calls = [BackupAndRestore(folder, delete_checkpoint=False), LambdaCallback(on_epoch_end=fail)]
    try:
        model.fit(*data(), 4, 6, 0, calls)
    finally:
        tn.backend.set_floatx("float32")
    return model.get_weights()


class Indescribable(layers.Layer):
    """A layer whose config raises an error that other processes cannot read."""

    class UnpicklableError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def call(self, inputs):
        return inputs

    def get_config(self):
        raise self.UnpicklableError(1, 2)


class Unreadable:
    """What can be pickled, but not read again."""

    def __reduce__(self):
        return int, ("text",)


def sweep(argument):
    """Return the results of `map`, with a function that only this process knows."""
    x, y = data()

    def fitted(units):
        if not units:
            raise ValueError("no units")
        tn.utils.set_random_seed(units)
        model = tn.Sequential([tn.Input((2,)), layers.Dense(units), layers.Dense(1)])
        model.compile("sgd", "mse")
        return team().size, model.fit(x, y, verbose=0).history["loss"][0]

    def odd(case):
        return Unreadable() if case % 2 else tn.distribution.map(abs, [case, "text"])

    sizes = [3, 0, 2, 1] if rank() == 0 else [5, 5, 5, 5]  # those of rank 0 count
    given = (fitted, sizes), (odd, [-2, 1]), (time.sleep, [4, 0])
    initialize(timeout=2)  # less than the cases take
    found = [tn.distribution.map(f, cases) for f, cases in given]
    initialize(timeout=60)
    return found


def threads(argument):
    return os.environ["OPENBLAS_NUM_THREADS"], len(os.sched_getaffinity(0))


# -- failures -------------------------------------------------------------------------------------

WAYS = {
    "raise": lambda: 1 / 0,
    "exit": lambda: sys.exit(3),
    "leave": lambda: sys.exit(0),
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "sleep": lambda: time.sleep(1000),
}


def fails(argument):
    """Train on all ranks; one of them fails in a phase, in one of several ways."""
    phase, way, path = argument.split(":")
    calls = iter(range(1000))

    def fail(*args, **kwargs):
        if rank() == (phase != "save") and next(calls) == 2:
            WAYS[way]()

    def failing(batches):
        for batch in batches:
            fail()
            yield batch

    def before(owner, name):
        original = getattr(owner, name)
        setattr(owner, name, lambda *args: (fail(), original(*args))[1])

    class Forward(layers.Layer):
        def call(self, inputs):
            (phase == "forward") and fail()
            return backward(inputs)

    backward = tn.primitive("backward", np.copy, lambda ct, y, x: [fail(), ct][1])
    x, y = data()
    if phase in ("forward", "backward"):
        model = tn.Sequential([tn.Input((2,)), layers.Dense(2), Forward(), layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
    else:
        model = network(jit_compile=phase == "C" or "auto")
    if phase in ("C", "sum"):
        before(type(team()), "sum")
    many = [(x[:10], y[:10])] * 9
    callbacks = [LambdaCallback(on_epoch_end=fail)] if phase == "callback" else []
    if phase == "save":
        before(os, "fsync")  # when everything is written, but under another name
        callbacks = [ModelCheckpoint(path)]
    if phase == "map":
        for _ in range(3):
            fail()
        tn.distribution.map(abs, range(3))
    validation = failing(many) if phase == "validation" else (x, y)
    given = (failing(many),) if phase == "data" else (x, y)
    model.fit(*given, epochs=9, verbose=0, callbacks=callbacks, validation_data=validation)
    model.predict(failing([x] * 9) if phase == "predict" else x, verbose=0)
    print("trained to the end")


def other_calls(argument):
    """Rank 0 alone saves or predicts, as scripts for other libraries do."""
    call, folder = argument.split(":")
    model = network()
    model.fit(*data(), verbose=0)
    if not rank() and call == "save":
        model.save_weights(Path(folder) / "w.weights.npz")
    elif not rank():
        model.predict(data()[0], verbose=0)
    model.fit(*data(), verbose=0)


def compile_quickly():
    """Compile without optimization, in a third of the time, and what all ranks need only once."""
    import fcntl  # here, since Windows lacks it, and tests there import this file

    compiled = toolchain._compiled

    def once(folder, key, *args):
        with open(folder / "lock", "w") as file:  # while one rank compiles, the others sleep
            fcntl.flock(file, fcntl.LOCK_EX)
            return toolchain._cached(folder, key) or compiled(folder, key, *args)

    toolchain._compiled = once
    toolchain.FLAGS = (*toolchain.FLAGS, "-O0")


def main(folder, *work):
    compile_quickly()
    for when in ("START", "TIMEOUT"):  # for the begin of all ranks, and from then on
        initialize(timeout=float(os.environ.get(f"TEST_{when}", "60")))
    for name, argument in (each.split("=", 1) for each in work):
        set_distribution(DataParallel())
        tn.utils.clear_session()
        found = globals()[name](argument)
        (Path(folder) / f"{name}-{rank()}").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    if "TEST_START" in os.environ and os.environ["PMI_RANK"] == "1":
        sys.exit("before MPI begins")
    main(*sys.argv[1:])
