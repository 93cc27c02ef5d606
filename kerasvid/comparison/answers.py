"""The answers of raters: CSV files that the page of a study writes."""

import csv
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kerasvid.comparison.study import Study, StudyError
from kerasvid.io import check_is_file

COLUMNS = ("study", "rater", "pair", "chosen")  # `seconds` is for people only


class Answer(NamedTuple):
    """One choice of a rater: the side, a name of `Study.sides`, and the run, "a" or "b"."""

    rater: str
    pair: str
    side: str
    run: str


def answer_files(paths: Sequence[str | os.PathLike]) -> list[pathlib.Path]:
    """The given files, and all `*.csv` of the given folders; a StudyError if one has none."""
    files = []
    for path in map(pathlib.Path, paths):
        found = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not found:
            raise StudyError(f"{path}: no *.csv in this folder. Give the raters' files.")
        files += found
    return files


def read_answers(paths: Sequence[str | os.PathLike], study: Study) -> list[Answer]:
    """Reads the answers of all files.

    Args:
        paths: CSV files in UTF-8 with a header line and at least the columns `study`, `rater`,
            `pair` and `chosen`. A rater may have several files and may leave pairs out.
        study: the answered study.

    Raises:
        StudyError: a file cannot be read or belongs to another study, or a row is invalid; the
            message names the file and the line.

    Example:
        >>> answers = read_answers(["anna.csv", "ben.csv"], load_study("study"))
    """
    answers: list[Answer] = []
    given: dict[tuple[str, str], str] = {}
    pairs = {pair.pair: pair for pair in study.pairs}
    for path in paths:
        before = len(answers)
        for place, row in _rows(pathlib.Path(path)):
            rater, name, side = row["rater"], row["pair"], row["chosen"]
            problem = None
            if row["study"] != study.id:
                problem = f"the study is {row['study']!r}, not {study.id!r}. Give its --study."
            elif not rater:
                problem = "the rater has no name. Fill in the column."
            elif not rater.isprintable():  # it could act on a terminal, or break a table
                problem = f"the rater {rater!r} is not one printable line. Change the name."
            elif name not in pairs:
                problem = f"the study has no pair {name!r}. Restore the file."
            elif side not in study.sides:
                problem = f"chosen is {side!r}. Use {' or '.join(study.sides)}."
            elif (rater, name) in given:
                problem = (
                    f"{rater!r} answered the pair {name} before, at {given[rater, name]}. Give "
                    "each file once and each rater an own name."
                )
            if problem:
                raise StudyError(f"{place}: {problem}")
            given[rater, name] = place
            answers.append(Answer(rater, name, side, study.chosen(pairs[name], side)))
        if len(answers) == before:
            raise StudyError(f"{path}: no answers in this file. Leave it out.")
    return answers


def _rows(path: pathlib.Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The place and the stripped fields of each row."""
    try:
        check_is_file(path)
        # Spreadsheets put a byte order mark before the first column.
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = [name.strip() for name in next(reader, [])]
            if missing := [name for name in COLUMNS if name not in head]:
                names = ", ".join(missing)
                raise StudyError(f"{path}: columns missing: {names}. Use a CSV file with commas.")
            for row in filter(None, reader):
                place = f"{path}, line {reader.line_num}"
                if len(row) != len(head):
                    sizes = f"{len(row)} fields, but {len(head)} columns"
                    raise StudyError(f"{place}: {sizes}. Correct the row or remove it.")
                yield place, dict(zip(head, map(str.strip, row), strict=True))
    except csv.Error as error:
        place = f"{path}, line {reader.line_num}"
        raise StudyError(f"{place}: not valid CSV ({error}). Correct the line.") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 text. Save the file as UTF-8.") from error
    except OSError as error:
        why = error.strerror or error
        raise StudyError(f"{path}: cannot be read ({why}). Check --answers.") from error
