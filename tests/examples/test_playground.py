"""The page docs/in_the_browser.md: its Python, its script in a browser, and tinynet in Pyodide.

The browser is Chromium, if there is one on PATH. A stand-in for Pyodide runs the page's Python in
this process. The variable PYODIDE names a folder with Pyodide 0.27.7 and its wheel of NumPy, such
as the one that its release unpacks to: then the page and, with Node, the package run in Pyodide.
"""

import ast
import base64
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinynet as tn
from tinynet.viz import style

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "docs/playground"
PYODIDE = os.environ.get("PYODIDE", "")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DEFAULTS = {"rate": 0.1, "optimizer": "Adam", "noise": 0.3}
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
needs_pyodide = pytest.mark.skipif(not PYODIDE, reason="needs PYODIDE, the folder of Pyodide")


@pytest.fixture(scope="module")
def playground():
    spec = importlib.util.spec_from_file_location("playground", FOLDER / "playground.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ask(playground):
    return lambda **request: answer_of(playground, request)


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def refuse(constant: str):
    raise AssertionError(f"{constant} is not JSON: a browser cannot read it")


def answer_of(playground, request: dict) -> dict:
    return json.loads(playground.respond(json.dumps(request)), parse_constant=refuse)


def weights_of(program: str) -> list[float]:
    """Return the weights of the model that a program leaves behind."""
    scope: dict = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(program, "program", "exec"), scope)
    return [w.item() for w in scope["model"].get_weights()]


# -- the Python of the page ------------------------------------------------------------------------

RATES, NOISES = st.sampled_from([0.02, 0.1]), st.sampled_from([0.0, 0.3, 1.0])
NAMES = st.sampled_from(["SGD", "SGD with momentum", "RMSprop", "Adam"])
CHANGES = st.fixed_dictionaries({"rate": RATES, "optimizer": NAMES, "noise": NOISES})
ACTIONS = CHANGES.map(lambda c: {"do": "set", **c}) | st.integers(1, 3).map(
    lambda n: {"do": "step", "count": n}
)


@settings(max_examples=10)
@given(st.sampled_from(["", "x,y\n0, 1\n1; 2.5\n2\t5"]), CHANGES, st.lists(ACTIONS, max_size=8))
def test_the_program_gives_the_weights_that_the_page_shows(playground, points, first, actions):
    answer = answer_of(playground, {"do": "start", "points": points, **first})
    for action in actions:
        answer = answer_of(playground, action)
    assert weights_of(answer["program"]) == answer["path"][-1]


def test_each_optimizer_of_the_page_trains(playground, ask):
    options = re.findall(r"<option.*?>(.*)</option>", text_of("playground.html"))
    assert options == [*playground.OPTIMIZERS]
    for name in options:
        before = ask(do="start", **{**DEFAULTS, "optimizer": name, "rate": 0.01})["loss"]
        assert ask(do="step", count=20)["loss"] < before


def test_the_printed_step_is_the_one_that_comes_next(ask):
    told = ask(do="start", **DEFAULTS)["step"]
    _, w, _ = re.search(
        r"neuron/kernel\[0, 0\] +(\S+) .* (\S+)\n +neuron/bias.* (\S+)", told
    ).groups()
    assert ask(do="step", count=1)["path"][-1][0] == pytest.approx(float(w), rel=1e-5)


@pytest.mark.parametrize(("factor", "converges"), [(0.9, True), (3.0, False)])
def test_gradient_descent_diverges_only_above_the_limit(ask, factor, converges):
    limit = ask(do="start", **DEFAULTS)["limit"]
    ask(do="start", **{**DEFAULTS, "optimizer": "SGD", "rate": factor * limit})
    assert ("loss" in ask(do="step", count=300)) == converges


def test_the_landscape_is_the_loss_that_numpy_computes(ask):
    answer = ask(do="start", **DEFAULTS)
    x, y, (left, right, bottom, top) = *map(np.array, (answer["x"], answer["y"])), answer["extent"]
    heights = np.array(answer["heights"])
    b, w = np.meshgrid(*np.linspace([bottom, left], [top, right], len(heights)).T, indexing="ij")
    losses = np.mean((w[..., None] * x + b[..., None] - y) ** 2, axis=-1)
    levels = np.log(np.maximum(losses, np.quantile(losses, 0.02)))
    expected = (levels - levels.min()) / np.ptp(levels)
    np.testing.assert_allclose(heights, expected, atol=2e-3)
    np.testing.assert_allclose(answer["minimum"], np.polyfit(x, y, 1), rtol=1e-4)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("1, 2\n3", "Line 2: expected two numbers, such as 1.5, 2, received '3'"),
        ("x, y\n1, 2\n\n3, four", "Line 4: expected two numbers"),
        ("1 2 3", "Line 1: expected two numbers"),
        ("1e9 2", "Line 1: expected numbers between -100 and 100"),
        ("nan 2\n1 2", "two numbers|between -100 and 100"),
        ("x, y", "2 to 200 points, .* received 0 points"),
        ("1 2\n1 3", "at least two different x"),
        ("0 1\n" + "1 1\n" * 200, "received 201 points"),
    ],
)
def test_own_points_that_are_wrong_are_refused_in_plain_words(ask, points, words):
    before = ask(do="start", **DEFAULTS)
    assert re.search(words, ask(do="start", points=points, **DEFAULTS)["error"])
    assert ask(do="step", count=1)["path"][0] == before["path"][0]


def test_the_script_uses_elements_that_the_page_has_and_colours_of_viz():
    script = text_of("playground.js")
    used = {*re.findall(r'part\("(.*?)"\)', script)}
    assert used <= {*re.findall(r'id="(.*?)"', text_of("playground.html"))}
    for color in (style.BLUE, style.VERMILION, style.YELLOW):
        assert color in script


# -- in Chromium -----------------------------------------------------------------------------------

STAND_IN = """
globalThis.loadPyodide = async () => ({
  loadPackage: async () => {}, FS: {writeFile() {}}, runPython() {},
  globals: {get: (name) => (request) => {
    const answer = new XMLHttpRequest();
    answer.open("POST", "/" + name, false);
    answer.send(request);
    return answer.responseText;
  }},
});"""
READER = """
const get = (id) => document.getElementById(id), seen = {};
const status = () => get("status").textContent;
const until = async (holds) => {
  for (const end = Date.now() + 120000; !holds();) {
    if (Date.now() > end) throw new Error("nothing happened: " + status());
    await new Promise((go) => setTimeout(go, 20));
  }
};
const colors = (id) => {
  const {data} = get(id).getContext("2d").getImageData(0, 0, get(id).width, get(id).height);
  return new Set(new Uint32Array(data.buffer)).size;
};
const choose = (id, value) => {
  get(id).value = value;
  for (const kind of ["input", "change"]) get(id).dispatchEvent(new Event(kind, {bubbles: true}));
};
const acts = {
  async start() { get("load").click(); await until(() => !get("train").disabled); },
  async one() { get("one").click(); },
  async train() {
    get("train").click();
    await until(() => parseInt(status().slice(5)) >= 4);
    get("train").click();
  },
  async refused() { get("points").value = "1, 2\\nthree"; get("use").click(); },
  async own() { get("points").value = "0, 1\\n1, 3\\n2, 5"; get("use").click(); },
  async sgd() { choose("optimizer", "SGD"); choose("rate", 0.5); },
  async diverged() { await until(() => (get("one").click(), status().includes("diverged"))); },
};
(async () => {
  for (const [name, act] of Object.entries(acts)) {
    try { await act(); } catch (error) { seen.error = `${name}: ${error.message}`; break; }
    seen[name] = {status: status(), wrong: get("status").className,
      program: get("program").textContent, step: get("step").textContent,
      colors: [colors("line"), colors("loss")], focus: document.activeElement.id};
  }
  fetch("/report", {method: "POST", body: JSON.stringify(seen)});
})();"""


def page(loader: bytes) -> str:
    """Return the page with a loader that this server has, and its checksum."""
    checksum = base64.b64encode(hashlib.sha384(loader).digest()).decode()
    made = text_of("playground.html").replace("_static/", "")
    made = re.sub(r'data-loader=".*?"', 'data-loader="/pyodide.js"', made)
    if loader == STAND_IN.encode():
        made = re.sub(r'data-integrity=".*?"', f'data-integrity="sha384-{checksum}"', made)
    return f"<!doctype html><body>{made}<script src='reader.js' defer></script></body>"


def seen_in_chromium(tmp_path, playground, files: dict, folder: Path) -> dict:
    """Serve the page, let the reader's script act in Chromium, and return what it saw."""
    reports: queue.Queue = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path[1:]
            path = next((p for p in (FOLDER / name, folder / name) if name and p.is_file()), None)
            body = files.get(name) or (path.read_bytes() if path else None)
            self.send(404 if body is None else 200, body or b"")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path == "/respond":
                self.send(200, playground.respond(body).encode())
            else:
                self.send(200, b"")
                reports.put(json.loads(body))

        def send(self, code, body):
            kinds = {"js": "text/javascript", "wasm": "application/wasm", "css": "text/css"}
            kind = kinds.get(self.path.rpartition(".")[2], "text/html; charset=utf-8")
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}/user",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        browser = subprocess.Popen([CHROMIUM, *options, url], **quiet)
        try:
            return reports.get(timeout=300)
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()


@needs_chromium
@pytest.mark.parametrize("interpreter", ["stand-in", pytest.param("Pyodide", marks=needs_pyodide)])
def test_the_page_trains_refuses_wrong_points_and_exports_its_program(
    tmp_path, playground, interpreter
):
    real = interpreter == "Pyodide"
    loader = Path(PYODIDE, "pyodide.js").read_bytes() if real else STAND_IN.encode()
    files = {"": page(loader).encode(), "pyodide.js": loader, "reader.js": READER.encode()}
    files["tinynet.zip"] = packed(tmp_path).read_bytes()
    seen = seen_in_chromium(tmp_path, playground, files, Path(PYODIDE or tmp_path))
    assert "error" not in seen, seen
    assert seen["start"]["status"].startswith("Step 0: y = -1 x + 2.5")
    assert seen["start"]["focus"] == "train"  # the keyboard goes on from there
    assert seen["one"]["status"].startswith("Step 1:")
    assert seen["train"]["step"].startswith(f"Step {int(seen['train']['status'][5]) + 1} of Adam")
    assert seen["refused"]["wrong"] == "wrong"
    assert "Line 2: expected two numbers" in seen["refused"]["status"]
    assert seen["refused"]["program"] == seen["train"]["program"]
    assert "x = np.array([0.0, 1.0, 2.0])" in seen["own"]["program"]
    assert "learning_rate = 3.2" in seen["sgd"]["program"]
    assert "diverged" in seen["diverged"]["status"]
    assert min(seen["train"]["colors"]) > 20  # curves with smooth edges, and the landscape
    w, b = weights_of(seen["train"]["program"])
    shown = re.search(r"y = (\S+) x \+ (\S+),", seen["train"]["status"]).groups()
    assert [float(n) for n in shown] == pytest.approx([w, b], rel=6e-3)


@needs_chromium
def test_a_loader_that_is_not_there_is_reported_and_can_be_loaded_again(tmp_path, playground):
    files = {"": page(STAND_IN.encode()).encode()}
    reader = READER.split("const acts")[0] + READER[READER.index("(async") :]
    act = 'get("load").click(); await until(() => status().includes("not start"));'
    files["reader.js"] = reader.replace(
        "(async () => {", f"const acts = {{async start() {{ {act} }}}};\n(async () => {{", 1
    ).encode()
    seen = seen_in_chromium(tmp_path, playground, files, tmp_path)
    assert "Check the connection, and try again." in seen["start"]["status"]


# -- in Pyodide ------------------------------------------------------------------------------------


def packed(tmp_path: Path) -> Path:
    """Return the archive of the package that the build of the documentation writes."""
    tree = ast.parse((PROJECT / "docs/conf.py").read_text(encoding="utf-8"))
    tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "pack"]
    scope = {"Path": Path, "zipfile": zipfile, "PROJECT": PROJECT}
    exec(compile(tree, "conf.py", "exec"), scope)
    (tmp_path / "_static").mkdir(exist_ok=True)
    scope["pack"](SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path), None)
    return tmp_path / "_static/tinynet.zip"


def test_the_archive_holds_the_whole_package(tmp_path):
    with zipfile.ZipFile(packed(tmp_path)) as archive:
        held = {*archive.namelist()}
    folder = Path(tn.__file__).parent
    files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    needed = {p for p in files if p.name != "py.typed" and p.suffix != ".pyi"}  # not for running
    assert {p.relative_to(folder.parent).as_posix() for p in needed} == held


@needs_pyodide
def test_the_published_checksum_is_that_of_pyodide():
    checksum = hashlib.sha384(Path(PYODIDE, "pyodide.js").read_bytes()).digest()
    assert base64.b64encode(checksum).decode() in text_of("playground.html")


IN_PYODIDE = """
import shutil, sys, warnings, zipfile
warnings.simplefilter("error")
shutil.unpack_archive("/tinynet.zip", "/tinynet")
sys.path.insert(0, "/tinynet")
with zipfile.ZipFile("/tinynet.zip") as archive:
    for name in archive.namelist():
        if name.endswith(".py"):
            compile(archive.read(name), name, "exec")
import numpy as np, tinynet as tn
from tinynet.compiler import executable
executable.AUTO_WORK = 1  # "auto" wants C at once, and there is no compiler
x = np.linspace(-1, 1, 20)
model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, name="neuron")])
model.compile(tn.optimizers.SGD(0.3), "mse")
record = tn.callbacks.WeightHistory()
model.fit(x, 2 * x + 1, epochs=200, batch_size=20, verbose=0, callbacks=[record])
np.testing.assert_allclose(np.ravel([w.item() for w in model.get_weights()]), [2, 1], rtol=1e-5)
assert "weight = weight - gradient * learning_rate" in str(model.explain_step(x, 2 * x + 1))
surface = tn.viz.loss_surface(model, x, 2 * x + 1, record, resolution=5)
np.testing.assert_allclose(surface.minimum, [2, 1], rtol=1e-5)
"""


@needs_pyodide
@pytest.mark.skipif(not shutil.which("node"), reason="needs Node")
def test_the_package_compiles_trains_and_explains_in_pyodide(tmp_path):
    script = f"""
import fs from "fs";
import {{ loadPyodide }} from "{PYODIDE}/pyodide.mjs";
const python = await loadPyodide({{indexURL: "{PYODIDE}/"}});
await python.loadPackage("numpy");
python.FS.writeFile("/tinynet.zip", new Uint8Array(fs.readFileSync("{packed(tmp_path)}")));
python.runPython({json.dumps(IN_PYODIDE)});
"""
    (tmp_path / "run.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["node", str(tmp_path / "run.mjs")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
