"""Holding out pairs of identity and label: which, what their videos become, what is refused."""

import dataclasses
import itertools
import os
import re

import numpy as np
import pytest
import tensorflow as tf

import tfrecords_tools.derived.hold_out_pairs as module
from kerasvid.data import DatasetError, load_info, write_info
from kerasvid.data.records import DatasetInfo
from kerasvid.data.shards import write_split
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.derived.hold_out_pairs import choose_pairs, hold_out_pairs, main
from tfrecords_tools.verify import verify

# 17 of the 20 pairs of 5 identities and 4 labels, in mixed order; (1, 2) has three takes.
GRID = [
    (identity, label)
    for label, identity in itertools.product((2, 0, 3, 1), (1, 4, 0, 3, 2))
    if (identity, label) not in {(0, 3), (2, 1), (4, 0)}
]
VIDEOS = {"train": [(1, 2), *GRID, (1, 2)], "test": [(0, 3), (5, 0), (1, 1)]}


def features_of(split, number, identity, label):
    """A video of 2 or 3 frames of noise, 4x5 and grey, as plain numbers and bytes."""
    noise = np.random.default_rng([len(split), number])
    frames = [noise.integers(0, 256, 4 * 5, np.uint8).tobytes() for _ in range(2 + number % 2)]
    return {
        "frames": frames, "encoding": [b"raw"], "index": [number],
        "id": [f"{split}/{number}".encode()], "length": [len(frames)],
        "height": [4], "width": [5], "channels": [1], "fps": [12.5],
        "label": [label], "identity": [identity], "attributes": [number % 3, 2],
    }  # fmt: skip


def feature_of(values):
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def make_data_set(folder, videos=None, encoding="raw", without=()):
    """Writes records as the schema defines them; `without` names a video's absent fields."""
    os.makedirs(folder)
    info = DatasetInfo(
        "mine", "3", 4, 5, 1, 12.5, encoding, class_names=tuple("abcd"),
        identity_names=tuple("uvwxyz"), attribute_names=("hat", "shoe"), attribute_sizes=(3, 3),
        licence="free", source="somewhere", citation="someone",
    )  # fmt: skip
    splits = {}
    for split, pairs in (videos or VIDEOS).items():
        records = []
        for number, pair in enumerate(pairs):
            fields = features_of(split, number, *pair)
            if (split, number) in dict(without):
                del fields[dict(without)[split, number]]
            example = tf.train.Example()
            for name, values in fields.items():
                example.features.feature[name].CopyFrom(feature_of(values))
            records.append((example.SerializeToString(deterministic=True), len(fields["frames"])))
        splits[split] = write_split(folder, split, records, videos_per_shard=4)
    write_info(folder, dataclasses.replace(info, splits=splits))
    return folder


def serialized(folder, split):
    """The records as they are in the files, in the order of the shards."""
    shards = load_info(folder).splits[split].shards
    paths = [os.path.join(folder, shard.file) for shard in shards]
    return list(tf.data.TFRecordDataset(paths).as_numpy_iterator())


def read(folder, split):
    """Identity, label, index and id of each record, parsed without kerasvid."""
    found = []
    for record in serialized(folder, split):
        feature = tf.train.Example.FromString(record).features.feature
        numbers = [feature[k].int64_list.value[0] for k in ("identity", "label", "index")]
        found.append((*numbers, feature["id"].bytes_list.value[0].decode()))
    return found


def pairs_of(folder, split):
    return {(identity, label) for identity, label, _, _ in read(folder, split)}


@pytest.fixture
def source(tmp_path):
    return make_data_set(str(tmp_path / "source"))


def test_each_video_is_in_the_split_of_its_pair_and_none_is_lost(source, tmp_path):
    info, held_out = hold_out_pairs(source, tmp_path / "out", 0.4, seed=2, progress=False)
    train, test = (read(tmp_path / "out", split) for split in ("train", "test"))
    assert pairs_of(tmp_path / "out", "test") == held_out and len(held_out) == 7  # of 17
    assert pairs_of(tmp_path / "out", "train") == set(GRID) - held_out
    in_order = [f"train/{k}" for k, pair in enumerate(VIDEOS["train"]) if pair not in held_out]
    assert [video[3] for video in train] == in_order
    assert sorted(v[3] for v in train + test) == sorted(f"train/{k}" for k in range(19))
    assert [video[2] for video in train] == list(range(len(train)))
    assert [video[2] for video in test] == list(range(len(test)))
    assert (info.splits["train"].count, info.splits["test"].count) == (len(train), len(test))


def test_all_takes_of_a_pair_go_together(source, tmp_path):
    takes = {f"train/{k}" for k, pair in enumerate(VIDEOS["train"]) if pair == (1, 2)}
    places = set()
    for seed in range(4):
        out = tmp_path / str(seed)
        _, held_out = hold_out_pairs(source, out, 0.5, seed, progress=False)
        test = {video[3] for video in read(out, "test")}
        assert len(takes) == 3 and takes & test in (takes, set())
        assert bool(takes & test) == ((1, 2) in held_out)
        places.add(bool(takes & test))
    assert places == {True, False}


@pytest.mark.parametrize("seed", range(10))
def test_train_keeps_every_identity_and_every_label(seed):
    random = np.random.default_rng(seed)
    cells = list(itertools.product(range(7), range(5)))
    pairs = {cells[k] for k in random.choice(len(cells), 25, replace=False)}
    for fraction in (0.01, 0.1, 0.3, 0.5):
        held_out = choose_pairs(pairs, fraction, seed)
        left = [pair for pair in pairs if pair not in held_out]
        assert len(left) + len(held_out) == 25 and held_out <= pairs
        assert {identity for identity, _ in left} == {identity for identity, _ in pairs}
        assert {label for _, label in left} == {label for _, label in pairs}


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.001, 1), (0.02, 1), (0.25, 4), (0.4, 7), (0.5, 8), (0.6, 10)]
)
def test_the_fraction_is_that_of_pairs(fraction, count):
    for seed in range(5):
        assert len(choose_pairs(GRID * 3, fraction, seed)) == count


def test_any_pair_may_be_held_out():
    """No pair is favoured: over seeds, each is held out about as often."""
    full = list(itertools.product(range(4), range(4)))
    often = dict.fromkeys(full, 0)
    for seed in range(400):
        for pair in choose_pairs(full, 0.25, seed):
            often[pair] += 1
    # Binomial(400, 1/4) has mean 100 and a standard deviation of 8.7.
    assert min(often.values()) > 65 and max(often.values()) < 135


def test_the_choice_follows_from_seed_and_pairs_alone():
    chosen = choose_pairs(GRID, 0.3, seed=5)
    assert chosen == choose_pairs(GRID[::-1] + GRID, 0.3, seed=5)
    assert len({choose_pairs(GRID, 0.3, seed) for seed in range(8)}) > 4
    assert choose_pairs(GRID, 0.1, seed=5) < chosen < choose_pairs(GRID, 0.5, seed=5)


def test_the_same_seed_gives_the_same_bytes(source, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        hold_out_pairs(source, tmp_path / name, seed=seed, progress=False)
    texts = [(tmp_path / name / "dataset.json").read_text() for name in "abc"]
    assert texts[0] == texts[1]  # hence the checksums of the shards
    assert texts[2].replace("seed=4", "seed=3") != texts[0]


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_records_keep_every_byte_but_the_index(tmp_path, encoding):
    # Of an encoding that the frames do not have, too: nothing is decoded.
    source = make_data_set(str(tmp_path / "source"), encoding=encoding)
    hold_out_pairs(source, tmp_path / "out", 0.4, progress=False)
    before = dict(enumerate(serialized(source, "train")))
    for split in ("train", "test"):
        records = serialized(tmp_path / "out", split)
        numbers = [int(name.split("/")[1]) for *_, name in read(tmp_path / "out", split)]
        for number, record in zip(numbers, records, strict=True):
            old = before.pop(number)
            # Indices below 128 take one byte, so that all others have the same place.
            assert len(record) == len(old)
            assert sum(a != b for a, b in zip(record, old, strict=True)) <= 1
            frames = features_of("train", number, 0, 0)["frames"]
            assert all(frame in record for frame in frames)
    assert before == {}


def test_the_result_is_a_complete_data_set(source, tmp_path):
    out = tmp_path / "out"
    info, _ = hold_out_pairs(source, out, 0.4, seed=1, progress=False)
    assert verify(out).faults == [] and load_info(out) == info
    assert info.name == "mine/pairs" and info.version == "3" and info.fps == 12.5
    assert info.source == (
        "somewhere; mine, by hold_out_pairs with fraction=0.4, seed=1 and splits=train"
    )
    assert (info.licence, info.citation) == ("free", "someone")
    assert info.class_names == tuple("abcd") and info.identity_names == tuple("uvwxyz")
    assert info.attribute_names == ("hat", "shoe") and info.attribute_sizes == (3, 3)
    assert (info.splits["train"].min_length, info.splits["train"].max_length) == (2, 3)


def test_several_splits_become_one_set_of_videos(source, tmp_path):
    out = tmp_path / "out"
    splits = ["test", "train", "test"]
    info, held_out = hold_out_pairs(source, out, 0.4, splits=splits, progress=False)
    ids = [[video[3] for video in read(out, split)] for split in ("train", "test")]
    everything = [(f"{split}/{k}", pair) for split in ("test", "train")
                  for k, pair in enumerate(VIDEOS[split])]  # fmt: skip
    assert ids[0] == [name for name, pair in everything if pair not in held_out]
    assert ids[1] == [name for name, pair in everything if pair in held_out]
    assert len(held_out) == round(0.4 * 19)  # (0, 3) and (5, 0) are new, (1, 1) is not
    assert (5, 0) not in held_out  # the only one of its identity
    assert info.source.endswith("and splits=test,train")


def test_a_split_that_is_not_read_may_be_damaged(source, tmp_path):
    os.remove(os.path.join(source, "test-00000-of-00001.tfrecord"))
    hold_out_pairs(source, tmp_path / "out", progress=False)
    with pytest.raises(DatasetError, match=r"test-00000-of-00001\.tfrecord: the shard is missing"):
        hold_out_pairs(source, tmp_path / "both", splits=["train", "test"], progress=False)
    assert sorted(os.listdir(tmp_path)) == ["out", "source"]


def test_a_record_is_written_before_the_next_is_read(source, tmp_path, monkeypatch):
    events = []
    read_records, finish_example = module.read_records, module.finish_example

    def name_of(example):
        return example.features.feature["id"].bytes_list.value[0].decode()

    def reading(*arguments):
        for example in read_records(*arguments):
            events.append(("read", name_of(example)))
            yield example

    def finishing(example, index):
        events.append(("write", name_of(example)))
        return finish_example(example, index)

    monkeypatch.setattr(module, "read_records", reading)
    monkeypatch.setattr(module, "finish_example", finishing)
    hold_out_pairs(source, tmp_path / "out", progress=False)
    written = [k for k, (what, _) in enumerate(events) if what == "write"]
    assert len(written) == 19
    assert all(events[k - 1] == ("read", events[k][1]) for k in written)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("side", [3, 12])
def test_a_fraction_that_is_too_large_raises_with_the_largest_possible(side, seed):
    pairs = set(itertools.product(range(side), range(side)))
    with pytest.raises(ConversionError) as stop:
        choose_pairs(pairs, 0.95, seed)
    found = re.fullmatch(
        rf"fraction=0\.95: with seed={seed} only (\d+) of {side**2} pairs can be held out, "
        r"because .*; give --fraction=([0-9.]+) or less, or another seed\.", str(stop.value)
    )  # fmt: skip
    held_out = choose_pairs(pairs, float(found[2]), seed)
    assert len(held_out) == int(found[1])
    # No further pair can go: each that is left is the last of its identity or its label.
    left = pairs - held_out
    assert {i for i, _ in left} == {i for _, i in left} == set(range(side))
    for identity, label in left:
        rest = left - {(identity, label)}
        assert identity not in {i for i, _ in rest} or label not in {k for _, k in rest}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([(0, 0), (0, 1), (1, 1)], "1 of 3 pairs can be held out.*--fraction=0.3 or less"),
        ([(0, 0), (0, 1), (1, 2)], "No pair can be held out: each of the 3 pairs is the only one"),
        ([(7, 7)], "No pair can be held out: each of the 1 pairs is"),
    ],
)
def test_a_small_data_set_that_cannot_be_divided_is_refused(tmp_path, pairs, said):
    source = make_data_set(str(tmp_path / "source"), {"train": pairs * 2})
    with pytest.raises(ConversionError, match=said) as stop:
        hold_out_pairs(source, tmp_path / "out", 0.9, progress=False)
    assert "\n" not in str(stop.value) and os.listdir(tmp_path) == ["source"]


def test_videos_without_identity_or_label_are_counted_and_refused(tmp_path):
    videos = {"train": [(0, 0), (0, 1), (1, -1), (1, 0), (-1, 1), (-1, -1), (1, 1)]}
    without = {("train", 0): "label", ("train", 3): "identity"}
    source = make_data_set(str(tmp_path / "source"), videos, without=without.items())
    with pytest.raises(ConversionError, match="source: 5 of 7 videos have no identity") as stop:
        hold_out_pairs(source, tmp_path / "out", progress=False)
    assert "\n" not in str(stop.value) and os.listdir(tmp_path) == ["source"]


def test_an_altered_data_set_is_refused_by_name(source, tmp_path):
    path = os.path.join(source, "train-00002-of-00005.tfrecord")
    with open(path, "r+b") as file:
        file.seek(60)
        byte = file.read(1)[0]
        file.seek(60)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DatasetError, match=r"train-00002-of-00005\.tfrecord: altered"):
        hold_out_pairs(source, tmp_path / "out", progress=False)
    assert os.listdir(tmp_path) == ["source"]


def test_an_interrupted_run_leaves_nothing(source, tmp_path, monkeypatch):
    def stop(folder, info):
        assert len(os.listdir(folder)) == 2  # both splits are written by then
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_info", stop)
    with pytest.raises(KeyboardInterrupt):
        hold_out_pairs(source, tmp_path / "out", progress=False)
    assert os.listdir(tmp_path) == ["source"]


def test_a_result_is_replaced_only_on_request_and_the_source_never(source, tmp_path):
    out = tmp_path / "out"
    hold_out_pairs(source, out, seed=1, progress=False)
    before = (out / "dataset.json").read_text()
    with pytest.raises(ConversionError, match=r"contains a data set already.*--overwrite"):
        hold_out_pairs(source, out, seed=2, progress=False)
    assert (out / "dataset.json").read_text() == before
    hold_out_pairs(source, out, seed=2, overwrite=True, progress=False)
    assert load_info(out).source.endswith("seed=2 and splits=train")
    with pytest.raises(ConversionError, match="contains the data set that is read"):
        hold_out_pairs(source, source, overwrite=True, progress=False)
    assert load_info(source).name == "mine" and sorted(os.listdir(tmp_path)) == ["out", "source"]


def test_the_command_line_states_the_counts(source, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [f"--data_dir={source}", f"--out_dir={out}", "--fraction=0.3", "--seed=6"]
    main([*arguments, "--splits=train,test"])
    printed = capsys.readouterr().out
    counts = [len(read(out, split)) for split in ("train", "test")]
    assert sum(counts) == 22 and len(pairs_of(out, "test")) == 6  # of 19
    assert "Held out 6 pairs of an identity and a label." in printed
    assert f"train: {counts[0]} videos" in printed and f"test: {counts[1]} videos" in printed
    main([*arguments, "--overwrite"])
    assert pairs_of(out, "test") == choose_pairs(GRID, 0.3, 6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "--data_dir is missing"),
        (["--data_dir=source"], "--out_dir is missing"),
        (["--data_dir=none", "--out_dir=new"], "none: no such folder"),
        (["--data_dir=source", "--out_dir=used"], "used: exists and is not a data set"),
        (["--data_dir=source", "--out_dir=new", "--fraction=1"], r"fraction=1\.0: must be above 0"),
        (["--data_dir=source", "--out_dir=new", "--fraction=0"], "must be above 0"),
        (["--data_dir=source", "--out_dir=new", "--seed=-1"], "seed"),
        (
            ["--data_dir=source", "--out_dir=new", "--splits=train,val"],
            "source: has no split 'val'; give --splits of train, test",
        ),
        (
            ["--data_dir=source", "--out_dir=new", "--splits="],
            "--splits is empty. Name one or more of tr",
        ),
        (["source"], "source: is not a flag"),
    ],
)
def test_a_mistake_gets_one_line(source, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "keep.txt").write_text("mine")
    with pytest.raises(SystemExit, match=said) as stop:
        main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "used" / "keep.txt").read_text() == "mine"
