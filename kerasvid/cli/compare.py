"""Makes a page on which raters compare the clips of two runs, and counts their answers.

kerasvid compare --runs=runs/rjvae-sprites,runs/dsa-sprites --out=study
kerasvid compare --runs=runs/rjvae-sprites,real --out=study --stacked
kerasvid compare --study=study --answers=anna.csv,ben.csv
"""

import dataclasses
import json
import os
import pathlib
import sys

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow
from kerasvid.naming import command_line

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.list("runs", [], "Two run folders, or one and the word real (held-out clips of its data).")
define.string("out", None, "Folder to make, with index.html for raters and study.json.")
define.integer("pairs", 128, "Number of pairs of clips.", lower_bound=1)
define.integer("seed", 0, "Random seed of clips, pairs, sides and order.", lower_bound=0)
define.integer("frames", None, "Frames of a clip; default: the models'.", lower_bound=1)
define.float("fps", None, "Frames a second; default: the data's.")
define.bool("stacked", False, "All frames of a clip at once, for short clips of small movements.")
define.bool("images", False, "Single images of the models' image priors, in place of clips.")
define.string("title", None, "Title of the page; it should name no model.")
define.string("question", None, "Question to raters; default: which clip looks more realistic.")
define.string("description", None, "Description of the data; default: that of the data set.")
define.string("data_dir", None, "Folder that data sets are kept in, if they were moved.")
define.bool("overwrite", False, "Replacement of an existing study without answers.")
define.string("study", None, "Folder of the answered study.")
define.list("answers", [], "CSV files of raters, or folders of them.")
_COUNT_FLAGS = ("study", "answers")


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError, OSError):
        given = [name for name in _F if _F[name].present]
        counting = [name for name in given if name in _COUNT_FLAGS]
        if counting and (others := [name for name in given if name not in _COUNT_FLAGS]):
            raise ValueError(f"--{others[0]} makes a study, but --{counting[0]} counts answers. "
                             "Remove one of them.")  # fmt: skip
        if counting and not (_F.study and _F.answers):
            raise ValueError("Counting needs two flags. Give --study=... and --answers=....")
        if counting:
            return _count()
        if len(_F.runs) != 2 or not _F.out:
            raise ValueError("Give --runs=runs/a,runs/b with --out, or --study with --answers.")
    _make()


def _count() -> None:
    from kerasvid.comparison.answers import answer_files, read_answers
    from kerasvid.comparison.preference import measure_preference
    from kerasvid.comparison.study import load_study
    from kerasvid.io import atomic_write

    study = load_study(_F.study)
    preference = measure_preference(read_answers(answer_files(_F.answers), study), study)
    print(f"{preference.table()}\n{preference.conclusion}")
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

    with one_line_errors(ValueError, *ERRORS):
        check_study_folder(_F.out, _F.overwrite)
        shown, configs = clips_of_runs(
            _F.runs, _F.pairs, _F.frames, _F.seed, _F.images, find_data=find_data
        )
        if len(names := sorted({config.dataset for config in configs})) > 1:
            print(f"Note: the runs are trained on {' and '.join(names)}.", file=sys.stderr)
        title = next((d.title for d in registry.DATASETS if [d.name] == names), "")
        description = f"The clips show {title}." if title else ""
        clips, known = ({r: getattr(s, n) for r, s in shown.items()} for n in ("clips", "known"))
        fps = common_frame_rate(configs) if _F.fps is None else _F.fps
        description = description if _F.description is None else _F.description
        texts = _F.title, _F.question, description
        study = make_study(clips, known, fps, _F.seed, _F.stacked, *texts)
        size = write_study(study, clips, _F.out, _F.overwrite) / 2**20
        print(f"{_F.out}: study {study.id}, {len(study.pairs)} pairs, page of {size:.2f} MiB")
        print(f"Give raters {_F.out}/index.html. Keep {_F.out}/study.json, the key.")
        count = (f"--study={_F.out}", "--answers=rater1.csv,rater2.csv")
        print(f"Count their answers: {command_line('compare', *count)}")
