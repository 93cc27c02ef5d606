"""Typing errors: one clear line on stderr, an exit status not 0, nothing written."""

import pytest

from kerasvid.models.registry import MODELS


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=rjvea"], "did you mean 'rjvae'"),
        (["--dataset=sprits"], "nearest: sprites"),
        (["--preset=bas"], "did you mean 'base'"),
        (["--set=latent_dimm=3"], "did you mean 'latent_dim'"),
        (["--set=latent_dim"], "write key=value"),
        (["--set=latent_dim=many"], "must be a whole number"),
        (["--set=encoder.chanels=[8]"], "did you mean 'encoder.channels'"),
        (["--precision=float8"], "use one of auto, float32"),
        (["--strategy=mirored"], "use none, mirrored"),
        (["--steps=0"], "steps=0"),
        (["--set=frames=9"], "the shortest video of the split 'train'"),
        (["--seed=-1"], "seed=-1 must be from 0"),
        (["--seed=2147483648"], "must be from 0 to 2147483647"),
        (["--batch_size=25"], "24 videos; use 24 or fewer"),
        (["--batch_size=3", "--set=frames=0"], "--set=frames=0"),
        (["--set=decoded_frames=-1"], "--set=decoded_frames=-1"),
        (["--set=encoder.channels=[]"], "--set=encoder.channels=[]"),
        (["--epochs=-1"], "epochs=-1.0 must be positive"),
        # A data set that would be made first.
        (
            ["--dataset=sprites", "--epochs=2", "--dry_run"],
            "sprites is not made yet, so there is no",
        ),
        (["--dataset=sprites", "--init_from=runs/nowhere"], "runs/nowhere: no run is there"),
        (["--run_dir=/dev/null/run", "--set=frames=4"], "/dev/null/run: not writable"),
        (["model=dsa"], "write --flag=value"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_one_line_names_the_fault(train_here, tmp_path, squares, flags, message):
    status, _, err = train_here(f"--dataset={squares}", *flags)
    assert status == 1
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ") and message in err
    assert not list(tmp_path.rglob("*"))


def test_a_misspelt_model_is_answered_from_the_command_line(run_app, tmp_path):
    status, out, err = run_app("train", "--model=rjvea", cwd=tmp_path)
    assert (status, out) == (1, "")
    known = ", ".join(sorted(MODELS))
    assert err == f"error: no model 'rjvea': did you mean 'rjvae'? Known: {known}.\n"


def test_an_unknown_flag_is_answered_with_the_nearest(run_app, tmp_path):
    status, _, err = run_app("train", "--modle=dsa", cwd=tmp_path)
    assert status == 1 and len(err.splitlines()) == 1
    assert err.startswith("error: ") and "Did you mean: model" in err


def test_a_dry_run_tells_what_it_resolved_and_writes_nothing(train_here, tmp_path):
    status, out, err = train_here("--model=dsa", "--preset=debug", "--dry_run")
    assert status == 0, err
    for text in ("dsa, preset debug", "parameters", "sprites in data/sprites", "60 steps"):
        assert text in out
    assert not list(tmp_path.rglob("*"))


@pytest.mark.slow  # makes every preset of every model
def test_list_names_models_presets_and_data_sets(train_here):
    status, out, err = train_here("--list")
    assert status == 0, err
    for text in ("rjvae", "dsa", "debug", "paper", "M parameters", "sprites/lpc", "--source_dir"):
        assert text in out
