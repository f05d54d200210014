"""Each load run with small numbers; `python tests/support/load.py` runs them with large ones."""

import load
import pytest

SMALL = {
    "steps": 50_000,
    "predicts": 2000,
    "threads": 100,
    "chains": 5000,
    "layers": 60,
    "elements": 100_000,
    "shapes": 200,
}


@pytest.mark.parametrize("part", load.PARTS)
def test_a_load_run_has_right_results_and_flat_memory(part):
    load.PARTS[part](SMALL[part])
