"""Keras's protocol: train_step, test_step, predict_step, compute_metrics and metrics of users."""

import functools
import warnings

import numpy as np
import pytest
from helpers import normal, over
from native import NATIVE, all_in_c

import tinynet as tn
from tinynet import ops
from tinynet.layers import Dense, Dropout, Input
from tinynet.optimizers import SGD, Adam

X, Y = normal(0, 20, 3), normal(1, 20, 1)
WEIGHTS = abs(normal(2, 20))
ROADS = {
    "eager": {"run_eagerly": True},
    "NumPy": {"jit_compile": False},
    "C": {"jit_compile": NATIVE},
}


class Own(tn.Sequential):
    """A step in the form of Keras's guides."""

    def train_step(self, data):
        x, y, sample_weight = tn.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        self.zero_grad()
        loss.backward()
        self.update([v.value.grad for v in self.trainable_variables])
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=ops.shape(x)[0])
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}

    def update(self, grads):
        self.optimizer.apply(grads, self.trainable_variables)


class Pure(Own):
    """The gradient by `value_and_grad` of a stateless call."""

    def train_step(self, data):
        x, y, sample_weight = tn.utils.unpack_x_y_sample_weight(data)

        def loss_of(weights, others):
            y_pred, others, losses = self.stateless_call(
                weights, others, x, training=True, return_losses=True
            )
            loss = ops.mean(tn.losses.mean_squared_error(y, y_pred)) + sum(losses)
            return loss, (y_pred, others)

        weights = [v.value for v in self.trainable_variables]
        others = [v.value for v in self.non_trainable_variables]
        (loss, (y_pred, new)), grads = tn.value_and_grad(loss_of, has_aux=True)(weights, others)
        self.update(grads)
        for variable, value in zip(self.non_trainable_variables, new, strict=True):
            variable.assign(value)
        self.metrics[0].update_state(loss, sample_weight=ops.shape(x)[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)


class ByHand(Own):
    """Gradient descent by assignments to the weights."""

    def update(self, grads):
        for v, grad in zip(self.trainable_variables, grads, strict=True):
            v.assign_sub(0.1 * grad)


class PairsApplied(Own):
    def update(self, grads):
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables, strict=True))


class ThroughSuper(tn.Sequential):
    def train_step(self, data):
        return super().train_step(data)

    def test_step(self, data):
        return super().test_step(data)

    def predict_step(self, data):
        return super().predict_step(data)


def network(kind=tn.Sequential, optimizer=None, loss="mse", metrics=("mae",), rate=0.2, **options):
    tn.utils.set_random_seed(3)
    tn.utils.clear_session()
    model = kind([Input((3,)), Dense(4, "tanh", kernel_regularizer="l2"), Dropout(rate), Dense(1)])
    model.compile(optimizer or Adam(0.02), loss, metrics=[*metrics], **options)
    return model


def trained(model, x=X, y=Y, **options):
    """Return all numbers of a fit, an evaluation and a prediction."""
    with all_in_c():
        fit = model.fit(x, y, 8, 3, 0, shuffle=False, validation_data=(X, Y), **options)
        test, outputs = model.evaluate(X, Y, 8, 0), model.predict(X, 8, 0)
    rows = [fit.history[key] for key in sorted(fit.history)]
    state = [model.optimizer.iterations.numpy(), *model.get_weights()]
    return [np.array(found) for found in (*rows, test, outputs, *state)]


def assert_near(found, expected, rtol=2e-5):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol, rtol * np.abs(other).max(initial=1e-3))


class SharpnessAware(Own):
    """Gradients at weights to which the step has assigned."""

    def train_step(self, data):
        x, y = data
        self.compute_loss(y=y, y_pred=self(x)).backward()
        steps = [0.05 * ops.sign(v.grad) for v in self.trainable_variables]
        for v, step in zip(self.trainable_variables, steps, strict=True):
            v.assign_add(step)
        loss = self.compute_loss(y=y, y_pred=self(x))
        loss.backward()
        grads = [v.grad for v in self.trainable_variables]
        for v, step in zip(self.trainable_variables, steps, strict=True):
            v.assign_sub(step)
        self.update(grads)
        return {"sharp": loss}


STEPS = {kind.__name__: kind for kind in (Own, Pure, PairsApplied, ThroughSuper)}


@over(STEPS, "kind")
@over(ROADS, "options")
def test_a_step_that_does_what_fit_does_reaches_its_numbers_on_each_road(kind, options):
    model = network(kind, **options)
    assert_near(trained(model), trained(network(run_eagerly=True)))
    compiled = not options.get("run_eagerly")
    assert model.train_function.compilations == 2 * compiled  # one for each size of a batch
    if compiled:
        assert model.train_function.native == options["jit_compile"]


@over(STEPS | {"ByHand": ByHand, "SharpnessAware": SharpnessAware}, "kind")
def test_the_printed_step_equals_the_eager_one_bit_for_bit(kind):
    found, expected = (trained(network(kind, **ROADS[road])) for road in ("NumPy", "eager"))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_assignments_to_weights_train_as_gradient_descent_does():
    found = trained(network(ByHand, SGD(0.1), jit_compile=False))
    expected = trained(network(Own, SGD(0.1), run_eagerly=True))
    assert found.pop(-5) == 0  # iterations: `apply` was not called
    assert expected.pop(-5) == 9
    assert_near(found, expected)


@over(ROADS, "options")
def test_sample_and_class_weights_and_streams_reach_an_own_step(options):
    x, y = X, (Y > 0).astype("float32")
    for more in ({"sample_weight": WEIGHTS}, {"class_weight": {0: 1.0, 1: 3.0}}):
        found = trained(network(ThroughSuper, **options), x, y, **more)
        assert_near(found, trained(network(run_eagerly=True), x, y, **more))

    def batches():
        while True:
            for i in range(0, 20, 8):
                yield X[i : i + 8], Y[i : i + 8]

    found = trained(network(Own, **options), batches(), None, steps_per_epoch=3)
    assert_near(found, trained(network(run_eagerly=True)))


class OwnMetrics(tn.Sequential):
    """Metrics of its own in `metrics`, as in the guide on going lower-level."""

    def __init__(self, *args):
        super().__init__(*args)
        self.loss_tracker = tn.metrics.Mean(name="loss")
        self.mae = tn.metrics.MeanAbsoluteError(name="mae")

    def train_step(self, data):
        x, y = data
        y_pred = self(x, training=True)
        loss = tn.ops.mean(tn.losses.mean_squared_error(y, y_pred)) + sum(self.losses)
        loss.backward()
        self.optimizer.apply([v.grad for v in self.trainable_variables], self.trainable_variables)
        self.loss_tracker.update_state(loss, sample_weight=ops.shape(x)[0])
        self.mae.update_state(y, y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.mae.result()}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        loss = tn.ops.mean(tn.losses.mean_squared_error(y, y_pred)) + sum(self.losses)
        self.loss_tracker.update_state(loss, sample_weight=ops.shape(x)[0])
        self.mae.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}

    @property
    def metrics(self):
        return [self.loss_tracker, self.mae]


@over(ROADS, "options")
def test_a_model_without_a_compiled_loss_has_the_metrics_that_it_lists(options):
    model = network(OwnMetrics, loss=None, metrics=(), **options)
    assert_near(trained(model), trained(network(run_eagerly=True)))
    assert model.metrics_names == ["loss", "mae"]
    assert [*model.test_on_batch(X, Y, return_dict=True)] == ["loss", "mae"]


class Noted(tn.layers.Layer):
    """A layer with a metric, which counts its samples."""

    def __init__(self):
        super().__init__()
        self.seen = tn.metrics.Sum(name="seen")

    def call(self, inputs):
        self.seen.update_state(ops.ones((inputs.shape[0],)))
        return inputs


@over(ROADS, "options")
def test_metrics_among_the_attributes_of_layers_are_in_the_logs(options):
    model = tn.Sequential([Input((3,)), Noted(), Dense(1)])
    model.compile("sgd", "mse", **options)
    history = model.fit(X, Y, 8, epochs=2, verbose=0, validation_data=(X[:5], Y[:5])).history
    assert history["seen"] == [20.0, 20.0]
    assert history["val_seen"] == [5.0, 5.0]
    assert model.metrics_names == ["loss", "seen"]


class OwnLogs(tn.Sequential):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**logs, "largest": ops.max(y_pred), "twice": 2.0 * logs["loss"]}


class OwnResult(tn.Sequential):
    def get_metrics_result(self):
        return {key: 2.0 * value for key, value in super().get_metrics_result().items()}


@over(ROADS, "options")
def test_what_compute_metrics_and_get_metrics_result_return_are_the_logs(options):
    plain = network(run_eagerly=True).fit(X, Y, 20, 1, 0).history
    history = network(OwnLogs, **options).fit(X, Y, 20, 1, 0).history
    assert [*history] == ["largest", "loss", "mae", "twice"]
    np.testing.assert_allclose(history["twice"], 2 * np.array(plain["loss"]), rtol=1e-6)
    history = network(OwnResult, **options).fit(X, Y, 20, 1, 0).history
    np.testing.assert_allclose(history["mae"], 2 * np.array(plain["mae"]), rtol=1e-6)


class NeverReset(tn.Sequential):
    def reset_metrics(self):
        pass


def test_reset_metrics_is_heeded():
    model = network(NeverReset, SGD(0.0), rate=0.0)
    losses = model.fit(X, Y, 8, 2, 0).history["loss"] + [model.evaluate(X[:1], Y[:1], 1, 0)[0]]
    first = network(optimizer=SGD(0.0), rate=0.0)
    whole, one = (first.evaluate(x, y, 8, 0)[0] for x, y in ((X, Y), (X[:1], Y[:1])))
    np.testing.assert_allclose(losses, [whole, whole, (40 * whole + one) / 41], rtol=1e-5)


class Clipped(tn.Sequential):
    def predict_step(self, data):
        return ops.clip(super().predict_step(data), 0.0, 0.1)


@over(ROADS, "options")
def test_predict_step_says_what_predict_returns(options):
    own, plain = network(Clipped, **options), network()
    for _ in range(2):  # the second call uses the step that is known
        found = own.predict(X, 8, 0)
        np.testing.assert_allclose(found, np.clip(plain.predict(X, 8, 0), 0, 0.1), 1e-6)
    assert_near([own.predict_on_batch(X)], [own.predict(X, verbose=0)])


class Unsaid(ThroughSuper):
    """Steps that do not say whether layers are to act as in training."""

    def train_step(self, data):
        return {"same": ops.max(abs(self(data[0]) - self(data[0], training=False)))}


@over(ROADS, "options")
def test_layers_act_as_in_training_only_if_the_step_says_so(options):
    model = network(Unsaid, rate=0.9, **options)
    with all_in_c():
        assert model.fit(X, Y, 8, 2, 0).history == {"same": [0.0, 0.0]}


class Rivals(tn.Model):
    """Two networks with an optimizer each, as in the guide on adversarial networks."""

    def __init__(self):
        super().__init__()
        tn.utils.set_random_seed(5)
        self.critic, self.maker = (tn.Sequential([Dense(4, "tanh"), Dense(n)]) for n in (1, 3))
        self.critic.build((None, 3))
        self.maker.build((None, 3))
        decay = tn.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)
        self.critic_optimizer, self.maker_optimizer = Adam(decay), SGD(0.1, momentum=0.9)
        self.built = True

    def step(self, optimizer, network, loss):
        self.zero_grad()
        loss.backward()
        optimizer.apply([v.grad for v in network.trainable_variables], network.trainable_variables)

    def train_step(self, data):
        x, noise = data
        first = ops.mean(ops.softplus(self.critic(self.maker(noise)) - self.critic(x)))
        self.step(self.critic_optimizer, self.critic, first)
        second = ops.mean(ops.softplus(-self.critic(self.maker(noise))))
        self.step(self.maker_optimizer, self.maker, second)
        return {"critic": first, "maker": second}


def rivals(change=lambda model: None, **options):
    """Return two networks after training, and all their numbers."""
    model, noise = Rivals(), normal(9, 20, 3)
    model.compile(**options)
    with all_in_c():
        fits = [model.fit(X, noise, 8, 3, 0)]
        change(model)
        fits += [model.fit(X, noise, 8, 3, 0)]
    state = [v for o in (model.critic_optimizer, model.maker_optimizer) for v in o.variables]
    rows = [row for fit in fits for row in fit.history.values()]
    return model, [np.array(row) for row in (*rows, *model.get_weights(), *state)]


def test_a_step_with_several_optimizers_is_compiled_and_has_the_bits_of_the_eager_one():
    (model, found), (_, expected) = (rivals(**ROADS[road]) for road in ("NumPy", "eager"))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.critic_optimizer.iterations == model.maker_optimizer.iterations == 18
    assert model.train_function.compilations == 2  # one for each size of a batch


@pytest.mark.skipif(not NATIVE, reason="needs a C compiler")
def test_a_step_with_several_optimizers_runs_as_numpy_where_c_is_asked_for():
    with pytest.warns(UserWarning, match="so this step runs as NumPy"):
        model, found = rivals(jit_compile=True)
    assert_near(found, rivals()[1])
    assert model.train_function.compilations == 2


CHANGES = {
    "beta_1": lambda model: setattr(model.critic_optimizer, "beta_1", 0.5),
    "clipnorm": lambda model: setattr(model.maker_optimizer, "clipnorm", 0.01),
    "learning_rate": lambda model: setattr(model.maker_optimizer, "learning_rate", 0.001),
}


@over(CHANGES, "change")
def test_a_changed_option_of_any_optimizer_of_a_step_counts_from_the_next_step_on(change):
    (_, found), (_, expected) = (rivals(change, **ROADS[road]) for road in ("NumPy", "eager"))
    assert_near(found, expected)
    unchanged = rivals()[1]
    assert any(not np.allclose(one, other) for one, other in zip(found, unchanged, strict=True))


@over(ROADS, "options")
def test_an_optimizer_of_a_step_refuses_weights_that_it_was_not_built_for(options):
    model = Rivals()
    model.critic_optimizer.build(model.critic.trainable_variables)
    model.maker_optimizer.build(model.critic.trainable_variables)
    model.compile(**options)
    before = model.get_weights()
    with pytest.raises(ValueError, match="Unknown variable"):
        model.fit(X, X, 20, 1, 0)
    np.testing.assert_array_equal(model.maker.get_weights()[0], before[-4])


class Looks(ThroughSuper):
    """A step that branches on a number, which cannot be compiled."""

    def train_step(self, data):
        logs = super().train_step(data)
        return logs if float(logs["loss"]) > -1.0 else {}


def test_a_step_that_cannot_be_compiled_runs_eagerly_after_one_warning():
    model = network(Looks, jit_compile=False)
    with pytest.warns(UserWarning, match=r"Looks.train_step runs eagerly: .*run_eagerly") as seen:
        found = trained(model)
    assert len(seen) == 1
    assert_near(found, trained(network(run_eagerly=True)))
    model.fit(X, Y, verbose=0)  # no further warning
    with warnings.catch_warnings():
        assert_near(trained(network(Looks, run_eagerly=True)), found)


class Wrong(tn.Sequential):
    def train_step(self, data):
        raise KeyError("mine")


def test_a_mistake_in_a_step_is_raised_as_it_is():
    with pytest.raises(KeyError, match="mine") as error:
        network(Wrong).fit(X, Y, verbose=0)
    assert error.value.__context__ is None


class Autoencoder(tn.Model):
    """A model without `call`, whose step reads the parts and two optimizers."""

    def __init__(self):
        super().__init__()
        self.encoder = tn.Sequential([Input((3,)), Dense(2, "tanh")])
        self.decoder = tn.Sequential([Input((2,)), Dense(3)])
        self.second = SGD(0.1)

    def train_step(self, data):
        loss = ops.mean((self.decoder(self.encoder(data)) - data) ** 2)
        loss.backward()
        for optimizer, part in ((self.optimizer, self.encoder), (self.second, self.decoder)):
            weights = part.trainable_variables
            optimizer.apply([v.grad for v in weights], weights)
        return {"error": loss}


class OneOptimizer(Autoencoder):
    def train_step(self, data):
        loss = ops.mean((self.decoder(self.encoder(data)) - data) ** 2)
        loss.backward()
        weights = self.trainable_variables
        self.optimizer.apply([v.grad for v in weights], weights)
        return {"error": loss}


def fitted(kind, **options):
    tn.utils.set_random_seed(4)
    model = kind()
    model.compile(SGD(0.1), **options)
    errors = model.fit(X, batch_size=8, epochs=3, verbose=0, shuffle=False).history["error"]
    return errors, model


def test_a_model_without_call_trains_by_its_step():
    errors, model = fitted(OneOptimizer)
    assert model.train_function.compilations == 2
    np.testing.assert_array_equal(errors, fitted(OneOptimizer, run_eagerly=True)[0])
    with pytest.warns(UserWarning, match="Autoencoder.train_step runs eagerly"):
        two = fitted(Autoencoder)[0]
    np.testing.assert_allclose(two, errors, rtol=1e-6)
    assert errors[-1] < errors[0]


class Scaled(Own):
    factor = 1.0

    def update(self, grads):
        self.optimizer.apply([self.factor * g for g in grads], self.trainable_variables)


def test_a_changed_attribute_that_the_step_reads_is_seen():
    def run(**options):
        model = network(Scaled, SGD(0.1), **options)
        for factor in (1.0, 0.0, 0.5):
            model.factor = factor
            model.fit(X, Y, 20, 1, 0)
        return model

    found, expected = run(jit_compile=False), run(run_eagerly=True)
    for one, other in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.train_function.compilations == 2  # the first step is eager


class Overview(tn.Sequential):
    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return ops.mean(ops.abs(y - y_pred))


def test_compute_loss_need_not_take_training():
    model = network(Overview, metrics=["mae"], rate=0.0)
    history = model.fit(X, Y, 20, 1, 0, validation_data=(X, Y)).history
    np.testing.assert_allclose(history["loss"], history["mae"], rtol=1e-6)
    tn.check_model_grads(model, X[:5], Y[:5])


def test_max_learning_rate_heeds_a_compute_loss_that_does_not_take_training():
    class Squares(tn.Sequential):
        def compute_loss(self, x, y, y_pred, sample_weight=None):
            return ops.mean(ops.square(y - y_pred))

    model, usual = (cls([tn.Input((1,)), tn.layers.Dense(1)]) for cls in (Squares, tn.Sequential))
    x = np.linspace(-1.0, 1.0, 9)
    for each in (model, usual):
        each.compile("sgd", "mse")
    assert model.max_learning_rate(x, x) == pytest.approx(usual.max_learning_rate(x, x))


def test_make_train_function_returns_the_step_and_makes_it_anew():
    model = network(Own)
    model.fit(X, Y, verbose=0)
    assert model.make_train_function() is model.train_function
    before = model.train_function
    assert model.make_train_function(force=True) is not before
    assert model.train_function.compilations == 0
    assert model.make_test_function() is model.test_function
    assert model.make_predict_function() is model.predict_function


class TapeStep(tn.Sequential):
    def train_step(self, data):
        with tf.GradientTape() as tape:  # noqa: F821
            loss = self.compute_loss(*data)
        return {"loss": tape.gradient(loss, self.trainable_variables)}


class OldStep(tn.Sequential):
    def train_step(self, x, y, sample_weight=None):
        return super().train_step((x, y))


class StatelessStep(tn.Sequential):
    def train_step(self, state, data):
        return {}, state


class OwnMaker(tn.Sequential):
    def make_train_function(self, force=False):
        return print


UNSUPPORTED = {
    "a tape": (TapeStep, r"loss\.backward\(\).*v\.grad for v.*self\.optimizer\.apply\(grads"),
    "the former form": (OldStep, r"\(self, data\).*dict of logs, received '\(self, x, y"),
    "Keras on JAX": (StatelessStep, r"\(self, data\).*received '\(self, state, data\)"),
    "a maker": (OwnMaker, r"OwnMaker.make_train_function .* write train_step\(self, data\)"),
}


@over(UNSUPPORTED, "case")
def test_what_is_not_supported_is_refused_by_compile(case):
    kind, message = case
    model = kind([Input((3,)), Dense(1)])
    with pytest.raises(TypeError, match=message):
        model.compile("sgd", "mse")
    assert not model.compiled


def test_explain_step_refuses_a_step_that_it_would_not_explain():
    with pytest.raises(TypeError, match="explain_step: expected a model without a train_step"):
        network(Own).explain_step(X, Y)


class NoLogs(tn.Sequential):
    def test_step(self, data):
        return 3.0


def twice(step):
    @functools.wraps(step)
    def both(*args):
        step(*args)
        return step(*args)

    return both


class Decorated(tn.Sequential):
    @twice
    def train_step(self, data):
        return super().train_step(data)


def test_a_decorated_step_that_takes_two_steps_runs_eagerly():
    model = network(Decorated)
    with pytest.warns(UserWarning, match="Decorated.train_step runs eagerly: apply: .*one call"):
        model.fit(X, Y, 10, 1, 0)
    assert int(model.optimizer.iterations) == 4


def test_a_step_must_return_a_dict_of_logs():
    with pytest.raises(TypeError, match=r"test_step: expected a dict of logs"):
        network(NoLogs).evaluate(X, Y, verbose=0)


def test_data_is_packed_and_unpacked_as_in_keras():
    pack, unpack = tn.utils.pack_x_y_sample_weight, tn.utils.unpack_x_y_sample_weight
    for data in (X, (X,), (X, Y), (X, Y, WEIGHTS), [X, Y]):
        parts = unpack(data)
        assert len(parts) == 3
        assert unpack(pack(*parts)) == parts
    with pytest.raises(ValueError, match=r"data: expected .* received '4 parts'"):
        unpack((X, Y, X, Y))
