"""Another prior of a run, from the command line."""

import dataclasses
import shutil

import pytest

from kerasvid.training.run_folder import RunFolder


@pytest.fixture
def copied(run_dir, tmp_path):
    """A copy of the folder of a finished run, which may be written to."""
    return shutil.copytree(run_dir, tmp_path / "run")


def test_a_copy_of_the_run_has_the_prior(app_here, copied):
    before = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    status, out, err = app_here("fit_prior", f"--run_dir={copied}/", "--prior=nearest", "--steps=2")
    assert (status, err) == (0, "")
    assert f"{copied}-nearest: saved " in out and "generate --run_dir=" in out
    copy = RunFolder(f"{copied}-nearest")
    assert copy.load_model()[0].prior_config == {"kind": "nearest"}
    training = copy.load_config().training
    assert (training.prior, training.prior_steps) == ("nearest", 2)
    assert {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()} == before
    status, _, _ = app_here("generate", f"--run_dir={copy.path}", "--show=samples", "--count=2")
    assert status == 0 and (copy.path / "generated" / "samples.png").exists()


def test_learned_codes_need_no_data_set(app_here, copied):
    config = RunFolder(copied).load_config()
    moved = dataclasses.replace(config, data_folder="/nowhere/squares")
    (copied / "config.json").write_text(moved.to_json())
    status, out, err = app_here("fit_prior", f"--run_dir={copied}", "--prior=gaussian")
    assert (status, err) == (0, "") and "model.keras" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--prior=neares"], "error: prior='neares' must be one of gaussian, mixture, flow, "),
        (["--run_dir=nowhere"], "error: nowhere: there is no run. Train one first."),
    ],
)
def test_a_prior_that_cannot_be_fitted_is_one_line(app_here, copied, flags, message):
    status, _, err = app_here("fit_prior", f"--run_dir={copied}", *flags)
    assert status == 1 and err.startswith(message) and err.count("\n") == 1


def test_only_a_gaussian_prior_has_truncated_samples(app_here, copied):
    assert app_here("fit_prior", f"--run_dir={copied}", "--prior=nearest", "--steps=1")[0] == 0
    flags = ["--show=samples", "--count=2", "--truncation=0.5"]
    assert app_here("generate", f"--run_dir={copied}", *flags)[0] == 0
    status, _, err = app_here("generate", f"--run_dir={copied}-nearest", *flags)
    assert status == 1 and "truncation=0.5 needs a Gaussian prior" in err
    assert err.count("\n") == 1
