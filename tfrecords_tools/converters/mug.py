"""Reads the MUG Facial Expression Database (Aifanti et al. 2010).

    kerasvid data mug --source_dir=MUG --out_dir=data/mug

--source_dir is the folder that contains subjects3, or subjects3 itself:

    subjects3/<subject>/<expression>/take<NNN>/img_<NNNN>.jpg

Labels are anger, disgust, fear, happiness, sadness and surprise, as in MoCoGAN and the paper on
residual vectors; neutral is left out. The identity is the subject. A record is a whole take,
cropped to its face. Takes of fewer than --min_frames frames are left out and counted. A tenth of
the takes of each expression is the test split, by seed; the people in it are in the training split,
too. The papers train on all takes, as does --test_fraction=0.
"""

import functools
import os
import re
from typing import Any

from kerasvid.data.records import DatasetInfo
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converter_flags import run_converter
from tfrecords_tools.converters.expressions import ClipOptions, expression_folders, write_clips
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, image_paths, subfolders

LAYOUT = "subjects3/<subject>/<expression>/take<NNN>/img_<NNNN>.jpg"
SOURCE = "https://mug.ee.auth.gr/fed/"
FPS = 19.0
LICENCE = f"for research, under the licence agreement of the database ({SOURCE})"
_CITATION = (
    "N. Aifanti, C. Papachristou and A. Delopoulos. The MUG Facial Expression Database. "
    "WIAMIS 2010."
)
_NEEDS = (
    "the folder that contains subjects3; the database needs a licence agreement, apply at "
    f"{SOURCE} ({_CITATION})"
)


def find_clips(source_dir: Folder | None) -> list[Clip]:
    """Lists the takes of the six expressions, in natural order, without reading them.

    A further folder level between subject and expression, as for sessions, is allowed.

    Raises:
        ConversionError: the folder is missing or has no takes in the layout of the database.
    """
    source_dir = check_source_dir(source_dir, "mug", _NEEDS)
    root = os.path.join(source_dir, "subjects3")
    root = root if os.path.isdir(root) else source_dir
    clips = []
    for subject in subfolders(root):
        if not re.fullmatch(r"\d{3}", subject):
            continue
        home = os.path.join(root, subject)
        for folder in (home, *(os.path.join(home, name) for name in subfolders(home))):
            for expression, place in expression_folders(folder):
                for name in subfolders(place):
                    if re.fullmatch(r"take\d+", name, re.IGNORECASE):
                        take = os.path.join(place, name)
                        below = os.path.relpath(take, root).replace(os.sep, "/")
                        clips.append(Clip(below, expression, image_paths(take), subject))
    if not clips:
        example = "subjects3/001/anger/take000/img_0000.jpg"
        what = f"no takes of the MUG database found; expected {LAYOUT}, for instance {example}"
        raise ConversionError(f"{source_dir}: {what}.")
    return clips


def prepare(
    out_dir: Folder, source_dir: Folder | None, options: ClipOptions | None = None, **writing: bool
) -> DatasetInfo:
    """Writes the data set "mug" (see `tfrecords_tools.converters`)."""
    origin: dict[str, Any] = {"licence": LICENCE, "source": SOURCE, "citation": _CITATION}
    info = DatasetInfo("mug", "1", 64, 64, 3, FPS, **origin)
    return write_clips(out_dir, info, find_clips(source_dir), options or ClipOptions(), **writing)


main = functools.partial(
    run_converter, __doc__, prepare, "Folder of the database.", options=ClipOptions
)
