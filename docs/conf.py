"""How the documentation is built: `python -m sphinx -W -b html docs docs/_build/html`.

The gallery runs the examples. Its pages begin with a title and a text, which are each example's
docstring; `staged` writes copies of the examples of that form.
"""

import ast
import operator
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parent
PROJECT = DOCS.parent
sys.path.insert(0, str(PROJECT))

import tinynet  # noqa: E402

project = "tinynet"
author = "The tinynet authors"
version = release = tinynet.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_staged", "_templates"]
html_theme = "furo"
html_title = "tinynet"
html_show_copyright = False  # the licence is in LICENSE
html_copy_source = False
html_static_path = ["playground"]
templates_path = ["_templates"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
napoleon_use_ivar = True
# Pages link to files of the source, which are not pages: tests follow these links.
suppress_warnings = ["myst.xref_missing", "config.cache", "ref.python"]
APART = ("16_many_processes",)  # starts processes, which an example within Sphinx cannot
# The modules of the API reference, in its order; "" is the package itself.
MODULES = (
    " ops layers models losses metrics optimizers optimizers.schedules callbacks activations "
    "initializers regularizers constraints viz saving export explain datasets distribution random "
    "utils tree backend config"
)


def staged() -> Path:
    """Write a copy of each example whose docstring has a title; return their folder."""
    folder = DOCS / "_staged"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted((PROJECT / "examples").glob("[0-9]*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        text = ast.get_docstring(tree)
        title, _, rest = text.partition("\n")
        title = f"{path.stem[:2]}. {title.rstrip('.')}"
        if path.stem in APART:
            rest += "\n\nIt prints::\n\n" + _output_of(path)
        code = source.splitlines()[tree.body[0].end_lineno :]
        shown = f"{title}\n{'=' * len(title)}\n{_literal_commands(rest)}"
        head = f'r"""\n{shown}\n"""\n__doc__ = {title!r}\n'
        (folder / path.name).write_text(head + "\n".join(code) + "\n", encoding="utf-8")
    (folder / "GALLERY_HEADER.rst").write_text(
        "Gallery\n=======\n\nEach example is a script in `examples/`. Run it in the folder of a "
        "clone.\n",
        encoding="utf-8",
    )
    return folder


def _output_of(path: Path) -> str:
    """Return what an example prints in a process of its own, indented."""
    command = [sys.executable, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return "".join(f"    {line}\n" for line in done.stdout.splitlines())


def _literal_commands(text: str) -> str:
    """Return a text whose indented lines are literal blocks, as in reStructuredText."""
    lines, before = [], ""
    for line in text.splitlines():
        if line.startswith("    ") and not before.startswith("    "):
            lines += ["::", ""]
        lines.append(line)
        before = line
    return "\n".join(lines)


def pictures(block, block_vars, gallery_conf) -> str:
    """Return the pictures that an example wrote into its folder, as the gallery shows them."""
    from sphinx_gallery.scrapers import figure_rst

    shown = []
    for path in sorted(Path(block_vars["src_file"]).parent.glob("*.png")):
        to = next(block_vars["image_path_iterator"])
        shutil.move(path, to)
        shown.append(to)
    return figure_rst(shown, gallery_conf["src_dir"])


def write_reference() -> None:
    """Write a page of the API reference for each module: its public names, with docstrings."""
    folder = DOCS / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = [f"tinynet.{name}".rstrip(".") for name in MODULES.split(" ")]
    seen: set[int] = set()
    for name in names:
        (folder / f"{name}.rst").write_text(_reference_of(name, seen), encoding="utf-8")
    lines = ["API reference", "=============", "", ".. toctree::", "   :maxdepth: 1", ""]
    lines += [f"   {name}" for name in names]
    (folder / "index.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _reference_of(name: str, seen: set[int]) -> str:
    """Return the page of a module: its public names, in the index unless they were `seen`."""
    module = operator.attrgetter(name.partition(".")[2])(tinynet) if "." in name else tinynet
    lines = [name, "=" * len(name), "", f".. py:currentmodule:: {name}", ""]
    if module.__doc__ and "." in name:
        lines += [module.__doc__.partition("\n")[0], ""]
    for member in dir(module):
        thing = getattr(module, member)
        if isinstance(thing, ModuleType):
            continue
        kind = "autoclass" if isinstance(thing, type) else "autofunction"
        lines += [f".. {kind if callable(thing) else 'autodata'}:: {name}.{member}"]
        lines += ["   :members:"] if kind == "autoclass" else []
        lines += ["   :no-index:", ""] if id(thing) in seen else [""]
        seen.add(id(thing))
    return "\n".join(lines)


def with_heading(app, what, name, thing, options, lines) -> None:
    """Put a heading above the example of a docstring with sections, which ends the last section."""
    example = next((i for i, line in enumerate(lines) if line.startswith(">>>")), 0)
    if any(set(line) == {"-"} for line in lines[:example]):
        lines[example:example] = ["Examples", "--------"]


def pack(app, error) -> None:
    """Write the package into an archive, from which the page "In the browser" imports it."""
    if app.builder.format == "html":
        path = Path(app.outdir, "_static", "tinynet.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted((PROJECT / "tinynet").rglob("*")):
                if file.suffix in (".py", ".txt", ".c"):
                    archive.write(file, file.relative_to(PROJECT))


def setup(app) -> None:
    """Connect `with_heading`, to run before napoleon, and `pack`."""
    app.connect("autodoc-process-docstring", with_heading, priority=400)
    app.connect("build-finished", pack)


write_reference()
sphinx_gallery_conf = {
    "examples_dirs": str(staged()),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(?!16)\d\d_",
    "ignore_pattern": r"pictures\.py",
    "image_scrapers": (pictures,),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "abort_on_example_error": True,
    "write_computation_times": False,
}
