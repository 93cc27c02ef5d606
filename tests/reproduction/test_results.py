"""A reproduced table as a page and as a file that is read again."""

import dataclasses
import json
import math

import pytest

from kerasvid.reproduction.published import REAL, Column
from kerasvid.reproduction.results import Cell, Reproduced, known_cells, ranking, sections_of

FVD = Column("FVD", "lower", "fvd", ("fvd",))


def cell(value, low=None, high=None, std=None, **protocol):
    return Cell("frechet", value, low, high, std, 10, "lower", protocol, {"num": 10})


@pytest.fixture
def made(table) -> Reproduced:
    """The small table with one row measured, one failed, and one quoted."""
    (section,) = sections_of(table)
    short, whole, _ = section.rows
    short.cells[0] = {"FVD": cell(12.345, 11.0, 13.5)}
    whole.problem = "no such luck"
    section.dataset, section.deviations, section.commands = "squares", ["data set"], ["train it"]
    return Reproduced(table, [section])


def test_the_page_shows_our_numbers_beside_the_published_ones(made):
    lines = made.markdown().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    grid = [[text.strip() for text in line.split("|")[1:-1]] for line in lines[start : start + 5]]
    assert grid[0] == [
        "method",
        "FVD by frechet ↓, squares",
        "FVD, MUG, published",
        "FVD, NIR, published",
    ]
    assert grid[2:] == [
        ["Short", "12.35 (11 to 13.5)", "99.9", "105.5"],
        ["Whole", "not measured yet", "134.8", "125.7"],
        ["Quoted", "", "104.4", "N/A"],
    ]
    assert {*grid[1][0]} == {"-"}
    made.sections[0].rows[0].cells[0]["FVD"] = dataclasses.replace(cell(1.0), name="fvd")
    assert "| FVD ↓, squares " in made.markdown()
    assert len({len(line) for line in lines[start : start + 5]}) == 1
    assert "- Whole: no such luck" in lines and "- data set" in lines
    assert "- the paper is short" in lines and "train it" in lines
    assert made.problems() == ["Whole, squares: no such luck"]


def test_a_column_without_a_value_for_real_clips_is_not_missing(made):
    (section,) = made.sections
    for result in section.rows:
        result.row = dataclasses.replace(result.row, clips=REAL)
    assert "not measured yet" not in made.markdown()


def test_measured_methods_are_ranked(made):
    (section,) = made.sections
    section.rows[1].cells[0] = {"FVD": cell(9.0, 8.0, 11.5)}
    assert ranking(section, FVD) == "Whole ≈ Short"
    assert ranking(section, dataclasses.replace(FVD, better="higher")) == "Short ≈ Whole"
    section.rows[1].cells[0] = {"FVD": cell(9.0, 8.0, 10.9)}
    text = "FVD, best first. squares: Whole, Short; MUG: Short, Whole; NIR: Short, Whole."
    assert text in made.markdown().splitlines()
    assert "intervals overlap" not in made.markdown()


def test_written_values_are_read_again_also_infinite_ones(made, tmp_path):
    (section,) = made.sections
    section.rows[0].cells[0]["FVD"] = cell(
        -math.inf, std=2.0, classifier="a classifier", data=[1, 2]
    )
    paths = made.write(tmp_path, "table")
    assert [path.name for path in paths] == ["table.json", "table.md"]
    assert {k: [*v] for k, v in known_cells(paths[0]).items() if v} == {("squares", "Short"): [0]}
    assert known_cells(paths[0])["squares", "Short"] == section.rows[0].cells
    json.loads(paths[0].read_text(), parse_constant=pytest.fail)  # no NaN or Infinity
    assert {path.name for path in tmp_path.iterdir()} == {"table.json", "table.md"}
    assert known_cells(tmp_path / "other.json") == {}


@pytest.mark.parametrize("text", ["", "[]", '{"sections": [{"rows": 3}]}', "{"])
def test_another_file_is_refused_and_kept(text, tmp_path):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(
        ValueError, match=r"table.json: not a file of kerasvid reproduce .* Rename it"
    ):
        known_cells(path)
    assert path.read_text() == text


def test_cells_show_four_digits_and_an_interval_or_std_in_the_unit_of_the_column():
    share = Column("Acc %", "higher", "m", ("m",), scale=100.0)
    distance = Column("L2", "lower", "m", ("m",), spread="std")
    assert cell(0.98765, 0.97, 0.995).text(share) == "98.77 (97 to 99.5)"
    assert cell(54.9216, 50.0, 60.0, 19.16).text(distance) == "54.92 ± 19.16"
    assert cell(54.9216, 50.0, 60.0).text(distance) == "54.92"
    assert cell(12345.6).text(FVD) == "12346"
    assert cell(-math.inf).text(FVD) == "-inf"


def test_a_bar_in_a_cell_does_not_end_it(made):
    made.table = dataclasses.replace(made.table, columns=[dataclasses.replace(FVD, name="H(y|x)")])
    assert "H(y\\|x)" in made.markdown()


def test_file_names_state_what_differs_from_the_default(reproduction):
    def name(datasets=(), **runs):
        runs = dataclasses.replace(reproduction.runs, **{"preset": "base", "config": {}, **runs})
        return dataclasses.replace(reproduction, runs=runs, datasets=datasets).name

    assert name() == "paper-1"
    assert name(("sprites/lpc",), preset="debug") == "paper-1-sprites-lpc-debug"
    assert name(("/data/my clips/",), steps=3) == "paper-1-data-my-clips-3-steps"
    assert name(frames=4, config={"seed": 2}) == "paper-1-seed-2-4-frames"


@pytest.fixture
def several(made):
    """The small table with three seeds of two rows, and "Whole" as the baseline."""
    (section,) = made.sections
    section.seeds = (0, 1, 2)
    for result, values in zip(section.rows, ((11.0, 12.0, 16.0), (20.0, 22.0, 27.0)), strict=False):
        result.problem = None
        result.cells = {seed: {"FVD": cell(value)} for seed, value in enumerate(values)}
    made.table = dataclasses.replace(made.table, baseline="Whole")
    return made


def test_several_seeds_are_shown_as_mean_std_and_difference_to_the_baseline(several):
    lines = several.markdown().splitlines()
    grid = [[text.strip() for text in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    assert grid[0][1:3] == ["FVD by frechet ↓, squares", "FVD, difference to Whole"]
    # Differences -9, -10, -11: mean -10, std 1, and 4.303 / sqrt(3) = 2.484.
    assert grid[2] == ["Short", "13 ± 2.646 (n=3)", "-10 (-12.48 to -7.516)", "99.9", "105.5"]
    assert grid[3][1:3] == ["23 ± 3.606 (n=3)", ""]
    assert grid[4][1:3] == ["", ""]
    line = "- FVD: Short better than Whole (MUG 99.9, 134.8; NIR 105.5, 125.7): holds, difference"
    assert f"{line} -10 (-12.48 to -7.516), 3 seeds" in lines
    assert "best first" not in several.markdown() and "Student's t" in several.markdown()


def test_the_file_keeps_the_number_of_every_seed(several, tmp_path):
    path, _ = several.write(tmp_path, "table")
    assert known_cells(path)["squares", "Whole"] == several.sections[0].rows[1].cells
    (section,) = json.loads(path.read_text())["sections"]
    assert section["seeds"] == [0, 1, 2] and section["baseline"] == "Whole"
    assert [each["outcome"] for each in section["orderings"]] == ["holds"]
    short = section["rows"][0]
    assert [short["measured"][seed]["FVD"]["value"] for seed in "012"] == [11.0, 12.0, 16.0]
    over_seeds = short["over_seeds"]["FVD"]
    assert (over_seeds["value"]["mean"], over_seeds["difference"]["mean"]) == (13.0, -10.0)


def test_a_missing_seed_leaves_the_others_and_infinite_values_are_listed(several):
    (section,) = several.sections
    del section.rows[0].cells[1]
    assert section.rows[0].shown(FVD, True) == "13.5 ± 3.536 (n=2)"
    assert ": undecided, difference -10 (-22.71 to +2.706), 2 seeds" in several.markdown()
    section.rows[0].cells[1] = {"FVD": cell(-math.inf)}
    assert section.rows[0].shown(FVD, True) == "11, 16, -inf"


def test_a_step_after_the_end_of_a_run_is_not_missing(made):
    whole = made.sections[0].rows[1]
    later = FVD.after(2_000)
    assert (later.name, later.quantity) == ("FVD at 2,000", "FVD")
    assert whole.shown(later) == "not measured yet"
    whole.steps = 1_000
    assert whole.shown(later) == ""
