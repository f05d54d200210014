"""The source of a compiled function, to be asserted on."""

import ast
from collections.abc import Callable
from typing import Any

import tinynet as tn


class Reading:
    """The source of a compiled function, as a syntax tree."""

    def __init__(self, text: str) -> None:
        self.text = text
        (self.make,) = ast.parse(text).body
        (self.run,) = (s for s in self.make.body if isinstance(s, ast.FunctionDef))
        self.arguments = [argument.arg for argument in self.make.args.args]

    def nodes(self, kind: Any, within: Any = None) -> list[Any]:
        return [node for node in ast.walk(within or self.make) if isinstance(node, kind)]

    @property
    def statements(self) -> list[str]:
        return [ast.unparse(statement) for statement in self.run.body]

    @property
    def buffers(self) -> int:
        return self.text.count("xp.empty(")


def read(f: Callable[..., Any], *args: Any) -> Reading:
    return Reading(tn.jit(f).source(*args))
