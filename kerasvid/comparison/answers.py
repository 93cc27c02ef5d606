"""The answers of raters: CSV files as the page of a study writes them."""

import csv
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kerasvid.comparison.study import Study, StudyError

COLUMNS = ("study", "rater", "pair", "chosen")  # and `seconds`, which is for people


class Answer(NamedTuple):
    """One choice.

    Args:
        rater: name, or an anonymous one.
        pair: of the study.
        side: chosen, "left" or "right", or "top" or "bottom".
        run: chosen, "a" or "b".
    """

    rater: str
    pair: str
    side: str
    run: str


def answer_files(paths: Sequence[str | os.PathLike]) -> list[pathlib.Path]:
    """Files as they are, and all `*.csv` of folders.

    Raises:
        StudyError: there is none.
    """
    files = []
    for path in map(pathlib.Path, paths):
        found = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not found:
            raise StudyError(f"{path}: holds no *.csv; give the files of the raters.")
        files += found
    if not files:
        raise StudyError("No answers: give --answers=rater1.csv,rater2.csv, or their folder.")
    return files


def read_answers(paths: Sequence[str | os.PathLike], study: Study) -> list[Answer]:
    """The answers of all files.

    Args:
        paths: CSV files of UTF-8, with a head and at least the columns `study`, `rater`, `pair`
            and `chosen`. A rater may have several files, and need not have answered all pairs.
        study: that they answer.

    Raises:
        StudyError: one line with the file and the line: a file that cannot be read, is of another
            study or empty, lacks columns, has a broken row, an unprintable name, an unknown pair or
            side, or an answer that the rater has given already.

    Example:
        >>> answers = read_answers(["anna.csv", "ben.csv"], load_study("study"))
    """
    answers, given = [], {}
    pairs = {pair.pair: pair for pair in study.pairs}
    for path in paths:
        before = len(answers)
        for place, row in _rows(pathlib.Path(path)):
            if row["study"] != study.id:
                raise StudyError(
                    f"{place}: answers of the study {row['study']!r}, not of {study.id!r}; give "
                    "the --study that they belong to."
                )
            rater, name, side = row["rater"], row["pair"], row["chosen"]
            if not rater:
                raise StudyError(f"{place}: no rater is named; fill the column in.")
            if not rater.isprintable():  # which would act on a terminal, or break a table
                raise StudyError(
                    f"{place}: the rater {rater!r} is not one line of text; give another name."
                )
            if name not in pairs:
                raise StudyError(f"{place}: the study has no pair {name!r}; restore the file.")
            if side not in study.sides:
                raise StudyError(f"{place}: chosen is {side!r}, not {' or '.join(study.sides)}.")
            if (rater, name) in given:
                raise StudyError(
                    f"{place}: {rater!r} has answered the pair {name} already, at "
                    f"{given[rater, name]}; give each file once, and each rater another name."
                )
            given[rater, name] = place
            answers.append(Answer(rater, name, side, study.chosen(pairs[name], side)))
        if len(answers) == before:
            raise StudyError(f"{path}: holds no answers; leave it out.")
    return answers


def _rows(path: pathlib.Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a file, by column without spaces around, and where each stands."""
    try:
        # Spreadsheets put a byte order mark before the first column.
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = [name.strip() for name in next(reader, [])]
            if missing := [name for name in COLUMNS if name not in head]:
                raise StudyError(
                    f"{path}: the columns {', '.join(missing)} are missing; it must be a CSV file "
                    "with commas, as the page writes it."
                )
            for row in reader:
                if not row:
                    continue  # an empty line
                place = f"{path}, line {reader.line_num}"
                if len(row) != len(head):
                    raise StudyError(
                        f"{place}: {len(row)} fields where the head names {len(head)}; mend the "
                        "row, or leave it out."
                    )
                yield place, dict(zip(head, map(str.strip, row), strict=True))
    except csv.Error as error:
        raise StudyError(f"{path}, line {reader.line_num}: broken ({error}); mend it.") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: is no text in UTF-8; save it as such.") from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror or error}).") from error
