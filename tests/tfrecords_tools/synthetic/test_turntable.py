"""The turntable data set: splits, records and the command line."""

import collections
import os

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames, parse_record
from tfrecords_tools.registry import prepare
from tfrecords_tools.synthetic import turntable
from tfrecords_tools.synthetic.turntable_drawing import COLOURS, Clip, draw_clip
from tfrecords_tools.synthetic.turntable_solids import SOLIDS
from tfrecords_tools.verify import verify

FEW = {
    "train": [Clip("mug", "grey", 20), Clip("ring", "red", 40)],
    "test": [Clip("mug", "grey", 40)],
}


@pytest.fixture
def few_clips(monkeypatch):
    monkeypatch.setattr(turntable, "list_clips", lambda: FEW)


def _records(folder, split):
    files = [os.path.join(folder, shard.file) for shard in load_info(folder).splits[split].shards]
    return [parse_record(serialized) for serialized in tf.data.TFRecordDataset(files)]


def test_every_identity_is_seen_from_both_elevations_in_one_split_or_the_other():
    splits = turntable.list_clips()
    train, test = splits["train"], splits["test"]
    assert (len(train), len(test)) == (240, 16)
    assert len(set(train) | set(test)) == 256
    pairs = collections.Counter((clip.solid, clip.colour) for clip in train + test)
    assert len(pairs) == 128 and set(pairs.values()) == {2}
    assert len(turntable.IDENTITIES) == len(set(turntable.IDENTITIES)) == 128
    assert {clip.elevation for clip in train + test} == {20, 40}


def test_the_test_split_holds_out_one_view_of_an_identity_evenly():
    splits = turntable.list_clips()
    held_out = splits["test"]
    assert sorted(clip.solid for clip in held_out) == sorted(SOLIDS)
    assert set(collections.Counter(clip.colour for clip in held_out).values()) == {2}
    assert {clip.colour for clip in held_out} == set(COLOURS)
    assert collections.Counter(clip.elevation for clip in held_out) == {20: 8, 40: 8}
    for clip in held_out:
        other = Clip(clip.solid, clip.colour, 60 - clip.elevation)
        assert other in splits["train"]
    assert turntable.list_clips() == splits
    assert [clip.colour for clip in held_out] != sorted(clip.colour for clip in held_out)


def test_records_hold_the_drawn_clips_with_their_factors(tmp_path, few_clips):
    info = turntable.prepare(tmp_path / "a", progress=False)
    assert info.name == "turntable" and info.fps == 8 and info.frame_shape == (64, 64, 3)
    assert info.class_names == ("elevation-20", "elevation-40")
    assert info.attribute_names == ("solid", "colour") and info.attribute_sizes == (16, 8)
    assert info.licence and info.source and "Aubry" in info.citation
    assert info.splits["train"].max_length == info.splits["train"].min_length == 16
    assert verify(str(tmp_path / "a")).faults == []
    for split, clips in FEW.items():
        records = _records(tmp_path / "a", split)
        assert len(records) == len(clips)
        for record, clip in zip(records, clips, strict=True):
            identity = info.identity_names[int(record["identity"])]
            assert identity == f"{clip.colour} {clip.solid}"
            label = info.class_names[int(record["label"])]
            assert label == f"elevation-{clip.elevation}"
            assert record["id"].numpy().decode() == f"{label}/{clip.colour}-{clip.solid}"
            solid, colour = map(int, record["attributes"].numpy())
            assert (list(SOLIDS)[solid], list(COLOURS)[colour]) == (clip.solid, clip.colour)
            frames = decode_frames(record["frames"], "png", 64, 64, 3).numpy()
            np.testing.assert_array_equal(frames, draw_clip(clip))
    again = turntable.prepare(tmp_path / "b", progress=False)
    assert again == info  # with the checksums of all bytes


def test_it_is_made_by_name_without_any_source(tmp_path, few_clips):
    folder = prepare("turntable", str(tmp_path))
    assert folder == str(tmp_path / "turntable") and load_info(folder).splits["test"].count == 1


def test_a_data_set_is_replaced_only_on_request(tmp_path, few_clips, capsys):
    out_dir = tmp_path / "turntable"
    turntable.main([f"--out_dir={out_dir}"])
    assert "train: 2 videos of 16 to 16 frames, 64x64" in capsys.readouterr().out
    before = load_info(out_dir)
    with pytest.raises(SystemExit, match="--overwrite"):
        turntable.main([f"--out_dir={out_dir}"])
    turntable.main([f"--out_dir={out_dir}", "--overwrite"])
    assert load_info(out_dir) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--variant=lpc", "--out_dir=new"], "variant"),
        (["new"], "new: is not a flag"),
        ([], "--out_dir is missing"),
        (["--out_dir=used"], "used: exists and is not a data set"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "keep.txt").write_text("mine")
    with pytest.raises(SystemExit, match=said) as stop:
        turntable.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "used" / "keep.txt").read_text() == "mine"
