"""Without mpiexec a process is the only rank; `map` uses processes of this machine."""

import os
import sys

import numpy as np
import pytest

import tinynet as tn
from tinynet.distribution import (
    DataParallel,
    Shards,
    distribution,
    initialize,
    map,
    set_distribution,
)
from tinynet.distribution.ranks import Part, Ranks, job, team
from tinynet.engine.temporarily import temporarily


@pytest.fixture(autouse=True)
def alone():
    yield
    set_distribution(None)


def test_a_process_without_mpiexec_is_the_only_rank_and_trains_as_without_distribution():
    losses = []
    for value in (None, DataParallel()):
        set_distribution(value)
        assert distribution() is value
        tn.utils.set_random_seed(1)
        model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(2), tn.layers.Dense(1)])
        model.compile("adam", "mse")
        losses.append(model.fit(np.ones((9, 1)), np.ones(9), 4, 3, 0).history["loss"])
    assert losses[0] == losses[1]
    assert (value.rank, value.size) == (0, 1)


def test_a_distribution_of_another_kind_and_arguments_for_other_engines_are_refused():
    with pytest.raises(TypeError, match="set_distribution: expected a DataParallel or None"):
        set_distribution("DataParallel")
    with pytest.raises(ValueError, match="expected no processes, as mpiexec knows them"):
        initialize("10.0.0.1:1234", 2, 0)
    for timeout in (0, -1.0, "60", float("nan"), None):
        with pytest.raises(ValueError, match="timeout: expected seconds, above 0, received"):
            initialize(timeout=timeout)
    with pytest.raises(ValueError, match="expected no devices"):
        DataParallel(devices=["cpu:0"])


@pytest.mark.parametrize("variable", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_mpiexec_without_an_mpi4py_that_fits_is_an_error_and_not_several_lone_ranks(
    variable, monkeypatch
):
    monkeypatch.setenv(variable, "3")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "tinynet.distribution.mpi", raising=False)
    with (
        temporarily(job, ranks=None),
        pytest.raises(ImportError, match=r"extra 'mpi' of tinynet: pip install"),
    ):
        initialize()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 32])
@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_parts_of_a_batch_cover_it_once_and_differ_by_one_row_at_most(size, ranks):
    rows, lengths = [], []
    for rank in range(ranks):
        world = Ranks()
        world.rank, world.size = rank, ranks
        with temporarily(job, ranks=world, distribution=object()):
            part = Part.of(size)
            assert team() is world
        lengths.append(part.samples)
        assert part.length == max(1, part.samples)
        own = range(part.start, part.start + part.length)
        for many in (np.arange(2 * size), slice(0, 2 * size)):
            taken = np.arange(2 * size)[part.rows(many)].tolist()
            assert taken == [i + j for j in (0, size) for i in own]
        second = np.arange(2 * size)[part.rows(slice(size, 2 * size))]
        assert second.tolist() == [size + i for i in own]
        rows += taken[: part.samples]
    assert rows == list(range(size))
    assert max(lengths) - min(lengths) <= 1


WRITES = {
    "save": lambda model, folder: model.save(folder / "m.keras"),
    "save_weights, HDF5": lambda model, folder: model.save_weights(folder / "m.weights.h5"),
    "save_weights, NumPy": lambda model, folder: model.save_weights(folder / "m.weights.npz"),
    "save_model": lambda model, folder: tn.models.save_model(model, folder / "m.keras"),
    "export": lambda model, folder: model.export(folder / "m.py", format="numpy", verbose=False),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("rank", [0, 1])
def test_of_two_ranks_the_first_alone_writes_a_file(tmp_path, write, rank):
    world = Ranks()
    world.rank, world.size = rank, 2
    model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    with temporarily(job, ranks=world, distribution=object()):
        write(model, tmp_path)
    assert len([*tmp_path.iterdir()]) == (rank == 0)


def test_a_shard_whose_files_differ_in_length_is_named(tmp_path):
    np.save(tmp_path / "a.x.npy", np.ones((3, 1)))
    np.save(tmp_path / "a.y.npy", np.ones((2, 1)))
    model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    model.compile("sgd", "mse")
    expected = r"a: expected as many rows in each of its files, received \[3, 2\]"
    with pytest.raises(ValueError, match=expected):
        model.fit(Shards(tmp_path), verbose=0)
    assert model.optimizer.iterations == 0


def case(number):
    if number == 1:
        raise ValueError("one")
    if number == 2:
        os._exit(3)
    return number, os.environ["OPENBLAS_NUM_THREADS"]


def test_map_runs_cases_in_processes_and_a_killed_one_concerns_its_case_alone(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    found = map(case, range(4), processes=2)
    assert found[0][0] == 0
    assert isinstance(found[1], ValueError)
    assert "terminated abruptly" in str(found[2])
    assert found[3][0] == 3
    with pytest.raises(TypeError, match="a function of a module"):
        map(lambda number: number, range(2))
