"""Reads the Oulu-CASIA NIR&VIS facial expression database (Zhao et al. 2011).

    kerasvid data oulu-casia --source_dir=OriginalImg --out_dir=data/oulu_casia

--source_dir is the folder of NI and VL, or one up to two levels above it:

    OriginalImg/<NI|VL>/<Strong|Weak|Dark>/P<NNN>/<Expression>/<NNN>.jpeg

By default it takes the near-infrared videos in strong light, the NIR of the paper on residual
vectors; --spectrum and --light choose others. Labels are anger, disgust, fear, happiness, sadness
and surprise. The identity is the person. A record is a whole sequence, from neutral to the height
of the expression, cropped to its face, as RGB. Sequences of fewer than --min_frames frames are left
out and counted. A tenth of the sequences of each expression is the test split, by seed; the people
in it are in the training split, too.
"""

import dataclasses
import functools
import os
import re
from typing import Any, NoReturn

from kerasvid.data.records import DatasetInfo
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converter_flags import option, run_converter
from tfrecords_tools.converters.expressions import ClipOptions, expression_folders, write_clips
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, image_paths, subfolders

LAYOUT = "OriginalImg/<NI|VL>/<Strong|Weak|Dark>/P<NNN>/<Expression>/<NNN>.jpeg"
SOURCE = (
    "https://www.oulu.fi/en/university/faculties-and-units/"
    "faculty-information-technology-and-electrical-engineering/"
    "center-machine-vision-and-signal-analysis"
)
SPECTRA = ("ni", "vl")
LIGHTS = ("strong", "weak", "dark")
FPS = 25.0
LEVELS = 2  # above NI and VL, at which the folder may be given
_CITATION = (
    "G. Zhao, X. Huang, M. Taini, S. Z. Li and M. Pietikäinen. Facial expression recognition from "
    "near-infrared videos. Image and Vision Computing 29(9), 2011."
)
_NEEDS = (
    "the folder of NI and VL; the database needs a licence agreement, apply to the Center for "
    f"Machine Vision and Signal Analysis, University of Oulu, {SOURCE} ({_CITATION})"
)


@dataclasses.dataclass(frozen=True)
class OuluOptions(ClipOptions):
    """Which sequences become videos, and how."""

    spectrum: str = option(
        "ni", "Spectrum of the videos, near-infrared (ni) or visible light (vl).", choices=SPECTRA
    )
    light: str = option("strong", "Illumination of the videos.", choices=LIGHTS)


def find_clips(
    source_dir: Folder | None, spectrum: str = "ni", light: str = "strong"
) -> list[Clip]:
    """Lists the sequences of one spectrum and light, in natural order, without reading them.

    Raises:
        ConversionError: the folder is missing, or has another layout.
    """
    root = _find_root(check_source_dir(source_dir, "oulu_casia", _NEEDS))
    folder = root
    for wanted in (spectrum, light):
        folder = _inside(folder, wanted) or _refuse(folder, f"no folder {wanted!r}")
    clips = []
    for person in subfolders(folder):
        if re.fullmatch(r"P\d{3}", person, re.IGNORECASE):
            for expression, place in expression_folders(os.path.join(folder, person)):
                below = os.path.relpath(place, root).replace(os.sep, "/")
                clips.append(Clip(below, expression, image_paths(place), person.upper()))
    return clips or _refuse(folder, "no sequences")


def _find_root(source_dir: str) -> str:
    """The folder of NI and VL; of several, the one named like OriginalImg."""
    level = [source_dir]
    for _ in range(LEVELS + 1):
        roots = [folder for folder in level if any(_inside(folder, s) for s in SPECTRA)]
        named = [folder for folder in roots if "originalimg" in os.path.basename(folder).lower()]
        roots = named or roots  # the folder PreProcess Img has the same videos
        if len(roots) == 1:
            return roots[0]
        if roots:
            raise ConversionError(f"{source_dir}: contains {' and '.join(roots)}; give one.")
        level = [os.path.join(folder, name) for folder in level for name in subfolders(folder)]
    return _refuse(source_dir, "no folder NI or VL")


def _inside(folder: str, wanted: str) -> str | None:
    """The subfolder of a name; its case does not matter."""
    names = (name for name in subfolders(folder) if name.lower() == wanted)
    return next((os.path.join(folder, name) for name in names), None)


def _refuse(folder: str, what: str) -> NoReturn:
    raise ConversionError(
        f"{folder}: {what} of the Oulu-CASIA database found; expected {LAYOUT}, for instance "
        "OriginalImg/NI/Strong/P001/Anger/000.jpeg."
    )


def prepare(
    out_dir: Folder, source_dir: Folder | None, options: OuluOptions | None = None, **writing: bool
) -> DatasetInfo:
    """Writes "oulu_casia", or e.g. "oulu_casia/vl-weak" (see `tfrecords_tools.converters`)."""
    options = options or OuluOptions()
    clips = find_clips(source_dir, options.spectrum, options.light)
    default = (options.spectrum, options.light) == (SPECTRA[0], LIGHTS[0])
    name = "oulu_casia" if default else f"oulu_casia/{options.spectrum}-{options.light}"
    licence = "for research, under the licence agreement with the University of Oulu"
    origin: dict[str, Any] = {"licence": licence, "source": SOURCE, "citation": _CITATION}
    info = DatasetInfo(name, "1", 64, 64, 3, FPS, **origin)
    return write_clips(out_dir, info, clips, options, **writing)


main = functools.partial(
    run_converter, __doc__, prepare, "Folder of the database.", options=OuluOptions
)
