"""What a model is compiled with, output by output: losses, their weights, and metrics.

Imports `losses`, `metrics`. Read next: `data.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from .. import losses, ops, tree
from ..engine.bind import no_grad
from ..engine.expect import expect, warn
from ..engine.tensor import Tensor
from ..engine.variable import Variable
from ..layers.symbolic import context
from ..losses.lookup import BY_SHAPE, resolve as resolve_loss


def check_names(loss: Any, *metrics_given: Any) -> None:
    """Raise ValueError for unknown names of losses and metrics, before the model is built."""
    for given, home in ((loss, lambda: losses), (metrics_given, metrics_room)):
        for name in leaves_of(given):
            if str(name).lower() not in BY_SHAPE:
                home().get(name)


def metrics_room() -> Any:
    """Return the module `metrics`, which is loaded for the first model that has metrics."""
    from .. import metrics

    return metrics


def is_nested(given: Any) -> bool:
    """Return whether an argument of `compile` is a list, tuple or dict."""
    return isinstance(given, (list, tuple, dict))


def leaves_of(given: Any) -> list[Any]:
    """Return the leaves of nested lists and dicts, without None."""
    if not is_nested(given):
        return [] if given is None else [given]
    parts = given.values() if isinstance(given, dict) else given
    return [leaf for part in parts for leaf in leaves_of(part)]


def unlisted(given: Any) -> Any:
    """Return the only item of a list of length 1; anything else unchanged."""
    return given[0] if isinstance(given, (list, tuple)) and len(given) == 1 else given


def filled(form: Any, flat: Sequence[Any]) -> Any:
    """Return a structure of this form, with these things as its leaves, in order."""
    rest = iter(flat)
    return tree.map_structure(lambda _: next(rest), form)


class Term(NamedTuple):
    """A loss, and what it compares with targets: one output, or a structure of several."""

    loss: Any
    outputs: tuple[int, ...]  # their positions
    form: Any  # their structure, of None
    weight: float
    key: str  # in logs


def _warn_of_labels(argument: str, loss: Any, y: Any, shape: tuple[int, ...]) -> None:
    """Warn of targets that are no class of the output: their loss is 0, as in Keras on JAX."""
    function = getattr(loss, "function", None)
    if function is losses.sparse_categorical_crossentropy and isinstance(y, np.ndarray):
        classes = shape[loss.options.get("axis", -1)]
        wrong = y[((y < 0) | (y >= classes)) & (y != loss.options.get("ignore_class"))]
        if wrong.size:
            found = f"received {wrong[0]} ({wrong.size} of {y.size} targets)"
            warn(f"{argument}: expected classes from 0 to {classes - 1}, {found}. Their loss is 0.")


class Objective:
    """The losses and metrics of a model whose outputs are known.

    Parameters
    ----------
    outputs : the model's outputs for some samples: an array, or a list or dict of them
    names : names of the outputs, in the order of `tree.flatten`; of a subclassed model, an item of
        a list has no name, only the path before it: "" or "a/"
    y : the targets of these samples; None if there are none
    given : tuple (loss, loss_weights, metrics, weighted_metrics), as `compile` takes them
        Each is one for all outputs, a list with one per output, or a dict by their names. A loss of
        None means no loss.

    Attributes
    ----------
    terms : list of Term, the losses
    without_loss : list of the names of outputs that no loss compares
    shapes : list of the outputs' shapes
    metrics : dict from the key in logs to the metric, the position of its output, and whether it
        uses sample weights
    trackers : dict from the key of a loss to its mean, if there are several losses
    watched : dict from all these keys to metrics
    ordered : list of the keys that `evaluate` does not sort: the loss, the losses of the outputs,
        and, if there is one output, the metrics as compiled
    name : str, as one of `model.metrics`

    Raises
    ------
    ValueError
        For an unknown loss or metric, and for a list or dict that does not fit the outputs.
    """

    name = "compile_metrics"

    def __init__(
        self, outputs: Any, names: Sequence[str], y: Any, given: tuple[Any, Any, Any, Any]
    ) -> None:
        loss, loss_weights, plain, weighted = given
        loss_weights = None if loss is None else loss_weights
        lacks = {i for i, name in enumerate(names) if not name or name.endswith("/")}
        self.names = [f"{n}output_{i + 1}" if i in lacks else n for i, n in enumerate(names)]
        self.wanted = f"one for each of the outputs {self.names}"
        self.prefixes = [f"{name}_" if len(names) > 1 and not lacks else "" for name in names]
        self.form = tree.map_structure(lambda _: None, outputs)
        self.paths = [path for path, _ in tree.by_path(self.form, self.form)]
        self.is_deep = any("/" in path for path in self.paths)
        for output in (flat := tree.flatten(outputs)):
            expect(hasattr(output, "shape"), "the model's output", "a tensor", output, TypeError)
        self.shapes = [output.shape for output in flat]
        placed = self._placed("loss", loss)
        self.with_loss = sorted({i for at, *_, each in placed if each is not None for i in at})
        self.without_loss = [n for i, n in enumerate(self.names) if i not in self.with_loss]
        self.compares = bool(self.with_loss or plain or weighted)  # are targets read?
        targets = [getattr(target, "shape", None) for target in self.targets(y)]
        types = list(zip(targets, self.shapes, strict=True))
        self.terms: list[Term] = []
        for factor, (at, path, form, each) in self._weighted(placed, loss_weights):
            if each is not None:
                found: Any = resolve_loss(each, *types[at[0]])
                # As in Keras, an output without a name is called after its loss.
                own = names[at[0]] + found.name * (at[0] in lacks)
                name = own if len(at) == 1 else path or "_".join(self.names)
                self.terms.append(Term(found, at, form, factor, f"{name}_loss"))
        keys = [term.key for term in self.terms] if len(self.terms) > 1 else []
        self.trackers = {key: metrics_room().Mean(key) for key in keys}
        self.metrics: dict[str, tuple[Any, int, bool]] = {}
        self._add_metrics(plain, False, types)
        self._add_metrics(weighted, True, types)
        self.watched = {key: row[0] for key, row in self.metrics.items()} | self.trackers
        self.ordered = ["loss", *self.trackers, *(self.metrics if len(names) == 1 else ())]
        self.demand(y)

    @property
    def variables(self) -> list[Variable]:
        """The state of the metrics."""
        return [v for metric in self.watched.values() for v in metric.variables]

    @property
    def own_names(self) -> list[str]:
        """Its name, if it has metrics from `compile`, and the keys of the outputs' losses."""
        return [*([self.name] if self.metrics else []), *self.trackers]

    @property
    def has_python_metrics(self) -> bool:
        """Whether the state of a metric is not in variables, so that no step can hold it."""
        return not all(metric.variables for metric in self.watched.values())

    @property
    def parts(self) -> list[Any]:
        """What a step reads: losses, their weights, and the metrics whose state is in variables."""
        held = (metric for metric in self.watched.values() if metric.variables)
        return [tuple(t.loss for t in self.terms), tuple(t.weight for t in self.terms), *held]

    # -- one for each output ------------------------------------------------------------------

    def _spread(self, argument: str, given: Any) -> list[Any]:
        """Return an argument, given once or for each output, as a list with one for each output."""
        names = self.names
        if self.is_deep and is_nested(given):
            given, names = dict(tree.by_path(given, self.form)), self.paths
        if isinstance(given, dict):
            expect(given.keys() <= set(names), argument, self.wanted, sorted(map(str, given)))
            return [given.get(name) for name in names]
        parts = list(given) if isinstance(given, (list, tuple)) else [given] * len(names)
        expect(len(parts) == len(names), argument, self.wanted, len(parts))
        return parts

    def _placed(self, argument: str, given: Any) -> list[Any]:
        """Return the losses or their weights, each with positions, path and form of its outputs."""
        is_named = isinstance(given, dict) and not isinstance(self.form, dict)
        if is_named or not is_nested(given):
            given = filled(self.form, self._spread(argument, given))
        return [*self._parts(argument, given, self.form, "")]

    def _parts(self, argument: str, given: Any, form: Any, path: str) -> Iterator[Any]:
        """Yield the rows of `_placed` for the outputs at a path.

        If the type of a list or tuple is not that of the outputs, each of its losses compares all
        of these outputs at once, as in Keras, unless it has one loss for each output.
        """
        is_structure = tree.is_structure(form)
        if not is_nested(given) or (isinstance(given, dict) and not is_structure):
            inside = path and f"{path}/"
            at = tuple(i for i, p in enumerate(self.paths) if f"{p}/".startswith(inside))
            expect(at, argument, self.wanted, path)
            yield at, path, form, given
            return
        of_each = len(given) == len(tree.flatten(form)) and not any(map(is_nested, given))
        if is_structure and of_each and not isinstance(given, dict):
            given = filled(form, given)
        if is_structure and isinstance(given, (dict, type(form))):
            fits = isinstance(given, dict) or len(given) == len(form)
            expect(fits, argument, self.wanted, len(given))
            parts, inner = (dict(x if isinstance(x, dict) else enumerate(x)) for x in (given, form))
            for place in sorted(parts):
                where = f"{path}/{place}".lstrip("/")
                yield from self._parts(argument, parts[place], inner.get(place), where)
        else:  # Keras reads only the first of several losses of a model with one output
            expect(path or is_structure or len(given) == 1, argument, self.wanted, len(given))
            for each in given:
                yield from self._parts(argument, each, form, path)

    def _weighted(self, placed: list[Any], loss_weights: Any) -> Iterator[tuple[float, Any]]:
        """Yield the weight of each loss, and the loss."""
        factors: dict[Any, list[Any]] = {}
        same = None if is_nested(loss_weights) else loss_weights
        if same is None:
            for at, *_, factor in self._placed("loss_weights", loss_weights):
                factors.setdefault(at, []).append(factor)
        for row in placed:
            factor = factors[row[0]].pop(0) if factors.get(row[0]) else same
            yield 1.0 if factor is None else float(factor), row
        left = [factor for rest in factors.values() for factor in rest if factor is not None]
        expect(not left, "loss_weights", f"one for each of {len(placed)} losses", left)

    def _add_metrics(self, given: Any, weighted: bool, types: Sequence[Any]) -> None:
        if len(self.names) == 1 and not isinstance(given, dict):
            given = [given]  # those of a single output need no list of lists
        argument = "weighted_metrics" if weighted else "metrics"
        for i, each in enumerate(self._spread(argument, given or None)):
            for identifier in leaves_of(each):
                metric = metrics_room().lookup.resolve(identifier, *types[i])
                self.metrics[self._key(metric.name, i, weighted)] = metric, i, weighted

    def _key(self, name: str, output: int, weighted: bool) -> str:
        """Return a free key for a metric in logs, as Keras names it."""
        prefix = self.prefixes[output]
        taken = weighted and f"{prefix}{name}" in self.metrics
        key = f"{prefix}weighted_{name}" if taken else f"{prefix}{name}"
        keys = (f"{key}_{i}" if i else key for i in count())
        return next(key for key in keys if key not in self.metrics)

    def targets(self, y: Any) -> list[Any]:
        """Return the targets of each output; None for an output without targets.

        Raises
        ------
        ValueError
            For unknown names, and unless there are as many targets as outputs or as losses.
        """
        if y is None or isinstance(y, dict) or not self.compares:
            return self._spread("y", y if self.compares else None)
        flat = tree.flatten(y)
        if len(flat) == len(self.names):
            return flat
        if len(flat) == len(self.with_loss):
            found = dict(zip(self.with_loss, flat, strict=True))
            return [found.get(i) for i in range(len(self.names))]
        parts = f"expected parts for {self.names}, received {len(flat)}"
        raise ValueError(f"y_true and y_pred have different structures: {parts}.")

    def demand(self, y: Any, argument: str = "y") -> None:
        """Raise ValueError if an output that has a loss has no targets.

        Warn of targets that are no class of their output.
        """
        targets = self.targets(y)
        missing = [self.names[i] for i in self.with_loss if targets[i] is None]
        expect(not missing, argument, f"targets for the outputs {missing}", None)
        for loss, (first, *_), *_ in self.terms:
            _warn_of_labels(argument, loss, targets[first], self.shapes[first])

    # -- on a batch ---------------------------------------------------------------------------

    def loss(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        """Return the weighted sum of the losses; None if there is none.

        Within a step, also update the mean of each loss.
        """
        flat = self._flat(y_pred), self.targets(y), self._spread("sample_weight", sample_weight)
        values: dict[str, Tensor] = {}
        terms = []
        for loss, outputs, form, factor, key in self.terms:
            predicted, targets, weights = ([each[i] for i in outputs] for each in flat)
            same = all(each is weights[0] for each in weights)
            expect(same, "sample_weight", f"the same for all outputs of {key}", weights)
            value = loss(filled(form, targets), filled(form, predicted), weights[0])
            values[key] = value
            terms.append(value if factor == 1.0 else value * factor)
        if context.notes and self.trackers:
            for key, value in values.items():
                note(self.trackers[key], value.detach(), y_pred)
        return sum(terms[1:], terms[0]) if terms else None

    def _flat(self, y_pred: Any) -> list[Any]:
        flat = tree.flatten(y_pred)
        expect(len(flat) == len(self.names), "y_pred", f"outputs for {self.names}", len(flat))
        return flat

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update all metrics with a batch."""
        for in_variables in (True, False):
            self.update(y, y_pred, sample_weight, in_variables)

    def update(self, y: Any, y_pred: Any, sample_weight: Any, in_variables: bool = True) -> None:
        """Update metrics with a batch: those whose state is in variables, or those in Python."""
        rows = [r for r in self.metrics.values() if in_variables == bool(r[0].variables)]
        if not rows:
            return
        targets, weights = self.targets(y), self._spread("sample_weight", sample_weight)
        outputs = self._flat(y_pred)
        with no_grad():
            for metric, i, weighted in rows:
                metric.update_state(targets[i], outputs[i], weights[i] if weighted else None)

    def reset_state(self) -> None:
        """Let all metrics forget the samples they have seen."""
        for metric in self.watched.values():
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """Return the results of all metrics; one whose result is a dict gives the keys of that."""
        return flat_logs({key: metric.result() for key, metric in self.watched.items()})

    def logs(self, loss: float) -> dict[str, Any]:
        """Return the loss and the results of all metrics, by sorted keys: see `plain`."""
        return plain({"loss": loss} | self.result()) if self.watched else {"loss": loss}


def note(tracker: Any, loss: Tensor, batch: Any) -> None:
    """Update a mean of losses with the loss of a batch."""
    with no_grad():
        tracker.update_state(loss, ops.cast(tree.leaves(batch)[0].shape[0], loss.dtype))


def flat_logs(logs: dict[str, Any]) -> dict[str, Any]:
    """Return logs without dicts inside."""
    rows = (value.items() if isinstance(value, dict) else [(k, value)] for k, value in logs.items())
    return {key: value for row in rows for key, value in row}


def plain(logs: dict[str, Any]) -> dict[str, Any]:
    """Return logs by sorted keys: floats, or arrays where there are several numbers."""
    arrays = {key: np.asarray(value) for key, value in sorted(logs.items())}
    return {k: a.item() if a.size == 1 else np.array(a) for k, a in arrays.items()}
