"""The benchmarks measure correctly and report what is wrong, missing, failing or disturbed."""

import copy
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compare, functions, harness, plots, report, results, small
from benchmarks.__main__ import COMMITTED, OURS, described, main, measure, options_of
from benchmarks.contestants import CONTESTANTS, Contestant, by_hand, c
from benchmarks.harness import (
    TOLERANCE,
    Control,
    Settings,
    error_of,
    run,
    summarize,
)
from benchmarks.results import Result
from benchmarks.works import GOALS, QUICK, SWEEPS, WORKS, Work, columns, initial, works_named

PROJECT = Path(__file__).parents[2]
TINY = Work("networks", "fit", (3, 4, 2), 20, 8)  # a last batch of four
BRIEF = Settings(rounds=1, seconds=0.001, threads=1, limit=60, patience=0)


def toy(how, **more):
    return Contestant(how, "toy_contestants", ("numpy",), {"how": how}, **more)


@pytest.fixture(autouse=True)
def workers_find_the_toys(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "tests/benchmarks"), prepend=":")


def outcome(work, contestants, settings=BRIEF, **more):
    found, _ = run({"work": work}, contestants, settings, **more)
    return {result.contestant: result for result in found}


def test_wrong_failing_and_missing_contestants_are_reported_and_the_others_are_measured():
    ways = ("other rate", "no numbers", "raises", "dies", "dies when timed", "prints")
    contestants = {how: toy(how) for how in ways}
    contestants["absent"] = Contestant("absent", "toy_contestants", ("no_such_library",))
    contestants["no program"] = toy("right", programs=("no-such-program",))
    contestants["too large"] = toy("right", largest=1)
    contestants["numpy"] = toy("right")
    found = outcome(TINY, contestants)
    assert {name: (r.status, r.note) for name, r in found.items() if r.status != "wrong"} == {
        "raises": ("crashed", "boiled over"),
        "dies": ("crashed", "last words"),
        "dies when timed": ("crashed", "ended with code 4"),
        "absent": ("missing", "needs no_such_library"),
        "no program": ("missing", "needs no-such-program"),
        "too large": ("skipped", "would take too long"),
        "prints": ("ok", ""),
        "numpy": ("ok", ""),
    }
    for how in ("other rate", "no numbers"):
        assert found[how].best is None
        assert found[how].error > TOLERANCE
        assert "losses have a relative error of" in found[how].note
    for name in ("prints", "numpy"):
        assert 0 < found[name].best <= found[name].median
        assert found[name].error < 1e-6
    assert found["numpy"].ratio == 1


def test_contestant_that_times_out_is_restarted_for_the_next_work():
    contestants = {"sleeps": toy("sleeps")}
    works = {"fit": TINY, "predict": TINY._replace(kind="predict", rows=1)}
    found, _ = run(works, contestants, BRIEF._replace(limit=2))
    assert [(r.work, r.status) for r in found] == [("fit", "late"), ("predict", "ok")]
    assert found[0].note == "no answer within 2 s"


def test_a_contestant_with_wrong_outputs_is_not_measured():
    contestants = {how: toy(how) for how in ("right", "other rate")}
    found = outcome(TINY._replace(kind="predict"), contestants)
    assert found["right"].status == "ok"
    assert found["other rate"].status == "wrong"
    assert "outputs have a relative error of" in found["other rate"].note


@pytest.mark.parametrize("kind", ["whole", "cold", "import", "memory", "size"])
def test_each_kind_of_work_is_measured(kind):
    found = outcome(TINY._replace(kind=kind), {"numpy": toy("right")})["numpy"]
    assert found.status == "ok"
    assert found.best > 0
    assert found.ratio == 1
    if kind in ("memory", "size"):
        assert 10 * 2**20 < found.best < 2**32  # bytes: NumPy alone is some tens of megabytes


def test_all_contestants_that_start_quickly_reach_the_same_losses():
    names = ("tinynet", *OURS, "numpy", "c", "products", "autograd", "mygrad")
    chosen = {name: CONTESTANTS[name] for name in (*names, "micrograd", "sklearn", "jax-scan")}
    found = outcome(TINY, chosen)
    assert {r.status for r in found.values()} <= {"ok", "missing"}, found
    assert all(found[name].status == "ok" for name in ("tinynet", "tinynet-eager", "numpy"))
    assert found["products"].error is None  # a limit has no loss


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_the_contestant_in_c_is_measured_only_if_its_step_runs_as_c(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_CACHE_DIR", str(tmp_path))
    chosen = {"tinynet-c": CONTESTANTS["tinynet-c"]}
    assert outcome(TINY, chosen)["tinynet-c"].status == "ok"
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("TINYNET_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("CC", shutil.which("false"))
    found = outcome(TINY, chosen)["tinynet-c"]
    assert found.status == "crashed"
    assert found.note == "RuntimeError: the training step does not run as C"


WORKS_OF_FUNCTIONS = {n: work for n, work in WORKS.items() if work.kind == "function"}


def test_derivatives_of_tinynet_and_jax_equal_those_found_by_differences():
    chosen = {n: CONTESTANTS[n] for n in ("tinynet", "tinynet-c", "jax", "numpy")}
    results, _ = run(WORKS_OF_FUNCTIONS, chosen, BRIEF)
    found = {(r.work, r.contestant): r for r in results}
    for (work, name), result in found.items():
        allowed = {"tinynet": ["ok"], "numpy": ["skipped"], "jax": ["ok", "missing"]}
        if name != "tinynet-c":
            assert result.status in allowed[name], (work, result)
        elif result.status != "ok":
            assert result.status == "missing" or "C has no text for" in result.note
        if result.status == "ok":
            assert result.error < 1e-7
            assert result.best > 0


def test_the_differences_that_derivatives_are_compared_with_are_right():
    found = {w.data: np.array(functions.reference(w)) for w in WORKS_OF_FUNCTIONS.values()}
    w, x = functions.FUNCTIONS["logistic"].point(), functions.FUNCTIONS["rosenbrock"].point()
    rng = np.random.default_rng(0)
    rows, targets = rng.standard_normal((100, 10)), rng.random(100) < 0.5
    gradient = rows.T @ (targets - 1 / (1 + np.exp(-rows @ w))) - w
    np.testing.assert_allclose(found["logistic"], gradient, rtol=1e-8)
    # d2/dx2 of 100 (b - a^2)^2 + (1 - a)^2 is 1200 a^2 - 400 b + 2 for a, 200 for b, and -400 a.
    hessian = np.diag(np.append(1200 * x[:-1] ** 2 - 400 * x[1:] + 2, 0) + np.append(0, [200] * 9))
    hessian += np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    np.testing.assert_allclose(found["rosenbrock"].reshape(10, 10), hessian, atol=1e-6)
    (a, b, _), t = functions.FUNCTIONS["decay"].point(), np.linspace(0, 3, 30)
    jacobian = np.stack([np.exp(-b * t), -a * t * np.exp(-b * t), np.ones(30)], 1)
    np.testing.assert_allclose(found["decay"].reshape(30, 3), jacobian, atol=1e-8)


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 4, 2), (5, 7, 3, 6, 1)])
def test_the_loops_in_c_and_in_numpy_compute_the_same_losses(sizes, optimizer):
    work = Work("networks", "fit", sizes, 20, 8, optimizer=optimizer, rate=0.05)
    (_, exact), (_, numpy), (_, in_c) = (
        fit(20, False)
        for fit in (by_hand.train(work, "float64"), by_hand.train(work), c.train(work))
    )
    np.testing.assert_allclose(numpy, exact, rtol=1e-4)
    np.testing.assert_allclose(in_c, exact, rtol=1e-4)
    x = np.random.default_rng(2).standard_normal((20, sizes[0]), "float32")
    np.testing.assert_allclose(c.predict(work)(x), by_hand.predict(work)(x), atol=1e-5)
    assert np.array(1e-40, "float32") * np.float32(0.5) > 0  # denormals are not flushed to zero


def test_numpy_by_hand_follows_the_gradient():
    """One step of SGD on one row by the formulas: w - 0.1 * 2 * (w x + b - y) x, and its loss."""
    work = Work("networks", "fit", (1, 1), 1, 1, optimizer="sgd", rate=0.1)
    (x, y), (w, b) = columns(work, "float64"), initial(work)
    error = (x * w + b - y).item()
    after = (x * (w - 0.2 * error * x) + (b - 0.2 * error) - y).item()
    _, losses = by_hand.train(work, "float64")(2, False)
    np.testing.assert_allclose(losses, [error**2, after**2])


def test_the_error_is_that_of_the_worst_epoch_and_infinite_for_missing_or_infinite_losses():
    right = {"losses": [2.0, 1.0]}
    assert error_of({"losses": [2.0, 1.01]}, right) == pytest.approx(0.01)
    for other in ([2.0], [2.0, float("nan")], [2.0, float("inf")]):
        assert error_of({"losses": other}, right) == float("inf")


def results_of(**bests):
    return [
        Result("work", name, "ok", best_of_rounds=rounds, median_of_rounds=rounds)
        for name, rounds in bests.items()
    ]


def test_a_ratio_is_the_median_of_the_ratios_of_each_round():
    """The machine is 1, 100 and 10 times slower: the ratio is 2 in two rounds and 3 in one.

    The ratio of the best times would be 3, that of the means 223 / 111.
    """
    found = results_of(numpy=[1.0, 100.0, 10.0], toy=[3.0, 200.0, 20.0])
    summarize(found, [True] * 3)
    assert [result.ratio for result in found] == [1, 2]
    assert (found[1].best, found[1].median) == (3, 20)


def test_disturbed_rounds_count_only_for_the_best_time():
    found = results_of(numpy=[1.0] * 5, toy=[1.0, 5.0, 5.0, 4.0, 2.0])
    summarize(found, [False, True, True, True, False])
    assert (found[1].best, found[1].median, found[1].ratio) == (1, 5, 5)
    summarize(found, [False, True, True, False, False])  # two quiet rounds are too few
    assert (found[1].best, found[1].median, found[1].ratio) == (1, 4, 4)


def test_the_control_reports_a_machine_under_load():
    readings = iter([1.0, 1.1, 1.9, 1.2])
    reported = []
    _, control = run(
        {"work": TINY},
        {"numpy": toy("right")},
        BRIEF._replace(rounds=3),
        on_work_end=lambda name, found, control: reported.append(control["disturbed"]),
        control=lambda: next(readings),
    )
    assert control["readings"] == {"work": [[1.0, 1.1], [1.1, 1.9], [1.9, 1.2]]}
    assert (control["rounds"], control["disturbed"], reported) == (3, 2, [2])
    assert "not quiet: in 2 of 3 rounds" in report.disturbed(control)


def test_a_work_disturbed_throughout_is_recognized_by_the_readings_at_other_works():
    control = Control(iter([2.0, 2.1, 1.0, 1.0]).__next__, patience=0)
    for name in ("loaded", "quiet"):
        control.watch(name, iter([lambda: None]))
    assert (control.quiet("loaded"), control.quiet("quiet")) == ([False], [True])
    assert control.summary(["loaded", "quiet"])["disturbed"] == 1
    assert report.disturbed(control.summary(["quiet"])) == ""


def test_a_round_waits_until_the_machine_is_quiet_or_patience_is_exhausted(monkeypatch):
    monkeypatch.setattr(harness, "PAUSE", 0)
    read = iter([1.0, 2.0, 3.0, 1.1, 2.0, 3.0, 4.0, 5.0]).__next__
    control = Control(read, patience=2)
    control.watch("work", iter([lambda: None] * 3))
    assert control.log == {"work": [(1.0, 2.0), (1.1, 2.0), (4.0, 5.0)]}
    assert control.quiet("work") == [False] * 3


def test_the_control_runs_in_a_process_before_and_after_each_round():
    _, control = run({"work": TINY}, {}, BRIEF._replace(rounds=2))
    (readings,) = control["readings"].values()
    assert [len(pair) for pair in readings] == [2, 2]
    assert min(map(min, readings)) > 0


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return the folder that the command wrote for NumPy and C at a network and a sweep."""
    folder = tmp_path_factory.mktemp("run")
    works = ["--works", "3-4-1:16:8", "width 4", "width 16", "installed"]
    options = ["--contestants", "numpy", "c", "products", "--rounds", "1", "--out", str(folder)]
    assert main(["--quick", *works, *options]) == 0
    return folder


def test_one_command_writes_markdown_json_and_figures(measured):
    assert sorted(path.name for path in measured.iterdir()) == [
        "asked-for.png",
        "results.json",
        "results.md",
        "scaling.png",
        "start.png",
    ]
    found = results.load(measured / "results.json")
    assert results.problems(found) == []
    assert set(found["versions"]) >= {"python", "numpy"}
    page = (measured / "results.md").read_text(encoding="utf-8")
    for part in (found["date"], found["machine"]["processor"], "| NumPy by hand |", "1.00"):
        assert part in page


def test_the_text_shows_best_median_ratio_and_loss_or_the_reason_of_a_failure():
    rows = [
        {"contestant": "a", "status": "ok", "best": 2e-6, "median": 3e-6, "ratio": 1.5, "loss": 1},
        {"contestant": "b", "status": "late", "note": "slept", "best": None},
    ]
    text = report.text("neuron", described(WORKS["neuron"]), rows, {"a": "A", "b": "B"})
    assert "A                                2.00       3.00     1.50  1.000000" in text
    assert "B                          late: slept" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "0.012"), (0.123, "0.12"), (9.94, "9.94"), (12.34, "12.3"), (1263, "1,260")],
)
def test_numbers_have_three_significant_digits(value, shown):
    assert report.number(value) == shown


def test_the_schema_describes_every_field_and_refuses_malformed_files(measured, tmp_path):
    def walk(schema):
        if "type" in schema:
            assert schema["description"]
        for part in (*schema.get("properties", {}).values(), schema.get("items")):
            if part:
                walk(part)

    walk(results.SCHEMA)
    good = results.load(measured / "results.json")
    for change, message in (
        (lambda run: run.pop("date"), r"\$\.date is missing"),
        (lambda run: run.update(schema=99), r"\$\.schema must be one of"),
        (lambda run: run["results"][0].update(best="quick"), r"results\[0\]\.best must be"),
        (lambda run: run["results"][0].update(more=1), r"results\[0\]\.more is unknown"),
        (lambda run: run["settings"].update(threads=True), r"threads must be integer"),
    ):
        bad = copy.deepcopy(good)
        change(bad)
        (tmp_path / "bad.json").write_text(json.dumps(bad))
        with pytest.raises(ValueError, match=message):
            results.load(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        results.load(tmp_path / "bad.json")


def test_a_results_file_is_valid_by_the_package_jsonschema(measured):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads((measured / "results.json").read_text()), results.SCHEMA)


def slower(found, factor, contestant="c"):
    new = copy.deepcopy(found)
    for result in new["results"]:
        if result["contestant"] == contestant and result["ratio"]:
            result["ratio"] *= factor
            result["best"] *= factor
    return new


def test_compare_finds_a_regression(measured, tmp_path, capsys):
    old = measured / "results.json"
    found = results.load(old)
    new = tmp_path / "new.json"
    results.save(slower(found, 1.5), new)
    names = ["--contestants", "c"]
    assert main(["compare", str(old), str(old), *names]) == 0
    assert "No change" in capsys.readouterr().out
    assert main(["compare", str(old), str(new), *names]) == 1
    assert "1.50  width 4" in capsys.readouterr().out
    assert main(["compare", str(new), str(old), *names]) == 0  # faster is no regression
    assert "0.67  width 4" in capsys.readouterr().out
    assert main(["compare", str(old), str(new), *names, "--tolerance", "1.6"]) == 0
    assert main(["compare", str(old), str(new)]) == 0  # by default only tinynet counts


def test_compare_uses_ratios_so_that_a_slower_machine_is_no_regression(measured):
    old = results.load(measured / "results.json")
    new = copy.deepcopy(old)
    for result in new["results"]:
        if result["best"]:
            result["best"] *= 3
    found = {(c.work, c.contestant): c.factor for c in compare.changes(old, new)}
    assert found["width 4", "c"] == 1
    assert found["width 4", "numpy"] == pytest.approx(3)  # the base, compared by its times


def test_a_contestant_that_fails_now_is_a_regression(measured):
    old = results.load(measured / "results.json")
    new = copy.deepcopy(old)
    new["results"][1] |= {"status": "wrong", "note": "off"}
    worst = compare.changes(old, new)[0]
    assert worst.factor == float("inf")
    assert worst.note == "wrong: off"
    assert compare.regressions([worst], 9.0, [worst.contestant]) == [worst]


def test_compare_prints_other_differences_between_the_runs(measured):
    old = results.load(measured / "results.json")
    new = copy.deepcopy(old)
    new["machine"]["cores"] = "64"
    (line,) = compare.comparable(old, new)
    assert line.endswith("-> 64")
    assert line.startswith("machine cores")


def test_the_curves_show_the_best_times_and_the_limits_have_their_line_styles(measured):
    found = results.load(measured / "results.json")
    (ax,) = plots.scaling(found).axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    lines = {line.get_label(): line for line in ax.get_lines()}
    labels = [contestant["label"] for contestant in found["contestants"].values()]
    assert list(lines) == labels
    for name, label in zip(found["contestants"], labels, strict=True):
        bests = [report.of_work(found, f"width {n}")[name]["best"] * 1e6 for n in (4, 16)]
        np.testing.assert_allclose(lines[label].get_xdata(), [4, 16])
        np.testing.assert_allclose(lines[label].get_ydata(), bests)
    assert lines["matrix products alone"].get_linestyle() == "--"
    assert lines["C by hand"].get_linestyle() == ":"
    assert lines["NumPy by hand"].get_linestyle() == "-"


def test_the_bars_show_the_best_times(measured):
    found = results.load(measured / "results.json")
    (ax,) = plots.bars(found, "asked for").axes
    assert ax.get_xscale() == "log"
    widths = [bar.get_width() for bar in ax.patches]
    shown = report.of_work(found, "3-4-1:16:8")
    np.testing.assert_allclose(widths, [shown[n]["best"] * 1e6 for n in found["contestants"]])


def test_bars_of_more_than_three_works_are_drawn_in_rows_of_three(measured):
    found = results.load(measured / "results.json")
    name, records = "3-4-1:16:8", [*found["results"]]
    for twin in ("b", "c", "d"):
        found["works"][twin] = found["works"][name]
        found["results"] += [{**r, "work": twin} for r in records if r["work"] == name]
    figure = plots.bars(found, "asked for")
    places = [ax.get_subplotspec().get_topmost_subplotspec().num1 for ax in figure.axes]
    assert [ax.get_title() for ax in figure.axes] == [name, "b", "c", "d"]
    assert places == [0, 1, 2, 3]
    assert figure.axes[0].get_gridspec().ncols == 3
    assert all(ax.yaxis_inverted() for ax in figure.axes)


def run_with(seconds, disturbed=0):
    """Return a run of these seconds of each round, by work and contestant."""
    results = [
        {"work": work, "contestant": name, "ratio": 1.0}
        | ({"status": s, "best": None} if isinstance(s, str) else {"status": "ok", "best": min(s)})
        | {"best_of_rounds": s}
        for work, contestants in seconds.items()
        for name, s in contestants.items()
    ]
    pairs = [[1.0, 2.0]] * disturbed + [[1.0, 1.0]] * (5 - disturbed)
    return {
        "works": {name: described(WORKS[name]) for name in seconds},
        "contestants": {n: {"label": c.label, "limit": c.limit} for n, c in CONTESTANTS.items()},
        "base": "numpy",
        "results": results,
        "control": {"readings": dict.fromkeys(seconds, pairs)},
    }


def cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_goals_are_shown_as_ratios_beside_the_limit_and_how_many_rounds_were_disturbed():
    """In the quiet rounds C takes 1 and 2 of 8, 16 and 20: ratios 1/8, 1/8, 1/10."""
    times = {"tinynet-c": [9.0, 9.0, 1.0, 2.0, 2.0], "jax-scan": [1.0, 1.0, 8.0, 16.0, 20.0]}
    found = run_with({"small": times, "neuron": {**times, "tinynet-c": "crashed"}}, disturbed=2)
    head, _, *rows = report.goals(found).splitlines()
    assert cells(head)[2:] == ["against", "ratio", "wanted", "disturbed rounds"]
    assert list(map(cells, rows)) == [
        ["neuron", "tinynet in C", "JAX, scanned epoch", "crashed", "≤ 0.35", "2 of 5"],
        ["small", "tinynet in C", "JAX, scanned epoch", "0.12", "≤ 0.33", "2 of 5"],
    ]
    assert report.goals(run_with({"small": {"jax": [1.0] * 5}})) == ""


def test_the_wide_network_is_compared_with_the_fastest_other_that_does_the_whole_work():
    names = {"tinynet-c": 2.0, "tinynet": 1.0, "products": 0.5, "torch": 4.0, "jax": 3.0}
    found = run_with({"wide": {**{n: [s] * 5 for n, s in names.items()}, "mygrad": "late"}})
    (row,) = report.goals(found).splitlines()[2:]
    assert cells(row)[2:5] == ["the fastest other: JAX, jitted step", "0.67", "≤ 1"]


def test_goals_are_of_known_works_and_contestants():
    for goal in GOALS:
        assert goal.work in WORKS
        assert {goal.contestant, goal.against} <= {*CONTESTANTS, "others"}


def test_each_work_has_a_count_of_its_disturbed_rounds_in_the_tables():
    table = report.table(run_with({"small": {"numpy": [1.0] * 5}}, disturbed=3), ["small"])
    assert "| rounds in which the machine was disturbed | 3 of 5 |" in table


def test_works_are_found_by_name_group_or_sizes():
    assert list(works_named(["neuron"])) == ["neuron"]
    assert list(works_named(["depth"])) == [f"depth {n}" for n in (1, 2, 4, 8, 16)]
    assert works_named(["8-32-1:100:10"])["8-32-1:100:10"].sizes == (8, 32, 1)
    with pytest.raises(ValueError, match="Received: 'neurone'"):
        works_named(["neurone"])


@pytest.mark.parametrize("bad", [["--works", "x"], ["--contestants", "x"], ["--rounds", "0"]])
def test_the_command_refuses_unknown_names_and_says_what_it_received(bad, capsys):
    with pytest.raises(SystemExit):
        options_of(bad)
    assert f"Received: {bad[1]}" in capsys.readouterr().err.replace("'", "")


def test_the_sweeps_have_five_points_and_the_quick_works_exist():
    assert set(QUICK) <= set(WORKS)
    for group in SWEEPS:
        places = [work.at for work in WORKS.values() if work.group == group]
        assert places == sorted(set(places))
        assert len(places) == 5


def test_the_small_benchmarks_run():
    ran = [name for name, function in small.benchmarks() if function() is None]
    assert {"Eager.time_bind", "Training.time_compiled_step"} <= set(ran)
    assert all(name.split(".")[1].startswith("time_") for name in ran)


def test_the_tables_are_written_between_the_marks_of_a_page(measured, tmp_path):
    found = results.load(measured / "results.json")
    page = tmp_path / "README.md"
    before, after = report.MARKS
    page.write_text(f"# Title\n{before}old\n{after}rest\n")
    for _ in range(2):  # the second run replaces the first
        report.write_between_marks(page, report.full(found))
        text = page.read_text(encoding="utf-8")
        assert "old" not in text
        assert text.startswith("# Title\n")
        assert text.endswith("rest\n")
        assert found["date"] in text
        assert found["machine"]["processor"] in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="must contain the marks"):
        report.write_between_marks(page, report.full(found))


@pytest.fixture(scope="module")
def committed():
    return results.load(COMMITTED)


def bests(run, work):
    return {n: r["best"] for n, r in report.of_work(run, work).items() if r["status"] == "ok"}


@pytest.mark.parametrize("work", ["neuron", "neuron, 96000 rows", "small", "1-64-64-1"])
def test_the_readme_is_right_about_small_networks(committed, work):
    found = bests(committed, work)
    others = {name: best for name, best in found.items() if not name.startswith("tinynet")}
    limits = ("c", "products")
    assert found["tinynet-c"] < min(b for name, b in others.items() if name not in limits)


def test_the_readme_is_right_about_jax(committed):
    for work in ("neuron", "neuron, 96000 rows", "small", "1-64-64-1", "mnist-sized"):
        found = bests(committed, work)
        assert 0.15 < found["tinynet-c"] / found["jax-scan"] < 0.9


def test_the_readme_is_right_about_large_networks(committed):
    wide = bests(committed, "wide")
    assert min((n for n in wide if n != "products"), key=wide.get) == "torch-compiled"
    assert wide["tinynet-c"] < 1.065 * wide["torch-compiled"]
    mnist = bests(committed, "mnist-sized")
    assert min((n for n in mnist if n != "products"), key=mnist.get) == "tinynet-c"
    memory = bests(committed, "memory, wide")
    assert min(memory, key=memory.get).startswith("tinynet")


def test_the_readme_is_right_about_numpy_by_hand(committed):
    for work in ("neuron, 96000 rows", "small", "1-64-64-1", "mnist-sized", "wide"):
        found = bests(committed, work)
        assert 0.85 < found["tinynet"] / found["numpy"] < 1.45
    assert bests(committed, "neuron")["tinynet"] < 2.05 * bests(committed, "neuron")["numpy"]


@pytest.mark.parametrize(
    ("page", "tables"), [("README.md", report.small), ("docs/speed.md", report.full)]
)
def test_every_number_of_the_tables_is_in_the_committed_run(committed, page, tables):
    before, after = report.MARKS
    text = (PROJECT / page).read_text(encoding="utf-8")
    section = text[text.index(before) + len(before) : text.index(after)]
    assert section.strip() == tables(committed).strip()


def refused(capsys, *arguments):
    """Return the error message of the command for these arguments."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_compare_refuses_contestants_that_neither_run_has(measured, capsys):
    file = measured / "results.json"
    said = refused(capsys, "compare", file, file, "--contestants", "c", "tinynett")
    assert "--contestants takes names of numpy, c, products. Received: tinynett" in said


@pytest.mark.parametrize("tolerance", ["0", "-1", "0.9", "nan"])
def test_compare_refuses_a_tolerance_below_one(measured, tolerance, capsys):
    file = measured / "results.json"
    said = refused(capsys, "compare", file, file, "--tolerance", tolerance)
    assert f"--tolerance must be 1 or more. Received: {tolerance}" in said
    assert main(["compare", str(file), str(file), "--tolerance", "1"]) == 0


def test_compare_prints_different_definitions_of_works_of_the_same_name(measured):
    old = results.load(measured / "results.json")
    new = copy.deepcopy(old)
    new["works"]["width 4"]["rows"] = 1000
    new["works"]["only here"] = new["works"].pop("width 16")
    assert compare.comparable(old, new) == ["works width 4: rows 512 -> 1000"]


def test_an_impossible_output_folder_is_refused_before_anything_is_measured(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("kept")
    for out in (file, file / "within"):
        said = refused(capsys, "--works", "installed", "--out", out)
        assert f"--out must be a folder. Received: {out}" in said
    assert file.read_text() == "kept"
    assert options_of(["--out", str(tmp_path / "new" / "folder")]).out.is_dir()


@pytest.mark.parametrize("limit", ["0", "-3", "nan", "inf"])
def test_the_command_refuses_a_time_limit_that_is_not_finite_and_positive(limit, capsys):
    said = refused(capsys, "--works", "installed", "--limit", limit)
    assert f"--limit must be a number of seconds above 0. Received: {limit}" in said


@pytest.mark.parametrize(
    "name",
    ["1-1:96:0", "1-1:96:-5", "1-1:0:32", "0-1:96:32", "1-0-1:96:32", "8:96:32", ":96:32", "1-1:9"],
)
def test_a_work_has_at_least_two_sizes_and_no_number_below_one(name):
    with pytest.raises(
        ValueError, match=f"A work must be a name, .*Received: '{name}', known: net"
    ):
        works_named([name])


def test_the_readme_is_not_written_from_a_missing_or_malformed_file(tmp_path, capsys):
    (tmp_path / "bad.json").write_text("{")
    before = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert "No such file" in refused(capsys, "readme", tmp_path / "none.json")
    assert "is not JSON" in refused(capsys, "readme", tmp_path / "bad.json")
    assert (PROJECT / "README.md").read_text(encoding="utf-8") == before


def test_small_refuses_unknown_names(monkeypatch, capsys):
    monkeypatch.setattr(small, "benchmarks", lambda: [("A.time_a", int), ("A.time_b", int)])
    said = refused(capsys, "small", "time_a", "zzz")
    assert "NAME must be part of A.time_a, A.time_b. Received: zzz" in said


def test_the_option_rounds_applies_to_all_works_except_sizes():
    works = ["--works", "first model", "installed", "--contestants", "numpy"]
    found = measure(options_of(["--quick", *works, "--rounds", "2"]))
    assert found["settings"]["rounds"] == 2
    assert [len(result["best_of_rounds"]) for result in found["results"]] == [2, 1]


def test_numbers_that_are_not_finite_are_null_in_the_file(measured, tmp_path):
    found = results.load(measured / "results.json")
    nan, infinite = float("nan"), float("inf")
    fields = {"loss": nan, "error": infinite, "best": nan, "median": -infinite, "ratio": nan}
    found["results"][0] |= fields
    results.save(found, tmp_path / "run.json")
    again = results.load(tmp_path / "run.json")
    assert {name: again["results"][0][name] for name in fields} == dict.fromkeys(fields)
    assert again["results"][1:] == found["results"][1:]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_only_the_processors_that_the_process_may_use_count():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert results.processors() == 1
        assert results.machine()["cores"] == "1"
        assert options_of([]).threads == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_without_affinity_all_processors_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert results.processors() == 1


def test_a_module_that_is_not_installed_as_a_package_has_no_size():
    with pytest.raises(results.ContestantError, match="toy_contestants is not installed") as caught:
        results.installed_bytes(["numpy", "toy_contestants"])
    assert caught.value.status == "missing"
