"""Nonsense arguments are refused in words; nothing changes. `support/nonsense.py` tries all."""

import sys

import pytest

if sys.platform != "win32":
    from nonsense import bad_answers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs alarms")


def test_nonsense_for_the_methods_of_a_model_is_answered_well():
    bad, tried = bad_answers(600, seed=1, rooms="Model.")
    assert tried > 1000
    assert bad == []


def test_nonsense_for_the_whole_public_surface_is_answered_well_and_changes_nothing():
    bad, possible = bad_answers(1000, seed=2)
    assert possible > 30_000
    assert bad == []
