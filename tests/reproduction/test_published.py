"""Declarations of published tables."""

import dataclasses

import pytest

from kerasvid.reproduction.published import Part, Row, figure_value


def test_figures_are_read_as_they_are_printed():
    printed = ("4.24 ± 0.02", "134.8", "62 ± 58", "0", "N/A", "")
    assert [figure_value(text) for text in printed] == [4.24, 134.8, 62.0, 0.0, None, None]


def test_rows_of_unknown_columns_parts_and_trainings_are_refused(table):
    for row, name in (
        (Row("x", {"MUG": {"IS": "1"}}), "IS"),
        (Row("x", {"Golf": {"FVD": "1"}}), "Golf"),
        (Row("x", {"MUG": {"FVD": "1"}}, "dsa"), "dsa"),
        (Row("x", {"MUG": {"FVD": "1"}}, {"MUG": "rjvae"}), "rjvae"),
    ):
        with pytest.raises(ValueError, match=f"paper/1, x: no {name} there"):
            dataclasses.replace(table, rows=(row,))


def test_the_first_stand_in_is_usual_unless_another_is():
    assert Part("MUG", "mug", ("sprites", "shapes")).usual == "sprites"
    assert (
        Part("Sprites", "sprites/lpc", ("sprites",), default="sprites/lpc").usual == "sprites/lpc"
    )
    assert Part("Own", "own").usual == "own"
