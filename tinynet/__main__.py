"""``python -m tinynet``: the examples, listed or run.

Imports nothing of the project.
"""

import argparse
import ast
import runpy
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def examples() -> dict[str, Path]:
    """Return the numbered examples by their names, in reading order."""
    return {path.stem: path for path in sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))}


def title(path: Path) -> str:
    """Return the first line of an example's story."""
    story = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return story.splitlines()[0] if story else ""


def chosen(asked: str, known: dict[str, Path]) -> Path:
    """Return the example of this number or name; SystemExit if there is none."""
    for name, path in known.items():
        number, words = name.split("_", 1)
        if asked in (name, words, number, number.lstrip("0")):
            return path
    raise SystemExit(f"There is no example {asked!r}; the names are: {', '.join(known)}.")


def main(arguments: list[str] | None = None) -> None:
    """List the examples, or run one."""
    parser = argparse.ArgumentParser(prog="python -m tinynet", description="Examples of tinynet.")
    parser.add_argument("example", nargs="?", help="its number or name; without it, all are listed")
    parser.add_argument("--out", default=".", help="the folder of its picture")
    options = parser.parse_args(arguments)
    known = examples()
    if not known:
        raise SystemExit(
            "The examples are not installed with the package: they are in the folder `examples` of "
            "tinynet's repository."
        )
    if options.example is None:
        print("\n".join(f"{name.split('_')[0]}  {title(path)}" for name, path in known.items()))
        print("\npython -m tinynet NUMBER [--out FOLDER] runs one.")
        return
    path = chosen(options.example, known)
    sys.argv = [str(path), "--out", options.out]
    runpy.run_path(str(path), run_name="__main__")


if __name__ == "__main__":
    main()
