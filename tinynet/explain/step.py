"""Explain one training step: activations, gradients, update.

Nothing here computes a derivative or an update of its own: the step of `fit` runs, on copies.

Imports `trace.py`, `tables.py`, `formulas.py`, `../training/step.py`. Read next: `trace.py`.
"""

from __future__ import annotations

import html
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..compiler.record import recording
from ..engine.bind import no_grad
from ..engine.tensor import Tensor, wrap
from ..engine.variable import Variable
from ..training.data import Dataset
from ..training.step import Step
from .formulas import formulas_of
from .tables import FEW, Table, short_path, summary
from .trace import Term, Trace


class Change(NamedTuple):
    """What a step does to one weight, and the uses of the weight that make up its gradient."""

    variable: Variable
    before: np.ndarray
    gradient: np.ndarray
    clipped: np.ndarray
    slots_before: dict[str, np.ndarray]
    slots: dict[str, np.ndarray]
    after: np.ndarray
    terms: list[Term]

    def rows(self) -> list[dict[str, Any]]:
        """Return a dict for each element."""
        before = {f"{name}_before": a for name, a in self.slots_before.items()}
        columns = {
            "value": self.before,
            "gradient": self.gradient,
            "clipped": self.clipped,
            **before,
            **self.slots,
            "change": self.after - self.before,
            "new_value": self.after,
        }
        return [
            {"weight": self.variable.path, "index": index}
            | {key: array[index].item() for key, array in columns.items()}
            for index in np.ndindex(self.before.shape)
        ]

    def factors(self) -> str:
        """Return the gradient as a sum of products of names."""
        terms = [" * ".join(factor.name for factor in term.factors) for term in self.terms]
        return " + ".join(filter(None, terms))

    def table(self, index: tuple[int, ...]) -> Table:
        """Return the factors of the gradient of one element by samples, products, and their sum."""
        title = f"backward: d loss / d {short_path(self.variable.path, index)}"
        if len(self.terms) != 1 or not self.terms[0].factors:
            return Table(title, ("gradient",), [(self.gradient[index].item(),)])
        columns = self.terms[0].at(index)
        products = np.prod([values for _, values in columns], axis=0)
        if len(columns) > 1:
            columns.append(("product", products))
        header = ("sample", *(name for name, _ in columns))
        rows = [
            (str(n), *(values[n] for _, values in columns)) for n in range(min(FEW, len(products)))
        ]
        blank = [""] * (len(header) - 2)
        if len(products) > FEW:
            rows.append(("...", *blank, f"{len(products) - FEW} more"))
        return Table(title, header, [*rows, ("sum", *blank, self.gradient[index].item())])


_COLUMNS = ("weight", "index", "value", "gradient", "clipped", "change", "new_value")


@dataclass(eq=False, repr=False)
class Explanation:
    """The explanation of one training step: print it, show it in a notebook, or read its data.

    Attributes
    ----------
    loss : float, before the step
    forward : dict from the name of a layer to its outputs
    changes : dict from the path of a weight to its `Change`
    rows : list of dict
        One for each element of the weights: weight, index, value, gradient, the optimizer's slots
        before and after the step (``momentum_before``, ``momentum``), change, new_value.
    formulas : list of str, the update in the optimizer's own operations
    scalars : dict from name to number, which depend on the step alone
    corrections : dict from name to str, the formulas of the scalars that are computed
    """

    title: str
    loss: float
    forward: dict[str, np.ndarray]
    changes: dict[str, Change]
    formulas: list[str]
    scalars: dict[str, float]
    corrections: dict[str, str]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each element of the weights."""
        return [row for change in self.changes.values() for row in change.rows()]

    def of(self, path: str) -> list[dict[str, Any]]:
        """Return the rows of one weight, given its path or the end of it: ``"dense/kernel"``."""
        return self._change(path).rows()

    def gradient_of(self, path: str, *index: int) -> Table:
        """Return the table of one element's gradient: factors by samples, products, and their sum.

        Raises
        ------
        ValueError
            If there is no such weight, or no such element in it.
        """
        change = self._change(path)
        if len(index) != change.before.ndim or not all(
            -n <= i < n for i, n in zip(index, change.before.shape, strict=True)
        ):
            raise ValueError(
                f"gradient_of: {change.variable.path} has shape {change.before.shape}, received "
                f"the index {index}."
            )
        return change.table(index)

    def _change(self, path: str) -> Change:
        found = [c for known, c in self.changes.items() if f"/{known}".endswith(f"/{path}")]
        if len(found) != 1:
            raise ValueError(
                f"{'No weight' if not found else 'More than one weight'} is called {path!r}; the "
                f"weights are {list(self.changes)}."
            )
        return found[0]

    def tables(self) -> list[Table]:
        """Return the explanation as tables: forward, backward, update, weights."""
        elements = sum(change.before.size for change in self.changes.values())
        layers = [(name, str(a.shape), summary(a)) for name, a in self.forward.items()]
        found = [Table("forward", ("", "shape", ""), [*layers, ("loss", "", f"{self.loss:.6g}")])]
        if elements <= FEW:
            for change in self.changes.values():
                found += map(change.table, np.ndindex(change.before.shape))
        else:
            rows = [(short_path(path), change.factors()) for path, change in self.changes.items()]
            found.append(Table("backward: sums over samples", ("", "d loss / d weight"), rows))
        known = [
            " = ".join(filter(None, (name, self.corrections.get(name), f"{value:.6g}")))
            for name, value in self.scalars.items()
        ]
        found.append(Table("update", ("",), [(line,) for line in (*known, *self.formulas)]))
        found.append(self._elements() if elements <= 3 * FEW else self._norms())
        return found

    def _elements(self) -> Table:
        rows = self.rows
        slots = [key for key in rows[0] if key not in _COLUMNS and not key.endswith("_before")]
        updated = [line.partition(" = ")[0] for line in self.formulas]  # columns in this order
        slots.sort(key=lambda key: updated.index(key) if key in updated else -1)
        clips = any(row["gradient"] != row["clipped"] for row in rows)
        keys = ("value", "gradient", *["clipped"] * clips, *slots, "change", "new_value")
        header = ("weight", *keys[:-1], "new value")
        return Table(
            "weights",
            header,
            [(short_path(r["weight"], r["index"]), *(r[key] for key in keys)) for r in rows],
        )

    def _norms(self) -> Table:
        return Table(
            "weights (norms; .of(path) returns the elements)",
            ("weight", "shape", "value", "gradient", "change", "largest change"),
            [
                (
                    short_path(path),
                    str(c.before.shape),
                    np.linalg.norm(c.before),
                    np.linalg.norm(c.gradient),
                    np.linalg.norm(c.after - c.before),
                    abs(c.after - c.before).max(initial=0.0),
                )
                for path, c in self.changes.items()
            ],
        )

    def __str__(self) -> str:
        return "\n\n".join([self.title, *(table.text() for table in self.tables())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<h4>{html.escape(self.title)}</h4>" + "".join(t.html() for t in self.tables())


# -- running the step ------------------------------------------------------------------------------


def explain_step(model: Any, x: Any, y: Any, sample_weight: Any = None) -> Explanation:
    """Return the explanation of one training step on these samples: `Model.explain_step`."""
    with model.prepared(Dataset.of_one_batch(x, y, sample_weight)) as batch:
        return _explained(model, batch)


def _explained(model: Any, batch: Dataset) -> Explanation:
    optimizer = copy(model.optimizer)  # the model's own is built by the first `fit`
    optimizer.groups = [*optimizer.groups]
    step = Step(model, "train", with_metrics=False, optimizer=optimizer)
    state = tree.map_structure(lambda a: wrap(a.copy()), step.read())
    samples = batch.data.map(wrap)
    weights, inputs = step.weights(state), tree.leaves(samples.x)
    with recording(inputs) as run:
        _, loss, _ = step.forward(weights, state.others, samples)
    grads = step.backward(loss, weights)
    with no_grad():
        groups = optimizer.updated(state.groups, grads, step.scalars())
        trace = Trace(run, inputs, loss)
        changes = _changes(step, state.groups, groups, grads)
        for change in changes.values():
            change.terms.extend(trace.terms(weights[change.variable]))
    count = int(optimizer.iterations) + 1
    title = (
        f"Step {count} of {type(optimizer).__name__} on {batch.size} samples: {model.name}, "
        f"{model.count_params():,} weights"
    )
    scalars, corrections = optimizer.next_scalars(), optimizer.corrections(count)
    formulas = formulas_of(optimizer, scalars)
    shown = [*formulas, *corrections.values()]
    used = {name: scalars[name] for name in scalars if any(name in line for line in shown)}
    return Explanation(title, loss.data.item(), trace.forward, changes, formulas, used, corrections)


def _changes(
    step: Step, before: Any, after: Any, grads: dict[Variable, Tensor]
) -> dict[str, Change]:
    """Return the change of each weight, from the flat memories before and after the update."""
    clipped = dict(zip(grads, step.optimizer.clip([*grads.values()]), strict=True))
    found = {}
    for group, *flats in zip(step.groups, before, after, strict=True):
        for v, part in zip(group.params, group.memories[0].slices, strict=True):
            if v in grads:
                (value, *slots), (new_value, *new_slots) = (
                    [t.data[part].reshape(v.shape) for t in flat] for flat in flats
                )
                found[v] = Change(
                    v,
                    value,
                    grads[v].data,
                    clipped[v].data,
                    dict(zip(group.slots, slots, strict=True)),
                    dict(zip(group.slots, new_slots, strict=True)),
                    new_value,
                    [],
                )
    return {v.path: found[v] for v in grads}
