"""Data sets of TensorFlow Datasets: features, splits, classes and faults."""

import sys

import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames
from tests.tfrecords_tools.written_records import records_by_id
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import tfds as converter
from tfrecords_tools.converters.tfds import TfdsOptions, convert
from tfrecords_tools.verify import verify

tfds = pytest.importorskip("tensorflow_datasets", reason="pip install -e '.[tests]'")
features = tfds.features
SMALL = {"height": 8, "width": 8}
CLASSES = ["walk", "jump"]


class KerasvidWalks(tfds.core.GeneratorBasedBuilder):
    """A registered data set of one video, which lacks the network if `fault` says so."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=name, version="1.0.0") for name in ("small", "large")
    ]
    fault: Exception | None = None

    def _info(self):
        videos = features.FeaturesDict({"clip": features.Video(shape=(None, 8, 8, 3))})
        return tfds.core.DatasetInfo(builder=self, features=videos)

    def _split_generators(self, dl_manager):
        if self.fault:
            raise self.fault
        return {"train": [(0, {"clip": noise(3)})]}

    def _generate_examples(self):
        raise NotImplementedError


def prepared(folder, kinds, splits, name="walks", files=1, **about):
    """Writes a data set with these features and examples by split, and returns its builder."""

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.2.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=kinds, disable_shuffling=True, **about
            )

        def _split_generators(self, dl_manager):
            return {split: enumerate(examples) for split, examples in splits.items()}

        def _generate_examples(self):
            raise NotImplementedError

    Made.name = name
    builder = Made(data_dir=str(folder))
    config = tfds.download.DownloadConfig(num_shards=files)
    builder.download_and_prepare(download_config=config)
    return builder


def noise(length, height=8, width=8, channels=3, seed=0, dtype=np.uint8):
    generator = np.random.default_rng(seed)
    return generator.integers(
        0, np.iinfo(dtype).max, (length, height, width, channels), dtype, True
    )


def written(builder, out, *args, **options):
    """Converts a prepared data set."""
    name = builder.name
    return convert(
        name, str(out), *args, tfds_dir=builder.data_path.parents[1], progress=False, **options
    )


def decoded(builder, split):
    """The examples of a split as TensorFlow Datasets gives them, in the order of its files."""
    reading = tfds.ReadConfig(interleave_cycle_length=1)
    return tfds.as_numpy(builder.as_dataset(split=split, read_config=reading))


def frames_of(record, size=8):
    return decode_frames(record["frames"], "png", size, size, 3).numpy()


def check_pixels(builder, out, find):
    """Compares all videos with those of the builder; `find` takes the frames of an example."""
    records = records_by_id(out)
    expected = [(split, example) for split in load_info(out).splits
                for example in decoded(builder, split)]  # fmt: skip
    assert len(records) == len(expected) > 0
    for (where, record), (split, example) in zip(records.values(), expected, strict=True):
        np.testing.assert_array_equal(frames_of(record), find(example))
        assert where == split


def only(kind, examples, folder, **more):
    """A data set with the feature "clip" alone."""
    splits = {"train": [{"clip": clip} for clip in examples]}
    return prepared(folder, features.FeaturesDict({"clip": kind}), splits, **more)


@pytest.fixture
def walks(tmp_path):
    """Videos of several lengths with classes, each split in two files."""
    kinds = features.FeaturesDict({
        "clip": features.Video(shape=(None, 8, 8, 3)),
        "action": features.ClassLabel(names=CLASSES),
        "note": features.Text(),
    })  # fmt: skip
    rows = [{"clip": noise(3 + n, seed=n), "action": n % 2, "note": "a"} for n in range(5)]
    return prepared(
        tmp_path / "tfds", kinds, {"train": rows[:3], "validation": rows[3:]}, files=2,
        license="CC-BY 4.0", citation="@misc{walks,\n title={Walks}}", homepage="https://walks.org",
    )  # fmt: skip


def test_videos_have_their_pixels_splits_and_classes(walks, tmp_path):
    assert walks.info.splits["train"].num_shards == 2
    info = written(walks, tmp_path / "out", TfdsOptions(**SMALL))
    assert verify(tmp_path / "out").faults == []
    assert {split: clips.count for split, clips in info.splits.items()} == {
        "train": 3, "validation": 2
    }  # fmt: skip
    check_pixels(walks, tmp_path / "out", lambda example: example["clip"])
    records = records_by_id(tmp_path / "out")
    assert [int(record["label"]) for _, record in records.values()] == [0, 1, 0, 1, 0]
    assert info.class_names == tuple(CLASSES) and info.fps == -1
    assert {"train/00000-000000", "validation/00001-000000"} < {*records}


def test_licence_citation_homepage_and_version_are_taken_over(walks, tmp_path):
    written(walks, tmp_path / "out", TfdsOptions(**SMALL), splits=["validation"])
    info = load_info(tmp_path / "out")
    assert (info.name, info.version) == ("tfds/walks", "1.2.0")
    assert (info.licence, info.source) == ("CC-BY 4.0", "https://walks.org")
    assert info.citation == "@misc{walks,\n title={Walks}}"
    assert [*info.splits] == ["validation"]


def test_the_number_of_workers_does_not_change_the_records(walks, tmp_path):
    infos = [written(walks, tmp_path / str(n), TfdsOptions(**SMALL), workers=n) for n in (1, 3)]
    assert infos[0] == infos[1]


@pytest.mark.parametrize(
    ("kind", "clip", "expected"),
    [
        (features.Image(shape=(8, 8, 3)), noise(4), lambda x: x),
        (features.Image(shape=(8, 8, 3), encoding_format="jpeg"), noise(4), lambda x: x),
        (features.Image(shape=(8, 8, 1)), noise(4, channels=1), lambda x: x.repeat(3, axis=-1)),
        (features.Image(shape=(8, 8, 1), dtype=np.uint16), noise(4, channels=1, dtype=np.uint16),
         lambda x: (x // 256).repeat(3, axis=-1)),
        (features.Image(shape=(8, 8, 4)), noise(4, channels=4),
         lambda x: np.floor(x[..., :3] * (x[..., 3:] / 255) + 0.5)),
    ],
    ids=["png", "jpeg", "grey", "16 bits", "transparent"],
)  # fmt: skip
def test_sequences_of_images_become_rgb(tmp_path, kind, clip, expected):
    builder = only(features.Sequence(kind), [clip, clip[:2]], tmp_path / "tfds")
    info = written(builder, tmp_path / "out", TfdsOptions(**SMALL))
    assert info.splits["train"].min_length == 2 and info.class_names == ()
    check_pixels(builder, tmp_path / "out", lambda example: expected(example["clip"]))


def test_frames_of_other_sizes_are_resized_and_cropped(tmp_path):
    clip = noise(3, 20, 12, 1)
    builder = only(features.Video(shape=(None, None, None, 1)), [clip], tmp_path / "tfds")
    written(builder, tmp_path / "out", TfdsOptions(**SMALL))
    (_, record), = records_by_id(tmp_path / "out").values()  # fmt: skip
    right = [media.resize_and_crop(frame.repeat(3, axis=-1), 8, 8) for frame in clip]
    np.testing.assert_array_equal(frames_of(record), right)


def test_the_steps_of_a_sequence_give_the_images_of_the_asked_for_camera(tmp_path):
    """The features are those of bair_robot_pushing_small, and one that is nested deeper."""
    image = features.Image(shape=(8, 8, 3))
    kinds = features.Sequence({
        "image_main": image, "image_aux1": image, "inner": {"depth": image},
        "action": features.Tensor(shape=(4,), dtype=np.float32),
        "state": features.ClassLabel(num_classes=2),
    })  # fmt: skip
    rows = [{"image_main": noise(4, seed=n), "image_aux1": noise(4, seed=n + 10),
             "inner": {"depth": noise(4, seed=n + 20)}, "action": np.zeros([4, 4], np.float32),
             "state": [0, 1, 0, 1]} for n in range(2)]  # fmt: skip
    builder = prepared(tmp_path / "tfds", kinds, {"train": rows[:1], "test": rows[1:]})
    for name, find in (
        ("image_main", lambda example: example["image_main"]),
        ("inner/depth", lambda example: example["inner"]["depth"]),
    ):
        options = TfdsOptions(**SMALL, feature=name)
        info = written(builder, tmp_path / "out", options, overwrite=True)
        check_pixels(builder, tmp_path / "out", find)
        assert info.class_names == () and [*info.splits] == ["train", "test"]


def test_an_episode_gives_the_images_of_its_steps(tmp_path):
    step = {"observation": {"image": features.Image(shape=(8, 8, 3))}, "reward": np.float32}
    kinds = features.FeaturesDict({
        "steps": features.Dataset(step), "task": {"kind": features.ClassLabel(names=CLASSES)},
    })  # fmt: skip
    rows = [{"steps": [{"observation": {"image": frame}, "reward": 0.0} for frame in noise(3 + n)],
             "task": {"kind": n}} for n in range(2)]  # fmt: skip
    builder = prepared(tmp_path / "tfds", kinds, {"train": rows})
    info = written(builder, tmp_path / "out", TfdsOptions(**SMALL))
    check_pixels(
        builder,
        tmp_path / "out",
        lambda example: [step["observation"]["image"] for step in example["steps"]],
    )
    labels = [int(record["label"]) for _, record in records_by_id(tmp_path / "out").values()]
    assert labels == [0, 1] and info.class_names == tuple(CLASSES)


def test_what_is_no_video_is_not_taken_for_one(tmp_path):
    """Sequences of floating-point numbers and of videos, and an image alone."""
    video, image = features.Video(shape=(None, 8, 8, 3)), features.Image(shape=(8, 8, 3))
    depth = features.Sequence(features.Image(shape=(8, 8, 1), dtype=np.float32))
    kinds = features.FeaturesDict({
        "clip": video, "views": features.Sequence(video), "depth": depth, "poster": image,
    })  # fmt: skip
    row = {"clip": noise(3), "views": [noise(2), noise(2)], "poster": noise(1)[0],
           "depth": np.zeros([2, 8, 8, 1], np.float32)}  # fmt: skip
    builder = prepared(tmp_path / "tfds", kinds, {"train": [row]})
    written(builder, tmp_path / "out", TfdsOptions(**SMALL))
    check_pixels(builder, tmp_path / "out", lambda example: example["clip"])


def test_other_images_are_not_decoded(tmp_path):
    """The bytes of images are stored as they are, so that broken ones can be prepared."""
    image = features.Image(shape=(None, None, 3))
    kinds = features.FeaturesDict({
        "clip": features.Video(shape=(None, 8, 8, 3)), "other": features.Sequence(image),
        "poster": image,
    })  # fmt: skip
    row = {"clip": noise(3), "other": [b"nothing"], "poster": b"nothing"}
    builder = prepared(tmp_path / "tfds", kinds, {"train": [row]})
    options = TfdsOptions(**SMALL, feature="clip")
    assert written(builder, tmp_path / "out", options).splits["train"].count == 1


def rate(tmp_path, *ffmpeg, fps=None, **about):
    kind = features.Video(shape=(None, 8, 8, 3), ffmpeg_extra_args=ffmpeg)
    builder = only(kind, [noise(2)], tmp_path / "tfds", **about)
    info = written(builder, tmp_path / "out", TfdsOptions(**SMALL, fps=fps))
    (_, record), = records_by_id(tmp_path / "out").values()  # fmt: skip
    assert float(record["fps"]) == pytest.approx(info.fps)
    return info.fps


@pytest.mark.parametrize(
    ("ffmpeg", "metadata", "fps", "expected"),
    [
        (["-r", "12"], None, 5, 12),
        (["-vf", "scale=8:8,fps=30000/1001"], None, None, pytest.approx(29.97, abs=0.001)),
        ([], {"fps": 24}, 5, 24),
        ([], {"frame_rate": "unknown"}, 5, 5),
        (["-r"], {"fps": 0}, None, -1),
    ],
)
def test_the_frame_rate_is_that_of_the_data_set_or_else_the_flag(
    tmp_path, ffmpeg, metadata, fps, expected
):
    about = {"metadata": tfds.core.MetadataDict(metadata)} if metadata else {}
    assert rate(tmp_path, *ffmpeg, fps=fps, **about) == expected


def test_videos_are_cut_into_clips(walks, tmp_path, capsys):
    options = TfdsOptions(**SMALL, clip_frames=3, clip_stride=1)
    info = written(walks, tmp_path / "out", options, splits=["train"])
    assert (info.splits["train"].count, info.splits["train"].max_length) == (6, 3)
    records = records_by_id(tmp_path / "out")
    videos = [example["clip"] for example in decoded(walks, "train")]
    clips = [video[start : start + 3] for video in videos for start in range(len(video) - 2)]
    np.testing.assert_array_equal([frames_of(record) for _, record in records.values()], clips)
    assert [name.partition("@")[2] for name in records] == ["0", "0", "1", "0", "1", "2"]
    assert "cut 3 videos into 6 clips of 3 frames" in capsys.readouterr().err


def test_lengths_are_limited(walks, tmp_path):
    options = TfdsOptions(**SMALL, max_frames=2)
    assert written(walks, tmp_path / "out", options).splits["train"].max_length == 2
    with pytest.raises(ConversionError, match=r"5 frames, expected 9 or more \(--min_frames\)"):
        written(walks, tmp_path / "new", TfdsOptions(**SMALL, min_frames=9))


def test_of_several_labels_the_asked_for_one_is_taken(tmp_path):
    label = features.ClassLabel(names=CLASSES)
    kinds = features.FeaturesDict({
        "clip": features.Video(shape=(None, 8, 8, 3)), "a": label, "b": {"c": label},
    })  # fmt: skip
    rows = [{"clip": noise(2), "a": 0, "b": {"c": value}} for value in (1, -1)]
    builder = prepared(tmp_path / "tfds", kinds, {"train": rows})
    for wanted, expected in ((None, [-1, -1]), ("b/c", [1, -1])):
        options = TfdsOptions(**SMALL, label_feature=wanted)
        info = written(builder, tmp_path / "out", options, overwrite=True)
        labels = [int(record["label"]) for _, record in records_by_id(tmp_path / "out").values()]
        assert labels == expected and info.class_names == (tuple(CLASSES) if wanted else ())


def test_the_command_line(walks, tmp_path, capsys):
    sizes = []
    for quality in (30, 95):
        out = tmp_path / f"out-{quality}"
        converter.main([f"--name={walks.name}:1.2.0", f"--tfds_dir={tmp_path / 'tfds'}",
                        f"--out_dir={out}", "--height=8", "--width=8", "--feature=clip",
                        "--label_feature=action", "--splits=train", "--encoding=jpeg",
                        f"--jpeg_quality={quality}"])  # fmt: skip
        assert capsys.readouterr().out == (
            "train: 3 videos of 3 to 5 frames, 8x8\n"
            f"Wrote {out}. Check it: kerasvid data verify {out}\n"
        )
        assert load_info(out).encoding == "jpeg" and [*load_info(out).splits] == ["train"]
        sizes.append(load_info(out).splits["train"].shards[0].bytes)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": "clips"}, "no feature 'clips'; did you mean 'clip'? Known: action, clip, "
         "note."),
        ({"feature": "note"}, "the feature 'note' has no videos and no sequences of images, as "
         "clip has."),
        ({"label_feature": "acton"}, "no feature 'acton'; did you mean 'action'? Known: action, "
         "clip, note."),
        ({"label_feature": "note"}, "the feature 'note' has no class label of a video, as action "
         "has."),
    ],
)  # fmt: skip
def test_wrong_features_are_one_line(walks, tmp_path, options, message):
    with pytest.raises(ConversionError) as error:
        written(walks, tmp_path / "out", TfdsOptions(**SMALL, **options))
    assert str(error.value) == f"walks: {message}" and not (tmp_path / "out").exists()


def test_an_unknown_split_is_one_line(walks, tmp_path):
    with pytest.raises(ConversionError) as error:
        written(walks, tmp_path / "out", splits=["train", "valid"])
    assert str(error.value) == (
        "walks: no split 'valid'; did you mean 'validation'? Known: train, validation."
    )


def test_several_features_of_videos_are_listed(tmp_path):
    clip = features.Video(shape=(None, 8, 8, 3))
    kinds = features.FeaturesDict({"a": clip, "b": {"c": clip}})
    row = {"a": noise(2), "b": {"c": noise(2)}}
    builder = prepared(tmp_path / "tfds", kinds, {"train": [row]})
    with pytest.raises(ConversionError) as error:
        written(builder, tmp_path / "out")
    assert str(error.value) == (
        "walks: several features of videos (a, b/c). Give one of them as --feature."
    )


def test_features_without_videos_are_one_line(tmp_path):
    builder = only(features.Image(shape=(8, 8, 3)), [noise(1)[0]], tmp_path / "tfds")
    with pytest.raises(ConversionError) as error:
        written(builder, tmp_path / "out")
    assert str(error.value) == ("walks: no feature of videos or of sequences of images among clip.")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kerasvid_walk", "no data set 'kerasvid_walk'; did you mean 'kerasvid_walks'? See "
         "https://www.tensorflow.org/datasets/catalog, or give the folder of prepared data sets as "
         "--tfds_dir."),
        ("zzzzzzzzz", "no data set 'zzzzzzzzz'; see https://www.tensorflow.org/datasets/catalog, "
         "or give the folder of prepared data sets as --tfds_dir."),
        ("kerasvid_walks/smal", "no configuration 'smal'; did you mean 'small'? Known: large, "
         "small."),
        ("kerasvid_walks/small:2.0.0", "cannot be read (Dataset kerasvid_walks cannot be loaded "
         "at version 2.0.0, only: 1.0.0)."),
        ("my walks", "is not written as NAME, NAME/CONFIG or NAME/CONFIG:1.0.0."),
    ],
)  # fmt: skip
def test_unknown_data_sets_are_one_line(tmp_path, name, message):
    with pytest.raises(ConversionError) as error:
        convert(name, tmp_path / "out", tfds_dir=tmp_path / "tfds", progress=False)
    assert str(error.value) == f"{name}: {message}"


def test_a_data_set_is_prepared_on_first_use(tmp_path, monkeypatch):
    asked = ["kerasvid_walks/large", tmp_path / "out", TfdsOptions(**SMALL)]
    options = {"tfds_dir": tmp_path / "tfds", "progress": False, "overwrite": True}
    assert convert(*asked, **options).name == "tfds/kerasvid_walks/large"
    monkeypatch.setattr(KerasvidWalks, "fault", ConnectionError("no route\nto host."))
    assert convert(*asked, **options).splits["train"].count == 1


def test_a_data_set_that_cannot_be_prepared_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(KerasvidWalks, "fault", ConnectionError("no route\nto host."))
    with pytest.raises(ConversionError) as error:
        convert("kerasvid_walks", tmp_path / "out", tfds_dir=tmp_path / "tfds", progress=False)
    folder = tmp_path / "tfds" / "kerasvid_walks" / "small" / "1.0.0"
    assert str(error.value) == (
        f"kerasvid_walks: is not prepared in {folder} and cannot be (no route to host). Give the "
        "folder of prepared data sets as --tfds_dir."
    )


@pytest.fixture
def broken(tmp_path):
    """Three videos; the last frame of the second one is no image, and the third has no frames."""
    image = features.Image(shape=(8, 8, 3))
    good = [image.encode_example(frame) for frame in noise(4)]
    clips = [good, [*good[:3], b"no image"], []]
    return only(features.Sequence(image), clips, tmp_path / "tfds")


@pytest.mark.parametrize("cut", [{}, {"clip_frames": 2}])
def test_broken_videos_are_named_or_skipped_as_a_whole(broken, tmp_path, capsys, cut):
    options = TfdsOptions(**SMALL, **cut)
    with pytest.raises(
        ConversionError, match=r"^walks: train/00000-000001: cannot be read as an image"
    ) as error:
        written(broken, tmp_path / "out", options)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
    info = written(broken, tmp_path / "out", options, skip_unreadable=True)
    assert info.splits["train"].count == (2 if cut else 1)
    lines = [line for line in capsys.readouterr().err.splitlines() if "skipped" in line]
    assert lines[0].startswith("skipped walks: train/00000-000001: cannot be read as an image (")
    assert lines[1:] == ["skipped walks: train/00000-000002: has no frames"]


def test_a_damaged_file_is_one_line(walks, tmp_path):
    path = walks.info.splits["validation"].filepaths[0]
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ConversionError, match=r"^walks: validation cannot be read \(") as error:
        written(walks, tmp_path / "out", TfdsOptions(**SMALL))
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ConversionError) as error:
        convert("walks", str(tmp_path / "out"))
    assert str(error.value) == (
        "tfds needs the package tensorflow-datasets. Run pip install 'kerasvid[tfds]'."
    )
