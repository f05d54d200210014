"""A forward pass as an ONNX model: a table from primitives to nodes.

A primitive without an operator in ONNX is composed of several, or refused if that is impossible.

Imports `forward.py`, and the package onnx when it is needed. Read next: `../models/model.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..compiler.program import Var
from ..compiler.text import Names
from ..engine.extras import imported
from ..engine.primitives.shapes import ARRAY, Slice
from .forward import BatchSize, Forward

OPSET = 18  # from 2022; the operators used here have not changed since
IR_VERSION = 8  # the file format of that year
LAST = np.iinfo(np.int64).max  # larger than any length


def onnx_model(forward: Forward, name: str, version: str, opset: int = OPSET) -> Any:
    """Return the checked ModelProto of a forward pass; its batch size is named ``batch``.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    ValueError
        For a primitive that ONNX cannot express.
    """
    onnx = imported("onnx", "An ONNX model", "onnx")
    graph = Graph(forward, onnx)
    arrays = [onnx.numpy_helper.from_array(array, key) for key, array in graph.arrays.items()]
    proto = onnx.helper.make_graph(graph.nodes, name, graph.inputs, graph.outputs, arrays)
    about = {"ir_version": IR_VERSION, "producer_name": "tinynet", "producer_version": version}
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(proto, opset_imports=opsets, **about)
    onnx.checker.check_model(model, full_check=True)
    return model


class Graph:
    """A program as nodes, which refer to values by name.

    Attributes
    ----------
    nodes : list of NodeProto
    arrays : dict from name to array, the weights and constants
    inputs, outputs : list of ValueInfoProto
    """

    def __init__(self, forward: Forward, onnx: Any) -> None:
        program = forward.program
        self._helper = onnx.helper
        self.nodes: list[Any] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._new = Names().new  # ONNX requires identifiers
        self._known: dict[Any, str] = {}  # names of arrays by their contents
        names = {v: self._new(v.name) for v in program.inputs}
        self._first = names[program.inputs[0]]
        self.inputs = [self._typed(names[v], v) for v in program.inputs]
        names |= {v: self.array(array, v.name) for v, array in program.constants.items()}
        for v, (primitive, inputs, params) in program.equations.items():
            if primitive.name not in NODES:
                raise ValueError(f"export: ONNX cannot express the primitive {primitive.name!r}.")
            names[v] = NODES[primitive.name](self, v, inputs, *(names[x] for x in inputs), **params)
            if v.name:  # the name that its layer gave it
                node = self.nodes[-1]
                node.name = node.output[0] = names[v] = self._new(v.name)
        self.outputs = []
        taken = {*self.arrays, *(names[v] for v in program.inputs)}
        for v in program.outputs:
            name = self.node("Identity", names[v]) if names[v] in taken else names[v]
            taken.add(name)
            self.outputs.append(self._typed(name, v))

    def _typed(self, name: str, v: Var) -> Any:
        shape = [{BatchSize(): "batch"}.get(n) if isinstance(n, BatchSize) else n for n in v.shape]
        return self._helper.make_tensor_value_info(name, self._type(v.dtype), shape)

    def _type(self, dtype: Any) -> int:
        return self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    # -- for the tables below: each adds nodes and returns the name of a result ---------------

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node."""
        name = self._new(operator.lower())
        self.nodes.append(self._helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def array(self, value: Any, name: str = "", dtype: Any = None) -> str:
        """Add an array; equal arrays without names are added once."""
        array = np.array(value, dtype, order="C")
        key = name or (array.tobytes(), array.dtype, array.shape)
        if name or key not in self._known:
            short = "_".join(map(str, array.reshape(-1).tolist())) if array.size < 4 else "constant"
            self._known[key] = self._new(name or short or "empty")
            self.arrays[self._known[key]] = array
        return self._known[key]

    def cast(self, x: str, dtype: Any, to: Any) -> str:
        """Convert `x` from one dtype to another."""
        return x if dtype == to else self.node("Cast", x, to=self._type(to))

    def cast_all(self, xs: Sequence[str], inputs: Sequence[Var], to: Any) -> list[str]:
        """Convert several results, whose dtypes are those of `inputs`, to one dtype."""
        return [self.cast(x, v.dtype, to) for x, v in zip(xs, inputs, strict=True)]

    def shape(self, lengths: Any) -> str:
        """Add a shape as an array, or nodes that compute it if it depends on the batch size."""
        if not any(isinstance(n, BatchSize) for n in lengths):
            return self.array(lengths, dtype=np.int64)
        return self.node("Concat", *map(self._length, lengths), axis=0)

    def _length(self, n: Any) -> str:
        if not isinstance(n, BatchSize):
            return self.array([n], dtype=np.int64)
        length = self.node("Shape", self._first, start=0, end=1)
        return length if n.times == 1 else self.node("Mul", length, self.array([n.times]))


# -- the nodes of each primitive --------------------------------------------------------------
# A writer takes the graph, the Var of the result, the Vars and the names of the inputs, and params.

Writer = Callable[..., str]


def _one(operator: str, of: str = "numbers", gives: str = "") -> Writer:
    """Return a writer of one node; casts its inputs to one dtype: numbers, bool or anything."""

    def write(g: Graph, v: Var, inputs: tuple[Var, ...], *xs: str) -> str:
        dtype = np.result_type(*(x.dtype for x in inputs)) if of != "bool" else np.dtype(bool)
        dtype = _countable(dtype) if of == "numbers" else dtype
        same = g.cast_all(xs, inputs, dtype)
        return g.cast(g.node(operator, *same), gives or dtype, v.dtype)

    return write


def _countable(dtype: np.dtype) -> np.dtype:
    """Return a dtype in which ONNX computes: int32 for bool."""
    return np.dtype(np.int32) if dtype.kind == "b" else dtype


def _expm1(g: Graph, v: Var, inputs: Any, x: str) -> str:
    # e^x - 1 cancels near 0; there it is computed as 2 t / (1 - t) with t = tanh(x / 2).
    one, two = (g.array(n, dtype=v.dtype) for n in (1, 2))
    t = g.node("Tanh", g.node("Div", x, two))
    near = g.node("Div", g.node("Mul", two, t), g.node("Sub", one, t))
    return g.node("Where", g.node("Less", x, one), near, g.node("Sub", g.node("Exp", x), one))


def _log1p(g: Graph, v: Var, inputs: Any, x: str) -> str:
    # The rounding error of u = 1 + x cancels in log(u) x / (u - 1), if u is not 1.
    one = g.array(1, dtype=v.dtype)
    u = g.node("Add", one, x)
    far = g.node("Div", g.node("Mul", g.node("Log", u), x), g.node("Sub", u, one))
    return g.node("Where", g.node("Equal", u, one), x, far)


def _isfinite(g: Graph, v: Var, inputs: Any, x: str) -> str:
    return g.node("Not", g.node("Or", g.node("IsInf", x), g.node("IsNaN", x)))


def _where(g: Graph, v: Var, inputs: Any, condition: str, *xs: str) -> str:
    chosen = g.cast_all(xs, inputs[1:], v.dtype)
    return g.node("Where", g.cast(condition, inputs[0].dtype, bool), *chosen)


def _reduction(operator: str) -> Writer:
    def write(g: Graph, v: Var, inputs: Any, x: str, axis: Any, keepdims: bool) -> str:
        dtype = _countable(v.dtype)
        axes = [] if axis is None else [g.array(axis, dtype=np.int64)]
        x = g.cast(x, inputs[0].dtype, dtype)
        empty = int(axis is not None)  # an empty tuple of axes means none, not all
        out = g.node(operator, x, *axes, keepdims=int(keepdims), noop_with_empty_axes=empty)
        return g.cast(out, dtype, v.dtype)

    return write


def _argmax(g: Graph, v: Var, inputs: Any, x: str, axis: int) -> str:
    x = g.cast(x, inputs[0].dtype, _countable(inputs[0].dtype))
    return g.node("ArgMax", x, axis=axis, keepdims=0)


def _transpose(g: Graph, v: Var, inputs: Any, x: str, axes: tuple[int, ...]) -> str:
    return g.node("Transpose", x, perm=axes) if axes else g.node("Identity", x)


ALL = Slice(None, None, None)


def _getitem(g: Graph, v: Var, inputs: Any, x: str, *arrays: str, index: tuple[Any, ...]) -> str:
    """Apply slices, then take single elements, last axis first, then add axes of length 1."""
    if Ellipsis in index:
        at = index.index(Ellipsis)
        rest = len(inputs[0].shape) - sum(i is not None for i in index) + 1
        index = (*index[:at], *[ALL] * rest, *index[at + 1 :])
    if arrays and [i for i in index if not isinstance(i, Slice)] != [ARRAY]:
        raise ValueError(f"export: ONNX has getitem for integers or one array, received {index}.")
    used = [i for i in index if i is not None]
    cuts = {axis: i for axis, i in enumerate(used) if isinstance(i, Slice) and i != ALL}
    if cuts:
        ends = [_ends(*i) for i in cuts.values()]
        starts, stops, steps = (g.array(column) for column in zip(*ends, strict=True))
        x = g.node("Slice", x, starts, stops, g.array([*cuts]), steps)
    for axis, i in reversed([*enumerate(used)]):
        if not isinstance(i, Slice):
            place = g.cast(arrays[0], inputs[1].dtype, np.int64) if arrays else g.array(i)
            x = g.node("Gather", x, place, axis=axis)
    left = [i for i in index if i is None or isinstance(i, Slice)]
    new = [axis for axis, i in enumerate(left) if i is None]
    return g.node("Unsqueeze", x, g.array(new)) if new else g.node("Identity", x)


def _ends(start: int | None, stop: int | None, step: int | None) -> tuple[int, int, int]:
    """Return a slice with each None replaced by a number."""
    step = step or 1
    first, last = (0, LAST) if step > 0 else (LAST, -LAST)
    return first if start is None else start, last if stop is None else stop, step


EQUAL = _one("Equal", "anything", "bool")
# SAME: names of operators in lower case. CUT: an operator is named by the first three letters.
SAME = (
    "add exp log sqrt sin cos tan tanh sinh cosh sigmoid softplus relu sign floor ceil reciprocal"
)
OTHERS = {"fabs": "Abs", "rint": "Round", "matmul": "MatMul", "isnan": "IsNaN", "isinf": "IsInf"}
CUT = "absolute divide maximum minimum multiply negative power subtract"
ORDER = "greater greater_equal less less_equal"  # Greater, GreaterOrEqual, ...
ARCS = "arcsin arccos arctan arcsinh arccosh arctanh"  # Asin, Acos, ...
NODES: dict[str, Writer] = {
    **{name: _one(name.replace("arc", "A")) for name in ARCS.split()},
    **{name: _one(name.capitalize()) for name in SAME.split()},
    **{name: _one(name[:3].capitalize()) for name in CUT.split()},
    **{name: _one(operator) for name, operator in OTHERS.items()},
    **{name: _reduction(f"Reduce{name.capitalize()}") for name in ("sum", "max", "min")},
    "square": lambda g, v, inputs, x: _one("Mul")(g, v, inputs * 2, x, x),
    "expm1": _expm1,
    "log1p": _log1p,
    "erfc": lambda g, v, _, x: g.node("Sub", g.array(1, dtype=v.dtype), g.node("Erf", x)),
    "isfinite": _isfinite,
    "logical_not": _one("Not", "bool"),
    "equal": EQUAL,
    "not_equal": lambda g, v, inputs, *xs: g.node("Not", EQUAL(g, v, inputs, *xs)),
    **{name: _one(name.title().replace("_", "Or"), gives="bool") for name in ORDER.split()},
    **{f"logical_{f}": _one(f.capitalize(), "bool", "bool") for f in ("and", "or", "xor")},
    "where": _where,
    "cast": lambda g, v, inputs, x, dtype: g.cast(x, inputs[0].dtype, dtype),
    **dict.fromkeys(["alias", "positive"], _one("Identity", "anything")),
    "argmax": _argmax,
    "reshape": lambda g, v, _, x, newshape: g.node("Reshape", x, g.shape(newshape), allowzero=1),
    "transpose": _transpose,
    "broadcast_to": lambda g, v, _, x, shape: g.node("Expand", x, g.shape(shape)),
    "concatenate": lambda g, v, inputs, *xs, axis: g.node(
        "Concat", *g.cast_all(xs, inputs, v.dtype), axis=axis
    ),
    "getitem": _getitem,
}
