"""Run configurations: what they refuse, and which differences of two of them count."""

import dataclasses
import itertools
import os
import shlex

import keras
import numpy as np
import pytest

from kerasvid.cli.command import parse_assignments
from kerasvid.data import DatasetError, DatasetInfo, SplitInfo, Video, load_info
from kerasvid.data.records import shard_name
from kerasvid.data.shards import write_info
from kerasvid.models.registry import MODELS, model_class
from kerasvid.training.config import RunConfig, clip_lengths, digest_of, images_digest, make_config
from tfrecords_tools.conversion import write_dataset


def test_the_path_of_a_data_set_is_not_compared(config_of):
    config = config_of()
    assert config.differences(dataclasses.replace(config, dataset="./squares/")) == []


def test_batches_clips_and_seeds_out_of_range_raise_one_line(config_of):
    for values, rest, message in (
        ({"training.batch_size": 5}, {"replicas": 2}, "Use a multiple of 2"),
        ({"training.batch_size": 13}, {}, "12 videos. Use 12 or fewer"),
        (
            {"frames": 3, "training.stride": 2},
            {},
            "needs 5 frames, but .* 'train' of squares has 4",
        ),
        ({}, {"seed": -1}, "seed=-1"),
        ({}, {"seed": 2**31}, "Use 0 to 2147483647"),
        ({}, {"keep_at": [1, 3]}, "keep_at=3: the run has the steps 1 to 2"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            config_of(2, values, **rest)
        assert "\n" not in str(error.value)


def test_a_failed_build_names_the_settings(config_of):
    config = config_of(2, {"decoder.upsampling": [], "code_dim": 5})
    with pytest.raises(ValueError) as error:
        config.make_model()
    assert "\n" not in str(error.value)
    start = "--set=frames=3 --set=code_dim=5 --set=decoder.upsampling=[]: glo cannot be built ("
    assert str(error.value).startswith(start)


def odd_data(folder):
    """Videos of 17x17 pixels: four of 5 frames, one of 3."""
    lengths = {"walk/a.mp4": 5, "walk/b.mp4": 5, "walk/c.mp4": 5, "walk/d.mp4": 5}
    lengths["walk/short.mp4"] = 3

    def load(name):
        return Video(np.zeros([lengths[name], 17, 17, 3], np.uint8), name)

    write_dataset(folder, DatasetInfo("odd", "1", 17, 17), {"train": [*lengths]}, load,
                  progress=False)  # fmt: skip
    return os.fspath(folder)


def test_a_size_that_the_model_cannot_make_is_blamed_on_the_data(config_of, tmp_path):
    folder = odd_data(tmp_path / "odd")
    with pytest.raises(ValueError) as error:
        config_of(folder=folder, values={"frames": 3}).make_model()
    message = str(error.value)
    assert message.startswith("squares has frames of 17x17x3: glo with --preset=debug cannot be")
    assert "--set" not in message and "--height and --width" in message and "\n" not in message


def test_a_video_that_is_too_short_is_named_with_the_flags_that_leave_it_out(config_of, tmp_path):
    folder = odd_data(tmp_path / "odd")
    said = r"train' of squares has 3\. .*'walk/short\.mp4'\. .*--min_frames=4 --skip_unreadable\.$"
    with pytest.raises(ValueError, match=said):
        config_of(folder=folder, values={"frames": 4})
    with pytest.raises(ValueError, match=r"The shortest is 'walk/short\.mp4'\.$"):
        config_of(folder=folder, values={"frames": 6})  # longer than all


@pytest.mark.parametrize("name", MODELS)
def test_no_model_is_built_to_check_settings(name, squares, monkeypatch):
    def build(*_, **__):
        raise AssertionError("a model was built")

    monkeypatch.setattr(keras.Model, "__init__", build)
    for preset in model_class(name).PRESETS:
        values = {"training.batch_size": 4, "training.frames": 3, "training.stride": 1}
        make_config(name, "squares", squares, load_info(squares), preset, values, seed=0)


def test_clips_without_two_endpoints_raise_one_line(config_of):
    values = {"frames": 4, "training.frames": 1}
    with pytest.raises(ValueError, match=r"^frames=1 is too short: cvae needs 2 or more\.$"):
        config_of(values=values, model="cvae")
    with pytest.raises(ValueError, match=r"^frames=2 is too short: cgan needs 3 or more\.$"):
        config_of(values={**values, "training.frames": 2, "exact_endpoints": True}, model="cgan")


@pytest.mark.parametrize(
    ("model", "values", "why"),
    [
        ("tgan", {"frames": 4, "training.frames": 3, "video_discriminator.score": "full"},
         "Clips of 3 frames do not fit a full score of clips of 4."),
        ("vgan", {"training.frames": 4}, "frames=4: this model makes clips of at most 3 frames."),
        ("mocogan", {"frames": 4, "training.frames": 2},
         "Clips of 2 frames are too short: the video discriminator needs 3."),
        ("glo", {"training.frames": 2}, "Clips of 2 frames, but the codes have 3"),
    ],
)  # fmt: skip
def test_the_build_refuses_clips_that_the_model_cannot_be_trained_on(config_of, model, values, why):
    with pytest.raises(ValueError) as error:
        config_of(2, values, model=model).make_model()
    start = f"training.frames={values['training.frames']}: {model} cannot be trained on such clips"
    assert str(error.value).startswith(f"{start}. {why}")
    assert "\n" not in str(error.value)


def test_replicas_are_compared_and_strategies_are_not(config_of):
    config = config_of(replicas=2, strategy="mirrored")
    assert config.differences(config_of(replicas=2, strategy="multi_worker")) == []
    assert config.differences(config_of(replicas=1)) == ["replicas is 2, not 1"]


def test_epochs_become_steps_once_the_data_exists(config_of):
    later = make_config("glo", "later", "nowhere", None, "debug", epochs=2.0, seed=0)
    assert not later.data_is_known
    made = config_of(None, epochs=2.0)  # 12 videos, 4 a step
    assert made.data_is_known and made.steps == 6
    assert config_of(None, {"training.batch_repeats": 5}, epochs=2.0).steps == 30


def test_the_data_is_unknown_until_the_images_exist(config_of, squares):
    images = {"images": "mixed", "model": "rjgan"}
    assert not config_of(2, **images).data_is_known
    assert config_of(2, images_folder=squares, **images).data_is_known


def test_the_digest_covers_held_out_videos(config_of, tmp_path, moving_squares, write_squares):
    videos = moving_squares(20, 4)
    videos[15] ^= 1
    other = config_of(folder=write_squares(tmp_path / "other", videos, 12))
    assert [line.split()[0] for line in config_of().differences(other)] == ["data_digest"]


def test_the_digest_covers_names_and_which_split_a_shard_is_in(squares):
    info = load_info(squares)
    other = [
        dataclasses.replace(info, **{name: ("a", "b")})
        for name in ("class_names", "identity_names")
    ]
    other.append(dataclasses.replace(info, attribute_names=("a",), attribute_sizes=(2,)))
    (one,), (two,) = (info.splits[split].shards for split in ("train", "test"))
    shards = [
        dataclasses.replace(shard, file=shard_name("train", k, 2))
        for k, shard in enumerate((one, two))
    ]
    other.append(dataclasses.replace(info, splits={"train": SplitInfo(20, 4, 4, tuple(shards))}))
    assert len({digest_of(each) for each in (info, *other)}) == 5
    assert digest_of(dataclasses.replace(info, licence="CC0")) == digest_of(info)


def test_lengths_are_quantiles_of_those_of_the_training_videos(config_of, tmp_path, write_squares):
    videos = np.zeros([8, 10, 16, 16, 3], np.uint8)
    lengths = [3, 10, 4, 10, 6, 5, 10, 10]
    folder = write_squares(
        tmp_path / "lengths", [v[:n] for v, n in zip(videos, lengths, strict=True)], 6
    )
    assert clip_lengths(folder, stride=1) == [3, 4, 5, 6, 10, 10]  # not those of held-out videos
    assert clip_lengths(folder, stride=2) == [2, 2, 3, 3, 5, 5]
    config = config_of(model="mocogan", values={"lengths": "data"}, folder=folder)
    assert config.hyperparameters["lengths"] == [3, 4, 5, 6, 10, 10]
    assert config.make_model().lengths == (3, 4, 5, 6, 10, 10)


def test_many_lengths_become_64_quantiles(tmp_path, write_squares):
    videos = np.zeros([131, 2, 16, 16, 3], np.uint8)
    videos = [video[: 1 + (k >= 65)] for k, video in enumerate(videos)]
    found = clip_lengths(write_squares(tmp_path / "many", videos, 130), stride=1)
    assert found == [1] * 32 + [2] * 32


def test_categories_must_be_as_many_as_classes(config_of, classes):
    config_of(2, {"categories": 3}, folder=classes, model="mocogan")
    for count in (2, 4):
        with pytest.raises(ValueError, match=f"categories={count}: .* 3 classes. Set categories=3"):
            config_of(2, {"categories": count}, folder=classes, model="mocogan")


@pytest.mark.parametrize("model", ["rjvae", "dsa", "cvae", "rmocogan", "rjgan", "tgan", "cgan"])
def test_a_conditional_run_takes_its_categories_from_the_data(config_of, classes, model):
    config = config_of(2, {"conditional": True}, folder=classes, model=model)
    assert config.hyperparameters["categories"] == 3
    assert config == config_of(2, {"categories": 3}, folder=classes, model=model)
    assert config.make_model().categories == 3
    assert config == config_of(
        2, {"conditional": True, "categories": 3}, folder=classes, model=model
    )
    none = config_of(2, {"conditional": False}, folder=classes, model=model)
    assert none == config_of(2, folder=classes, model=model)
    assert none.hyperparameters["categories"] == 0


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        ("rjvae", {"conditional": True, "categories": 4},
         "--set=categories=4: the videos of squares have 3 classes. Set categories=3."),
        ("rjvae", {"conditional": False, "categories": 3},
         "--set=conditional=false and --set=categories=3 contradict each other. Remove one of "
         "them."),
        ("rjvae", {"conditional": True, "categories": 0},
         "--set=conditional=true and --set=categories=0 contradict each other. Remove one of "
         "them."),
        ("rjvae", {"conditional": 3}, "--set=conditional=3: not true or false."),
        ("rjvae", {"categories": -1}, "--set=categories=-1: the videos of squares have 3 classes. "
         "Set categories=3."),
        ("glo", {"conditional": True}, "--set=conditional=true: GLO makes no videos of a class "
         "that is asked for. Remove this setting."),
        ("image_gan", {"conditional": True}, "--set=conditional=true: ImageGAN makes no videos of "
         "a class that is asked for. Remove this setting."),
    ],
)  # fmt: skip
def test_a_conditional_run_that_cannot_be_is_refused_in_one_line(
    config_of, classes, model, values, message
):
    with pytest.raises(ValueError) as error:
        config_of(2, values, folder=classes, model=model)
    assert str(error.value) == message


def test_a_conditional_run_needs_videos_of_classes(config_of):
    with pytest.raises(ValueError) as error:
        config_of(2, {"conditional": True}, model="dsa")
    assert str(error.value) == (
        "--set=conditional=true: the videos of squares have no classes. Remove this setting."
    )
    later = make_config("dsa", "later", "nowhere", None, "debug", {"conditional": True}, seed=0)
    assert later.hyperparameters["categories"] == 0  # known when the data set is made


def test_categories_are_refused_for_videos_without_labels(config_of):
    assert config_of(2, {"categories": 0}, model="mocogan").hyperparameters["categories"] == 0
    with pytest.raises(ValueError) as error:
        config_of(2, {"categories": 4}, model="mocogan")
    assert str(error.value) == (
        "--set=categories=4: the videos of squares have 0 classes. Remove this setting."
    )
    later = make_config("mocogan", "later", "nowhere", None, "debug", {"categories": 4}, seed=0)
    assert later.hyperparameters["categories"] == 4  # a data set that is not made yet may have them


def test_a_batch_of_images_must_fit_the_images_and_the_replicas(config_of, squares):
    images = {"images": "mixed", "images_folder": squares, "model": "rjgan"}
    turns = {"objective.discriminator_steps": 2}
    assert config_of(2, {"training.image_batch": 12}, **images).image_batch == 12
    for values, rest, message in (
        ({"training.image_batch": 13}, {},
         "training.image_batch=13 is too large: the split 'train' of --images=mixed has 12 images. "
         "Use 12 or fewer."),
        ({"training.image_batch": 3}, {"replicas": 2},
         "training.image_batch=3 cannot be divided among 2 replicas. Use a multiple of 2."),
        ({"training.image_batch": 6, **turns}, {"replicas": 2},
         "training.image_batch=6 cannot be divided among 2 replicas times "
         "objective.discriminator_steps=2. Use a multiple of 4."),
    ):  # fmt: skip
        with pytest.raises(ValueError) as error:
            config_of(2, values, **images, **rest)
        assert str(error.value) == message
    config_of(2, {"training.image_batch": 3}, model="rjgan", replicas=2)  # a run without images


@pytest.mark.parametrize(
    ("batch", "replicas", "parts"),
    [(3, 1, "1 replica times"), (6, 2, "2 replicas times"), (4, 1, None), (8, 2, None)],
)
def test_replicas_and_discriminator_steps_share_a_batch(config_of, batch, replicas, parts):
    values = {"training.batch_size": batch, "objective.discriminator_steps": 2}
    if parts is None:
        assert config_of(2, values, model="mocogan", replicas=replicas).steps == 2
        return
    with pytest.raises(ValueError) as error:
        config_of(2, values, model="mocogan", replicas=replicas)
    assert str(error.value) == (
        f"batch_size={batch} cannot be divided among {parts} objective.discriminator_steps=2. "
        f"Use a multiple of {2 * replicas}."
    )


def test_init_from_is_compared_by_its_real_path(config_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    config = config_of(init_from=os.fspath(tmp_path / "runs" / "images"))
    for path in ("runs/images", "./runs/images/", "runs//other/../images", "link/runs/images"):
        assert config.differences(config_of(init_from=path)) == []
    (found,) = config.differences(config_of(init_from="runs/other"))
    assert found.startswith(f"init_from is {config.init_from}, not ")
    assert [line.split()[0] for line in config.differences(config_of())] == ["init_from"]


def test_clips_of_other_data_than_that_of_the_run_are_refused(config_of, squares):
    config = dataclasses.replace(config_of(), data_digest="0" * 16)
    with pytest.raises(DatasetError, match=f"{squares}: not the data set .*, not {'0' * 16}"):
        config.clips("test")


def without_training_split(folder, target):
    """A copy of the description of a data set, without the training split."""
    info = load_info(folder)
    rest = {name: split for name, split in info.splits.items() if name != "train"}
    target.mkdir()
    write_info(target, dataclasses.replace(info, splits=rest))
    return os.fspath(target)


def test_data_that_lost_its_training_split_is_not_that_of_the_run(config_of, squares, tmp_path):
    info = load_info(without_training_split(squares, tmp_path / "less"))
    with pytest.raises(DatasetError, match="not the data set that the run was trained on"):
        config_of().check_data(info)


def test_images_without_a_training_split_are_refused_in_one_line(squares, tmp_path):
    with pytest.raises(ValueError, match="has no split 'train', only test"):
        images_digest(without_training_split(squares, tmp_path / "images"))


def test_a_run_of_a_version_without_an_option_has_its_default(config_of):
    config = config_of(7, model="rjvae")
    fields = config.as_dict()
    del fields["hyperparameters"]["categories"], fields["training"]["flips"]
    earlier = RunConfig.from_dict(fields)
    assert earlier.differences(config) == [] == config.differences(earlier)
    changed = dataclasses.replace(
        config, hyperparameters={**config.hyperparameters, "categories": 3}
    )
    assert earlier.differences(changed) == ["categories is 0, not 3"]


def test_the_command_of_a_config_makes_it_again(config_of, squares):
    """By the parser of the command line: only what differs from the preset is a flag."""
    values = {"decoder.channels": [8], "training.learning_rate": 0.02, "training.flips": ["time"]}
    config = config_of(7, values, model="rjvae", seed=5)
    command = shlex.split(config.command())
    assert command[:3] == ["kerasvid", "train", "--model=rjvae"]
    assert not [word for word in command if word.startswith(("image_shape", "--init_from"))]
    flags = dict(
        each[2:].split("=", 1) for each in command if each.startswith("--") and "=" in each
    )
    settings = [after for each, after in itertools.pairwise(command) if each == "--set"]
    again = make_config(
        flags["model"], "squares", squares, load_info(squares), flags["preset"],
        parse_assignments(settings), precision="float32", steps=int(flags["steps"]),
        batch_size=int(flags["batch_size"]), seed=int(flags["seed"]),
    )  # fmt: skip
    assert again.differences(config) == [] and again.steps == config.steps == 7
    assert len(settings) == 4  # frames, and the three values
