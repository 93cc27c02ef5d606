"""The command lines of converters: flags in, a data set or one line on stderr out."""

import dataclasses
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import flags

from kerasvid.data.records import DatasetInfo
from kerasvid.io import described
from kerasvid.naming import nearest_names
from tfrecords_tools.conversion import ConversionError


def option(
    default: Any,
    text: str,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A field of `Options`: its default, the help text of its flag, and the allowed values."""
    metadata = {"text": text, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """Base class of the options of a converter; every field comes from `option`.

    Raises:
        ConversionError: a value is not allowed.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, allowed = getattr(self, field.name), field.metadata
            low, high = allowed["low"], allowed["high"]
            if value is None:
                continue
            if allowed["choices"] and value not in allowed["choices"]:
                known = ", ".join(allowed["choices"])
                raise ConversionError(f"{field.name}={value!r}: use one of {known}.")
            # Negated, so that NaN is out of bounds.
            if not ((low is None or value >= low) and (high is None or value <= high)):
                bounds = f"{low} or more" if high is None else f"from {low} to {high}"
                raise ConversionError(f"{field.name}={value}: must be {bounds}.")


def run_converter(
    description: str,
    prepare: Callable[..., DatasetInfo] | Mapping[str, Callable[..., DatasetInfo]],
    source_help: str,
    arguments: Sequence[str] | None = None,
    options: type[Options] | None = None,
) -> None:
    """Parses --source_dir, --out_dir and the further flags, and makes a data set.

    Args:
        description: of the converter, for --help.
        prepare: called as `prepare(out_dir, source_dir, skip_unreadable=..., overwrite=...)`, with
            an instance of `options` as third argument. Several functions by name add the flag
            --variant, the first is its default.
        source_help: help text of --source_dir.
        arguments: in place of those of the process.
        options: a flag is added for each of its fields.

    Raises:
        SystemExit: a mistake of the user, with one line for each.

    Example:
        main = functools.partial(run_converter, __doc__, prepare, "Folder of the videos.")
    """
    values = writing_flags("Folder of the new data set.")
    own: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_string("source_dir", None, source_help, **own)
    unreadable = "Skipping of unreadable files, with a line for each; else they are an error."
    flags.DEFINE_bool("skip_unreadable", False, unreadable, **own)
    variants = dict(prepare) if isinstance(prepare, Mapping) else {}
    if variants:
        names = list(variants)
        flags.DEFINE_enum("variant", names[0], names, "Variant of the data set.", **own)
    if options:
        option_flags(options, values)

    def work() -> list[str]:
        given = [values.out_dir, values.source_dir]
        if options:
            given.append(given_options(options, values))
        function: Any = variants[values.variant] if variants else prepare
        switches = {"skip_unreadable": values.skip_unreadable, "overwrite": values.overwrite}
        return describe_dataset(function(*given, **switches), values.out_dir)

    run_command(description, values, ["out_dir"], work, arguments)


def option_flags(options: type[Options], values: flags.FlagValues) -> None:
    """Defines a flag for each field of `options`."""
    own: dict[str, Any] = {"flag_values": values}
    for field in dataclasses.fields(options):
        default: Any = field.default
        name, text = field.name, field.metadata["text"]
        kinds = (field.type, *typing.get_args(field.type))
        if field.metadata["choices"]:
            flags.DEFINE_enum(name, default, field.metadata["choices"], text, **own)
        elif isinstance(default, tuple):
            flags.DEFINE_list(name, list(default), text, **own)
        elif isinstance(default, bool):
            flags.DEFINE_bool(name, default, text, **own)
        elif float in kinds:
            flags.DEFINE_float(name, default, text, **own)
        elif str in kinds:
            flags.DEFINE_string(name, default, text, **own)
        else:
            flags.DEFINE_integer(name, default, text, **own)


def given_options(options: type[Options], values: flags.FlagValues) -> Any:
    """An instance of `options` with the values of its flags."""
    chosen = {field.name: values[field.name].value for field in dataclasses.fields(options)}
    lists = {name: tuple(value) for name, value in chosen.items() if type(value) is list}
    return options(**{**chosen, **lists})


def chosen_part(
    name: str,
    kind: str,
    wanted: str | None,
    fitting: Sequence[str],
    known: Sequence[str],
    what: str,
) -> str | None:
    """A part of a data set of another library that is asked for, or the only one that fits.

    Args:
        name: of the data set.
        kind: what its parts are called there, as "column".
        wanted: the part that is asked for, if any.
        fitting: the parts that fit.
        known: all parts.
        what: what those that fit have.

    Returns:
        The part; `None` where none is asked for and not exactly one fits.

    Raises:
        ConversionError: the part that is asked for is unknown, or does not fit.

    Example:
        >>> chosen_part("walks", "column", None, ["clip"], ["clip", "note"], "videos")
        'clip'
    """
    if wanted is None:
        return fitting[0] if len(fitting) == 1 else None
    if wanted not in known:
        raise ConversionError(f"{name}: no {kind} {wanted!r}; {nearest_names(wanted, known)}.")
    if wanted not in fitting:
        others = ", ".join(fitting) or f"no {kind}"
        raise ConversionError(f"{name}: the {kind} {wanted!r} has no {what}, as {others} has.")
    return wanted


def chosen_videos(
    name: str, kind: str, wanted: str | None, fitting: Sequence[str], known: Sequence[str]
) -> str:
    """The part of a data set that has its videos, as `chosen_part`; there must be one."""
    what = "videos and no sequences of images"
    found = chosen_part(name, kind, wanted, fitting, known, what)
    if found is not None:
        return found
    several = f"several {kind}s of videos ({', '.join(fitting)}). Give one of them as --{kind}"
    none = f"no {kind} of videos or of sequences of images among {', '.join(known)}"
    raise ConversionError(f"{name}: {several if fitting else none}.")


def writing_flags(out_dir: str) -> flags.FlagValues:
    """The flags --out_dir, with this help text, and --overwrite."""
    values = flags.FlagValues()
    flags.DEFINE_string("out_dir", None, out_dir, flag_values=values)
    text = "Replacement of an existing data set in --out_dir."
    flags.DEFINE_bool("overwrite", False, text, flag_values=values)
    return values


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
        values: its flags except --help.
        required: names of the flags that must be given.
        work: called when the flags are parsed; its errors of values and files get one line.
        arguments: in place of those of the process.

    Raises:
        SystemExit: a mistake of the user.
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
        sys.exit(f"error: {extra[0]}: is not a flag; write --flag=value, see --help.")
    for name in required:
        if not values[name].value:
            sys.exit(f"error: --{name} is missing; see --help.")
    try:
        lines = work()
    except (ValueError, OSError, tf.errors.OpError) as error:
        sys.exit(f"error: {described(error)}")
    print(*lines, sep="\n")


def describe_dataset(info: DatasetInfo, out_dir: str) -> list[str]:
    """Describes a new data set: a line for each split, and how to check it."""
    lines = [
        f"{split}: {clips.count} videos of {clips.min_length} to {clips.max_length} frames, "
        f"{info.height}x{info.width}"
        for split, clips in info.splits.items()
    ]
    return [*lines, f"Wrote {out_dir}. Check it: kerasvid data verify {out_dir}"]
