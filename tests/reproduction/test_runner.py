"""A table from its trainings to its files: what fails alone, and what is not done twice."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import zipfile

import pytest

from kerasvid.evaluation.context import EvaluationConfig
from kerasvid.reproduction import runs
from kerasvid.reproduction.published import PublishedRun
from kerasvid.reproduction.results import known_cells
from kerasvid.reproduction.runs import Stopped
from kerasvid.training.run_folder import RunError


def numbers(made):
    """The values of the first section and seed, by row."""
    rows = made.sections[0].rows
    return {each.row.name: {n: c.value for n, c in first(each).items()} for each in rows}


def first(result):
    """The cells of the seed 0, by column."""
    return result.cells.get(0, {})


def files(reproduction):
    """The JSON file and the page."""
    return [pathlib.Path(reproduction.out_dir, f"{reproduction.name}.{e}") for e in ("json", "md")]


def test_rows_are_trained_measured_and_written(reproduction, planted, squares):
    made = reproduction.run()
    assert numbers(made) == {"Short": {"FVD": 11.0}, "Whole": {"FVD": 20.0}, "Quoted": {}}
    assert planted.calls == [(2, 10), (4, 10)]
    assert made.problems() == []
    text, page = (path.read_text() for path in files(reproduction))
    assert page == made.markdown()
    assert f"FVD, best first. {squares}: Short, Whole; MUG: Short, Whole" in page
    assert "metric: frechet (a classifier of squares) in place of FVD" in page
    assert "a classifier of squares: recognises label 50.0 % of 6 clips" in page
    assert "short: preset debug in place of paper" not in page  # it has the table's own frames
    assert "whole: preset debug in place of paper: frames 4 (30)" in page
    rows = json.loads(text)["sections"][0]["rows"]
    assert rows[0]["published"]["NIR"] == {"FVD": "105.5"}
    assert os.listdir(reproduction.runs.runs_dir) != []


def test_a_failed_row_stops_no_other_and_is_repeated(ready, planted, capsys):
    planted.values[2] = ValueError("too few\nclips")
    made = ready.run()
    assert made.problems()[0].endswith(": frechet: too few clips")
    assert numbers(made) == {"Short": {}, "Whole": {"FVD": 20.0}, "Quoted": {}}
    assert "Short: frechet: too few clips" in capsys.readouterr().out.splitlines()
    planted.values[2], planted.calls[:] = 11.0, []
    made = ready.run()
    assert planted.calls == [(2, 10)]  # alone, and nothing is trained again
    assert numbers(made)["Whole"] == {"FVD": 20.0} and made.problems() == []
    assert "===" not in capsys.readouterr().out


def test_a_metric_that_a_model_does_not_support_is_reported(ready, planted):
    planted.values[4] = "makes no clips"
    assert ready.run().problems()[0].endswith(": frechet: makes no clips.")


def test_other_choices_are_measured_again_and_old_numbers_kept_if_that_fails(ready, planted):
    ready.run()
    planted.values[2], planted.calls[:] = ValueError("no"), []
    made = dataclasses.replace(ready, evaluation=EvaluationConfig(num=4)).run()
    assert planted.calls == [(2, 4), (4, 4)]
    assert made.problems()[0].endswith(": no (An earlier call measured FVD.)")
    cells = {each.row.name: first(each)["FVD"] for each in made.sections[0].rows[:2]}
    assert (cells["Short"].clips, cells["Whole"].clips) == (10, 4)
    assert "4 clips measured in place of 10" in made.markdown()


def test_a_longer_run_is_measured_again(ready, planted):
    ready.run()
    planted.calls[:] = []
    ready.runs.table.runs["short"].values["training.steps"] = 3
    ready.run()
    assert planted.calls == [(2, 10)]


def test_a_run_that_was_saved_anew_is_measured_again(ready, planted):
    ready.run()
    planted.calls[:] = []
    ready.run()
    assert planted.calls == []
    saved = pathlib.Path(ready.sections()[0][1][0].folder("whole")) / "model.keras"
    with zipfile.ZipFile(saved, "a") as archive:  # of the same step
        archive.writestr("other", "weights")
    ready.run()
    assert planted.calls == [(4, 10)]


def test_a_signal_stops_the_table_and_finished_rows_are_kept(reproduction, with_runs, monkeypatch):
    train = runs.train

    def stopped(config, run, strategy):
        outcome = train(config, run, strategy)
        return dataclasses.replace(outcome, signal=15) if config.frames == 2 else outcome

    rows = (reproduction.runs.table.rows[1], reproduction.runs.table.rows[0])
    reproduction = with_runs(table=dataclasses.replace(reproduction.runs.table, rows=rows))
    monkeypatch.setattr(runs, "train", stopped)
    with pytest.raises(Stopped) as caught:
        reproduction.run()
    assert caught.value.args == (15,)
    assert [
        name for (_, name), cells in known_cells(files(reproduction)[0]).items() if cells.get(0)
    ] == ["Whole"]


def test_the_description_trains_and_writes_nothing(reproduction, planted, tmp_path):
    text = reproduction.describe()
    assert [*tmp_path.iterdir()] == [] and planted.calls == []
    assert re.search("  short, .*: not begun\n", text) and "| Short    | not measured yet" in text
    assert "| Quoted   |  " in text
    assert "--model=linear_interpolation" in text and "--set=frames=2" in text
    assert "metric: frechet in place of FVD" in text


def test_the_description_shows_what_exists(ready):
    ready.run()
    text = ready.describe()
    assert ": finished, 2 steps\n" in text and "| Short    | 11 (10 to 12) " in text


def test_a_run_whose_source_failed_fails_with_the_same_error(reproduction, with_runs, monkeypatch):
    short = dataclasses.replace(reproduction.runs.table.runs["short"], init_from="source")
    source = dataclasses.replace(short, init_from=None)
    table = dataclasses.replace(
        reproduction.runs.table,
        runs={**reproduction.runs.table.runs, "short": short, "source": source},
    )

    def fail(*_):
        raise RunError("the loss became NaN")

    monkeypatch.setattr(runs, "train", fail)
    made = with_runs(table=table).run()
    assert [line.rpartition(": ")[2] for line in made.problems()] == ["the loss became NaN"] * 2
    assert "source" in " ".join(made.sections[0].commands)


def test_seeds_are_trained_and_measured_one_by_one_and_resumed(
    reproduction, trained, planted, capsys
):
    shutil.copytree(trained, reproduction.runs.runs_dir)  # seed 0
    several = dataclasses.replace(reproduction, seeds=2)
    planted.values[2] = ValueError("killed")
    made = several.run()
    assert made.problems()[0].endswith(": seed 0: frechet: killed")
    assert planted.calls == [(2, 10), (4, 10), (2, 10), (4, 10)]
    planted.values[2], planted.calls[:] = 11.0, []
    capsys.readouterr()
    made = several.run()
    assert planted.calls == [(2, 10), (2, 10)] and "===" not in capsys.readouterr().out
    assert made.problems() == [] and made.sections[0].seeds == (0, 1)
    short = made.sections[0].rows[0]
    assert sorted(short.cells) == [0, 1] and short.cells[1]["FVD"].asked["seed"] == 1
    assert short.cells[0]["FVD"].asked["run"] + "-seed-1" == short.cells[1]["FVD"].asked["run"]
    page = made.markdown()
    assert "| 11 ± 0 (n=2) " in page and "trainings: 2 of each row, with the seeds 0, 1" in page
    assert "--seed=1" in page and several.name.endswith("-2-seeds")
    assert "trainings: one of each row, with the seed 0" in reproduction.describe()


def test_several_seeds_of_a_given_run_are_refused(with_runs):
    with pytest.raises(ValueError, match=r"--run=short=\.\.\.: one run, but --seeds=3 needs one"):
        dataclasses.replace(with_runs(given={"short": "x"}), seeds=3)


def test_columns_of_steps_are_measured_at_these_steps(reproduction, with_runs, planted):
    (column,) = reproduction.runs.table.columns
    short = {"short": PublishedRun("glo", {"frames": 2}, steps=4)}
    table = dataclasses.replace(
        reproduction.runs.table,
        columns=[*map(column.after, (2, 4, 9)), column],
        rows=reproduction.runs.table.rows[:1],
        runs=short,
    )
    made = with_runs(table=table).run()
    assert made.problems() == []
    cells = first(made.sections[0].rows[0])
    steps = {name: each.asked["step"] for name, each in cells.items()}
    assert steps == {"FVD at 2": 2, "FVD at 4": 4, "FVD": 4}
    assert cells["FVD at 2"].asked["run"].endswith("/kept/step-000002")
    assert "--keep_at=2,4 " in made.markdown() and "not measured yet" not in made.markdown()
    assert "in place of FVD:" in made.markdown() and "in place of FVD at" not in made.markdown()
    made = with_runs(table=table, steps=6).run()  # the run goes on, its earlier end is kept
    longer = first(made.sections[0].rows[0])
    assert made.problems() == []
    assert longer["FVD at 4"].asked["run"].endswith("/kept/step-000004")
    assert longer["FVD"].asked["step"] == 6
    shutil.rmtree(pathlib.Path(cells["FVD at 2"].asked["run"]))
    made = with_runs(table=table, steps=6).run()
    assert "no weights of step 2 were kept. Train the run again" in made.problems()[0]
