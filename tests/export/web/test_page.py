import json
import os

import pytest

from kerasvid.export.web.page import FORMAT, check_target, roles_of
from kerasvid.io import replace_folder
from kerasvid.models.dsa import DSA
from kerasvid.models.registry import MODELS, model_class
from kerasvid.models.rjvae import RJVAE


@pytest.mark.parametrize(
    ("cls", "before", "after"),
    [
        (RJVAE, ("content", "motion"), ("content", "content")),  # drawn together
        (DSA, ("content", "motion"), ("content", "motion")),  # drawn apart
    ],
)
def test_a_noise_decides_the_motion_if_a_prior_draws_it_apart(cls, before, after):
    model = cls.from_preset("debug", image_shape=(16, 16, 3), frames=4)
    assert tuple(roles_of(model, model.noise_shapes(4), 4).values()) == before
    model.set_prior("gaussian")
    assert tuple(roles_of(model, model.noise_shapes(4), 4).values()) == after


CLASSES = [name for name in MODELS if "categories" in model_class(name).hyperparameters()]


@pytest.mark.parametrize("name", CLASSES)
def test_a_page_offers_the_classes_of_every_model_that_has_some(name):
    shape = {"image_shape": (16, 16, 3), "frames": 4}
    plain, model = (model_class(name).from_preset("debug", **shape, categories=k) for k in (0, 3))
    roles = roles_of(model, model.noise_shapes(4), 4)
    assert roles.pop("category") == "category"
    assert roles == roles_of(plain, plain.noise_shapes(4), 4)
    assert "category" not in roles.values()


def folder_with(path, text):
    path.mkdir()
    (path / "model.json").write_text(text)
    (path / "thesis.txt").write_text("years of work")
    return os.fspath(path)


@pytest.mark.parametrize("text", ['{"format": "layers-model"}', "[1]", "no JSON", ""])
def test_folders_of_other_programs_are_never_replaced(tmp_path, text):
    folder = folder_with(tmp_path / "theirs", text)
    with pytest.raises(
        ValueError, match=r"was not made by this command\. Give another --out"
    ) as error:
        check_target(folder, overwrite=True)
    assert "\n" not in str(error.value)


def test_a_page_is_replaced_where_it_is_asked_for(tmp_path):
    folder = folder_with(tmp_path / "page", json.dumps({"format": FORMAT}))
    with pytest.raises(ValueError, match="--overwrite to replace it"):
        check_target(folder, overwrite=False)
    check_target(folder, overwrite=True)
    building = tmp_path / "building"
    building.mkdir()
    replace_folder(os.fspath(building), folder)
    assert os.listdir(tmp_path) == ["page"] and os.listdir(folder) == []


def test_an_interruption_leaves_the_old_page_in_its_place(tmp_path, monkeypatch):
    folder = folder_with(tmp_path / "page", json.dumps({"format": FORMAT}))
    building, rename = os.fspath(tmp_path / "building"), os.rename
    os.mkdir(building)

    def interrupted(source, target):
        if source == building:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(building, folder)
    assert sorted(os.listdir(folder)) == ["model.json", "thesis.txt"]
