"""One step of a model as a pure function: ``(state, batch, scalars) -> (state, loss, outputs)``.

Written once: eager training runs it, `step_cache.py` records it, and `explain_step` runs its three
parts, `forward`, `backward` and `update`, one by one. A step that users write, Keras's methods
``train_step(self, data)`` and the like, runs on the variables themselves, or is recorded as such a
function, too. `compilable.py` has the methods that users override.

Imports the engine, `optimizers`, `layers`. Read next: `step_cache.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import ops, tree
from ..compiler.record import label, section, short_name
from ..distribution.ranks import ALL_SUM, Part, place, team
from ..engine.bind import bind, grad_mode, modes
from ..engine.expect import expect, warn
from ..engine.tape import gradients
from ..engine.tensor import Tensor, wrap
from ..engine.variable import Memory, Variable, all_or_none, stateless
from ..layers.module import attached_metrics
from ..layers.shapes import training_of
from ..layers.symbolic import within
from ..optimizers.base import Optimizer
from ..optimizers.groups import Flats, Grads, ParameterGroup, stepped
from ..public import absent
from .data import Batch as Batch, pack_x_y_sample_weight
from .objective import flat_logs

KINDS = ("train", "test", "predict")
OF_LOGS = ("compute_metrics", "get_metrics_result", "metrics", "reset_metrics")


class State(NamedTuple):
    """What a step reads and replaces.

    Attributes
    ----------
    groups : list of lists
        For each of the optimizer's groups the flat parameters, then the flat slots.
    others : list
        The values of the variables that layers, metrics and random generators assign to.
    """

    groups: list[list[Any]]
    others: list[Any]


class Step:
    """One step of a model, a pure function of state, batch and scalars.

    Parameters
    ----------
    model : Trainer
    kind : "train", "test" or "predict"
    with_metrics : bool
        Whether the step updates the compiled metrics.
    optimizer : Optimizer, optional
        By default the one of the model.

    Attributes
    ----------
    trained : list of Variable, in the order of the gradients
    groups : list of ParameterGroup, the optimizer's; the first call builds it
    others : list of Variable, the rest of the state
    part : Part or None, of a batch that several ranks compute together
    updates : bool, whether the step changes weights by the optimizer
    """

    has_loss = True  # besides the outputs

    def __init__(
        self, model: Any, kind: str, with_metrics: bool = True, optimizer: Any = None
    ) -> None:
        self.model, self.kind, self.with_metrics = model, kind, with_metrics
        self.optimizer = optimizer or model.optimizer
        trains = kind == "train" and self.optimizer  # only a user's own step may lack one
        self.trained: list[Variable] = model.trainable_variables if trains else []
        if self.trained:
            self.optimizer.build(self.trained)
        self.groups: list[ParameterGroup] = self.optimizer.groups if self.trained else []
        self.updates = bool(self.groups)
        others = [v for v in model.variables if not v.trainable]
        if with_metrics and kind != "predict":
            others += model.objective.variables
        held = {v for group in self.groups for v in group.params}
        self.others = [v for v in dict.fromkeys(others) if v not in held]
        self.part = place.part if team().size > 1 and kind != "predict" else None
        self.sums = {*model.objective.variables} if self.part else set()

    # -- the function -------------------------------------------------------------------------

    def __call__(self, state: State, batch: Batch, scalars: Any) -> tuple[State, Any, Any]:
        """Return the new state, the loss before it (None if there is none), and the outputs.

        `scalars` has for each group the numbers that the optimizer's update takes, by name.
        """
        weights, before, grads = self.weights(state), state.others, Grads()
        if self.part and team().rank:  # only rank 0 keeps what the metrics have counted so far
            pairs = zip(self.others, before, strict=True)
            before = [ops.zeros_like(t) if v in self.sums else t for v, t in pairs]
        others, loss, outputs = self.forward(weights, before, batch)
        loss = loss * self.part.share if self.part else loss
        if self.groups:
            with section("backward"):
                grads = self.backward(loss, weights)
        if self.part:
            with section("all ranks"):
                grads, loss, others = self._joined(self.part, grads, loss, others, before)
        if not self.groups:
            return State(state.groups, others), loss, outputs
        with section("update"):
            groups = self.optimizer.updated(state.groups, grads, scalars)
        return State(groups, others), loss, outputs

    def weights(self, state: State) -> dict[Variable, Tensor]:
        """Return the weights as parts of their flat memory; gradients flow to the trained ones."""
        trained = set(self.trained)
        found = {}
        for group, (flat, *_) in zip(self.groups, state.groups, strict=True):
            for variable, part in zip(group.params, group.memories[0].slices, strict=True):
                weight = ops.reshape(flat[part], variable.shape).detach()
                weight.requires_grad = variable in trained
                found[variable] = label(weight, short_name(variable.path))
        return found

    def forward(
        self, weights: dict[Variable, Tensor], others: list[Tensor], batch: Batch
    ) -> tuple[list[Tensor], Any, Any]:
        """Return the new values of `others`, the loss, and the outputs; metrics are updated."""
        training = self.kind == "train"
        hears = training if training_of(type(self.model).call) else None  # as in Keras
        held = weights | dict(zip(self.others, others, strict=True))
        loss = None
        # What layers add to the loss belongs to this step alone.
        context = within(training=hears, losses={}, notes=self.with_metrics)
        with grad_mode(training), context, stateless(held) as now:
            with section("forward"):
                y_pred = self.model(batch.x)
            if self.kind != "predict":
                with section("loss"):
                    loss = computed_loss(self.model, batch, y_pred, training)
                    label(loss, "loss")
                if self.with_metrics:
                    with section("metrics"):
                        self.model.objective.update(batch.y, y_pred, batch.sample_weight)
        self._refuse_changed_weights(weights, now)
        return [now[v] for v in self.others], loss, y_pred

    def backward(self, loss: Tensor, weights: dict[Variable, Tensor]) -> dict[Variable, Tensor]:
        """Return the gradients of the loss with respect to the trained weights.

        Warns of weights on which the loss does not depend, unless they may belong to an output
        without a loss; their gradients are 0. ValueError when it depends on no weight at all.
        """
        grads = gradients(loss, [weights[v] for v in self.trained])
        found = dict(zip(self.trained, grads, strict=True))
        missing = [v.path for v, grad in found.items() if grad is None]
        if missing and len(missing) == len(found):
            raise ValueError("No gradients provided for any variable.")
        if missing and not self.model.objective.without_loss:
            warn(f"Gradients do not exist for variables {missing}.")
        full = (ops.zeros_like(weights[v]) if g is None else g for v, g in found.items())
        return {v: label(g, f"d_{short_name(v.path)}") for v, g in zip(found, full, strict=True)}

    def _joined(
        self, part: Part, grads: Grads, loss: Tensor, others: list[Tensor], before: list[Tensor]
    ) -> tuple[Grads, Tensor, list[Tensor]]:
        """Return gradients, loss and other state of a batch, given those of each rank's part.

        Metrics are sums over samples. Other numbers that layers keep are averaged over the ranks.
        """
        own = {}
        for v, t, old in zip(self.others, others, before, strict=True):
            if v in self.sums:
                own[v] = t if part.samples else old
            elif t is not old and t.dtype.kind == "f":
                own[v] = t * part.share
        loss, *found = over_ranks([loss, *grads.values(), *own.values()])
        joined = dict(zip([*grads, *own], found, strict=True))
        after = [joined.get(v, t) for v, t in zip(self.others, others, strict=True)]
        return {v: joined[v] for v in grads}, label(loss, "loss"), after

    def _refuse_changed_weights(self, weights: dict[Variable, Tensor], now: Any) -> None:
        if changed := [v.path for v, weight in weights.items() if now[v] is not weight]:
            problem = f"A step that trains {changed[0]} cannot assign to it"
            raise TypeError(f"{problem}: make it trainable=False.")
        self._refuse_new_weights()

    def _refuse_new_weights(self) -> None:
        made = set(self.model.trainable_variables).difference(self.trained) if self.trained else ()
        if made:
            problem = f"A step cannot make weights, received {', '.join(v.path for v in made)}"
            raise TypeError(f"{problem}: make them in build or constructor.")

    # -- its state ----------------------------------------------------------------------------

    @property
    def owners(self) -> list[Memory | Variable]:
        """The owners of the arrays of the state, in the order of the state's leaves."""
        return [*(memory for group in self.groups for memory in group.memories), *self.others]

    def read(self) -> State:
        """Return the state as arrays, at this moment; they change when the state is written."""
        groups = self.optimizer.read() if self.groups else []
        return State(groups, [v.current() for v in self.others])

    def scalars(self) -> list[dict[str, float]]:
        """Return the numbers that the next update takes, for each group."""
        return [self.optimizer.next_scalars()] * len(self.groups) if self.groups else []

    def run(self, batch: Batch) -> tuple[Any, Any]:
        """Take the step eagerly and write the new state; return the loss and the outputs."""
        groups, others = self.read()
        # Copies, since outputs may be views of weights, and must not change with them.
        tensors = [[wrap(flat.copy()), *map(wrap, slots)] for flat, *slots in groups]
        before = State(tensors, [wrap(array.copy()) for array in others])
        after, loss, outputs = self(before, batch, self.scalars())
        self.write(after)
        return loss, outputs

    def write(self, state: State) -> None:
        """Write a new state, tensors, into the arrays of the old one, and count the step."""

        def change() -> None:
            for variable, value in zip(self.others, state.others, strict=True):
                variable.write(value.data)
            if self.groups:
                self.optimizer.write(state.groups)

        all_or_none(self.others, change)


def computed_loss(model: Any, batch: Batch, y_pred: Any, training: bool) -> Any:
    """Return the loss of a batch; an own `compute_loss` need not take `training`, as in Keras.

    TypeError unless it is a scalar.
    """
    options = {"training": training} if training_of(type(model).compute_loss) else {}
    loss = model.compute_loss(batch.x, batch.y, y_pred, batch.sample_weight, **options)
    if shape := getattr(loss, "shape", ()):
        wrong = f"The loss must be a scalar, received shape {shape}"
        raise TypeError(f"{wrong}: use a mean, or a reduction other than None.")
    return loss


def over_ranks(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the sums of all ranks' tensors, by one Allreduce."""
    dtype = np.result_type("float32", *[t.dtype for t in tensors])
    flat = [ops.reshape(ops.cast(t, dtype), (t.size,)) for t in tensors]
    total, ends = bind(ALL_SUM, ops.concatenate(flat)), np.cumsum([t.size for t in tensors])
    rows = zip(tensors, ends.tolist(), strict=True)
    return [ops.cast(ops.reshape(total[e - t.size : e], t.shape), t.dtype) for t, e in rows]


# -- steps that users write ------------------------------------------------------------------------


def overridden(model: Any, *names: str) -> bool:
    """Return whether a user's class, or the model itself, defines one of these methods."""
    ours, homes = f"{__name__.rpartition('.')[0]}.", {*vars(model)}
    for cls in type(model).__mro__:
        if cls.__module__.startswith(ours):
            break
        homes |= {*vars(cls)}
    return not homes.isdisjoint(names)


def is_own(model: Any, kind: str) -> bool:
    """Return whether users define what a step of this kind computes or returns."""
    names = (f"{kind}_step", *(OF_LOGS if kind != "predict" else ()))
    return overridden(model, *names) or (kind != "predict" and bool(attached_metrics(model)))


def optimizers_of(model: Any) -> list[Any]:
    """Return the optimizers among the attributes of a model."""
    return list(dict.fromkeys(tree.instances(Optimizer, vars(model))))


def check_class(model: Any) -> None:
    """Raise TypeError if a model's class overrides methods in a way that is not supported."""
    for kind in KINDS:
        step, name = getattr(type(model), f"{kind}_step"), type(model).__name__
        where, maker = f"{name}.{kind}_step", f"make_{kind}_function"
        code = getattr(step, "__code__", None)  # a decorated step may have none
        if "GradientTape" in getattr(code, "co_names", ()):
            raise TypeError(f"{where}: {absent()['tinynet.GradientTape'][1]}")
        given = [*inspect.signature(step).parameters]
        wanted = "the arguments (self, data), where `x, y = data`, and to return a dict of logs"
        expect(len(given) == 2, where, wanted, f"({', '.join(given)})", TypeError)
        if overridden(model, maker):
            raise TypeError(f"{name}.{maker} cannot be overridden: write {kind}_step(self, data).")


def run_own(model: Any, kind: str, batch: Batch) -> Any:
    """Run a user's step on a batch; return its logs, or the outputs of a `predict_step`."""
    name = f"{kind}_step"
    with grad_mode(kind == "train"), within(training=None, losses={}, notes=True):
        found = getattr(model, name)(pack_x_y_sample_weight(*batch))
    if kind == "predict":
        return found
    expect(isinstance(found, dict), name, "a dict of logs as result", type(found), TypeError)
    return flat_logs(found)


class OwnStep(Step):
    """A user's step as a pure function, to be recorded: it returns logs in place of outputs.

    Where it calls `apply` of an optimizer, the state that the function returns is updated.
    Optimizers besides the model's own must be built before.
    """

    has_loss = False

    def __init__(self, model: Any, kind: str) -> None:
        super().__init__(model, kind)
        self.updates = False  # until `apply` is called
        if kind != "predict":
            metrics = [model._mean_loss, *model.metrics, *attached_metrics(model)]
            self.others += [v for metric in metrics for v in metric.variables]
        self.optimizers = [o for o in optimizers_of(model) if o is not model.optimizer and o.built]
        self.others += [v for optimizer in self.optimizers for v in optimizer.variables]
        held = {v for group in self.groups for v in group.params}
        self.others = [v for v in dict.fromkeys(self.others) if v not in held]

    def __call__(self, state: State, batch: Batch, scalars: Any) -> tuple[State, Any, Any]:
        """Return the new state, None for the loss, and the logs or outputs."""
        groups, weights = state.groups, self.weights(state)

        def apply(grads: Grads) -> None:
            nonlocal groups, weights
            expect(not self.updates, "apply", "one call in a compiled step", "a second call")
            self.updates = True
            groups = self.optimizer.updated(self._flat(groups, weights, now), grads, scalars)
            weights = self.weights(state._replace(groups=groups))
            now.update(weights)
            recorder.leaves.update(weights.values())

        def apply_other(optimizer: Any, grads: Grads) -> None:
            known = [v for group in optimizer.groups for v in group.params] + optimizer.variables
            with grad_mode(False):
                for v, value in stepped(optimizer, {v: v.value for v in known}, grads).items():
                    v.assign(value)

        recorder: Any = modes.recorder
        recorder.applied[self.optimizer] = apply
        for optimizer in self.optimizers:
            recorder.applied[optimizer] = partial(apply_other, optimizer)
        recorder.leaves.update(weights.values())
        held = weights | dict(zip(self.others, state.others, strict=True))
        with stateless(held) as now:
            found = run_own(self.model, self.kind, batch)
        self._refuse_new_weights()
        after = State(self._flat(groups, weights, now), [now[v] for v in self.others])
        return after, None, found

    def _flat(self, groups: Flats, weights: Grads, now: Any) -> list[list[Tensor]]:
        """Return the groups' flat parameters, with the weights to which the step assigned."""
        found = []
        for group, (flat, *slots) in zip(self.groups, groups, strict=True):
            if any(now[v] is not weights[v] for v in group.params):
                flat = ops.concatenate([ops.reshape(now[v], (v.size,)) for v in group.params])
            found.append([flat, *slots])
        return found
