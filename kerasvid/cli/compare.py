"""Lets people compare the clips of two runs on a page, and counts their answers.

python apps/compare.py --runs=runs/rjvae-sprites,runs/dsa-sprites --out=study
python apps/compare.py --runs=runs/rjvae-sprites,real --out=study --stacked
python apps/compare.py --study=study --answers=anna.csv,ben.csv
"""

import dataclasses
import json
import os
import pathlib
import sys

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow
from kerasvid.naming import python_command

FLAGS = _F = flags.FlagValues()
flags.DEFINE_list(
    "runs", [], "Two runs, or a run and the word real: held-out clips of its data.", flag_values=_F
)
flags.DEFINE_string(
    "out", None, "Folder to make, with index.html for raters and study.json.", flag_values=_F
)
flags.DEFINE_integer("pairs", 128, "To classifier.", lower_bound=1, flag_values=_F)
flags.DEFINE_integer("seed", 0, "Of clips, pairs, sides and order.", lower_bound=0, flag_values=_F)
flags.DEFINE_integer(
    "frames", None, "Of a clip; by default the models'.", lower_bound=1, flag_values=_F
)
flags.DEFINE_float("fps", None, "Frames a second; by default as fast as the data.", flag_values=_F)
flags.DEFINE_bool(
    "stacked", False, "Show all frames at once, for short clips of small movements.", flag_values=_F
)
flags.DEFINE_bool(
    "images", False, "Compare single images of the models' image priors.", flag_values=_F
)
flags.DEFINE_string("title", None, "Of the page; it should name no model.", flag_values=_F)
flags.DEFINE_string(
    "question", None, "That raters answer; by default which looks more realistic.", flag_values=_F
)
flags.DEFINE_string(
    "description", None, "Of the data, for raters; by default its one line.", flag_values=_F
)
flags.DEFINE_string("data_dir", None, "Where data sets live, if they were moved.", flag_values=_F)
flags.DEFINE_bool(
    "overwrite", False, "Replace a study without answers that is already there.", flag_values=_F
)
flags.DEFINE_string("study", None, "Folder of the study that was answered.", flag_values=_F)
flags.DEFINE_list("answers", [], "CSV files of raters, or folders of them.", flag_values=_F)
_OF_ANSWERS = ("study", "answers")
_OF_PAGES = ("runs", "out", "pairs", "seed", "frames", "fps", "stacked", "images", "title",
             "question", "description", "data_dir", "overwrite")  # fmt: skip


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError, OSError):
        refuse_arguments(argv)
        given = [name for name in (*_OF_ANSWERS, *_OF_PAGES) if _F[name].present]
        counting = [name for name in given if name in _OF_ANSWERS]
        if counting and (others := [name for name in given if name in _OF_PAGES]):
            raise ValueError(f"--{others[0]} makes a study, --{counting[0]} counts one: give one.")
        if counting and not (_F.study and _F.answers):
            raise ValueError("Counting takes both: --study=study --answers=rater1.csv,rater2.csv.")
        if counting:
            return _count()
        if len(_F.runs) != 2 or not _F.out:
            raise ValueError("Give two --runs=runs/a,runs/b and --out, or --study and --answers.")
    _make()


def _count() -> None:
    from kerasvid.comparison.answers import answer_files, read_answers
    from kerasvid.comparison.preference import measure_preference
    from kerasvid.comparison.study import load_study
    from kerasvid.io import atomic_write

    study = load_study(_F.study)
    preference = measure_preference(read_answers(answer_files(_F.answers), study), study)
    print(f"{preference.table()}\n{preference.verdict}")
    folder = _F.study if os.path.isdir(_F.study) else os.path.dirname(_F.study)
    as_json = json.dumps(preference.as_dict(), indent=1, ensure_ascii=False) + "\n"
    for name, text in (("json", as_json), ("md", preference.markdown())):
        with atomic_write(path := os.path.join(folder, f"preference.{name}")) as file:
            pathlib.Path(file).write_text(text, encoding="utf-8")
        print(path)


def _make() -> None:
    start_tensorflow()
    from kerasvid.comparison.shown_clips import clips_of_runs, common_frame_rate
    from kerasvid.comparison.study import make_study
    from kerasvid.comparison.study_page import check_study_folder, write_study
    from kerasvid.training.run_folder import ERRORS
    from tfrecords_tools import registry

    def find_data(config):
        folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
        return dataclasses.replace(config, data_folder=folder)

    with one_line_errors(ValueError, registry.ConversionError, *ERRORS):
        check_study_folder(_F.out, _F.overwrite)
        options = {name: _F[name].value for name in ("frames", "seed", "images")}
        shown, configs = clips_of_runs(_F.runs, _F.pairs, find_data=find_data, **options)
        if len(names := sorted({config.dataset for config in configs})) > 1:
            print(f"note: the runs learned from {' and '.join(names)}", file=sys.stderr)
        title = next((d.title for d in registry.DATASETS if [d.name] == names), "")
        description = f"The clips show {title}." if title else ""
        texts = {name: _F[name].value for name in ("seed", "stacked", "title", "question")}
        clips, known = ({r: getattr(s, n) for r, s in shown.items()} for n in ("clips", "known"))
        fps = common_frame_rate(configs) if _F.fps is None else _F.fps
        texts["description"] = description if _F.description is None else _F.description
        study = make_study(clips, known, fps, **texts)
        size = write_study(study, clips, _F.out, _F.overwrite) / 2**20
        print(f"{_F.out}: {len(study.pairs)} pairs, a page of {size:.2f} MiB, study {study.id}")
        print(f"give raters {_F.out}/index.html, and keep {_F.out}/study.json, which is the key")
        count = (f"--study={_F.out}", "--answers=rater1.csv,rater2.csv")
        print(f"count their answers: {python_command('apps/compare.py', *count)}")
