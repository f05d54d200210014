"""The derivatives of compiled functions, which are compiled functions, too.

If gradients flow through a call, each result has an equation of the primitive `_result`. Its input
is a tensor without numbers that stands for the call: its equation has the primitive `_call`, and
its cotangent collects those of the results (`_Parts`). The rule of `_call` runs a compiled
pullback, which computes the recorded program again and walks it backwards. So derivatives of every
order are compiled, each when it is first used, and the function itself does not run again.

Imports `record.py` and `../engine/autodiff.py`. Read next: `jit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from ..engine.autodiff import vjp
from ..engine.bind import bind, grad_mode
from ..engine.tensor import Equation, Primitive, Tensor, as_tensor, wrap
from .program import Program

_NOTHING = np.empty(0)


class _Parts(dict[int, Tensor]):
    """The cotangents of some results of a call, by their positions."""

    data = _NOTHING

    def __add__(self, other: _Parts) -> _Parts:
        return _Parts(self | other)


def _pulled_back(ct: _Parts, y: Tensor, wanted: Any, *inputs: Tensor, compiled: Any) -> Any:
    """Return the cotangents of the inputs at `wanted`: the joint rule of `_call`."""
    bits = reduce(or_, [compiled.dependencies[i] for i in ct])
    reached = tuple([i for i in wanted if bits >> i & 1])
    used = tuple(sorted(ct))
    found = compiled.pullback(used, reached)(*[ct[i] for i in used], *inputs)
    return map(dict(zip(reached, found, strict=True)).get, wanted)


_call = Primitive("jit", copy, (), joint=_pulled_back)
_result = Primitive("result", copy, (), joint=lambda ct, *_, position: [_Parts({position: ct})])


def attach(results: Sequence[Tensor], compiled: Any, leaves: Iterable[Any]) -> None:
    """Leave equations on the results of a call that depend on tracked inputs.

    `leaves` are those of the arguments. The values of the program's variables are inputs, too.
    """
    variables = compiled.program.captured.values()
    inputs = (*map(as_tensor, leaves), *[v.value for v in variables])
    bits = sum([1 << i for i, x in enumerate(inputs) if x.tracked])
    call = wrap(_NOTHING)
    call.tracked, call.equation = True, Equation(_call, inputs, {"compiled": compiled})
    for i, y in enumerate(results):
        if compiled.dependencies[i] & bits:
            y.tracked, y.equation = True, Equation(_result, (call,), {"position": i})


def dependencies(program: Program) -> list[int]:
    """Return for each output, as bits, the inputs and variables that its gradients reach."""
    known = enumerate((*program.inputs, *program.captured))
    found = {v: 1 << i for i, v in known if v.tracked}
    for v, (primitive, xs, _) in program.equations.items():
        if v.tracked:
            bits = (found.get(x, 0) for i, x in enumerate(xs) if i in primitive.differentiable)
            found[v] = reduce(or_, bits)
    return [found.get(v, 0) for v in program.outputs]


def pullback_of(program: Program, used: Any, wanted: Any) -> Callable[..., Any]:
    """Return the pullback from the outputs at the positions `used` to the inputs at `wanted`.

    It is a function of cotangents, followed by the inputs and the values of the variables. It
    computes the program again, in tensor operations.
    """

    def pullback(*given: Tensor) -> Any:
        cts, inputs = list(given[: len(used)]), given[len(used) :]

        def results(*args: Tensor) -> list[Tensor]:
            known = dict(enumerate(inputs)) | dict(zip(wanted, args, strict=True))
            values = {v: wrap(array) for v, array in program.constants.items()}
            values |= zip((*program.inputs, *program.captured), known.values(), strict=True)
            for v, (primitive, xs, params) in program.equations.items():
                with grad_mode(v.tracked):
                    values[v] = bind(primitive, *[values[x] for x in xs], **params)
            return [values[program.outputs[i]] for i in used]

        return vjp(results, *[inputs[i] for i in wanted])[1](cts)

    return pullback
