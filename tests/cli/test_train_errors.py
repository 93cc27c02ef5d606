"""Wrong flags: one clear line on stderr, exit status 1, nothing written; --list and --dry_run."""

import resource

import keras
import pytest

from kerasvid.cli.train import training_lengths
from kerasvid.models.registry import MODELS, PARAMETERS, model_class


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=rjvea"], "did you mean 'rjvae'"),
        (["--dataset=sprits"], "did you mean 'sprites'"),
        (["--preset=bas"], "did you mean 'base'"),
        (["--set=latent_dimm=3"], "did you mean 'latent_dim'"),
        (["--set=latent_dim"], "Write --set=key=value"),
        (["--set=latent_dim=many"], "--set=latent_dim=many: not a whole number"),
        (["--set=encoder.chanels=[8]"], "did you mean 'encoder.channels'"),
        (["--precision=float8"], "should be one of <auto|float32|"),
        (["--strategy=mirored"], "Use none, mirrored"),
        (["--steps=0"], "steps=0"),
        (["--set=frames=9"], "the shortest video of the split 'train'"),
        (["--seed=-1"], "seed=-1: -1 is not a non-negative integer"),
        (["--seed=2147483648"], "Use 0 to 2147483647"),
        (["--keep_at=2,x"], "--keep_at=x: not a number of steps. Write --keep_at=250,1000"),
        (["--keep_at=0"], "keep_at=0: the run has the steps 1 to "),
        (["--batch_size=25"], "24 videos. Use 24 or fewer"),
        (["--set=frames=0"], "frames=0 is too short: rjvae needs 1 or more"),
        (["--set=frames=4", "--set=decoded_frames=-1"], "--set=decoded_frames=-1"),
        (["--set=frames=4", "--set=encoder.channels=[]"], "--set=encoder.channels=[]"),
        (["--epochs=-1"], "epochs=-1.0 is not positive"),
        # A data set that would be made first.
        (
            ["--dataset=sprites", "--epochs=2", "--dry_run"],
            "sprites is not made yet, so the number",
        ),
        (["--dataset=sprites", "--init_from=runs/nowhere"], "runs/nowhere: there is no run"),
        (["--run_dir=/dev/null/run", "--set=frames=4"], "/dev/null/run: not writable"),
        (["--backup_to=bucket/run"], "--backup_to=bucket/run: no address of a folder. Write s3://"),
        (
            ["--backup_to=s3://anna:key@bucket/run"],
            "--backup_to=s3://...: the address holds a pass",
        ),
        (["--backup_to="], "--backup_to=: the value is empty"),
        (["model=dsa"], "Write --flag=value"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_one_line_names_the_error(train_here, tmp_path, squares, flags, message):
    status, _, err = train_here(f"--dataset={squares}", *flags)
    assert status == 1
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ") and message in err
    assert not list(tmp_path.rglob("*"))


def test_a_misspelt_model_is_reported_by_the_script(run_app, tmp_path):
    status, out, err = run_app("train", "--model=rjvea", cwd=tmp_path)
    assert (status, out) == (1, "")
    known = ", ".join(sorted(MODELS))
    assert err == f"error: --model=rjvea: unknown model; did you mean 'rjvae'? Known: {known}.\n"


def test_an_unknown_flag_is_answered_with_the_nearest(run_app, tmp_path):
    status, _, err = run_app("train", "--modle=dsa", cwd=tmp_path)
    assert status == 1 and len(err.splitlines()) == 1
    assert err.startswith("error: ") and "Did you mean: model" in err


def test_a_dry_run_prints_what_it_resolved_and_writes_nothing(train_here, tmp_path):
    status, out, err = train_here("--model=dsa", "--preset=debug", "--dry_run")
    assert status == 0, err
    for text in ("dsa, preset debug", "parameters", "sprites in data/sprites", "60 steps"):
        assert text in out
    assert not list(tmp_path.rglob("*"))


def test_one_model_is_built_to_train_a_run(train_here, squares, monkeypatch):
    initialize, built = keras.Model.__init__, []

    def build(self, *args, **kwargs):
        built.append(type(self).__name__)
        initialize(self, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "__init__", build)
    flags = ("--preset=debug", "--set=frames=4", "--set=training.batch_size=4", "--steps=1")
    status, out, err = train_here("--model=glo", f"--dataset={squares}", *flags)
    assert status == 0, err
    assert built == ["GLO"] and "1 steps, saved" in out


def test_list_names_models_presets_and_data_sets(train_here):
    status, out, err = train_here("--list")
    assert status == 0, err
    for text in ("rjvae", "dsa", "debug", "paper", "5.21 M", "sprites/lpc", "--source_dir"):
        assert text in out


@pytest.mark.parametrize("flags", [["--list"], ["--preset=bas"], ["--set=x"], ["--dataset=sprits"]])
def test_lists_and_wrong_flags_are_answered_without_tensorflow(run_python, flags, tmp_path):
    start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    code = f"""
import sys
from kerasvid.cli.main import main
try:
    main(["train", *{flags}])
finally:
    assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    status, _, err = run_python("-c", code, cwd=tmp_path)
    assert status == (flags != ["--list"]) and "Assertion" not in err
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start < 3.0


@pytest.mark.parametrize("name", MODELS)
def test_the_listed_lengths_are_those_of_the_presets(name):
    lengths = {key: (t.steps, t.batch_size) for key, t in model_class(name).TRAINING.items()}
    assert training_lengths(name) == lengths
    assert lengths.keys() >= PARAMETERS[name].keys()
