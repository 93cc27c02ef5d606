"""The command lines of the converters: what reaches them, what is printed, what is refused."""

import dataclasses

import pytest
from absl import flags

from kerasvid.data.records import DatasetInfo, ShardInfo, SplitInfo, shard_name
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converter_flags import Options, option, run_command, run_converter

SPLITS = {
    split: SplitInfo(count, 1, 1, (ShardInfo(shard_name(split, 0, 1), count, "0" * 64, 999),))
    for split, count in (("train", 5), ("test", 2))
}
INFO = DatasetInfo("mine", "1", 4, 4, 1, -1.0, splits=SPLITS)
PRINTED = """\
train: 5 videos of 1 to 1 frames, 4x4
test: 2 videos of 1 to 1 frames, 4x4
Wrote new. Check it: kerasvid data verify new
"""


@dataclasses.dataclass(frozen=True)
class ToyOptions(Options):
    """Options as a converter has them."""

    clips: int = option(500, "Number of clips.", low=0)
    margin: float = option(0.5, "Margin.", 0, 1)
    crop: bool = option(True, "Crop.")
    fps: float | None = option(None, "Frames per second.", low=1)
    mode: str = option("auto", "Mode.", choices=("auto", "strips"))
    classes: tuple[str, ...] = option(("a", "b"), "Names of the classes.")


class Converter:
    """Notes what it is called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, *arguments, **more):
        self.calls.append((arguments, more))
        if "broken" in arguments:
            raise OSError("broken: cannot be read")
        return INFO


def convert(arguments):
    one, two = Converter(), Converter()
    run_converter("What it does.", {"one": one, "two": two}, "The source.", arguments)
    return one.calls, two.calls


def convert_with_options(arguments):
    prepare = Converter()
    run_converter("What it does.", prepare, "The source.", arguments, ToyOptions)
    return prepare.calls


def test_a_variant_is_called_with_folders_and_switches(capsys):
    off = {"skip_unreadable": False, "overwrite": False}
    assert convert(["--out_dir=new"]) == ([(("new", None), off)], [])
    assert capsys.readouterr().out == PRINTED
    arguments = ["--variant=two", "--out_dir=new", "--source_dir=old"]
    switches = ["--skip_unreadable", "--overwrite"]
    assert convert(arguments + switches) == ([], [(("new", "old"), dict.fromkeys(off, True))])


def test_every_option_has_a_flag(capsys):
    assert convert_with_options(["--out_dir=new"])[0][0] == ("new", None, ToyOptions())
    arguments = ["--out_dir=new", "--source_dir=old", "--clips=3", "--classes=c,d,e", "--overwrite"]
    arguments += ["--margin=1", "--nocrop", "--fps=2", "--mode=strips"]
    assert convert_with_options(arguments) == [
        (
            ("new", "old", ToyOptions(3, 1.0, False, 2.0, "strips", ("c", "d", "e"))),
            {"skip_unreadable": False, "overwrite": True},
        )
    ]
    assert capsys.readouterr().out == 2 * PRINTED


@pytest.mark.parametrize("run", [convert, convert_with_options])
def test_help_is_printed_in_place_of_work(run, capsys):
    assert not any(run(["--help", "--out_dir=new"]))
    printed = capsys.readouterr().out
    assert printed.startswith("What it does.\n") and "The source." in printed
    assert "--out_dir" in printed and "--[no]overwrite" in printed and "mine" not in printed


@pytest.mark.parametrize("run", [convert, convert_with_options])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: --out_dir is missing; see --help."),
        (["--out_dir=new", "old"], "error: old: is not a flag; write --flag=value, see --help."),
        (["--out_dir=new", "--source_dir=broken"], "error: broken: cannot be read"),
        (["--out_dir=new", "--frames=8"], "error: Unknown command line flag 'frames'"),
    ],
)
def test_a_mistake_gets_one_line(run, arguments, said):
    with pytest.raises(SystemExit) as stop:
        run(arguments)
    assert str(stop.value).startswith(said) and "\n" not in str(stop.value)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--clips=-1", "clips=-1: must be 0 or more."),
        ("--margin=1.5", "margin=1.5: must be from 0 to 1."),
        ("--fps=0", "fps=0.0: must be 1 or more."),
    ],
)
def test_values_that_are_not_allowed_get_one_line(flag, message):
    with pytest.raises(SystemExit) as stop:
        convert_with_options(["--out_dir=new", flag])
    assert stop.value.code == f"error: {message}"


def test_options_made_in_python_are_checked_too():
    with pytest.raises(ValueError, match=r"mode='x': use one of auto, strips\."):
        ToyOptions(mode="x")


def test_a_fault_of_the_program_keeps_its_trace():
    def work():
        raise TypeError("a fault")

    with pytest.raises(TypeError, match="a fault"):
        run_command("", flags.FlagValues(), [], work, [])


def test_the_flags_of_the_process_stay_as_they_were():
    before = set(flags.FLAGS)
    convert(["--out_dir=new"])
    convert_with_options(["--out_dir=new"])
    assert set(flags.FLAGS) == before


def test_nan_is_out_of_every_range():
    with pytest.raises(ConversionError, match="margin=nan: must be from 0 to 1"):
        ToyOptions(margin=float("nan"))
