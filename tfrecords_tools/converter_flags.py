"""The command line that converters with variants share."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from absl import flags

from kerasvid.data.schema import DatasetInfo


def run_converter(
    description: str,
    variants: Mapping[str, Callable[..., DatasetInfo]],
    source_help: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Parses --variant, --source_dir, --out_dir and so on, and makes the data set.

    Args:
        description: of the converter, for --help.
        variants: by name, a function called as `prepare(out_dir, source_dir,
            skip_unreadable=..., overwrite=...)`; the first is the default.
        source_help: what --source_dir is.
        arguments: in place of those of the process.

    Raises:
        SystemExit: a mistake, as one line, or several if several files are unreadable; the
            process then ends with status 1.

    Example:
        run_converter(__doc__, {"avi": prepare_avi}, "Folder of the videos.")
    """
    values = _define_flags(list(variants), source_help)
    try:
        extra = values([sys.argv[0], *(sys.argv[1:] if arguments is None else arguments)])[1:]
    except flags.Error as error:
        sys.exit(f"error: {error}")
    if values.help:
        print(f"{description}\n{values.get_help(include_special_flags=False)}")
        return
    if extra:
        sys.exit(f"error: {extra[0]}: give everything as --flag=value; see --help.")
    if not values.out_dir:
        sys.exit("error: --out_dir is missing: the folder of the data set to make.")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # broken files get one line, ours
    try:
        info = variants[values.variant](
            values.out_dir, values.source_dir,
            skip_unreadable=values.skip_unreadable, overwrite=values.overwrite,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    counts = ", ".join(f"{split.count} {name}" for name, split in info.splits.items())
    print(f"{info.name}: {counts} clips in {values.out_dir}")


def _define_flags(variants: Sequence[str], source_help: str) -> flags.FlagValues:
    # Flags of their own: importing this module must not add to those of another program.
    values = flags.FlagValues()
    own = {"flag_values": values}
    flags.DEFINE_enum("variant", variants[0], variants, "Which data set to make.", **own)
    flags.DEFINE_string("source_dir", None, source_help, **own)
    flags.DEFINE_string("out_dir", None, "Folder of the data set to make.", **own)
    flags.DEFINE_bool("skip_unreadable", False, "Leave unreadable files out.", **own)
    flags.DEFINE_bool("overwrite", False, "Replace a data set in --out_dir.", **own)
    flags.DEFINE_bool("help", False, "Show this text.", **own)
    return values
