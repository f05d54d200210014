"""The scaling benchmark recovers the constants of its models, and runs on ranks."""

import json
import math

import numpy as np
import pytest

from benchmarks import scaling


def test_the_models_recover_the_constants_of_times_that_follow_them():
    alpha, beta, fixed, each = 2e-6, 3e-10, 1e-4, 5e-6

    def allreduce(ranks, size):
        return 2 * math.log2(ranks) * alpha + 2 * (ranks - 1) / ranks * size * beta

    measured = [
        {
            "ranks": ranks,
            "allreduce": {n: allreduce(ranks, n) for n in scaling.BYTES if ranks > 1},
            "alone": {b: fixed + each * b for b in scaling.BATCHES if ranks == 1},
        }
        for ranks in (1, 2, 4)
    ]
    crowded = {"ranks": 8, "allreduce": {64: 1.0}, "alone": {}}  # on four cores
    model = scaling.fitted([*measured, crowded], 4)
    found = [model[name] for name in ("alpha", "beta", "fixed", "each")]
    np.testing.assert_allclose(found, [alpha, beta, fixed, each], 1e-6)
    weights = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10
    assert model["bytes"] == 4 * weights
    times = {p: fixed + each * 512 / p + (p > 1) * allreduce(p, 4 * weights) for p in (1, 2, 8)}
    np.testing.assert_allclose(scaling.computed(model, 512, [*times]), [*times.values()], 1e-6)
    half, fastest = scaling.useful_ranks(model, 512)
    assert times[1] / scaling.computed(model, 512, half) / half >= 0.5
    assert scaling.computed(model, 512, fastest) <= min(times.values())


@pytest.mark.filterwarnings("ignore:Glyph")
def test_it_measures_on_ranks_and_writes_what_is_measured_and_computed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(scaling.Path(scaling.__file__).parents[1]))
    scaling.main(["--ranks", "2", "--batch", "8", "--repeats", "2", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "processes.json").read_text())
    assert [m["ranks"] for m in found["measured"]] == [1, 2]
    assert all(m["strong"] > 0 < m["weak"] for m in found["measured"])
    assert (tmp_path / "processes.png").read_bytes().startswith(b"\x89PNG")
    sizes, joined = zip(*found["measured"][1]["allreduce"].items(), strict=True)
    points = scaling.plot(found).axes[0].lines[0]  # of a file, where numbers of bytes are strings
    np.testing.assert_array_equal(points.get_xdata(), [int(size) for size in sizes])
    np.testing.assert_array_equal(points.get_ydata(), joined)
