"""Plans: what they refuse before anything is made, and what tells two of them apart."""

import dataclasses
import os

import pytest

from kerasvid.data import DatasetInfo, Video
from kerasvid.training.config import make_config
from tfrecords_tools.conversion import write_dataset


def test_the_path_of_a_data_set_may_be_written_in_another_way(config_of):
    config = config_of()
    assert config.differences(dataclasses.replace(config, dataset="./squares/")) == []


def test_what_data_replicas_and_random_numbers_cannot_serve_is_refused(config_of):
    for values, rest, message in (
        ({"training.batch_size": 5}, {"replicas": 2}, "use a multiple of 2"),
        ({"training.batch_size": 13}, {}, "12 videos; use 12 or fewer"),
        ({"frames": 3, "training.stride": 2}, {}, "span 5, but .* 'train' of squares has 4"),
        ({}, {"seed": -1}, "seed=-1"),
        ({}, {"seed": 2**31}, "must be from 0 to 2147483647"),
        ({"decoder.upsampling": []}, {}, "--set=decoder.upsampling="),
    ):
        with pytest.raises(ValueError, match=message) as error:
            config_of(2, values, **rest)
        assert "\n" not in str(error.value)


def test_a_clip_that_has_not_two_ends_is_refused_before_anything_is_written(config_of):
    values = {"frames": 4, "training.frames": 1}
    with pytest.raises(ValueError, match=r"^frames=1: cvae needs clips of 2 or more\.$"):
        config_of(values=values, model="cvae")
    with pytest.raises(ValueError, match=r"^frames=2: cgan needs clips of 3 or more\.$"):
        config_of(values={**values, "training.frames": 2, "exact_endpoints": True}, model="cgan")


@pytest.mark.parametrize(
    ("model", "values", "why"),
    [
        ("tgan", {"frames": 4, "training.frames": 3, "video_discriminator.score": "full"},
         "Clips of 3 frames, but the full score was made for 4: "),
        ("vgan", {"training.frames": 4}, "frames=4: this model makes clips of at most 3 frames; "),
        ("mocogan", {"frames": 4, "training.frames": 2},
         "Clips of 2 frames are too short for a video discriminator that needs 3: "),
        ("glo", {"training.frames": 2}, "Clips of 2 frames, but the codes are of 3: "),
    ],
)  # fmt: skip
def test_clips_that_a_model_cannot_learn_from_are_refused_before_anything_is_written(
    config_of, model, values, why
):
    with pytest.raises(ValueError) as error:
        config_of(2, values, model=model)
    start = f"training.frames={values['training.frames']}: {model} cannot learn from such clips"
    assert str(error.value).startswith(f"{start} ({why}")
    assert "\n" not in str(error.value)


def test_another_number_of_replicas_is_refused_and_another_strategy_is_not(config_of):
    config = config_of(replicas=2, strategy="mirrored")
    assert config.differences(config_of(replicas=2, strategy="multi_worker")) == []
    assert config.differences(config_of(replicas=1)) == ["replicas is 2 (1 asked for)"]


def test_epochs_of_data_that_is_not_made_yet_are_counted_when_it_is(config_of):
    later = make_config("glo", "later", "nowhere", None, "debug", epochs=2.0, seed=0)
    assert not later.data_is_known
    made = config_of(None, epochs=2.0)  # 12 videos, 4 a step
    assert made.data_is_known and made.steps == 6


def test_images_that_are_not_made_yet_leave_the_data_unknown(config_of, squares):
    images = {"images": "stills", "model": "rjgan"}
    assert not config_of(2, **images).data_is_known
    assert config_of(2, images_folder=squares, **images).data_is_known


def test_other_held_out_videos_are_other_data(config_of, tmp_path, moving_squares, write_squares):
    videos = moving_squares(20, 4)
    videos[15] ^= 1
    other = config_of(folder=write_squares(tmp_path / "other", videos, 12))
    assert [line.split()[0] for line in config_of().differences(other)] == ["data_digest"]


def test_as_many_categories_are_set_as_the_labels_tell_apart(config_of, tmp_path, moving_squares):
    videos = moving_squares(6, 4)
    info = DatasetInfo("classes", "1", 16, 16, 3, fps=8.0, class_names=("a", "b", "c"))
    load = lambda i: Video(videos[i], f"square-{i}", label=i % 3)  # noqa: E731
    folder = os.fspath(tmp_path / "classes")
    write_dataset(folder, info, {"train": range(6)}, load, progress=False)
    config_of(2, {"categories": 3}, folder=folder, model="mocogan")
    for count in (2, 4):
        with pytest.raises(ValueError, match=f"categories={count}: .* of 3 classes; give as many"):
            config_of(2, {"categories": count}, folder=folder, model="mocogan")


def test_videos_without_labels_have_no_categories(config_of):
    assert config_of(2, {"categories": 0}, model="mocogan").hyperparameters["categories"] == 0
    with pytest.raises(ValueError) as error:
        config_of(2, {"categories": 4}, model="mocogan")
    assert str(error.value) == (
        "--set=categories=4: the videos of squares have no labels to tell categories by; leave it "
        "out."
    )
    later = make_config("mocogan", "later", "nowhere", None, "debug", {"categories": 4}, seed=0)
    assert later.hyperparameters["categories"] == 4  # what is not made yet may have them


def test_a_batch_of_images_is_refused_that_images_or_replicas_cannot_serve(config_of, squares):
    images = {"images": "stills", "images_folder": squares, "model": "rjgan"}
    turns = {"objective.discriminator_steps": 2}
    assert config_of(2, {"training.image_batch": 12}, **images).image_batch == 12
    for values, rest, message in (
        ({"training.image_batch": 13}, {},
         "training.image_batch=13: the split 'train' of --images=stills has 12 images; use 12 or "
         "fewer."),
        ({"training.image_batch": 3}, {"replicas": 2},
         "training.image_batch=3 cannot be shared by 2 replicas; use a multiple of 2."),
        ({"training.image_batch": 6, **turns}, {"replicas": 2},
         "training.image_batch=6 cannot be shared by 2 replicas times "
         "objective.discriminator_steps=2, each of which sees a part; use a multiple of 4."),
    ):  # fmt: skip
        with pytest.raises(ValueError) as error:
            config_of(2, values, **images, **rest)
        assert str(error.value) == message
    config_of(2, {"training.image_batch": 3}, model="rjgan", replicas=2)  # which takes no images


@pytest.mark.parametrize(
    ("batch", "replicas", "shared"),
    [(3, 1, "1 replica times"), (6, 2, "2 replicas times"), (4, 1, None), (8, 2, None)],
)
def test_replicas_and_turns_of_the_discriminators_share_a_batch(config_of, batch, replicas, shared):
    values = {"training.batch_size": batch, "objective.discriminator_steps": 2}
    if shared is None:
        assert config_of(2, values, model="mocogan", replicas=replicas).steps == 2
        return
    with pytest.raises(ValueError) as error:
        config_of(2, values, model="mocogan", replicas=replicas)
    assert str(error.value) == (
        f"batch_size={batch} cannot be shared by {shared} objective.discriminator_steps=2, each of "
        f"which sees a part; use a multiple of {2 * replicas}."
    )


def test_the_path_of_the_run_to_begin_with_may_be_written_in_another_way(
    config_of, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    config = config_of(init_from=os.fspath(tmp_path / "runs" / "images"))
    for path in ("runs/images", "./runs/images/", "runs//other/../images", "link/runs/images"):
        assert config.differences(dataclasses.replace(config, init_from=path)) == []  # older runs
    assert config_of(init_from=path).init_from == config.init_from
    told = config.differences(config_of(init_from="runs/other"))
    assert len(told) == 1 and told[0].startswith(f"init_from is {config.init_from} (")
    assert [line.split()[0] for line in config.differences(config_of())] == ["init_from"]
