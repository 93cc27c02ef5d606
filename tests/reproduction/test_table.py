"""A table from its trainings to its files: what fails alone, and what is not done twice."""

import dataclasses
import json
import os
import pathlib
import types

import pytest

from kerasvid.reproduction.measuring import Measuring
from kerasvid.reproduction.reproduced import known_cells
from kerasvid.reproduction.trainings import Stopped
from kerasvid.runs.run_folder import RunError


def numbers(made):
    """The values of the first section, by row."""
    return {row.name: {n: c.value for n, c in row.cells.items()} for row in made.sections[0].rows}


def test_rows_are_trained_measured_and_written(reproduction, planted, squares):
    made = reproduction.run()
    assert numbers(made) == {"Short": {"FVD": 11.0}, "Whole": {"FVD": 20.0}, "Quoted": {}}
    assert planted.calls == [(2, "frechet", 10), (4, "frechet", 10)]
    assert made.problems() == []
    page = pathlib.Path(reproduction.out_dir, f"{reproduction.name}.md").read_text()
    assert page == made.markdown()
    assert f"FVD, the best first. {squares}: Short, Whole; MUG: Short, Whole" in page
    assert "metric: frechet in place of FVD" in page
    assert "short: preset debug in place of paper: " in page
    told = json.loads(pathlib.Path(reproduction.out_dir, f"{reproduction.name}.json").read_text())
    assert told["sections"][0]["rows"][0]["published"]["NIR"] == {"FVD": "105.5"}


def test_a_row_that_fails_takes_no_other_with_it_and_is_made_up_for(reproduction, planted, capsys):
    planted.values[2] = ValueError("too few\nclips")
    made = reproduction.run()
    assert made.problems()[0].endswith(": too few clips")
    assert numbers(made) == {"Short": {}, "Whole": {"FVD": 20.0}, "Quoted": {}}
    assert "Short: too few clips" in capsys.readouterr().out.splitlines()
    planted.values[2], planted.calls[:] = 11.0, []
    made = reproduction.run()
    assert planted.calls == [(2, "frechet", 10)]  # alone, and nothing is trained again
    assert numbers(made)["Whole"] == {"FVD": 20.0} and made.problems() == []
    assert "===" not in capsys.readouterr().out


def test_what_is_asked_otherwise_is_measured_again_and_kept_where_that_fails(reproduction, planted):
    reproduction.run()
    planted.values[2], planted.calls[:] = ValueError("no"), []
    fewer = dataclasses.replace(reproduction.measuring, num=4)
    made = dataclasses.replace(reproduction, measuring=fewer).run()
    assert planted.calls == [(2, "frechet", 4), (4, "frechet", 4)]
    assert made.problems()[0].endswith(": no (What stands there is of an earlier call.)")
    cells = {row.name: row.cells["FVD"] for row in made.sections[0].rows[:2]}
    assert (cells["Short"].clips, cells["Whole"].clips) == (10, 4)
    assert "4 clips measured in place of 10" in made.markdown()


def test_a_signal_ends_the_table_with_what_is_done(reproduction, planted, monkeypatch):
    from kerasvid.reproduction import trainings

    train = trainings.train

    def stopped_in_short(plan, run, strategy):
        outcome = train(plan, run, strategy)
        return dataclasses.replace(outcome, signal=15) if plan.frames == 2 else outcome

    rows = (reproduction.table.rows[1], reproduction.table.rows[0])
    table = dataclasses.replace(reproduction.table, rows=rows)
    reproduction = dataclasses.replace(reproduction, table=table)
    monkeypatch.setattr(trainings, "train", stopped_in_short)
    with pytest.raises(Stopped) as stopped:
        reproduction.run()
    assert stopped.value.signal == 15
    written = known_cells(os.path.join(reproduction.out_dir, f"{reproduction.name}.json"))
    assert [name for _, name, _ in written] == ["Whole"]


def test_weights_of_the_published_network_bring_its_metric(reproduction, table):
    measuring = Measuring(i3d_weights="weights.npz")
    assert measuring.source(table.columns[0]) == ("fvd", "fvd/i3d")
    assert Measuring().source(table.columns[0]) == ("frechet", "frechet")
    without = dataclasses.replace(table.columns[0], without_weights=None)
    assert Measuring().source(without) == ("fvd", "fvd/i3d")


def test_a_metric_without_the_number_of_a_column_is_told(reproduction):
    nothing = Measuring(evaluate=lambda *_, **__: types.SimpleNamespace(measured=()))
    made = dataclasses.replace(reproduction, measuring=nothing).run()
    assert len(made.problems()) == 2 and "not 'frechet'" in made.problems()[0]


def test_looking_at_it_trains_and_writes_nothing(reproduction, planted, tmp_path):
    text = reproduction.describe()
    assert [*tmp_path.iterdir()] == [] and planted.calls == []
    assert "Short: short, " in text and "not begun; measured: nothing" in text
    assert "Quoted: as published alone" in text
    assert "--set=frames=2" in text
    assert "metric: frechet in place of FVD" in text
    reproduction.run()
    assert "finished, 2 steps; measured: FVD 11 (10 to 12)" in reproduction.describe()


def test_a_run_whose_source_failed_fails_likewise(reproduction, monkeypatch):
    short = dataclasses.replace(reproduction.table.trainings["short"], init_from="source")
    trainings = {**reproduction.table.trainings, "short": short, "source": short}
    trainings["source"] = dataclasses.replace(short, init_from=None)
    table = dataclasses.replace(reproduction.table, trainings=trainings)

    def fail(plan, *_):
        raise RunError("the loss became NaN")

    monkeypatch.setattr("kerasvid.reproduction.trainings.train", fail)
    made = dataclasses.replace(reproduction, table=table).run()
    assert [line.rpartition(": ")[2] for line in made.problems()] == ["the loss became NaN"] * 2
