"""Programs, links and file names of the pages in docs/, README and CONTRIBUTING; the notebook.

The programs of a page in docs/ are one script. A text block right after a program is what it
prints. `python tests/examples/test_docs.py PAGE` writes these blocks; read what it wrote.
"""

import contextlib
import io
import json
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib
import pytest

import tinynet as tn

matplotlib.use("Agg")
PROJECT = Path(__file__).parents[2]
DOCS = sorted(path.name for path in (PROJECT / "docs").glob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{name}" for name in DOCS)]
BLOCK = re.compile(
    r"^```python\n(.*?)^```\n(?:\n(?:prints\n\n)?```text\n(.*?)^```\n)?", re.M | re.S
)


def text_of(page: str) -> str:
    return (PROJECT / page).read_text(encoding="utf-8")


def printed_by(program: str, scope: dict) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(program, "a page", "exec"), scope)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


@pytest.mark.parametrize("page", DOCS)
def test_each_program_of_a_page_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # programs write files
    tn.utils.clear_session()
    scope: dict = {"__name__": "page"}
    for program, shown in BLOCK.findall(text_of(f"docs/{page}")):
        printed = printed_by(program, scope)
        if shown or printed:
            assert printed == shown, program


def anchor_of(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {anchor_of(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_file_and_a_heading_that_exist(page):
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (PROJECT / page).parent / path if path else PROJECT / page
        built = path.startswith(("api/", "gallery/"))  # pages that the build of docs/ writes
        assert built or target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


ANSWERS = {  # a word of a question on the front page, and what the section that it leads to says
    "Adam": "-rate · sign(g)",
    "diverge": "the rate must be below",
    "sigmoid": "`lambda ct, y, x: ct * (y * (1.0 - y))`",
    "broadcasting": "def unbroadcast(ct, shape):",
    "softsign": "def softsign(x):",
    "freeze": "model.optimizer.learning_rate = 0.0",
    "loop": "adam.stateless_apply(slots, grads, weights)",
    "early stopping": "EarlyStopping(",
    "load": 'load_model("wave.keras")',
    "loss contains": "def compute_loss(",
}


@pytest.mark.parametrize("word", ANSWERS)
def test_each_question_on_the_front_page_leads_to_the_section_that_answers_it(word):
    rows = re.findall(r"^\| (.*)\? \| \[.*\]\((.*)#(.*)\) \|$", text_of("docs/index.md"), re.M)
    assert len(rows) == len(ANSWERS)
    ((page, anchor),) = [(page, anchor) for question, page, anchor in rows if word in question]
    sections = re.split(r"^(?=##+ )", text_of(f"docs/{page}"), flags=re.M)
    (section,) = [s for s in sections if anchor_of(s.partition("\n")[0].lstrip("# ")) == anchor]
    assert ANSWERS[word] in section


@pytest.mark.parametrize("page", PAGES)
def test_each_file_that_a_page_names_exists(page):
    for name in re.findall(
        r"`((?:tinynet|examples|tests|benchmarks|docs)/[\w./]*)`", text_of(page)
    ):
        assert (PROJECT / name).exists(), name


def test_each_page_is_in_the_table_of_contents():
    listed = re.findall(r"^([\w/]+)$", text_of("docs/index.md"), re.M)
    assert {f"{name}.md" for name in listed if "/" not in name} == {*DOCS} - {"index.md"}


def test_the_engine_of_the_page_is_the_example():
    example = text_of("examples/00_engine.py")
    parts = [p for p, _ in BLOCK.findall(text_of("docs/engine.md")) if "# in 00_engine.py" in p]
    code = [p.replace("# in 00_engine.py\n", "").strip() for p in parts]
    assert code
    assert [part for part in code if part not in example] == []
    before_main = example.partition("import numpy as np\n")[2].partition("def main")[0]
    assert re.sub(r"\s+", " ", before_main).strip() == re.sub(r"\s+", " ", " ".join(code)).strip()


def test_each_cell_of_the_notebook_prints_what_the_notebook_shows():
    cells = json.loads(text_of("examples/one_neuron.ipynb"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    scope: dict = {"__name__": "notebook"}
    for cell in code:
        source = "".join(cell["source"])
        outputs = cell["outputs"]
        shown = "".join(line for out in outputs for line in out.get("text", []))
        assert printed_by(source, scope) == "".join(f"{line}\n" for line in shown.splitlines())
        last = source.splitlines()[-1]
        html = [out["data"]["text/html"] for out in outputs if "text/html" in out.get("data", {})]
        if html:  # the table of a model, or of a step
            assert "".join(html[0]).strip() == eval(last, scope)._repr_html_().strip()
        if last.startswith("ax = "):
            assert ["image/png" in out["data"] for out in outputs] == [True]


def write(page: Path) -> None:
    """Write what the programs of a page print into the text blocks that follow them."""
    scope: dict = {"__name__": "page"}

    def shown(match: re.Match) -> str:
        program = match.group(1)
        printed = printed_by(program, scope)
        text = f"\n```text\n{printed}```\n" if printed else ""
        return f"```python\n{program}```\n{text}"

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # programs write files
        page.write_text(BLOCK.sub(shown, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("error")
    for path in [Path(name).resolve() for name in sys.argv[1:]]:
        write(path)
