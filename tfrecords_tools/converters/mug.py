"""Reads the MUG Facial Expression Database (Aifanti et al. 2010).

    kerasvid data mug --source_dir=MUG --out_dir=data/mug

--source_dir is the folder that contains subjects3, or subjects3 itself:

    subjects3/<subject>/<expression>/take<NNN>/img_<NNNN>.jpg

Labels are anger, disgust, fear, happiness, sadness and surprise, as in MoCoGAN and the paper on
residual vectors; neutral is left out. The identity is the subject. A record is a whole take,
cropped to its face; takes of fewer than --min_frames frames are left out and counted.

The papers train on all takes. Here a tenth of the takes of each expression is held out as test
split, by seed; the people in it are in the training split, too. --test_fraction=0 trains on all.
"""

import os
import re
from collections.abc import Sequence

from kerasvid.data.records import DatasetInfo
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters.expressions import (
    Clip,
    ClipOptions,
    expression_folders,
    image_paths,
    run_command_line,
    subfolders,
    write_clips,
)

LAYOUT = "subjects3/<subject>/<expression>/take<NNN>/img_<NNNN>.jpg"
SOURCE = "https://mug.ee.auth.gr/fed/"
FPS = 19.0
_CITATION = (
    "N. Aifanti, C. Papachristou and A. Delopoulos. The MUG Facial Expression Database. "
    "WIAMIS 2010."
)


def find_clips(source_dir: str | os.PathLike) -> list[Clip]:
    """Lists the takes of the six expressions, in natural order, without reading them.

    A further level between subject and expression, as for sessions, does no harm.

    Args:
        source_dir: the folder that contains subjects3, or subjects3 itself.

    Raises:
        ConversionError: the folder is absent or holds no takes in the layout of the database.

    Example:
        >>> find_clips("MUG")[0].id
        '001/anger/take000'
    """
    source_dir = os.fspath(source_dir)
    if not os.path.isdir(source_dir):
        raise ConversionError(f"{source_dir}: no such folder; give the folder of subjects3.")
    root = os.path.join(source_dir, "subjects3")
    if not os.path.isdir(root):
        root = source_dir
    subjects = [name for name in subfolders(root) if re.fullmatch(r"\d{3}", name)]
    clips = [clip for subject in subjects for clip in _takes(root, subject)]
    if not clips:
        raise ConversionError(
            f"{source_dir}: no takes of the MUG database found; expected {LAYOUT}, for instance "
            "subjects3/001/anger/take000/img_0000.jpg."
        )
    return clips


def _takes(root: str, subject: str) -> list[Clip]:
    home = os.path.join(root, subject)
    clips = []
    for folder in (home, *(os.path.join(home, name) for name in subfolders(home))):
        for expression, place in expression_folders(folder):
            for name in subfolders(place):
                if re.fullmatch(r"take\d+", name, re.IGNORECASE):
                    take = os.path.join(place, name)
                    below = os.path.relpath(take, root).replace(os.sep, "/")
                    clips.append(Clip(below, expression, subject, image_paths(take)))
    return clips


def prepare(
    out_dir: str | os.PathLike,
    source_dir: str | os.PathLike | None = None,
    options: ClipOptions | None = None,
    *,
    skip_unreadable: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> DatasetInfo:
    """Writes the data set "mug".

    Args:
        out_dir: folder of the data set, which appears when it is complete.
        source_dir: the folder that contains subjects3, or subjects3 itself.
        options: how takes become videos, by default `ClipOptions()`.
        skip_unreadable: leave out takes that cannot be read or show no face, with a line each.
        overwrite: replace a data set that is already there.
        progress: show a line of progress on stderr.

    Returns:
        The description of the data set.

    Raises:
        ConversionError: no source_dir, another layout, unreadable takes, or out_dir exists.

    Example:
        prepare("data/mug", "MUG", ClipOptions(min_frames=32, stride=2))
    """
    if not source_dir:
        raise ConversionError(
            "mug needs --source_dir, the folder that contains subjects3: the database needs a "
            f"licence agreement, apply at {SOURCE} ({_CITATION})"
        )
    info = DatasetInfo(
        "mug", "1", height=64, width=64, channels=3, fps=FPS,
        licence=f"for research, under the licence agreement of the database ({SOURCE})",
        source=SOURCE, citation=_CITATION,
    )  # fmt: skip
    return write_clips(
        out_dir, info, find_clips(source_dir), options or ClipOptions(),
        skip_unreadable=skip_unreadable, overwrite=overwrite, progress=progress,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; every mistake ends it with one line on stderr and status 1."""
    run_command_line(__doc__, prepare, {}, arguments)


if __name__ == "__main__":
    main()
