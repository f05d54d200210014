"""Ranks that train together train the network that one process would train."""

import csv
from functools import cache
from itertools import chain

import numpy as np
import pytest
import ranks
from native import all_in_c

ROADS = ("eager", "False", "True")
SEEDS = {2: range(6), 3: range(6, 12), 4: range(12, 18)}
DRAWN = {size: ",".join(f"{n}:{ROADS[n % 3]}" for n in SEEDS[size]) for size in SEEDS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def launched(folder):
    """Return what the work of a number of ranks printed and returned; they are started once."""
    x, y = ranks.data()
    for place in ("shards1", "shards3", "files"):
        (folder / place).mkdir()
    for place in ("shards1", "shards3"):
        for name, a, b in (("a", 0, 3), ("b", 3, 11), ("c", 11, 12), ("d", 12, 20)):
            np.save(folder / place / f"{name}.x.npy", x[a:b])
            np.save(folder / place / f"{name}.y.npy", y[a:b])
    work = {
        1: {"shards": folder / "shards1"},
        2: {"same": "", "stops": "", "refusals": "", "sweep": "", "threads": ""},
        3: {"streams": "", "shards": folder / "shards3", "files": folder / "files"},
        4: {"threads": ""},
    }
    environment = {4: {"OPENBLAS_NUM_THREADS": "7"}}

    @cache
    def launch(size):
        drawn = {"cases": DRAWN[size]} if size in DRAWN else {}
        return ranks.finished(folder, size, {**drawn, **work[size]}, **environment.get(size, {}))

    return launch


def close(found, expected, rtol):
    """Assert that numbers are equal but for the order of sums."""
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(found, expected, rtol, rtol * scale)


# -- the same network -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", SEEDS)
def test_drawn_networks_train_on_ranks_as_in_one_process(launched, size):
    first, *others = launched(size)[1]["cases"]
    assert len(others) == size - 1
    with all_in_c():
        expected = ranks.cases(DRAWN[size])
    for case, alone in expected.items():
        found = first[case]
        for other in others:  # the same bits on each rank, after each epoch and at the end
            assert other[case]["hashes"] == found["hashes"], case
            for key in ("history", "on batch", "evaluated", "random"):
                assert other[case][key] == found[key], case
            for key in ("weights", "predicted"):
                assert all(map(np.array_equal, other[case][key], found[key])), case
        rtol = 1e-9 if alone["floatx"] == "float64" else 2e-5
        assert found["history"].keys() == alone["history"].keys()
        for key in alone["history"]:
            close(found["history"][key], alone["history"][key], rtol)
        for key in ("on batch", "evaluated", "predicted"):
            close(found[key], alone[key], rtol)
        for a, b in zip(found["weights"], alone["weights"], strict=True):
            close(a, b, rtol)
        assert found["random"] == alone["random"], case
        assert found["native"] == alone["native"] == case.endswith("True"), case


def test_compiled_predictions_and_random_evaluations_are_those_of_one_process(launched):
    alone = ranks.same("")
    for found in launched(2)[1]["same"]:
        for name, arrays in alone.items():
            assert len(found[name]) == len(arrays)
            for a, b in zip(found[name], arrays, strict=True):
                close(a, b, 2e-5)


def test_batches_of_iterables_and_parts_of_uneven_number_train_the_same_network(launched):
    found, alone = launched(3)[1]["streams"], ranks.streams("")
    for key in ("whole", "parts", "steps"):
        for each in found:
            history, weights, evaluated = each[key]
            for name, values in alone[key][0].items():
                close(history[name], values, 2e-5)
            for a, b in zip(weights, alone[key][1], strict=True):
                close(a, b, 2e-5)
            close(evaluated, alone[key][2], 2e-5)
    for each in found:
        close(each["predicted"], alone["predicted"], 2e-5)
        assert [len(outputs) for outputs in each["shown"]] == [3, 17]
        assert np.array_equal(np.concatenate(each["shown"]), each["predicted"])
        assert np.array_equal(each["predicted"], found[0]["predicted"])
        assert "batches of one size on all ranks" in each["different"]
        assert "[7, 8, 9]" in each["different"]
        expected = "RuntimeError: Rank 1 differs from rank 0 in the first batch. Give the same"
        assert all(error.startswith(expected) for error in each["moved"]), each["moved"]


@pytest.mark.parametrize("size", [1, 3])
def test_ranks_share_the_shards_of_a_folder_and_each_epoch_has_each_sample_once(launched, size):
    x, y = ranks.data()
    found = launched(size)[1]["shards"]
    expected = ranks.network(metrics=["mae"]).evaluate(x, y, verbose=0)
    for each in found:
        close(each["evaluated"], expected, 2e-5)
        assert each["loss"] == found[0]["loss"]
        assert len(set(each["loss"])) == 3
        assert "at least" in each["few"]
    epochs = [[*chain(*rows)] for rows in zip(*found[0]["orders"], strict=True)]
    for rows in epochs:
        assert sorted(rows) == sorted(x.tolist())
    assert epochs[0] != epochs[1]
    assert size == 1 or "at least one for each rank" in found[0]["small"]


def test_all_ranks_stop_together_and_lower_the_learning_rate_together(launched):
    found = launched(2)[1]["stops"]
    # 5 batches an epoch: rank 1 stops after its third batch, and in the other fit after 3 epochs.
    # A callback of rank 0 alone sees its 10 batches, and rank 1 does not run ahead.
    # What the data of rank 1 wish in the second epoch takes effect after it, for all ranks. So does
    # the wish of a callback of rank 1, after two batches of five samples.
    assert found == [([3, 3], 3, pytest.approx([0.1, 0.1, 0.01]), [10, 0], 2, 10)] * 2


def test_what_ranks_cannot_compute_together_is_refused_by_name(launched):
    for found in launched(2)[1]["refusals"]:
        for name in ("sum", "mean of weights", "add_loss"):
            assert "needs the mean loss of a batch" in found[name], name
            assert "loss (times samples)" in found[name], name
        assert "largest/most (times samples)" in found["largest"]
        assert "train_step of your own" in found["own step"]
        for name in ("data", "batch", "size"):
            assert "Rank 1 differs from rank 0 in the data" in found[name], name
        assert "Rank 1 differs from rank 0 in sequential" in found["model"]
        assert "Rank 1 differs from rank 0 in sequential" in found["weights"]
        assert "Rank 1 differs from rank 0 in sequential" in found["dtype"]
        assert "bias. Found after epoch 1" in found["weights"]
        assert "kernel. Found after the end of fit" in found["restored"]
        assert "Rank 1 differs from rank 0 in mean_absolute_error" in found["metrics"]
        for name in ("activation", "loss"):
            assert "differs from rank 0 in the loss of the first batch" in found[name], name
        assert "DataParallel: expected no devices" in found["devices"]
        assert found["allowed"] == "no error"


# -- files and printing ---------------------------------------------------------------------------


def test_the_first_rank_alone_writes_and_prints_and_all_ranks_read(folder, launched):
    printed, found = launched(3)
    place = folder / "files"
    assert sorted(p.name for p in place.iterdir()) == [
        *("1.keras", "2.keras", "log.csv", "net.py", "w.weights.npz"),
    ]
    with open(place / "log.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    for text in ("Epoch 1/2", "Epoch 2: finished saving", 'Model: "sequential"'):
        assert printed.count(text) == 1, text
    for each in found["files"]:
        assert each["same"]
        assert each["loaded"]
        assert each["missing"].startswith("FileNotFoundError")
        assert each["odd"].endswith("UnpicklableError: 1 and 2")


def test_an_interrupted_training_continues_on_another_number_of_ranks_as_if_nothing_was(folder):
    expected = ranks.interrupted(f"{folder / 'whole'}:9")
    done, _ = ranks.mpiexec(folder, 2, {"interrupted": f"{folder / 'backup'}:2"})
    assert done.returncode
    with pytest.raises(KeyError, match="interrupted"):
        ranks.interrupted(f"{folder / 'backup'}:4")
    _, found = ranks.finished(folder, 3, {"interrupted": f"{folder / 'backup'}:9"})
    for weights in found["interrupted"]:
        for a, b in zip(weights, expected, strict=True):
            close(a, b, 1e-9)


# -- sweeps and threads ---------------------------------------------------------------------------


def test_map_gives_cases_to_ranks_and_an_exception_concerns_its_case_alone(launched):
    first, second = launched(2)[1]["sweep"]
    results, (inside, unreadable), longer_than_the_timeout = first
    assert longer_than_the_timeout == [None, None]
    assert inside[0] == 2
    assert isinstance(inside[1], TypeError)
    assert isinstance(unreadable, ValueError)
    assert isinstance(results.pop(1), ValueError)
    assert results == second[0][:1] + second[0][2:]
    assert [size for size, _ in results] == [1, 1, 1]  # each case trains alone
    assert len({loss for _, loss in results}) == 3


def test_ranks_share_the_cores_unless_the_user_sets_the_threads(launched):
    for threads, cores in launched(2)[1]["threads"]:
        assert int(threads) == max(1, cores // 2)
    assert [threads for threads, _ in launched(4)[1]["threads"]] == ["7"] * 4
