"""How the documentation is built: `python -m sphinx -W -b html docs docs/_build/html`.

The gallery runs the examples. Its pages begin with a title and a text, which are each example's
docstring; `staged` writes copies of the examples in that form. The pages are also read as files, so
their links lead to files; `led_to_pages` turns these into links to pages.
"""

import ast
import inspect
import operator
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parent
PROJECT = DOCS.parent
sys.path.insert(0, str(PROJECT))

from sphinx.util.inspect import stringify_signature  # noqa: E402

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
html_static_path = ["playground", "site.css"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
smartquotes_action = "D"  # dashes alone: u'' has two primes, and strings have straight quotes
default_role = "py:obj"  # `Adam` in a docstring is a link, and `rate` is code
myst_heading_anchors = 3
autodoc_typehints = "none"
napoleon_use_ivar = True
napoleon_use_param = False  # parameters that share a description stay together
# Pages link to files of the source, which are not pages: tests follow these links.
suppress_warnings = ["myst.xref_missing", "config.cache", "ref.python"]
APART = ("16_many_processes",)  # starts processes, which an example within Sphinx cannot
THUMBNAILS = {
    "00_engine": "../examples/pictures/graph.png",
    "16_many_processes": "../benchmarks/results/processes.png",
}
PROJECT_PAGES = ("CONTRIBUTING", "SECURITY", "CHANGELOG")
# The modules of the API reference, in its order; "" is the package itself.
MODULES = (
    " ops layers models losses metrics optimizers optimizers.schedules callbacks activations "
    "initializers regularizers constraints viz saving export explain datasets distribution random "
    "utils tree wrappers backend config"
)


HIDDEN = "# sphinx_gallery_start_ignore\n{}\n# sphinx_gallery_end_ignore\n"


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
            rest += "\n\nIt prints\n\n" + _output_of(path)
        code = source.splitlines()[tree.body[0].end_lineno :]
        shown = f"{title}\n{'=' * len(title)}\n{_literal_commands(rest)}"
        shown = re.sub(r"\bdocs/(\w+)\.md", r":doc:`/\1`", shown)
        head = f'r"""\n{shown}\n"""\n' + HIDDEN.format(f"__doc__ = {title!r}")
        if path.stem in THUMBNAILS:
            head += f"# sphinx_gallery_thumbnail_path = {THUMBNAILS[path.stem]!r}\n"
        (folder / path.name).write_text(head + "\n".join(code) + "\n", encoding="utf-8")
    (folder / "GALLERY_HEADER.rst").write_text(
        "Gallery\n=======\n\nEach example is a script in ``examples/``. Run it in the folder of a "
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
            lines += [".. code-block:: text", ""]
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
    public = {thing for name in names for _, thing in _members(name) if isinstance(thing, type)}
    seen: dict[int, str] = {}
    for name in (*names[1:], names[0]):  # what `tinynet` has of its modules is described there
        (folder / f"{name}.rst").write_text(_reference_of(name, public, seen), encoding="utf-8")
    lines = ["API reference", "=============", "", ".. toctree::", "   :hidden:", ""]
    lines += [f"   {name}" for name in names] + [""]
    lines += [f"* :doc:`{name}`: {_first_line(_module(name))}" for name in names]
    (folder / "index.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _module(name: str) -> ModuleType:
    return operator.attrgetter(name.partition(".")[2])(tinynet) if "." in name else tinynet


def _first_line(module: ModuleType) -> str:
    """Return the first line of a module's docstring, without the file to read next."""
    return re.sub(r" Read .*", "", (module.__doc__ or "").partition("\n")[0])


def _members(name: str) -> Iterator[tuple[str, object]]:
    """Yield the public names of a module and of its modules without a page, with what they name."""
    for member in dir(_module(name)):
        thing, path = getattr(_module(name), member), f"{name}.{member}"
        if not isinstance(thing, ModuleType):
            yield path, thing
        elif path.partition(".")[2] not in MODULES.split(" "):
            yield from _members(path)


def _reference_of(name: str, public: set[type], seen: dict[int, str]) -> str:
    """Return the page of a module: its public names, or links to where they were `seen`.

    A class has the methods that it inherits from classes that have no entry of their own.
    """
    others = []
    lines = [name, "=" * len(name), "", f".. py:currentmodule:: {name}", ""]
    lines += [_first_line(_module(name)), ""]
    for path, thing in _members(name):
        if callable(thing) and seen.setdefault(id(thing), path) != path:
            others.append(f"* ``{path}`` is `{seen[id(thing)]}`.")
            continue
        kind = "autoclass" if isinstance(thing, type) else "autofunction"
        lines += [f".. {kind if callable(thing) else 'autodata'}:: {path}"]
        if isinstance(thing, type):
            shown = (c in public or not c.__module__.startswith("tinynet") for c in thing.__mro__)
            elsewhere = [c.__name__ for c in thing.__mro__[[*shown].index(True, 1) :]]
            lines += ["   :members:", f"   :inherited-members: {', '.join(elsewhere)}"]
        lines += [""]
    if others:
        lines += ["Other names", "-----------", "", *others, ""]
    return "\n".join(lines)


def with_constructor(app, what, name, thing, options, signature, result):
    """Return the signature of a class's `__init__`; autodoc finds that of `__new__`."""
    if what != "class" or "*args" not in (signature or ""):
        return None
    if thing.__init__ is object.__init__:
        return "()", result
    own = inspect.signature(thing.__init__)
    own = own.replace(parameters=[*own.parameters.values()][1:])
    return stringify_signature(own, show_annotation=False, show_return_annotation=False), result


def without_foreign(app, what, name, thing, skip, options) -> bool | None:
    """Skip methods that another package adds, as scikit-learn does to its estimators."""
    made_in = getattr(thing, "__module__", None) or "tinynet"
    return True if not made_in.startswith("tinynet") else None


def write_project_pages() -> None:
    """Copy the pages at the root of the project, with their links, to docs/project/."""
    folder = DOCS / "project"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in PROJECT_PAGES:
        text = (PROJECT / f"{name}.md").read_text(encoding="utf-8").replace("](docs/", "](../")
        text = re.sub(r"\]\(README\.md[^)]*\)", "](../index.md)", text)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def led_to_pages(app, name, source) -> None:
    """Let links to an example, or to a page at the root of the project, lead to its page."""
    source[0] = re.sub(r"\]\(\.\./examples/(\d\d_\w+)\.py\)", r"](gallery/\1.rst)", source[0])
    source[0] = re.sub(rf"\]\(\.\./({'|'.join(PROJECT_PAGES)})\.md", r"](project/\1.md", source[0])


def with_headings(app, what, name, thing, options, lines) -> None:
    """Put headings above the source and the example after the sections of a docstring.

    They end the last section. A property keeps its lines: napoleon takes a colon for a type.
    """
    for start, heading in (("Source:", "Notes"), (">>>", "Examples")):
        found = next((i for i, line in enumerate(lines) if line.startswith(start)), 0)
        if any(set(line) == {"-"} for line in lines[:found]):
            lines[found:found] = [heading, "-" * len(heading)]
    if what == "property":
        properties[name] = [*lines]


def as_written(app, what, name, thing, options, lines) -> None:
    """Give a property its lines back, after napoleon."""
    if what == "property":
        lines[:] = properties.pop(name)


properties: dict[str, list[str]] = {}


def pack(app, error) -> None:
    """Write the package into an archive, from which the page "In the browser" imports it."""
    if app.builder.format == "html":
        path = Path(app.outdir, "_static", "tinynet.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted((PROJECT / "tinynet").rglob("*")):
                if file.suffix in (".py", ".txt", ".c"):
                    archive.write(file, file.relative_to(PROJECT))


def setup(app) -> None:
    """Connect the functions above: `with_headings` runs before napoleon, `as_written` after it."""
    app.connect("source-read", led_to_pages)
    app.connect("autodoc-process-signature", with_constructor)
    app.connect("autodoc-skip-member", without_foreign)
    app.connect("autodoc-process-docstring", with_headings, priority=400)
    app.connect("autodoc-process-docstring", as_written, priority=600)
    app.connect("build-finished", pack)


write_reference()
write_project_pages()
sphinx_gallery_conf = {
    "examples_dirs": str(staged()),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(?!16)\d\d_",
    "ignore_pattern": r"pictures\.py",
    "image_scrapers": (pictures,),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "write_computation_times": False,
}
