"""Explain one training step: activations, gradients, update.

No derivative or update is computed here: the step of `fit` itself runs, on copies.

Imports `tables.py`, `formulas.py`, `../training/step.py`. Read next: `formulas.py`.
"""

from __future__ import annotations

import html
from copy import copy
from dataclasses import dataclass
from itertools import islice
from operator import contains
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..compiler.record import Recorder
from ..engine.bind import modes, no_grad
from ..engine.expect import expect
from ..engine.refusal import answering
from ..engine.temporarily import temporarily
from ..engine.tensor import wrap
from ..engine.variable import Variable
from ..training.data import Dataset
from ..training.step import Step, overridden
from .formulas import Term, Trace, formulas_of
from .tables import FEW, Table, short_path, summary


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
        """Return a dict for each element of the weight."""
        columns = {"value": self.before, "gradient": self.gradient, "clipped": self.clipped}
        columns |= {f"{name}_before": array for name, array in self.slots_before.items()}
        columns |= {**self.slots, "change": self.after - self.before, "new_value": self.after}
        return [
            {"weight": self.variable.path, "index": index}
            | {key: array[index].item() for key, array in columns.items()}
            for index in np.ndindex(self.before.shape)
        ]

    def summary_row(self) -> tuple[Any, ...]:
        """Return path, shape, the norms of value, gradient and change, and the largest change."""
        change = self.after - self.before
        norms = map(np.linalg.norm, (self.before, self.gradient, change))
        shape = str(change.shape)
        return short_path(self.variable.path), shape, *norms, abs(change).max(initial=0.0)

    def factors(self) -> str:
        """Return the gradient as a sum of products of names."""
        terms = [" * ".join(factor.name for factor in term.factors) for term in self.terms]
        return " + ".join(filter(None, terms))

    def table(self, index: tuple[int, ...]) -> Table:
        """Return a table of one element's gradient: factors for each sample, products, the sum."""
        title = f"backward: d loss / d {short_path(self.variable.path, index)}"
        if len(self.terms) != 1 or not self.terms[0].factors:
            return Table(title, ("gradient",), [(self.gradient[index].item(),)])
        columns = self.terms[0].at(index)
        products = np.prod([values for _, values in columns], axis=0)
        if len(columns) > 1:
            columns.append(("product", products))
        names, values = zip(*columns, strict=True)
        rows = [(str(n), *row) for n, row in enumerate(islice(zip(*values, strict=True), FEW))]
        blank = [""] * (len(names) - 1)
        if len(products) > FEW:
            rows.append(("...", *blank, f"{len(products) - FEW} more"))
        rows.append(("sum", *blank, self.gradient[index].item()))
        return Table(title, ("sample", *names), rows)


@dataclass(eq=False, repr=False)
class Explanation:
    """The explanation of one training step: print it, show it in a notebook, or read its data.

    Attributes
    ----------
    loss : float, before the step
    forward : dict from the name of an input or a layer to its numbers
    changes : dict from the path of a weight to its `Change`
    rows : list of dict
        One for each element of the weights: weight, index, value, gradient, clipped (the gradient
        after clipping), the optimizer's slots before and after the step (``momentum_before``,
        ``momentum``), change, new_value.
    formulas : list of str, the update in the optimizer's own operations
    scalars : dict from name to float, numbers of the step such as the learning rate
    corrections : dict from name to str, the formulas of those scalars that are computed
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
        """Return the table of one element's gradient: factors for each sample, products, their sum.

        Raises
        ------
        ValueError
            If there is no such weight, or no such element in it.
        """
        change = self._change(path)
        path, shape = change.variable.path, change.before.shape
        valid = [range(-n, n) for n in shape]
        if len(index) != len(shape) or not all(map(contains, valid, index)):
            raise ValueError(f"gradient_of: {path} has shape {shape}, received the index {index}.")
        return change.table(index)

    def _change(self, path: str) -> Change:
        found = [c for known, c in self.changes.items() if f"/{known}".endswith(f"/{path}")]
        expect(len(found) == 1, "path", f"one of {[*self.changes]}, or its end", path)
        return found[0]

    def tables(self) -> list[Table]:
        """Return the explanation as tables: forward, backward, update, weights."""
        changes = self.changes.values()
        elements = sum(change.before.size for change in changes)
        layers = [(name, str(a.shape), summary(a)) for name, a in self.forward.items()]
        found = [Table("forward", ("", "shape", ""), [*layers, ("loss", "", f"{self.loss:.6g}")])]
        if elements <= FEW:
            found += [c.table(index) for c in changes for index in np.ndindex(c.before.shape)]
        else:
            rows = [(short_path(c.variable.path), c.factors()) for c in changes]
            found.append(Table("backward: sums over samples", ("", "d loss / d weight"), rows))
        derived = {name: f"{name} = {formula}" for name, formula in self.corrections.items()}
        known = [f"{derived.get(name, name)} = {value:.6g}" for name, value in self.scalars.items()]
        found.append(Table("update", ("",), [(line,) for line in (*known, *self.formulas)]))
        if elements <= 3 * FEW:
            return [*found, self._elements()]
        title = "weights (norms; .of(path) returns the elements)"
        header = ("weight", "shape", "value", "gradient", "change", "largest change")
        return [*found, Table(title, header, [change.summary_row() for change in changes])]

    def _elements(self) -> Table:
        rows = self.rows
        slots = dict.fromkeys(name for change in self.changes.values() for name in change.slots)
        updated = [line.partition(" = ")[0] for line in self.formulas]  # columns in this order
        order = sorted(slots, key=lambda name: updated.index(name) if name in updated else -1)
        clips = any(row["gradient"] != row["clipped"] for row in rows)
        keys = ("value", "gradient", *["clipped"] * clips, *order, "change", "new_value")
        cells = [(short_path(r["weight"], r["index"]), *(r[key] for key in keys)) for r in rows]
        return Table("weights", ("weight", *keys[:-1], "new value"), cells)

    def __str__(self) -> str:
        return "\n\n".join([self.title, *(table.text() for table in self.tables())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = "".join(table._repr_html_() for table in self.tables())
        return f"<h4>{html.escape(self.title)}</h4>{tables}"


# -- running the step ------------------------------------------------------------------------------


@answering
def explain_step(model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> Explanation:
    """Return the explanation of one training step on these samples: `Model.explain_step`."""
    usual, wanted = not overridden(model, "train_step"), "a model without a train_step of its own"
    expect(usual, "explain_step", wanted, type(model).__name__, TypeError)
    with model.prepared(Dataset.of_one_batch(x, y, sample_weight)) as batch:
        plain = model.optimizer and not model.optimizer.gradient_accumulation_steps
        expect(plain, "explain_step", "an optimizer that updates at each step", model.optimizer)
        optimizer = copy(model.optimizer)  # the model's own is built by the first `fit`
        optimizer.groups = [*optimizer.groups]
        step = Step(model, "train", with_metrics=False, optimizer=optimizer)
        state = tree.map_structure(lambda a: wrap(a.copy()), step.read())
        samples = batch.data.map(wrap)
        weights, inputs = step.weights(state), tree.leaves(samples.x)
        run = Recorder(inputs, numbers=True)
        with temporarily(modes, recorder=run):
            _, loss, _ = step.forward(weights, state.others, samples)
        grads = step.backward(loss, weights)
        with no_grad():
            before = _by_weight(step, state.groups)
            after = _by_weight(step, optimizer.updated(state.groups, grads, step.scalars()))
            clipped = optimizer.clip([*grads.values()])
            trace = Trace(run, inputs, loss)
            changes = {}
            for (v, gradient), clip in zip(grads.items(), clipped, strict=True):
                (old, slots_before), (new, slots) = before[v], after[v]
                numbers = old, gradient.data, clip.data, slots_before, slots, new
                changes[v.path] = Change(v, *numbers, trace.terms(weights[v]))
    count = int(optimizer.iterations) + 1
    kind, size = type(optimizer).__name__, model.count_params()
    title = f"Step {count} of {kind} on {batch.size} samples: {model.name}, {size:,} weights"
    scalars, corrections = optimizer.next_scalars(), optimizer.corrections(count)
    constraints = {type(v.constraint).__name__ for v in step.trained if v.constraint}
    formulas = formulas_of(optimizer, scalars)
    formulas += [f"weight = {name}(weight)" for name in sorted(constraints)]
    shown = [*formulas, *corrections.values()]
    used = {name: scalars[name] for name in scalars if any(name in line for line in shown)}
    return Explanation(title, loss.data.item(), trace.forward, changes, formulas, used, corrections)


def _by_weight(step: Step, state: Any) -> dict[Variable, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Return the value and the slots of each weight from the flat memories of all groups."""
    found = {}
    for group, flats in zip(step.groups, state, strict=True):
        for v, part in zip(group.params, group.memories[0].slices, strict=True):
            value, *slots = (flat.data[part].reshape(v.shape) for flat in flats)
            found[v] = value, dict(zip(group.slots, slots, strict=True))
    return found
