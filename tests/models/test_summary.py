"""Summaries of graphs and of ranges of layers; compared with Keras in tests/keras."""

from typing import Any

import pytest
from helpers import refused

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.models.summary import size


def fork() -> tn.Model:
    x = Input((2,), name="x")
    a = Dense(3, name="a")(x)
    return tn.Model(x, [Dense(1, name="left")(a), Dense(1, name="right")(a)], name="fork")


def text_of(model: tn.Model, **options: Any) -> str:
    texts: list[str] = []
    model.summary(print_fn=texts.append, **options)
    return "".join(texts)


def cells(text: str) -> list[list[str]]:
    """Return the cells of a summary's rows, each of which is one line, without the header."""
    rows = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_summary_of_a_graph_names_the_inputs_of_each_layer():
    assert cells(text_of(fork(), line_length=120, show_trainable=True)) == [
        ["x (InputLayer)", "(None, 2)", "0", "-", "-"],
        ["a (Dense)", "(None, 3)", "9", "x[0][0]", "Y"],
        ["left (Dense)", "(None, 1)", "4", "a[0][0]", "Y"],
        ["right (Dense)", "(None, 1)", "4", "a[0][0]", "Y"],
    ]


def test_the_ends_of_a_layer_range_may_be_in_any_order():
    for ends in (["a", "left"], ["left", "a"], ("^a$", "le.*")):
        names = [row[0] for row in cells(text_of(fork(), line_length=120, layer_range=ends))]
        assert names == ["a (Dense)", "left (Dense)"]


def test_line_length_overrides_the_width_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = text_of(fork(), line_length=100).splitlines()
    assert {len(line) for line in lines if line.startswith("├")} == {100}


MISTAKES = {
    "no room": ({"line_length": 20}, "line_length", "20"),
    "positions of another table": ({"positions": [0.5, 0.8, 1.0]}, "positions", "4"),
    "positions that fall": ({"positions": [0.5, 0.4, 0.8, 1.0]}, "room"),
    "a layer that is not there": ({"layer_range": ["a", "z"]}, "layer_range", "'z'", "'right'"),
    "three layers": ({"layer_range": ["a", "left", "right"]}, "layer_range", "two"),
    "numbers of layers": ({"layer_range": [0, 1]}, "layer_range", "[0, 1]"),
}


@pytest.mark.parametrize(
    ("options", "words"), [(o, w) for o, *w in MISTAKES.values()], ids=MISTAKES
)
def test_invalid_arguments_of_summary_are_refused(options, words):
    with refused(ValueError, *words):
        text_of(fork(), **options)


def test_memory_is_shown_in_units_of_1024():
    found = [size(1, n).split("(")[1] for n in (1023, 1024, 5 * 2**20, 2**30, 2**40, 2**50)]
    expected = ["1023.00 B)", "1.00 KB)", "5.00 MB)", "1.00 GB)", "1.00 TB)", "1.00 PB)"]
    assert found == expected


@pytest.mark.parametrize("columns", [1, 10, 30])
@pytest.mark.parametrize("show_trainable", [False, True])
@pytest.mark.parametrize("is_line", [False, True])
def test_a_summary_is_as_narrow_as_the_terminal_or_as_its_columns_can_be(
    is_line, show_trainable, columns, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    model = tn.Sequential([Input((2,)), Dense(3)]) if is_line else fork()
    text = text_of(model, show_trainable=show_trainable)
    (width,) = {len(line) for line in text.splitlines() if line[0] in "┏┃┡│├└"}
    assert width <= max(columns, 8 * (4 - is_line + show_trainable))
