import os

import pytest

from kerasvid.comparison.answers import Answer, answer_files, read_answers
from kerasvid.comparison.study import StudyError


def test_answers_are_scored_by_the_key(study, write_answers):
    files = [write_answers(study, "anna", "abab"), write_answers(study, "ben", "..b")]
    answers = read_answers(files, study)
    assert [(a.rater, a.pair, a.run) for a in answers] == [
        ("anna", "01", "a"), ("anna", "02", "b"), ("anna", "03", "a"), ("anna", "04", "b"),
        ("ben", "03", "b"),
    ]  # fmt: skip
    for answer, pair in zip(answers, [*study.pairs[:4], study.pairs[2]], strict=True):
        assert answer.side == ("left" if answer.run == pair.first else "right")


def test_files_that_went_through_a_spreadsheet_are_read(study, tmp_path):
    text = f'\ufeffpair, chosen ,rater,study,mood\r\n"02",right,"von A, B",{study.id},\r\n\r\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    run = study.chosen(study.pairs[1], "right")
    assert read_answers([tmp_path / "a.csv"], study) == [Answer("von A, B", "02", "right", run)]


def test_a_folder_gives_its_files(tmp_path):
    for name in ("b.csv", "a.csv", "notes.txt"):
        (tmp_path / name).touch()
    found = answer_files([tmp_path, "c.csv"])
    assert [path.name for path in found] == ["a.csv", "b.csv", "c.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match=r"empty: no \*.csv in this folder"):
        answer_files([tmp_path / "empty"])


HEAD = b"study,rater,pair,chosen,seconds\r\n"
ROW = b"ID,anna,01,left,1.0\r\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "columns missing: study, rater, pair, chosen"),
        (b"study;rater;pair;chosen\r\n", "Use a CSV file with commas"),
        (b"study,rater,chosen\r\n", "columns missing: pair"),
        (HEAD, "no answers in this file. Leave it out"),
        (HEAD + b"0123456789ab,anna,01,left,1\r\n", "line 2: the study is '0123456789ab', not "),
        (HEAD + ROW + b"ID,anna,11,left,1\r\n", "line 3: the study has no pair '11'"),
        (HEAD + ROW + b"ID,anna,02,,1\r\n", "line 3: chosen is ''. Use left or right"),
        (HEAD + ROW + b"ID,anna,02,top,1\r\n", "line 3: chosen is 'top'. Use left or right"),
        (HEAD + ROW + b"ID,,02,left,1\r\n", "line 3: the rater has no name"),
        (HEAD + b"ID,\x1b[2Janna,02,left,1\r\n", r"line 2: the rater '\\x1b\[2Janna' is not one"),
        (
            HEAD + b'ID,"an\nna",02,left,1\r\n',
            r"line 3: the rater 'an\\nna' is not one printable line",
        ),
        (HEAD + ROW + ROW, "line 3: 'anna' answered the pair 01 before, at .*line 2. Give"),
        (HEAD + ROW + b"ID,anna,02\r\n", "line 3: 3 fields, but 5 columns"),
        (HEAD + ROW + b'ID,anna,02,"left"x,1\r\n', "line 3: not valid CSV"),
        (
            HEAD + ROW + b'ID,"anna,02,left,1\r\n',
            r"line 3: not valid CSV \(unexpected end of data\)",
        ),
        (HEAD + b"ID,\xff\xfe,01,left,1\r\n", "not UTF-8 text"),
    ],
)
def test_an_error_in_a_file_names_its_line(study, tmp_path, content, message):
    path = tmp_path / "anna.csv"
    path.write_bytes(content.replace(b"ID", study.id.encode()))
    with pytest.raises(StudyError, match=message) as error:
        read_answers([path], study)
    assert "\n" not in str(error.value) and str(error.value).startswith(f"{path}")


def test_a_pipe_of_answers_is_refused_and_not_waited_for(study, tmp_path):
    os.mkfifo(tmp_path / "anna.csv")
    with pytest.raises(StudyError, match=r"anna\.csv: cannot be read \(Not a regular file\)"):
        read_answers([tmp_path / "anna.csv"], study)


def test_a_file_given_twice_is_refused(study, write_answers):
    path = write_answers(study, "anna", "ab")
    with pytest.raises(StudyError, match="'anna' answered the pair 01 before"):
        read_answers([path, path], study)
    with pytest.raises(StudyError, match=r"none.csv: cannot be read .No such file"):
        read_answers([path.with_name("none.csv")], study)
