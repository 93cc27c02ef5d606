"""Published tables from the command line."""

import json
import os
import shlex

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video, make_pipeline
from kerasvid.evaluation.classifiers import store
from kerasvid.reproduction import published
from kerasvid.reproduction.published import Column, Part, PublishedRun, Row, Table
from tfrecords_tools.conversion import write_dataset

QUICK = ("--preset=debug", "--precision=float32", "--sample_every=0")


@pytest.fixture(scope="module")
def actions(tmp_path_factory, moving_squares) -> str:
    """Folder of 24 + 8 clips, 4x32x32x3, that go right or left, of two attributes."""
    folder = os.fspath(tmp_path_factory.mktemp("data") / "actions")
    forward = moving_squares(32, 4, 32)
    videos = [clip[::-1] if number % 2 else clip for number, clip in enumerate(forward)]
    info = DatasetInfo(
        "actions", "1", 32, 32, 3, fps=8.0, class_names=("right", "left"),
        attribute_names=("hat", "shoe"), attribute_sizes=(2, 2),
    )  # fmt: skip
    splits = {"train": list(range(24)), "test": list(range(24, 32))}

    def load(number):
        attributes = (number // 2 % 2, number // 4 % 2)
        clip = np.ascontiguousarray(videos[number])
        return Video(clip, f"clip-{number}", label=number % 2, attributes=attributes)

    write_dataset(folder, info, splits, load, progress=False)
    return folder


@pytest.fixture
def straight(monkeypatch):
    """The table "straight", of a model without weights."""
    column = Column("L2", "lower", "between", ("between/model",), spread="std")
    table = Table(
        name="straight",
        title="lines",
        paper="Somebody: Something",
        columns=(column,),
        parts=(Part("Moments", "moments"),),
        rows=(Row("Interpolation", {"Moments": {"L2": "62 ± 58"}}, "linear_interpolation"),),
        runs={"linear_interpolation": PublishedRun("linear_interpolation")},
    )
    monkeypatch.setitem(published.TABLES, "straight", table)


@pytest.fixture
def quick_classifiers(monkeypatch):
    """Classifiers of two steps, whatever their accuracy."""
    train = store.trained_classifier
    monkeypatch.setattr(store.TrainedClassifier, "require", lambda *_: None)
    monkeypatch.setattr(
        "kerasvid.evaluation.context.trained_classifier",
        lambda *args, **rest: train(*args, **{**rest, "steps": 2, "batch_size": 8}),
    )


def test_the_tables_are_listed(app_here):
    status, out, err = app_here("reproduce", "--list")
    assert (status, err) == (0, "")
    assert "  residual_vectors/3 " in out and "  sprites_disentanglement " in out


def test_fvd_is_measured_by_i3d_unless_its_weights_are_left_out(app_here, actions):
    flags = ("--table=residual_vectors/3", f"--dataset={actions}", *QUICK, "--dry_run")
    for more, by_classifier in (((), False), (("--i3d_weights=none",), True)):
        status, out, err = app_here("reproduce", *flags, *more)
        assert status == 0, err
        assert ("metric: frechet in place of FVD" in out) is by_classifier


def test_mistakes_are_one_line_and_write_nothing(app_here, actions, tmp_path):
    for flags, message in (
        ([], "--table is missing. Give a name of --list"),
        (
            ["--table=residual_vectors/1"],
            "--table=residual_vectors/1: no such table, did you mean 'residual",
        ),
        (["--table=between_frames", "--run=cvae"], "--run=cvae: no folder. Write name=folder"),
        (
            ["--table=between_frames", "--run=dsa=x"],
            "--run=dsa=...: between_frames has no such run. Use linear",
        ),
        (["--table=between_frames", "--dataset=spirtes"], "Unknown data set 'spirtes'; did you"),
        (["--table=between_frames", "--preset=bas"], "has no preset 'bas': did you mean 'base'?"),
        (["--table=between_frames", "x"], "'x' is not a flag"),
        (["--table=between_frames", "--seeds=0"], "--seeds=0: 0 is not a positive integer"),
        (
            ["--table=between_frames", "--seeds=2", "--run=cvae=x"],
            "--run=cvae=...: one run, but --seeds=2 needs one for each seed. Remove one",
        ),
    ):
        status, _, err = app_here("reproduce", *flags, "--dry_run")
        assert status == 1 and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err
    assert [*tmp_path.iterdir()] == []


def test_a_dry_run_prints_the_plan_and_writes_nothing(app_here, tmp_path):
    flags = ("--table=residual_vectors/3", "--dry_run", "--data_dir=d", "--source_dir=strips")
    status, out, err = app_here("reproduce", *flags)
    assert (status, err) == (0, "")
    assert "rjgan-pretrained, runs/rjgan-pretrained-weizmann-strips-videos: not begun\n" in out
    assert "| RJGAN with pre-training | not measured yet " in out
    assert "data set: weizmann/strips in place of MUG (mug)" in out
    assert "data split-frames --data_dir=d/weizmann-strips --out_dir=d/weizmann-strips-mixed" in out
    assert "--init_from=runs/image_gan-weizmann-strips-images" in out
    assert "reproduced/residual_vectors-3.json and .md" in out
    assert [*tmp_path.iterdir()] == []


def test_a_data_set_that_cannot_be_made_fails_every_row_in_one_line(app_here, tmp_path):
    flags = ("--table=residual_vectors/2", "--dataset=mug", *QUICK)
    status, out, err = app_here("reproduce", *flags)
    assert status == 1 and len(err.splitlines()) == 1
    assert err.startswith("error: MoCoGAN, mug: ") and "--source_dir" in err
    assert "(and 2 more) Run the same command again to continue." in err
    assert "| MoCoGAN  | not measured yet" in out


def test_a_table_is_reused_and_its_commands_train_the_same_runs(
    app_here, actions, straight, tmp_path
):
    flags = ("--table=straight", f"--dataset={actions}", "--num=8", *QUICK)
    status, out, err = app_here("reproduce", *flags)
    assert (status, err) == (0, "")
    (path,) = (tmp_path / "reproduced").glob("*.json")
    (row,) = json.loads(path.read_text())["sections"][0]["rows"]
    batches = make_pipeline(actions, "test", 8, 4, pick="start", repeat=False)
    clips = next(iter(batches))["video"].numpy() / 255.0  # [8, 4, H, W, C]
    share = np.arange(4)[None, :, None, None, None] / 3
    lines = np.rint(255 * (clips[:, :1] * (1 - share) + clips[:, -1:] * share)) / 255
    distances = np.sqrt(np.square(lines - clips).sum(axis=(1, 2, 3, 4)))
    assert row["measured"]["0"]["L2"]["value"] == pytest.approx(distances.mean(), rel=2e-3)
    assert row["measured"]["0"]["L2"]["std"] == pytest.approx(distances.std(), rel=2e-2)

    page = out.partition("# straight: ")[2]
    status, out, err = app_here("reproduce", *flags)
    assert (status, err) == (0, "") and "===" not in out
    assert out.partition("# straight: ")[2] == page
    (line,) = [line for line in out.splitlines() if "--model=" in line]
    status, out, err = app_here("train", *shlex.split(line)[2:])
    assert (status, err) == (0, "") and "finished already" in out


@pytest.mark.slow
def test_pre_training_is_reproduced_from_data_to_table(
    app_here, actions, quick_classifiers, tmp_path
):
    flags = ("--table=residual_vectors/3", f"--dataset={actions}", *QUICK, "--steps=2", "--num=12")
    flags += ("--i3d_weights=none",)
    status, out, err = app_here("reproduce", *flags)
    assert status == 0, err
    assert "weights of decoder, image_discriminator from " in out
    (path,) = (tmp_path / "reproduced").glob("*.json")
    (section,) = json.loads(path.read_text())["sections"]
    cells = [row["measured"]["0"]["FVD"] for row in section["rows"]]
    assert [cell["clips"] for cell in cells] == [12] * 3
    assert (
        len({cell["protocol"]["features"]["weights"] for cell in cells}) == 1
    )  # of one classifier
    assert {cell["protocol"]["dataset"] for cell in cells} == {actions}  # whole, not its half
    assert len({cell["value"] for cell in cells}) == 3
    assert "12 clips measured in place of 624" in out and "2 steps; the preset paper has" in out

    status, again, err = app_here("reproduce", *flags)
    assert status == 0 and "===" not in again  # nothing is trained or measured again
    assert again.splitlines()[-40:] == out.splitlines()[-40:]


@pytest.mark.slow
def test_disentanglement_of_an_existing_run(
    app_here, actions, quick_classifiers, train_here, tmp_path
):
    settings = ("--model=dsa", f"--dataset={actions}", "--preset=debug", "--set=frames=4")
    assert train_here(*settings, "--steps=2", "--precision=float32", "--run_dir=mine")[0] == 0
    flags = ("--table=sprites_disentanglement", f"--dataset={actions}", "--run=dsa=mine")
    status, out, err = app_here("reproduce", *flags)
    assert status == 0, err
    (line,) = [line for line in out.splitlines() if line.startswith("| DSA ")]
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    assert cells[4:] == ["90.73", "8.384", "0.072", "2.192"]
    assert all(" to " in cell for cell in cells[:4])
    assert "# dsa: the existing run mine" in out
    assert "8 clips measured in place of 2664" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    "table",
    [
        "residual_vectors/5",
        "residual_vectors/mixed",
        "residual_vectors/disentanglement",
        "residual_vectors/6",
        "residual_vectors/ablation",
        "non_adversarial/4",
        "between_frames",
    ],
)
def test_every_table_can_be_made(table, app_here, actions, quick_classifiers, monkeypatch):
    monkeypatch.setattr("kerasvid.evaluation.measurements.IMAGES", 4)
    count = [] if table == "residual_vectors/5" else ["--num=8"]
    flags = (f"--table={table}", f"--dataset={actions}", *QUICK, "--steps=2", *count)
    flags += ("--i3d_weights=none",)
    status, out, err = app_here("reproduce", *flags)
    assert status == 0, err
    assert "not measured yet" not in out
