"""The command lines of the converters: what reaches them, what is printed, what is refused."""

import dataclasses

import pytest
from absl import flags

from kerasvid.data.records import DatasetInfo, SplitInfo
from tfrecords_tools.converter_flags import run_command, run_converter, run_with_options

SPLITS = {"train": SplitInfo(5, 1, 1, ()), "test": SplitInfo(2, 1, 1, ())}
INFO = DatasetInfo("mine", "1", 4, 4, 1, -1.0, splits=SPLITS)


@dataclasses.dataclass(frozen=True)
class Options:
    """Options as a converter has them."""

    clips: int = 500
    classes: tuple[str, ...] = ("a", "b")

    def __post_init__(self):
        if self.clips < 0:
            raise ValueError("clips: too few")


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
    texts = {"clips": "How many.", "classes": "Which."}
    run_with_options("What it does.", prepare, Options, texts, "The source.", arguments)
    return prepare.calls


def test_a_variant_is_called_with_folders_and_switches(capsys):
    off = {"skip_unreadable": False, "overwrite": False}
    assert convert(["--out_dir=new"]) == ([(("new", None), off)], [])
    assert capsys.readouterr().out == "mine: 5 train, 2 test clips in new\n"
    arguments = ["--variant=two", "--out_dir=new", "--source_dir=old"]
    switches = ["--skip_unreadable", "--overwrite"]
    assert convert(arguments + switches) == ([], [(("new", "old"), dict.fromkeys(off, True))])


def test_every_option_has_a_flag(capsys):
    assert convert_with_options(["--out_dir=new"])[0][0] == ("new", None, Options())
    arguments = ["--out_dir=new", "--source_dir=old", "--clips=3", "--classes=c,d,e", "--overwrite"]
    assert convert_with_options(arguments) == [
        (
            ("new", "old", Options(3, ("c", "d", "e"))),
            {"skip_unreadable": False, "overwrite": True},
        )
    ]
    assert capsys.readouterr().out == 2 * "mine: 5 train, 2 test clips in new\n"


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
        (["--out_dir=new", "old"], "error: old: give everything as --flag=value; see --help."),
        (["--out_dir=new", "--source_dir=broken"], "error: broken: cannot be read"),
        (["--out_dir=new", "--frames=8"], "error: Unknown command line flag 'frames'"),
    ],
)
def test_a_mistake_gets_one_line(run, arguments, said):
    with pytest.raises(SystemExit) as stop:
        run(arguments)
    assert str(stop.value).startswith(said) and "\n" not in str(stop.value)


def test_options_that_make_no_sense_get_one_line():
    with pytest.raises(SystemExit, match=r"^error: clips: too few$"):
        convert_with_options(["--out_dir=new", "--clips=-1"])


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
