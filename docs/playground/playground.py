"""The Python side of the page "In the browser": data, training, and the program that repeats them.

The page sends requests to `respond` as JSON and draws the answers. Each action is a line of Python,
which is executed and kept. So the program that the page shows is what was executed.
"""

import json
import re

import numpy as np

import tinynet as tn

OPTIMIZERS = {
    "SGD": "SGD(learning_rate={rate})",
    "SGD with momentum": "SGD(learning_rate={rate}, momentum=0.9)",
    "SGD with Nesterov momentum": "SGD(learning_rate={rate}, momentum=0.9, nesterov=True)",
    "RMSprop": "RMSprop(learning_rate={rate})",
    "Adam": "Adam(learning_rate={rate})",
}
SETUP = """import numpy as np
import tinynet as tn
"""
OWN_DATA = "x = np.array({x})\ny = np.array({y})"
LINE_DATA = "x = np.linspace(-0.5, 2, 20)\nnormal = np.random.default_rng(3).normal(size=20)"
MODEL = """model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, name="neuron")], name="line")
model.set_weights([[[-1.0]], [2.5]])"""
STEPS = re.compile(r"for step in range\((\d+)\):\n    model\.train_on_batch\(x, y\)")
LARGEST, MOST = 100, 200  # numbers and points of own data
RESOLUTION = 33  # of the landscape


def read_points(text: str) -> list[tuple[float, float]]:
    """Return the points in two columns of text; ValueError that names the line if one is wrong."""
    points: list[tuple[float, float]] = []
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    if lines and not re.search(r"\d", lines[0][1]):
        del lines[0]  # the names of the columns
    for number, line in lines:
        try:
            x, y = (float(part) for part in re.split(r"[,;\s]+", line.strip(",;")))
        except ValueError:
            raise ValueError(
                f"Line {number}: expected two numbers, such as 1.5, 2, received {line[:40]!r}."
            ) from None
        if not (abs(x) <= LARGEST and abs(y) <= LARGEST):
            raise ValueError(
                f"Line {number}: expected numbers between -{LARGEST} and {LARGEST}, received "
                f"{line[:40]!r}. Divide the column by a power of ten."
            )
        points.append((x, y))
    if len({x for x, _ in points}) < 2 or len(points) > MOST:
        raise ValueError(
            f"Expected 2 to {MOST} points, with at least two different x, received {len(points)} "
            "points. Write x and y of one point on each line."
        )
    return points


class Playground:
    """A neuron that learns a line, and the lines of Python that were executed so far."""

    def __init__(self, points: str = "", **settings) -> None:
        self.points = read_points(points) if points.strip() else []
        self.settings: dict[str, object] = {}
        self.scope: dict = {}
        self.lines: list[str] = []
        self.path: list[list[float]] = []
        self.run(SETUP)
        x, y = zip(*self.points, strict=True) if self.points else ((), ())
        self.run(OWN_DATA.format(x=[*x], y=[*y]) if self.points else LINE_DATA)
        self.model = None
        self.is_drawn = False  # whether the page has the data and the landscape
        self.set(**settings)

    def run(self, line: str) -> None:
        """Execute a line and keep it. One that sets the same thing replaces the line before it."""
        exec(line, self.scope)
        target = re.compile(r"(y|model\.compile|model\.optimizer\.learning_rate)\b")
        match = target.match(line)
        if match and self.lines and self.lines[-1].startswith(match[0]):
            del self.lines[-1]
        self.lines.append(line)

    def set(self, rate: float, optimizer: str, noise: float) -> None:
        """Change the settings; the weights stay."""
        old, self.settings = self.settings, {"rate": rate, "optimizer": optimizer, "noise": noise}
        if not self.points and old.get("noise") != noise:
            self.run(f"y = 1.5 * x + 0.5 + {noise} * normal")
            self.is_drawn = False
        if self.model is None:
            self.run(MODEL)
            self.model = self.scope["model"]
            self.path = [self.weights()]
        if old.get("optimizer") != optimizer:
            made = OPTIMIZERS[optimizer].format(rate=rate)
            self.run(f'model.compile(optimizer=tn.optimizers.{made}, loss="mse")')
        elif old["rate"] != rate:
            self.run(f"model.optimizer.learning_rate = {rate}")

    def step(self, count: int) -> None:
        """Take steps of training on all points; stop where a weight is not finite any more."""
        taken, x, y = 0, self.scope["x"], self.scope["y"]
        while taken < count and np.isfinite(self.loss()):
            self.model.train_on_batch(x, y)
            taken += 1
            if np.isfinite(self.weights()).all():
                self.path.append(self.weights())
        if before := STEPS.fullmatch(self.lines[-1]):
            taken += int(before[1])
            del self.lines[-1]
        self.lines.append(f"for step in range({taken}):\n    model.train_on_batch(x, y)")

    def weights(self) -> list[float]:
        """Return the slope and the intercept."""
        return [w.item() for w in self.model.get_weights()]

    def loss(self) -> float:
        """Return the mean squared error of the line."""
        (w, b), x, y = self.weights(), self.scope["x"], self.scope["y"]
        return float(np.mean((w * x + b - y) ** 2))

    def program(self) -> str:
        """Return a program that does the same and prints the weights."""
        return "\n".join([*self.lines, "print(model.get_weights())", ""])

    def landscape(self) -> dict:
        """Return the loss over both weights, as heights from 0 to 1 on a logarithmic scale."""
        x, y = self.scope["x"], self.scope["y"]
        ends = np.array([self.path[0], np.polyfit(x, y, 1)[:2]])
        size = np.maximum(np.ptp(ends, axis=0), 0.5 * np.ptp(ends, axis=0).max())
        low, high = ends.mean(axis=0) - 0.8 * size, ends.mean(axis=0) + 0.8 * size
        extent = np.stack([low, high], axis=1).ravel().tolist()
        surface = tn.viz.loss_surface(self.model, x, y, extent=extent, resolution=RESOLUTION)
        levels = np.log(np.maximum(surface.losses, np.quantile(surface.losses, 0.02)))
        heights = (levels - levels.min()) / (np.ptp(levels) or 1)
        found = surface.minimum
        minimum = None if found is None else found.tolist()
        return {"extent": extent, "heights": heights.round(3).tolist(), "minimum": minimum}


def shown(playground: Playground) -> dict:
    """Return what the page draws; the points and the landscape only if they are new."""
    model, x, y = playground.model, playground.scope["x"], playground.scope["y"]
    loss = playground.loss()
    answer = {"path": playground.path, "program": playground.program()}
    if np.isfinite(loss):  # else the training has diverged
        step, limit = str(model.explain_step(x, y)), model.max_learning_rate(x, y)
        answer |= {"loss": loss, "step": step, "limit": limit}
    if not playground.is_drawn:
        playground.is_drawn = True
        answer |= {"x": x.tolist(), "y": y.tolist(), **playground.landscape()}
    return answer


current: list[Playground] = []


@np.errstate(all="ignore")  # weights may diverge
def respond(request: str) -> str:
    """Carry out a request and return the answer, both as JSON. An "error" changes nothing."""
    asked = json.loads(request)
    action = asked.pop("do")
    if action == "start":
        try:
            current[:] = [Playground(**asked)]
        except ValueError as error:
            return json.dumps({"error": str(error)})
    else:
        getattr(current[0], action)(**asked)
    return json.dumps(shown(current[0]))
