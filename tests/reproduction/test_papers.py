"""The published tables: all can be reproduced, and their figures agree with their notes."""

import math

import pytest

from kerasvid.models.registry import MODELS, model_class
from kerasvid.reproduction.published import (
    TABLES,
    describe_tables,
    figure_value,
    published_table,
)
from kerasvid.training.config import apply_overrides
from tfrecords_tools import registry


@pytest.mark.parametrize("name", TABLES)
def test_the_model_of_every_run_takes_its_hyperparameters(name):
    for run in TABLES[name].runs.values():
        assert run.model in MODELS
        cls = model_class(run.model)
        for preset in {"base", run.preset}:
            hyperparameters, training = apply_overrides(cls, preset, run.values)
            assert training.steps >= 1
            for key, value in run.values.items():
                group, _, name = key.partition(".")
                inner = hyperparameters.get(group, {})
                found = vars(training)[name] if group == "training" else inner
                assert (found[name] if isinstance(found, dict) else found) == value


@pytest.mark.parametrize("name", TABLES)
def test_every_data_set_is_known_and_every_row_has_all_figures(name):
    table, known = TABLES[name], registry.names()
    for part in table.parts:
        assert {part.dataset, *part.substitutes} <= {*known}
        assert sum(part.name in row.figures for row in table.rows) > 1
    for row in table.rows:
        assert {row.run_in(part) for part in row.figures} - {None} <= {*table.runs}
        assert {*row.figures} <= {part.name for part in table.parts}
        for figures in row.figures.values():
            assert [*figures] == [*next(iter(table.rows[0].figures.values()))]
            assert {*figures} <= {column.name for column in table.columns}
            texts = [text for text in figures.values() if figure_value(text) is None]
            assert texts in ([], ["N/A"], ["not published"] * len(figures))
    names = [row.name for row in table.rows]
    assert {*table.order, *filter(None, [table.baseline])} <= {*names}
    assert len({*names}) == len(names)


def test_a_table_of_speed_is_measured_on_the_way_and_at_the_end():
    table = published_table("residual_vectors/3")
    assert [column.step for column in table.columns] == [250, 500, 1_000, 2_000, None]
    published = table.published_orders(table.columns[2], "MUG")
    assert published == [["RJGAN with pre-training"], ["RJGAN"], ["MoCoGAN"]]
    assert table.published_orders(table.columns[0], "MUG") == []


def test_the_control_of_the_mixed_data_is_trained_on_the_same_half():
    table = published_table("residual_vectors/mixed")
    runs = {row.name: table.runs[row.run] for row in table.rows}
    control, mixed = (
        runs["MoCoGAN, half of the videos"],
        runs["RJGAN, half of the videos as images"],
    )
    assert (control.data, control.images) == (mixed.data, False) == ("videos", False)
    order = [name for names in table.published_orders(table.columns[0], "MUG") for name in names]
    assert "MoCoGAN, half of the videos" not in order and len(order) == 3


def test_every_run_belongs_to_a_row_or_starts_one():
    for table in TABLES.values():
        used = {row.run_in(part.name) for row in table.rows for part in table.parts}
        used |= {run.init_from for run in table.runs.values()}
        assert {*table.runs} <= used


def test_rows_that_contradict_the_identity_of_the_inception_score_are_noted():
    contradicting = []
    for row in published_table("sprites_disentanglement").rows:
        numbers = {name: float(text) for name, text in row.figures["Sprites"].items()}
        score = math.exp(numbers["H(y)"] - numbers["H(y|x)"])
        if abs(score - numbers["IS"]) > 0.01:
            contradicting.append((row.name, round(score, 2)))
    assert contradicting == [("MoCoGAN", 8.18), ("DSA", 8.33)]
    notes = " ".join(published_table("sprites_disentanglement").notes)
    assert "MoCoGAN and DSA" in notes and "8.18 and 8.33" in notes


def test_relative_changes_in_the_non_adversarial_text_agree_with_its_tables():
    def change(table, one, other, part, column):
        rows = {row.name: row for row in published_table(f"non_adversarial/{table}").rows}
        first, last = (float(rows[name].figures[part][column]) for name in (one, other))
        return round(100 * abs(last - first) / first, 2)

    ours = "Ours (+triplet +static)"
    assert change(2, "MoCoGAN", ours, "Chair-CAD", "MCS") == 19.22
    assert change(2, "MoCoGAN", ours, "Chair-CAD", "FCS") == pytest.approx(4.70, abs=0.02)
    assert change(2, "MoCoGAN", ours, "Weizmann", "MCS") == 22.87
    assert change(2, "MoCoGAN", ours, "Weizmann", "FCS") == 5.88  # 4.61 in the text
    assert change(2, "VGAN", ours, "Golf", "MCS") == pytest.approx(24.90, abs=0.05)
    assert change(4, "(a) -Z", "(a) +Z", "Chair-CAD", "MCS") == 16.16
    assert change(4, "(a) -Z", "(a) +Z", "Chair-CAD", "FCS") == pytest.approx(18.66, abs=0.02)
    pair = "(b) -triplet -static", "(b) +triplet +static"
    assert change(4, *pair, "Chair-CAD", "MCS") == 13.32  # 14.26 in the text


def test_an_unknown_table_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"--table=residual_vector/3: no such table, did you mean 'residual_v"
    ):
        published_table("residual_vector/3")


def test_the_list_has_every_table_and_its_substitutes():
    text = describe_tables()
    assert all(f"  {name} " in text for name in TABLES)
    assert "MUG (mug): weizmann/strips by default, or sprites, " in text
    assert "Sprites (sprites/lpc): sprites/lpc by default, or sprites\n" in f"{text}\n"
