"""One training step told in full: what came forward, which gradients came back, what changed.

Nothing here has a derivative or an update of its own: the step is run as `fit` would run it, on
copies, and what was run is told.

Imports `compiler/program.py`, `data.py`. Read next: `viz.py`.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..compiler.program import Program, Var
from ..compiler.record import Recorder, record, recording
from ..engine.autodiff import cotangents, tape
from ..engine.bind import no_grad
from ..engine.tensor import Tensor, wrap
from ..engine.variable import Variable, stateless
from ..layers.symbolic import within
from ..training.data import Dataset

FEW = 8  # samples, elements or columns that are shown one by one; of more there is a summary


class Factor(NamedTuple):
    """A factor of the chain rule: its name, and its numbers with samples along the first axis.

    `axis` says which axis of the weight the last one of the numbers belongs to.
    """

    name: str
    values: np.ndarray
    axis: int = -1


class Term(NamedTuple):
    """One use of a weight: its gradient is the sum over samples of the product of the factors."""

    factors: list[Factor]
    gradient: np.ndarray

    def at(self, index: tuple[int, ...]) -> list[tuple[str, np.ndarray]]:
        """Return names and numbers of the factors for one element of the weight, by samples."""
        return [
            (f.name, np.ravel(f.values[..., index[f.axis]] if index else f.values))
            for f in self.factors
        ]


class Change(NamedTuple):
    """What a step does to a weight, and the uses of it that its gradient comes from."""

    variable: Variable
    before: np.ndarray
    gradient: np.ndarray
    clipped: np.ndarray
    slots_before: dict[str, np.ndarray]
    slots: dict[str, np.ndarray]
    after: np.ndarray
    terms: list[Term]


class Table(NamedTuple):
    """A table with a line above: header and rows of texts and numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def text(self) -> str:
        """Return the table as lines, columns aligned: texts to the left, numbers to the right."""
        rows = [list(map(_shown, row)) for row in self.rows]
        cells = [list(self.header), *rows] if any(self.header) else rows
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
        columns = zip(*self.rows, strict=True)
        numbers = [not all(isinstance(v, str) for v in column) for column in columns]
        lines = []
        for row in cells:
            parts = [
                text.rjust(width) if number else text.ljust(width)
                for text, width, number in zip(row, widths, numbers, strict=True)
            ]
            lines.append(f"  {'  '.join(parts)}".rstrip())
        return "\n".join([self.title, *lines])

    def html(self) -> str:
        """Return the table as HTML."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_shown(v))}</td>" for v in row) + "</tr>"
            for row in self.rows
        )
        return f"<p><b>{html.escape(self.title)}</b></p><table><tr>{head}</tr>{body}</table>"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value + 0.0:.6g}"  # no minus before a 0


class Explanation:
    """One step of training, told: `print` it, show it in a notebook, or take its data.

    Attributes
    ----------
    loss : float, before the step
    forward : dict from the name of a layer to its outputs
    changes : dict from the path of a weight to its `Change`
    rows : list of dict
        One for each element of the weights: weight, index, value, gradient, what the optimizer
        remembers of it before and after (``momentum_before``, ``momentum``), change, new_value.
    formulas : list of str, what the optimizer does, in its own operations
    scalars : dict from name to number, what depends on the step alone
    corrections : dict from name to str, how those of them come about that are computed
    """

    def __init__(
        self,
        title: str,
        loss: float,
        forward: dict[str, np.ndarray],
        changes: dict[str, Change],
        formulas: list[str],
        scalars: dict[str, float],
        corrections: dict[str, str],
    ) -> None:
        self.title, self.loss, self.forward, self.changes = title, loss, forward, changes
        self.formulas, self.scalars, self.corrections = formulas, scalars, corrections

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each element of the weights."""
        return [row for path in self.changes for row in self.of(path)]

    def of(self, path: str) -> list[dict[str, Any]]:
        """Return the rows of one weight, by its path or the end of it: ``"dense/kernel"``."""
        change = self._change(path)
        found = []
        for index in np.ndindex(change.before.shape):
            slots = {f"{name}_before": a[index].item() for name, a in change.slots_before.items()}
            slots |= {name: a[index].item() for name, a in change.slots.items()}
            found.append(
                {
                    "weight": change.variable.path,
                    "index": index,
                    "value": change.before[index].item(),
                    "gradient": change.gradient[index].item(),
                    "clipped": change.clipped[index].item(),
                    **slots,
                    "change": (change.after[index] - change.before[index]).item(),
                    "new_value": change.after[index].item(),
                }
            )
        return found

    def gradient_of(self, path: str, *index: int) -> Table:
        """Return the table of one element's gradient: factors by samples, products, and their sum.

        Raises
        ------
        ValueError
            When there is no such weight, or no such element in it.
        """
        change = self._change(path)
        if len(index) != change.before.ndim or not all(
            -n <= i < n for i, n in zip(index, change.before.shape, strict=True)
        ):
            raise ValueError(
                f"gradient_of: {change.variable.path} has shape {change.before.shape}, received "
                f"the index {index}."
            )
        return _table_of_element(change, index)

    def _change(self, path: str) -> Change:
        found = [c for known, c in self.changes.items() if f"/{known}".endswith(f"/{path}")]
        if len(found) != 1:
            raise ValueError(
                f"{'No weight' if not found else 'More than one weight'} is called {path!r}; there "
                f"are {list(self.changes)}."
            )
        return found[0]

    def tables(self) -> list[Table]:
        """Return what is told, as tables."""
        elements = sum(change.before.size for change in self.changes.values())
        found = [
            Table(
                "forward",
                ("", "shape", ""),
                [(name, str(a.shape), _summary(a)) for name, a in self.forward.items()]
                + [("loss", "", f"{self.loss:.6g}")],
            )
        ]
        if elements <= FEW:
            for change in self.changes.values():
                found += [_table_of_element(change, i) for i in np.ndindex(change.before.shape)]
        else:
            rows = [(_name(path), _product(change)) for path, change in self.changes.items()]
            found.append(Table("backward: sums over samples", ("", "d loss / d weight"), rows))
        known = [
            " = ".join(filter(None, (name, self.corrections.get(name), f"{value:.6g}")))
            for name, value in self.scalars.items()
        ]
        found.append(Table("update", ("",), [(line,) for line in (*known, *self.formulas)]))
        if elements <= 3 * FEW:
            found.append(self._elements())
        else:
            found.append(self._norms())
        return found

    def _elements(self) -> Table:
        rows = self.rows
        slots = [key for key in rows[0] if key not in _FIXED and not key.endswith("_before")]
        clips = any(row["gradient"] != row["clipped"] for row in rows)
        keys = ("value", "gradient", *["clipped"] * clips, *slots, "change", "new_value")
        header = ("weight", *keys[:-1], "new value")
        return Table(
            "weights",
            header,
            [(_name(row["weight"], row["index"]), *(row[key] for key in keys)) for row in rows],
        )

    def _norms(self) -> Table:
        return Table(
            "weights (norms; the elements of one: .of(path))",
            ("weight", "shape", "value", "gradient", "change", "largest change"),
            [
                (
                    _name(path),
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


_FIXED = ("weight", "index", "value", "gradient", "clipped", "change", "new_value")


def _name(path: str, index: tuple[int, ...] = ()) -> str:
    """Return a weight's name, without those of the models around its layer."""
    short = "/".join(path.split("/")[-2:])
    return f"{short}[{', '.join(map(str, index))}]" if index else short


def _summary(array: np.ndarray) -> str:
    """Return the numbers of an array if they are few, else what they range over."""
    if array.size <= FEW:
        return "  ".join(f"{v:.6g}" for v in array.ravel())
    return f"from {array.min():.4g} to {array.max():.4g}, mean {array.mean():.4g}"


def _product(change: Change) -> str:
    """Return the factors of a gradient, as words."""
    terms = [" * ".join(factor.name for factor in term.factors) for term in change.terms]
    return " + ".join(filter(None, terms))


def _table_of_element(change: Change, index: tuple[int, ...]) -> Table:
    """Return the factors of each sample's part in the gradient of an element, and their sum."""
    title = f"backward: d loss / d {_name(change.variable.path, index)}"
    if len(change.terms) != 1 or not change.terms[0].factors:
        return Table(title, ("gradient",), [(change.gradient[index].item(),)])
    columns = change.terms[0].at(index)
    products = np.prod([values for _, values in columns], axis=0)
    header = ("sample", *(name for name, _ in columns), *["product"] * (len(columns) > 1))
    shown = [
        (str(n), *(values[n] for _, values in columns), *[products[n]] * (len(columns) > 1))
        for n in range(min(FEW, len(products)))
    ]
    blank = [""] * (len(header) - 2)
    if len(products) > FEW:
        shown.append(("...", *blank, f"{len(products) - FEW} more"))
    return Table(title, header, [*shown, ("sum", *blank, change.gradient[index].item())])


# -- running the step ------------------------------------------------------------------------------


def explain_step(model: Any, x: Any, y: Any, sample_weight: Any = None) -> Explanation:
    """Return one training step of a model on these samples, told in full: `Model.explain_step`."""
    with model.prepared(Dataset.of_one_batch(x, y, sample_weight)) as batch:
        return _explained(model, batch)


def _explained(model: Any, batch: Dataset) -> Explanation:
    optimizer = model.optimizer
    weights = {v: wrap(v.array.copy()) for v in model.trainable_variables}
    for t in weights.values():
        t.requires_grad = True
    rest = {v: wrap(v.array.copy()) for v in model.variables if v not in weights}
    inputs, targets, heeded = (
        None if part is None else tree.map_structure(wrap, part)
        for part in (batch.x, batch.y, batch.sample_weight)
    )
    given = tree.flatten(inputs)
    with recording(given) as run, stateless({**weights, **rest}), within(training=True, losses={}):
        y_pred = model(inputs)
        loss = model.compute_loss(inputs, targets, y_pred, heeded)
    grads = model.gradients_of(loss, weights)
    with no_grad():
        told = _Told(run, given, loss)
        terms = {v: told.terms(t) for v, t in weights.items()}
        changes = _changes(optimizer, weights, grads, terms)
    step = int(optimizer.iterations) + 1
    title = (
        f"Step {step} of {type(optimizer).__name__} on {batch.size} samples: {model.name}, "
        f"{model.count_params():,} weights"
    )
    scalars = optimizer.next_scalars()
    formulas = formulas_of(optimizer, scalars)
    shown = [*formulas, *optimizer.corrections(step).values()]
    used = {name: scalars[name] for name in scalars if any(name in line for line in shown)}
    return Explanation(
        title, loss.data.item(), told.forward, changes, formulas, used, optimizer.corrections(step)
    )


def _changes(
    optimizer: Any, weights: dict[Variable, Tensor], grads: list[Tensor], terms: Any
) -> dict[str, Change]:
    """Return what the optimizer would do to each weight."""
    scalars = optimizer.next_scalars()
    found = {}
    for (v, before), grad, clipped in zip(
        weights.items(), grads, optimizer.clip(grads), strict=True
    ):
        slots = {name: wrap(a) for name, a in optimizer.slots_of(v).items()}
        after, new = optimizer.stepped(
            before.detach(), clipped, slots, scalars, optimizer.decays(v)
        )
        found[v.path] = Change(
            v,
            before.data,
            grad.data,
            clipped.data,
            {name: t.data for name, t in slots.items()},
            {name: t.data for name, t in new.items()},
            after.data,
            terms[v],
        )
    return found


class _Told:
    """The run of a model: what its layers gave, and how weights had part in the loss."""

    def __init__(self, run: Recorder, inputs: list[Tensor], loss: Tensor) -> None:
        self.run = run
        self.order = tape(loss)
        self.names = {
            t: "x" if len(inputs) == 1 else f"x[{i}]" for i, t in enumerate(inputs)
        } | run.names
        self.forward = {name: t.data for t, name in self.names.items()}
        self.users: dict[Tensor, list[Tensor]] = {}
        for out, (_, xs, _) in run.equations.items():
            for x in dict.fromkeys(xs):
                self.users.setdefault(run.origin(x), []).append(out)
        self.one = wrap(np.ones((), loss.data.dtype))

    def terms(self, weight: Tensor) -> list[Term]:
        """Return the uses of a weight that have part in the loss."""
        found = [self._term(weight, out) for out in self.users.get(weight, ())]
        return [term for term in found if term is not None]

    def _cotangent(self, t: Tensor) -> np.ndarray | None:
        found = cotangents(self.order, self.one, [t])
        return found[t].data if t in found else None

    def _term(self, weight: Tensor, out: Tensor) -> Term | None:
        primitive, inputs, params = self.run.equations[out]
        if self._cotangent(out) is None:
            return None
        end, slopes = self._to_layer(out)
        name = self.names.get(end, end.equation.primitive.name)  # type: ignore[union-attr]
        last = Factor(f"d loss / d {name}", self._cotangent(end))  # type: ignore[arg-type]
        place = _place(weight, inputs)
        ct = wrap(self._cotangent(out))
        gradient = primitive.rule(place)(ct, out, *inputs, **params).data  # type: ignore[misc]
        if primitive.name == "matmul" and place == 1 and weight.ndim == 2 and inputs[0].ndim == 2:
            first = Factor(self._called(inputs[0]), inputs[0].data, 0)
            return Term([first, *slopes, last], gradient)
        if primitive.name in ("add", "subtract", "multiply"):
            ones = wrap(np.ones(out.shape, out.dtype))
            local = primitive.rule(place)(ones, out, *inputs, **params).data  # type: ignore[misc]
            other = Factor(self._called(inputs[1 - place]), np.broadcast_to(local, out.shape))
            return Term([*[other] * (primitive.name != "add"), *slopes, last], gradient)
        return Term([], gradient)

    def _called(self, t: Tensor) -> str:
        """Return what a tensor is called, be it in another shape or dtype."""
        t = self.run.origin(t)
        while t not in self.names and t in self.run.equations:
            primitive, inputs, _ = self.run.equations[t]
            if primitive.name not in ("reshape", "cast", "alias"):
                break
            t = self.run.origin(inputs[0])
        return self.names.get(t, "input")

    def _to_layer(self, t: Tensor) -> tuple[Tensor, list[Factor]]:
        """Follow elementwise operations to the output of the layer; return it and the slopes."""
        slopes: list[Factor] = []
        while t not in self.names and len(self.users.get(t, ())) == 1:
            (out,) = self.users[t]
            primitive, inputs, params = self.run.equations[out]
            if out.shape != t.shape or primitive.name in ("matmul", "transpose", "reshape"):
                break
            ones = wrap(np.ones(out.shape, out.dtype))
            slope = primitive.rule(_place(t, inputs))(ones, out, *inputs, **params).data  # type: ignore[misc]
            if not np.array_equal(slope, ones.data):
                slopes.append(Factor(f"{primitive.name}'", slope))
            t = out
        return t, slopes


def _place(t: Tensor, tensors: Sequence[Tensor]) -> int:
    """Return the place of `t` itself, not of a tensor of equal numbers."""
    return next(i for i, x in enumerate(tensors) if x is t)


# -- formulas --------------------------------------------------------------------------------------

_SIGNS = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2)}


def formulas_of(optimizer: Any, scalars: dict[str, float]) -> list[str]:
    """Return what an optimizer does with an element of a weight: its update, written out."""
    slots = [name for group in optimizer.slots for name in group]
    names = ["weight", "gradient", *slots, *scalars]

    def update(weight: Tensor, gradient: Tensor, *rest: Tensor) -> list[Tensor]:
        held = dict(zip(slots, rest, strict=False))
        numbers = dict(zip(scalars, rest[len(slots) :], strict=True))
        decays = bool(optimizer.weight_decay)
        new, after = optimizer.stepped(weight, gradient, held, numbers, decays)
        return [new, *(after[name] for name in slots)]

    program = record(update, [wrap(np.ones(2, "float32")) for _ in names], names)
    return written(program, ["weight", *slots])


def written(program: Program, outputs: Sequence[str]) -> list[str]:
    """Return a program as assignments to names of its outputs, the rest written into each other."""
    uses: dict[Var, int] = {}
    for _, inputs, _ in program.equations.values():
        for x in inputs:
            uses[x] = uses.get(x, 0) + 1
    texts: dict[Var, tuple[str, int]] = {v: (v.name, 9) for v in program.inputs}
    for v, array in program.constants.items():
        texts[v] = (f"{array.ravel()[0]:.6g}", 9)
    named = dict(zip(program.outputs, outputs, strict=True))
    lines: list[str] = []
    for v, (primitive, inputs, _) in program.equations.items():
        text = _expression(primitive.name, [texts[x] for x in inputs])
        if v in named or uses.get(v, 0) > 1:
            name = named.get(v, f"t{len(lines)}")
            lines.append(f"{name} = {text[0]}")
            text = (name, 9)
        texts[v] = text
    return lines


def _expression(name: str, operands: list[tuple[str, int]]) -> tuple[str, int]:
    """Return an operation as text, and how strongly it binds."""
    if name in _SIGNS:
        sign, strength = _SIGNS[name]
        (left, one), (right, two) = operands
        left = f"({left})" if one < strength else left
        right = f"({right})" if two < strength + (sign in "-/") else right
        return f"{left} {sign} {right}", strength
    if name == "square":
        text, strength = operands[0]
        return (f"{text} ** 2" if strength == 9 else f"({text}) ** 2"), 3
    return f"{name}({', '.join(text for text, _ in operands)})", 9
