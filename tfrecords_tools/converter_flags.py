"""The command lines of converters and tools: flags in, a data set or one line on stderr out."""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from absl import flags

from kerasvid.data.records import DatasetInfo


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
    values = _define_flags(source_help)
    names = list(variants)
    flags.DEFINE_enum("variant", names[0], names, "Which data set to make.", flag_values=values)

    def prepare(**more: bool) -> DatasetInfo:
        return variants[values.variant](values.out_dir, values.source_dir, **more)

    _run(description, values, prepare, arguments)


def run_with_options(
    description: str,
    prepare: Callable[..., DatasetInfo],
    options: type,
    option_help: Mapping[str, str],
    source_help: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """As `run_converter`, for one data set and a flag for each option of it.

    Args:
        description: of the converter, for --help.
        prepare: called as `prepare(out_dir, source_dir, options, skip_unreadable=...,
            overwrite=...)`.
        options: a dataclass whose defaults are numbers or tuples of strings.
        option_help: what each of its fields is.
        source_help: what --source_dir is.
        arguments: in place of those of the process.

    Raises:
        SystemExit: as `run_converter`.

    Example:
        run_with_options(__doc__, prepare, GolfOptions, {"clips": "How many."}, "The folder.")
    """
    values = _define_flags(source_help)
    for field in dataclasses.fields(options):
        text = option_help[field.name]
        if isinstance(field.default, tuple):
            flags.DEFINE_list(field.name, list(field.default), text, flag_values=values)
        elif isinstance(field.default, float):
            flags.DEFINE_float(field.name, field.default, text, flag_values=values)
        else:
            flags.DEFINE_integer(field.name, field.default, text, flag_values=values)

    def prepare_with_options(**more: bool) -> DatasetInfo:
        given = {name: values[name].value for name in option_help}
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return prepare(values.out_dir, values.source_dir, options(**{**given, **lists}), **more)

    _run(description, values, prepare_with_options, arguments)


def run_command(
    description: str,
    values: flags.FlagValues,
    required: Sequence[str],
    work: Callable[[], Sequence[str]],
    arguments: Sequence[str] | None = None,
) -> None:
    """Parses flags, does the work and prints the lines that it returns.

    Args:
        description: of the program, for --help.
        values: its flags but --help. They are its own, so that importing its module does not add
            to those of another program.
        required: names of those that must be given.
        work: called when `values` holds what was given; a ValueError or OSError is a mistake.
        arguments: in place of those of the process.

    Raises:
        SystemExit: a mistake, in words of its own; the process then ends with status 1.

    Example:
        values = flags.FlagValues()
        flags.DEFINE_string("data_dir", None, "Of the data set.", flag_values=values)
        run_command(__doc__, values, ["data_dir"], lambda: [load_info(values.data_dir).name])
    """
    flags.DEFINE_bool("help", False, "Show this text.", flag_values=values)
    try:
        extra = values([sys.argv[0], *(sys.argv[1:] if arguments is None else arguments)])[1:]
    except flags.Error as error:
        sys.exit(f"error: {error}")
    if values.help:
        print(f"{description}\n{values.get_help(include_special_flags=False)}")
        return
    if extra:
        sys.exit(f"error: {extra[0]}: give everything as --flag=value; see --help.")
    for name in required:
        if not values[name].value:
            sys.exit(f"error: --{name} is missing; see --help.")
    try:
        lines = work()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(*lines, sep="\n")


def describe_dataset(info: DatasetInfo, out_dir: str) -> list[str]:
    """What was made, a line a split, and how to check it."""
    lines = [
        f"{split}: {clips.count} videos of {clips.min_length} to {clips.max_length} frames, "
        f"{info.height}x{info.width}"
        for split, clips in info.splits.items()
    ]
    return [*lines, f"Wrote {out_dir}. Check it: kerasvid data verify {out_dir}"]


def _define_flags(source_help: str) -> flags.FlagValues:
    values = flags.FlagValues()
    own = {"flag_values": values}
    flags.DEFINE_string("source_dir", None, source_help, **own)
    flags.DEFINE_string("out_dir", None, "Folder of the data set to make.", **own)
    flags.DEFINE_bool("skip_unreadable", False, "Leave unreadable files out.", **own)
    flags.DEFINE_bool("overwrite", False, "Replace a data set in --out_dir.", **own)
    return values


def _run(
    description: str,
    values: flags.FlagValues,
    prepare: Callable[..., DatasetInfo],
    arguments: Sequence[str] | None,
) -> None:
    def work() -> list[str]:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # broken files get one line, ours
        info = prepare(skip_unreadable=values.skip_unreadable, overwrite=values.overwrite)
        counts = ", ".join(f"{split.count} {name}" for name, split in info.splits.items())
        return [f"{info.name}: {counts} clips in {values.out_dir}"]

    run_command(description, values, ["out_dir"], work, arguments)
