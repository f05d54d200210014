"""The check of programs that the compiler's tests make after each rule."""

from tinynet.compiler.passes import check_type
from tinynet.compiler.program import Program


def typecheck(program: Program) -> Program:
    """Return `program`; AssertionError if it is not sound, which is always a fault of a rule.

    Each variable is computed once, before it is used, and has the type that its equation gives.
    """
    known = {*program.inputs, *program.captured, *program.constants}
    for v, array in program.constants.items():
        assert (array.shape, array.dtype) == v.type, f"constant {v.type_text}"
    for v, equation in program.equations.items():
        primitive, inputs, _ = equation
        assert v not in known, f"{primitive.name} computes a variable twice"
        assert known.issuperset(inputs), f"{primitive.name} uses a variable before it is known"
        known.add(v)
        check_type(v, equation)
    assert known.issuperset(program.outputs), "an output is not computed"
    return program
