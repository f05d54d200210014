"""Steps that users write: Keras's methods ``train_step(self, data)`` and the like.

Such a step runs on the variables themselves, or is recorded as a pure function of the model's state
and compiled, like tinynet's own. `compilable.py` has the methods that users override.

Imports `objective.py`, `step.py`. Read next: `step_cache.py`.
"""

from __future__ import annotations

import inspect
from typing import Any

from .. import ops
from ..engine.bind import grad_mode, modes
from ..engine.expect import expect
from ..engine.tensor import Tensor
from ..engine.variable import stateless
from ..layers.module import attached_metrics
from ..layers.symbolic import within
from ..optimizers.groups import Flats, Grads
from ..public import absent
from .data import Batch, pack_x_y_sample_weight
from .objective import flat_logs
from .step import State, Step

KINDS = ("train", "test", "predict")
OF_LOGS = ("compute_metrics", "get_metrics_result", "metrics", "reset_metrics")


def overridden(model: Any, *names: str) -> bool:
    """Return whether a user's class defines one of these methods of models, or an object does."""
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


def check_class(model: Any) -> None:
    """Raise TypeError if a model's class overrides something in a way that is not supported."""
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


def run(model: Any, kind: str, batch: Batch) -> Any:
    """Run a user's step on a batch; return its logs, or the outputs of a `predict_step`."""
    name = f"{kind}_step"
    with grad_mode(kind == "train"), within(training=None, losses={}):
        found = getattr(model, name)(pack_x_y_sample_weight(*batch))
    if kind == "predict":
        return found
    expect(isinstance(found, dict), name, "a dict of logs as result", type(found), TypeError)
    return flat_logs(found)


class OwnStep(Step):
    """A user's step as a pure function, to be recorded: its logs stand where outputs stand.

    `optimizer.apply`, called in it, updates the state that the function returns.
    """

    has_loss = False

    def __init__(self, model: Any, kind: str) -> None:
        super().__init__(model, kind)
        self.updates = False  # until `apply` is called
        if kind != "predict":
            metrics = [model.objective.loss_tracker, *model.metrics, *attached_metrics(model)]
            self.others += [v for metric in metrics for v in metric.variables]
        held = {v for group in self.groups for v in group.params}
        self.others = [v for v in dict.fromkeys(self.others) if v not in held]

    def __call__(self, state: State, batch: Batch, scalars: Any) -> tuple[State, Any, Any]:
        """Return the new state, None for the loss, and the logs or outputs."""
        groups, weights = state.groups, self.weights(state)

        def apply(grads: Grads) -> None:
            nonlocal groups, weights
            expect(not self.updates, "apply", "one call in a compiled step", "another one")
            self.updates = True
            groups = self.optimizer.updated(self._flat(groups, weights, now), grads, scalars)
            weights = self.weights(state._replace(groups=groups))
            now.update(weights)
            recorder.leaves.update(weights.values())

        recorder: Any = modes.recorder
        recorder.applied[self.optimizer] = apply
        recorder.leaves.update(weights.values())
        held = weights | dict(zip(self.others, state.others, strict=True))
        with stateless(held) as now:
            found = run(self.model, self.kind, batch)
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
