"""The examples and the README do what they claim."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ranks import open_input

import tinynet as tn

PROJECT = Path(__file__).parents[2]


def run_example(name, folder, **options):
    """Run the main of an example; return its results and its printed text."""
    spec = importlib.util.spec_from_file_location(name, PROJECT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        found = module.main(out=folder, **options)
    return found, printed.getvalue()


@pytest.fixture(scope="module")
def gradient_descent(tmp_path_factory):
    return run_example("02_gradient_descent", tmp_path_factory.mktemp("pictures"))


def assert_is_picture(path):
    """Assert that a file is a PNG of some size on which at least a hundredth is drawn."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) >= 300
        drawn = np.asarray(picture.convert("L")) < 250
    assert drawn.mean() > 0.01


def test_the_engine_of_sixty_lines_agrees_with_calculus_and_with_tinynet(tmp_path):
    found, printed = run_example("00_engine", tmp_path)
    np.testing.assert_allclose(found["line"], (1.35, 0.5), atol=1e-4)
    t = np.tanh(0.25)  # of tanh(v^2) at 1/2: (1 - t^2) 2 v, and 2 (1 - t^2) - 8 v^2 t (1 - t^2)
    exact = (1 - t**2), 2 * (1 - t**2) - 2 * t * (1 - t**2)
    np.testing.assert_allclose(found["derivatives"], exact, rtol=1e-12)
    np.testing.assert_allclose(found["tinynet"], exact, rtol=1e-12)
    assert f"{exact[1]:.12f}" in printed


def test_one_neuron_finds_the_regression_line(tmp_path):
    found, printed = run_example("01_one_neuron", tmp_path)
    np.testing.assert_allclose(found["patient"], found["line"], atol=0.01)
    np.testing.assert_allclose(found["quick"], found["line"], atol=0.1)
    assert list(found["counts"].values()) == [2, 4, 1]
    assert_is_picture(found["picture"])
    slope, intercept = found["line"]
    assert f"slope     {slope:.2f}" in printed
    assert f"intercept {intercept:.2f}" in printed
    assert str(found["picture"]) in printed


def test_gradient_descent_approaches_least_squares(gradient_descent):
    found, printed = gradient_descent
    line = found["line"]
    errors = [np.abs(np.subtract(w_and_b, line["exact"])).max() for w_and_b in line["lines"]]
    assert errors[1] < 0.01 < errors[0]
    assert len(line["loss"]) == 700
    assert_is_picture(found["picture"])
    assert str(found["picture"]) in printed


def test_a_neuron_of_several_inputs_recovers_a_linear_combination(gradient_descent):
    found, _ = gradient_descent
    (kernel, bias), (truth, offset) = found["combination"].values()
    np.testing.assert_allclose(kernel, truth, atol=1e-3)
    np.testing.assert_allclose(bias, offset, atol=1e-3)


def test_a_sigmoid_neuron_recovers_a_logistic_curve(gradient_descent):
    found, _ = gradient_descent
    logistic = found["logistic"]
    np.testing.assert_allclose(logistic["found"], (4, -1), atol=1e-2)
    np.testing.assert_allclose(logistic["curve"].ravel(), logistic["y"], atol=1e-3)


def test_steps_follow_the_gradient_and_end_at_the_regression_line(tmp_path):
    found, printed = run_example("03_how_weights_are_updated", tmp_path)
    # Predictions 3 and 7 for 1 and 3: errors 2 and 4, gradients 2 * 1 + 4 * 3 and 2 + 4.
    (kernel, bias) = found["steps"]["SGD"].rows
    assert (kernel["gradient"], bias["gradient"]) == (14.0, 6.0)
    assert kernel["new_value"] == pytest.approx(2.0 - 0.01 * 14.0, rel=1e-6)
    (kernel, bias) = found["steps"]["Adam"].rows
    assert kernel["new_value"] == pytest.approx(
        2.0 - 0.01, rel=1e-4
    )  # a first step of Adam is as long as the learning rate
    x, y = (part.ravel() for part in found["data"])
    exact = np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]), y, rcond=None)[0]
    np.testing.assert_allclose(found["line"], exact, rtol=1e-9)
    for walk in found["walks"].values():
        assert len(walk) == 61
        np.testing.assert_allclose(walk[-1], exact, atol=0.3)
    slope = 2 * np.mean(np.column_stack([x, np.ones_like(x)]).T * (-x + 2.5 - y), axis=1)
    np.testing.assert_allclose(found["walks"]["sgd"][1], (-1.0, 2.5) - 0.7 * slope, rtol=1e-5)
    _, step = found["source"].split("    def train_step")
    assert step.split("\n    return")[0] in printed
    assert_is_picture(found["picture"])


def test_hidden_units_follow_a_polynomial(tmp_path):
    found, printed = run_example("04_polynomial", tmp_path)
    x, y = found["data"]
    powers = np.vander(x, 4)
    best = np.mean((powers @ np.linalg.lstsq(powers, y, rcond=None)[0] - y) ** 2)
    line = np.mean((np.polyval(np.polyfit(x, y, 1), x) - y) ** 2)
    cubic, none, two, twelve = found["errors"].values()
    assert cubic == pytest.approx(best, rel=1e-9)
    assert none == pytest.approx(line, rel=1e-2)
    assert best * 0.9 < twelve < best * 1.2 < two < none
    kernel, bias, last, offset = found["networks"][12].get_weights()
    outputs = 1 / (1 + np.exp(-(x[:, None] @ kernel + bias))) @ last + offset
    assert twelve == pytest.approx(np.mean((outputs.ravel() - y) ** 2), rel=1e-3)
    assert f"mean squared error {twelve:.3f}" in printed
    assert_is_picture(found["picture"])


def test_the_highest_learning_rate_is_2_over_the_largest_eigenvalue(tmp_path):
    found, printed = run_example("05_learning_rates", tmp_path)
    x, y = found["data"]
    for inputs, limit in zip((x, (x - x.mean()) / x.std()), found["limits"], strict=True):
        rows = np.column_stack([inputs, np.ones_like(x)])
        largest = np.linalg.eigvalsh(2 * rows.T @ rows / len(x))[-1]
        assert limit == pytest.approx(2 / largest, rel=1e-4)
    best = np.mean((np.polyval(np.polyfit(x, y, 1), x) - y) ** 2)
    too_high, below, too_low, scaled, decaying = found["losses"].values()
    assert too_high[-1] > 1e10
    assert best < below[-1] < below[0] / 10
    assert too_low[0] / 10 < too_low[-1] < too_low[0]
    assert scaled[-1] == pytest.approx(best, rel=1e-3)
    assert decaying[-1] == pytest.approx(best, rel=1e-3)
    counts = [len(warnings) for warnings in found["warnings"].values()]
    assert counts == [1, 0, 0, 0, 0]
    assert f"{found['limits'][0]:.4g}" in printed
    assert_is_picture(found["picture"])


def test_gradients_agree_with_finite_differences_and_a_broken_rule_is_noticed(tmp_path):
    found, printed = run_example("06_check_gradients", tmp_path)
    x, y = found["data"]
    sigmoid = 1 / (1 + np.exp(-2 * x))
    exact = np.mean(2 * (sigmoid - y) * sigmoid * (1 - sigmoid) * x)
    assert found["exact"] == pytest.approx(exact, rel=1e-12)
    errors = abs(found["found"] - exact)
    assert errors.min() < 1e-9 < errors[0]
    assert errors.argmin() not in (0, len(errors) - 1)
    assert "wrong derivative" in found["complaint"]
    assert "<-- wrong" in found["complaint"]
    assert found["complaint"] in printed
    assert_is_picture(found["picture"])


def test_newtons_method_finds_the_regression_line_in_one_step(tmp_path):
    found, printed = run_example("07_newton", tmp_path)
    x, y = found["data"]
    rows = np.column_stack([x, np.ones_like(x)])
    exact = np.linalg.lstsq(rows, y, rcond=None)[0]
    np.testing.assert_allclose(found["newton"], exact, rtol=1e-9)
    np.testing.assert_allclose(found["hessian"], 2 * rows.T @ rows / len(x), rtol=1e-12)
    assert found["steps"] > 10
    assert f"needs {found['steps']} steps" in printed
    assert_is_picture(found["picture"])


def test_a_network_separates_two_moons_better_than_a_line(tmp_path):
    found, printed = run_example("08_two_moons", tmp_path)
    points, classes = found["fresh"]
    right = {}
    for name, network in found["networks"].items():
        layers = [layer.get_weights() for layer in network["model"].layers]
        h = points
        for kernel, bias in layers[:-1]:
            h = np.tanh(h @ kernel + bias)
        z = (h @ layers[-1][0] + layers[-1][1]).ravel()
        right[name] = ((z > 0) == classes).mean()
        assert network["accuracy"] == pytest.approx(right[name], abs=1e-3)
        entropy = np.mean(np.logaddexp(0, z) - classes * z)
        assert network["loss"] == pytest.approx(entropy, rel=1e-3)
        assert f"{100 * network['accuracy']:.1f} %" in printed
    rows = np.column_stack([points, np.ones(len(points))])
    by_line = (
        (rows @ np.linalg.lstsq(rows, 2.0 * classes - 1, rcond=None)[0] > 0) == classes
    ).mean()
    assert right["a single neuron"] == pytest.approx(by_line, abs=0.03)
    assert right["two layers of 8"] > 0.97
    assert_is_picture(found["picture"])


def test_a_custom_primitive_layer_and_loss_recover_a_curve_among_outliers(tmp_path):
    found, printed = run_example("09_your_own", tmp_path)
    x, y, temperature = found["data"]

    def curve(place, steepness, height, base):
        z = steepness * (x - place)
        return height * z / np.sqrt(1 + z * z) + base

    def loss(weights):
        return np.mean(np.log(1 + ((curve(*weights) - y) / 0.2) ** 2))

    by_square, by_own = (np.array([*weights.values()]) for weights in found["found"].values())
    np.testing.assert_allclose(by_own, (3.0, 1.5, 0.8, 2.0), rtol=0.1)
    np.testing.assert_allclose(curve(*by_own), temperature, atol=0.1)
    assert abs(curve(*by_square) - temperature).max() > 0.5
    lowest = pytest.importorskip("scipy.optimize").minimize(loss, (3.0, 1.5, 0.8, 2.0)).fun
    assert lowest <= loss(by_own) < 1.01 * lowest < 0.5 * loss(by_square)
    assert "rise_with" in found["source"]
    assert "steepness 1.50, height 0.80" in printed
    assert_is_picture(found["picture"])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:keras")
@pytest.mark.parametrize("keras", [True, False], ids=["with Keras", "without Keras"])
def test_a_network_trained_in_turns_with_keras_ends_with_the_same_losses(
    keras, tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    if keras:
        pytest.importorskip("keras")
    else:
        monkeypatch.setitem(sys.modules, "keras.models", None)
    found, printed = run_example("10_keras_and_back", tmp_path)
    first, second, third = found["turns"]
    assert (first, third) == ("1. tinynet", "3. tinynet")
    assert second == ("2. Keras" if keras else "2. tinynet, too")
    assert ("Keras cannot be used here" in printed) == (not keras)
    losses = np.concatenate([*found["turns"].values()])
    np.testing.assert_allclose(losses, found["alone"], rtol=0.01 if keras else 1e-6)
    assert losses[-1] < 0.1 * np.var(found["data"][1])

    kernel, bias, last, offset = found["weights"]
    x, _ = found["data"]
    outputs = np.tanh(x @ kernel + bias) @ last + offset
    np.testing.assert_allclose(found["predicted"], outputs, atol=1e-5)
    assert "its predictions are identical" in printed
    model, program = found["files"]
    assert model.suffix == ".keras"
    imports = re.findall(r"^(?:import|from) (\w+)", program.read_text(encoding="utf-8"), re.M)
    assert set(imports) <= {"__future__", "numpy", *sys.stdlib_module_names}
    assert_is_picture(found["picture"])


def test_handwritten_digits_are_classified(tmp_path):
    pytest.importorskip("sklearn", reason="the digits are part of scikit-learn")
    found, printed = run_example("11_digits", tmp_path)
    pictures, digits = found["test"]
    (kernel, bias, last, offset) = found["weights"]
    z = np.maximum(pictures / 16 @ kernel + bias, 0) @ last + offset
    accuracy = np.mean(z.argmax(axis=1) == digits)
    assert accuracy > 0.95
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    cross_entropy = -logs[np.arange(len(digits)), digits].mean()
    assert found["loss"] == pytest.approx(cross_entropy, rel=1e-4)
    assert np.trace(found["confusion"]) == round(accuracy * len(digits))
    np.testing.assert_array_equal(found["confusion"].sum(axis=1), np.bincount(digits))
    validation = found["history"]["val_loss"]
    assert found["best"] == np.argmin(validation) == len(validation) - 11 < 189
    assert f"{100 * accuracy:.1f} % right" in printed
    assert_is_picture(found["picture"])


def test_the_digits_example_says_that_it_needs_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SystemExit, match="pip install scikit-learn"):
        run_example("11_digits", tmp_path)


def test_draws_of_hamiltonian_monte_carlo_have_the_moments_of_the_density(tmp_path):
    stats = pytest.importorskip("scipy.stats")
    found, printed = run_example("12_hamiltonian_monte_carlo", tmp_path)
    x, y = found["data"]
    slopes, offsets = np.meshgrid(np.linspace(-4, 12, 400), np.linspace(-8, 8, 400))
    z = slopes[..., None] * (x - 3) + offsets[..., None]
    logs = (y * z - np.logaddexp(0, z)).sum(-1)
    logs += stats.t.logpdf(slopes, 4, 0, 2) + stats.norm.logpdf(offsets, 0, 3)
    grid = np.stack([slopes, offsets]).reshape(2, -1)
    probability = np.exp(logs - logs.max()).ravel() / np.exp(logs - logs.max()).sum()
    mean, covariance = grid @ probability, np.cov(grid, aweights=probability, ddof=0)
    np.testing.assert_allclose(found["samples"].mean(0), mean, atol=0.1)
    np.testing.assert_allclose(np.cov(found["samples"].T), covariance, atol=0.1)
    assert 0.8 < found["accepted"] <= 1
    assert f"slope:  {found['samples'][:, 0].mean():.2f}" in printed
    assert_is_picture(found["picture"])


def test_a_physics_informed_network_finds_the_sine_by_fit_and_by_hand(tmp_path):
    found, printed = run_example("13_physics_informed", tmp_path)
    for name, curve in found["curves"].items():
        np.testing.assert_allclose(curve, np.sin(found["x"]), atol=0.02)
        assert found["losses"][name][-1] < 1e-3 < 1 < found["losses"][name][0]
    first, second = found["losses"].values()
    np.testing.assert_allclose(first[:20], second[:20], rtol=1e-3)  # the same updates
    assert "largest error 0.0" in printed
    assert_is_picture(found["picture"])


def test_the_hyperparameters_of_a_gaussian_process_are_the_most_probable_ones(tmp_path):
    optimize = pytest.importorskip("scipy.optimize")
    found, printed = run_example("14_gaussian_process", tmp_path)
    x, y = found["data"]

    def surprise(logs):
        height, length, noise = np.exp(logs)
        covariance = height**2 * np.exp(-(np.subtract.outer(x, x) ** 2) / (2 * length**2))
        covariance += noise**2 * np.eye(len(x))
        _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
        return (y @ np.linalg.solve(covariance, y) + log_determinant) / 2

    logs = np.log([*found["found"].values()])
    assert found["value"] == pytest.approx(surprise(logs), rel=1e-8)
    options = {"xatol": 1e-6, "fatol": 1e-9, "maxiter": 5000}
    lowest = optimize.minimize(surprise, np.zeros(3), method="Nelder-Mead", options=options)
    np.testing.assert_allclose(logs, lowest.x, atol=1e-3)
    assert found["found"]["noise"] == pytest.approx(0.15, rel=0.4)
    assert f"noise {found['found']['noise']:.3f}" in printed
    assert_is_picture(found["picture"])


EXAMPLES = sorted(path.stem for path in (PROJECT / "examples").glob("[0-9]*.py"))


@pytest.mark.parametrize("name", [n for n in EXAMPLES if n[:2] not in ("00", "16")])
def test_examples_that_draw_say_in_one_line_that_they_need_matplotlib(name, tmp_path, monkeypatch):
    for module in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match=r"^This example needs matplotlib.*: pip install"):
        run_example(name, tmp_path)


def test_the_example_that_writes_keras_files_says_that_it_needs_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(SystemExit, match=r"^This example needs matplotlib and h5py: pip install"):
        run_example("10_keras_and_back", tmp_path)


@pytest.mark.parametrize("name", ["12_hamiltonian_monte_carlo", "14_gaussian_process"])
def test_examples_that_need_scipy_say_so(name, tmp_path, monkeypatch):
    for module in ("scipy.optimize", "scipy.special"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match="pip install scipy"):
        run_example(name, tmp_path)


def test_a_recurrent_network_written_by_hand_continues_waves(tmp_path):
    found, printed = run_example("15_recurrent", tmp_path)
    w, waves = found["weights"], found["waves"]
    state, numbers = np.zeros((len(waves), len(w["bias"]))), waves[:, :20]
    for t in range(49):
        state = np.tanh(state @ w["state"] + numbers[:, t : t + 1] @ w["input"] + w["bias"])
        if t >= 19:
            numbers = np.hstack([numbers, state @ w["output"]])
    np.testing.assert_allclose(found["found"], numbers, rtol=1e-9)
    error = np.sqrt(np.mean((numbers - waves)[:, 20:] ** 2))
    assert error < 0.5 * np.sqrt(np.mean(waves[:, 20:] ** 2))
    assert np.mean(found["losses"][-50:]) < 0.05 * found["losses"][0]
    assert f"error {error:.3f}" in printed
    assert_is_picture(found["picture"])


def test_many_processes_train_the_network_that_one_trains():
    path = PROJECT / "examples" / "16_many_processes.py"
    names = {
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    found = []
    for ranks, command in (("1 rank", []), ("2 ranks", ["mpiexec", "-n", "2"])):
        with open_input() as keyboard:
            done = subprocess.run(
                [*command, sys.executable, path],
                stdin=keyboard,
                capture_output=True,
                text=True,
                check=True,
                timeout=100,
                env=os.environ | names,
            )
        first, *lines = done.stdout.splitlines()
        assert first == f"{ranks}, each with {100 // int(ranks[0])} samples of a batch"
        found.append(lines)
    assert found[0] == found[1]
    assert len(found[0]) == 4
    assert float(found[0][0].split()[1].strip(",")) > 0.9


README = (PROJECT / "README.md").read_text()


@pytest.mark.parametrize("program", re.findall(r"^```python\n(.*?)^```", README, re.M | re.S))
def test_each_program_in_the_readme_prints_what_it_promises(program, capsys):
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed
    for promised in re.findall(r"^print\(.*\)  # (\d.*)$", program, re.M):
        assert promised in printed


@pytest.mark.parametrize("word", ["train_function", "explain_step"])
def test_the_output_in_the_readme_is_what_its_program_prints(word, capsys):
    program, shown = re.search(
        rf"^```python\n([^`]*{word}[^`]*)^```.*?^```\n(.*?)^```", README, re.M | re.S
    ).groups()
    tn.utils.clear_session()
    exec(program, {})
    assert shown in capsys.readouterr().out


def test_one_command_draws_all_pictures_of_readme_and_docs(tmp_path):
    drawn, _ = run_example("pictures", tmp_path, frames=6)  # instead of 60: each takes long
    pages = [README, *(page.read_text() for page in (PROJECT / "docs").glob("*.md"))]
    shown = re.findall(r"\]\((?:\.\./)?examples/pictures/([^)]*)\)", "".join(pages))
    assert {*shown} == {path.name for path in drawn}
    for path in drawn:
        committed = PROJECT / "examples" / "pictures" / path.name
        assert committed.stat().st_size < 500_000
        with Image.open(committed) as old, Image.open(path) as new:
            assert old.format == new.format
            frames = (getattr(old, "n_frames", 1), getattr(new, "n_frames", 1))
            assert frames == ((60, 6) if old.format == "GIF" else (1, 1))
            np.testing.assert_allclose(old.size, new.size, rtol=0.1)  # fonts may differ


def test_the_readme_starts_with_one_line_for_the_main_example_and_one_for_the_tests():
    first, second = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "examples/01_one_neuron.py" in first
    assert "pytest" in second


def test_the_readme_is_read_in_one_sitting():
    assert len(README.splitlines()) <= 220


SEED_SCRIPT = """
import numpy as np
import matplotlib.pyplot as plt
import tinynet
from tinynet.models import Sequential, Model
from tinynet.layers import Dense, Input
from tinynet.optimizers import Adam

def generate_data():
    x = np.linspace(0, 1, 100)
    y = 1.35 * x + np.random.randn(*x.shape) * 0.33 + 0.5
    return x, y

X, y = generate_data()

def build_model():
    activation = 'linear'
    input_layer = Input(shape=[1])
    output = Dense(1, activation = activation)(input_layer)
    model = Model(inputs=input_layer, outputs=output)
    return model

optimizer = Adam(learning_rate = 0.6)
model = build_model()
model.compile(loss='mean_squared_error',optimizer=optimizer)
history = model.fit(X,y,epochs=30, verbose=0)
model.summary()
w, b = model.layers[1].get_weights()
print(f'weight {w[0][0]:.2f}\\nbias {b[0]:.2f}')
"""


def test_the_script_of_the_first_post_runs_with_keras_replaced(capsys):
    scope = {}
    exec(SEED_SCRIPT, scope)
    assert "Total params: 8" in capsys.readouterr().out
    slope, intercept = np.polyfit(scope["X"], scope["y"], 1)
    assert abs(scope["w"].item() - slope) < 0.5
    assert abs(scope["b"].item() - intercept) < 0.3
    assert scope["model"].predict(scope["X"], verbose=0).shape == (100, 1)


def test_the_script_of_the_second_post_runs_with_keras_replaced(capsys):
    import tinynet.losses as losses
    from tinynet.layers import Dense
    from tinynet.models import Sequential

    model = Sequential()
    with pytest.warns(UserWarning, match="input_dim"):
        model.add(Dense(1, input_dim=1))
    x = (np.random.rand(50) * 10).reshape(-1, 1)
    y = 0.1 * x + 2
    model.compile(loss=losses.mean_squared_error, optimizer="sgd")
    model.fit(x, y, epochs=700, verbose=False)
    for layer in model.layers:
        w, b = layer.get_weights()
    np.testing.assert_allclose([w.item(), b.item()], [0.1, 2.0], atol=0.1)
