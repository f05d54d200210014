"""Many steps in one call of C are the same steps one by one, to the bit, and can be interrupted."""

import itertools
import signal
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest
from faults import traced
from hypothesis import Phase, given, settings, strategies as st
from native import NATIVE, compiled_with

import tinynet as tn
from tinynet import tree
from tinynet.callbacks import Callback, LambdaCallback
from tinynet.compiler import executable, native, toolchain
from tinynet.compiler.executable import Executable
from tinynet.layers import Dense, Input
from tinynet.models import Sequential
from tinynet.optimizers import SGD, Adam, Nadam, RMSprop
from tinynet.optimizers.groups import scalars_ahead
from tinynet.optimizers.schedules import CosineDecay, ExponentialDecay
from tinynet.training.divergence import DivergenceWarning
from tinynet.training.step import Step

needs_c = pytest.mark.skipif(not NATIVE, reason="there is no C compiler")
EACH_BATCH = LambdaCallback(
    on_train_batch_end=lambda batch, logs: None,
    on_test_batch_end=lambda batch, logs: None,
    on_predict_batch_end=lambda batch, logs: None,
)
OPTIMIZERS = [
    lambda: SGD(0.02, momentum=0.9),
    lambda: SGD(ExponentialDecay(0.1, 3, 0.5)),
    lambda: Adam(0.01, weight_decay=0.1),
    lambda: Adam(CosineDecay(0.1, 20)),
    lambda: RMSprop(0.01, momentum=0.5),
    lambda: Adam(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    lambda: Nadam(0.01),
    lambda: Adam(0.01, gradient_accumulation_steps=3),
    lambda: SGD(ExponentialDecay(0.1, 3, 0.5), gradient_accumulation_steps=2, use_ema=True),
]


@pytest.fixture(scope="module", autouse=True)
def quickly_compiled():
    with compiled_with("-O0"):
        yield


def network(optimizer="adam", metrics=None, **options):
    tn.utils.set_random_seed(7)
    model = Sequential([Input((2,)), Dense(3, "tanh", name="hidden"), Dense(1, name="out")])
    model.compile(optimizer, "mse", metrics=metrics, **{"jit_compile": NATIVE, **options})
    return model


def data(rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 2)), rng.standard_normal(rows)


def state_of(model):
    """Return copies of all that a step of a model reads and writes."""
    owners = Step(model, "train").owners
    return [*[o.current().copy() for o in owners], model.optimizer.iterations.numpy()]


def assert_same_state(model, other):
    for a, b in zip(state_of(model), state_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


class Calls:
    """Counts the calls of C that run several steps, and those steps."""

    def __init__(self, monkeypatch):
        self.steps = []
        original = Executable.take_steps

        def counted(executable, *args):
            taken = original(executable, *args)
            self.steps.append(taken)
            return taken

        monkeypatch.setattr(Executable, "take_steps", counted)


# -- the same numbers -------------------------------------------------------------------------


@needs_c
def test_outputs_that_are_not_row_major_are_predicted_step_by_step(monkeypatch):
    turned = tn.layers.Lambda(lambda x: tn.ops.swapaxes(x, 1, 2), output_shape=(3, 2))
    model = Sequential([Input((2, 3)), turned])
    model.jit_compile = True
    x = np.arange(60.0, dtype="float32").reshape(10, 2, 3)
    calls = Calls(monkeypatch)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(x, batch_size=2, verbose=0), x.swapaxes(1, 2))
    assert model.predict_function.native
    assert calls.steps == [0] * len(calls.steps) != []


@needs_c
@settings(max_examples=12, phases=[Phase.generate])
@given(
    optimizer=st.sampled_from(OPTIMIZERS),
    rows=st.sampled_from([3, 24, 41]),
    batch_size=st.sampled_from([4, 8]),
    shuffle=st.sampled_from([True, False, "batch"]),
    metrics=st.sampled_from([None, ["mae"]]),
    weighted=st.booleans(),
    steps_per_epoch=st.sampled_from([None, None, 3]),
    columns=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_epochs_in_few_calls_of_c_are_the_same_steps_one_by_one(
    optimizer, rows, batch_size, shuffle, metrics, weighted, steps_per_epoch, columns
):
    x, y = data(rows)
    if columns:
        x = np.asfortranarray(x.astype("float32"))  # not as C reads arrays
    weights = np.random.default_rng(1).random(rows) if weighted else None
    models = []
    for callbacks in ([], [EACH_BATCH]):
        model = network(optimizer(), metrics)
        np.random.seed(3)
        options = {"steps_per_epoch": steps_per_epoch, "sample_weight": weights}
        model.fit(x, y, batch_size, 9, 0, callbacks, shuffle=shuffle, **options)
        assert model.train_function.native
        models.append(model)
    together, singly = models
    assert together.history.history == singly.history.history
    assert_same_state(together, singly)
    for method in ("evaluate", "predict"):
        given = (x, y) if method == "evaluate" else (x,)
        found = getattr(together, method)(*given, batch_size=batch_size, verbose=0)
        one_by_one = getattr(singly, method)(
            *given, batch_size=batch_size, verbose=0, callbacks=[EACH_BATCH]
        )
        np.testing.assert_array_equal(found, one_by_one)


@needs_c
def test_short_epochs_run_together_unless_a_callback_wants_each(monkeypatch):
    calls, now = Calls(monkeypatch), itertools.count(0, 1e-4)  # each call seems to take 0.1 ms
    monkeypatch.setattr("tinynet.training.step_cache.time.perf_counter", lambda: next(now))
    x, y = data(64)
    network().fit(x, y, batch_size=32, epochs=200, verbose=0)
    assert 390 < sum(calls.steps) <= 400  # the rest are calls of one step
    assert len(calls.steps) < 100
    calls.steps.clear()
    ended = []
    each_epoch = LambdaCallback(on_epoch_end=lambda epoch, logs: ended.append(sum(calls.steps)))
    network().fit(x, y, batch_size=8, epochs=5, verbose=0, callbacks=[each_epoch])
    assert ended == [8, 16, 24, 32, 40]
    calls.steps.clear()
    network().fit(x, y, batch_size=8, epochs=5, verbose=0, validation_data=(x, y))
    assert len(calls.steps) >= 5


@needs_c
def test_a_call_lasts_about_as_long_as_callbacks_can_wait(monkeypatch):
    calls, now = Calls(monkeypatch), itertools.count(0, 0.02)  # each call seems to take 20 ms
    monkeypatch.setattr("tinynet.training.step_cache.time.perf_counter", lambda: next(now))
    x, y = data(1000)
    network().fit(x, y, batch_size=2, epochs=1, verbose=0)
    growth = np.array(calls.steps[1:]) / calls.steps[:-1]
    assert calls.steps[0] == 1
    assert (growth <= 1.5).all()  # 30 ms / 20 ms


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_scalars_of_steps_ahead_are_those_of_each_step(make):
    optimizer = make()
    optimizer.build([tn.Variable([1.0])])
    for first, count in ((0, 1), (0, 700), (5, 300), (100_000, 33)):
        optimizer.variables[0].assign(first)
        found = scalars_ahead(optimizer, count)
        for name, values in found.items():
            expected = [optimizer.next_scalars(first + i)[name] for i in range(count)]
            np.testing.assert_array_equal(np.full(count, values), expected)


@needs_c
def test_a_learning_rate_that_is_a_function_is_called_before_each_step():
    asked = []

    def rate():
        asked.append(float(model.optimizer.iterations))
        return 0.1

    model = network(SGD(rate))
    x, y = data(20)
    model.fit(x, y, batch_size=5, epochs=3, verbose=0)
    assert sorted({*asked}) == [*range(12)]


@needs_c
@pytest.mark.parametrize("mode", ["warn", "raise"])
def test_a_divergence_is_found_at_the_step_where_it_happens(mode):
    x, y = data(60)
    models, messages = [], []
    for callbacks in ([], [EACH_BATCH]):
        model = network(SGD(3.0), on_divergence=mode)
        caught = pytest.warns if mode == "warn" else pytest.raises
        with caught(DivergenceWarning) as found:
            model.fit(x * 30, y, 3, 4, 0, callbacks, shuffle=False)
        models.append(model)
        messages.append(str(found[0].message if mode == "warn" else found.value))
    assert messages[0] == messages[1]
    assert_same_state(*models)


# -- "auto" -----------------------------------------------------------------------------------


@needs_c
def test_auto_is_c_from_a_number_of_steps_on_that_its_documentation_says():
    x, y = data(64)
    model = network(jit_compile="auto")
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    program = model.train_function.executable.program
    work = len(program.equations) + sum(np.prod(v.shape) for v in program.equations) / 2000
    runs = int(np.ceil(2**18 / work))
    assert not model.train_function.native
    model.fit(x, y, batch_size=16, epochs=(runs - 1) // 4, verbose=0)
    assert not model.train_function.native
    model.fit(x, y, batch_size=16, epochs=runs // 4 + 1, verbose=0)
    assert model.train_function.native
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert not model.train_function.native


@needs_c
def test_auto_of_jit_turns_to_c_after_so_many_calls(monkeypatch):
    monkeypatch.setattr(executable, "AUTO_WORK", 12)
    function = tn.jit(lambda x: tn.ops.exp(x) + x * 2.0)
    runs = []
    for _ in range(8):
        np.testing.assert_allclose(function([1.0]), [np.e + 2], rtol=1e-6)
        runs.append(function.native)
    assert runs == [False] * 4 + [True] * 4  # 12 / 3 equations = 4 calls


def test_auto_is_numpy_where_c_is_impossible(monkeypatch):
    monkeypatch.setattr(executable, "AUTO_WORK", 1)
    x, y = data(8)
    model = network(jit_compile="auto")
    with monkeypatch.context() as patch:
        patch.setattr(toolchain, "compiler", lambda: None)
        patch.setattr("tinynet.compiler.native.compiler", lambda: None)
        model.fit(x, y, epochs=2, verbose=0)
    assert not model.train_function.native
    sort = tn.jit(tn.ops.sort)
    for _ in range(3):
        assert sort([2.0, 1.0]).tolist() == [1.0, 2.0]
    assert not sort.native


def test_a_step_that_c_refuses_is_printed_and_warned_of_once(monkeypatch):
    printed = []
    source = vars(Executable)["_printed"]  # a cached property
    original = source.func
    monkeypatch.setattr(source, "func", lambda self: (printed.append(self), original(self))[1])

    class Sorted(tn.layers.Layer):
        def call(self, x):
            return x[tn.ops.argsort(x[:, 0])]

    model = Sequential([Input((2,)), Sorted(), Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    x, y = data(8)
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]
    with pytest.warns(UserWarning, match="so this step runs as NumPy") as caught:
        model.fit(iter([*batches, *batches]), verbose=0)
    assert len(caught) == len(printed) == 1


# -- Ctrl-C -----------------------------------------------------------------------------------


class Interrupting(Callback):
    """Begin to trace at the second epoch: then all is compiled."""

    def __init__(self, trace):
        self.trace = trace

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            sys.settrace(self.trace)
            sys._getframe(2).f_trace = self.trace


@pytest.mark.parametrize("road", ["eager", "numpy", pytest.param("c", marks=needs_c)])
@settings(max_examples=15, phases=[Phase.generate])
@given(line=st.integers(1, 600))
def test_an_interrupt_at_any_line_leaves_a_whole_step(road, line):
    options = {"run_eagerly": road == "eager", "jit_compile": road == "c"}
    x, y = data(24)
    model = network(**options)
    interrupting = Interrupting(traced(line, lambda: signal.raise_signal(signal.SIGINT)))
    before = sys.gettrace()
    try:
        np.random.seed(3)
        model.fit(x, y, 4, 4, 0, [interrupting])
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    finally:
        sys.settrace(before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    steps = int(model.optimizer.iterations)
    assert interrupted == (steps < 24) or steps == 24
    assert len(model.history.history["loss"]) in (steps // 6, steps // 6 - (steps % 6 == 0))

    class StopAt(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == steps:
                raise StopIteration

    whole = network(**options)
    np.random.seed(3)
    with suppress(StopIteration):
        whole.fit(x, y, 4, 4, 0, [StopAt()])
    assert_same_state(model, whole)


def test_a_second_interrupt_is_not_held_back():
    presses = []

    def press_twice(batch):
        presses.append(batch)
        signal.raise_signal(signal.SIGINT)
        presses.append(batch)
        signal.raise_signal(signal.SIGINT)
        presses.append(batch)

    class Endless(tn.layers.Layer):
        def call(self, x):
            if fitting:
                press_twice(0)
            return x

    fitting = []
    model = Sequential([Input((2,)), Endless(), Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    fitting.append(True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data(4), verbose=0)
    assert len(presses) == 2


def test_users_handlers_of_the_signal_and_other_threads_are_left_alone():
    received, x, y = [], *data(8)
    model = network()
    before = signal.signal(signal.SIGINT, lambda *args: received.append(args))
    try:
        handler = signal.getsignal(signal.SIGINT)
        seen = LambdaCallback(
            on_train_batch_end=lambda *_: received.append(signal.getsignal(signal.SIGINT))
        )
        model.fit(x, y, verbose=0, callbacks=[seen])
        assert received == [handler]
    finally:
        signal.signal(signal.SIGINT, before)
    thread = threading.Thread(target=model.fit, args=(x, y), kwargs={"verbose": 0})
    thread.start()
    thread.join()
    assert int(model.optimizer.iterations) == 2
    assert tree.leaves(model.history.history)


@settings(phases=[Phase.generate])
@given(
    size=st.integers(0, 2100),
    count=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([np.random.MT19937, np.random.PCG64, np.random.Philox]),
)
def test_orders_drawn_in_c_are_numpys_permutations_and_use_up_the_same_random_bits(
    size, count, seed, kind
):
    before = np.random.mtrand.get_bit_generator()
    try:
        np.random.mtrand.set_bit_generator(kind(seed))
        wanted = [np.random.permutation(size) for _ in range(count)], np.random.random()
        np.random.mtrand.set_bit_generator(kind(seed))
        found = native.orders(size, count, np.empty(size, "int64")), np.random.random()
    finally:
        np.random.mtrand.set_bit_generator(before)
    np.testing.assert_array_equal(found[0], np.ravel(wanted[0]))
    assert found[1] == wanted[1]
