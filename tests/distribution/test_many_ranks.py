"""Ranks that train together train the network that one process would train."""

import numpy as np
import pytest
import ranks

ROADS = ("eager", "False", "True")
SEEDS = {2: range(6), 3: range(6, 12), 4: range(12, 18)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


def close(found, expected, rtol):
    """Assert that numbers are equal but for the order of sums."""
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(found, expected, rtol, rtol * scale)


# -- the same network -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", SEEDS)
def test_drawn_networks_train_on_ranks_as_in_one_process(folder, size):
    drawn = [f"{seed}:{ROADS[seed % 3]}" for seed in SEEDS[size]]
    first, *others = ranks.finished(folder, size, "cases", ",".join(drawn))
    assert len(others) == size - 1
    for case, alone in ranks.cases(",".join(drawn)).items():
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
