"""The sprites data sets: splits, labels, records and the command line."""

import functools
import http.server
import json
import threading

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.records import decode_frames, parse_record
from tfrecords_tools.converters import lpc_sheets
from tfrecords_tools.synthetic import sprites, sprites_drawing


@pytest.fixture
def few_characters(monkeypatch):
    """Two training characters and one test character, so that writing takes no time."""
    whole = sprites.split_characters()
    few = {"train": whole["train"][:2], "test": whole["test"][:1]}
    monkeypatch.setattr(sprites, "split_characters", lambda: few)
    return few


@pytest.fixture
def serve_sheets(monkeypatch):
    """A function that serves a folder as the address of the sheets: the paths asked for."""
    servers = []

    def serve(folder):
        asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                asked.append(self.path)

        handler = functools.partial(Handler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(lpc_sheets, "ADDRESS", address)
        return asked

    monkeypatch.setenv("no_proxy", "*")
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def _records(folder, split):
    files = json.loads((folder / "dataset.json").read_text())["splits"][split]["shards"]
    paths = [str(folder / shard["file"]) for shard in files]
    return [parse_record(serialized) for serialized in tf.data.TFRecordDataset(paths)]


def test_splits_are_disjoint_and_follow_the_published_permutation():
    splits = sprites.split_characters()
    train, test = splits["train"], splits["test"]
    assert len(train) == 1000 and len(test) == 296
    assert sorted(train + test) == list(range(1296))
    state = np.random.get_state()
    try:
        np.random.seed(423)
        assert train + test == np.random.permutation(range(1296)).tolist()
    finally:
        np.random.set_state(state)


def test_a_characters_number_counts_its_attributes():
    number = 0
    for body in range(6):
        for bottom in range(6):
            for top in range(6):
                for hair in range(6):
                    clip = sprites.Clip(number, "walk", "front")
                    assert clip.attributes == (body, bottom, top, hair)
                    assert number == body * 216 + bottom * 36 + top * 6 + hair
                    number += 1
    assert sprites.Clip(695, "walk", "front").character_name == "body3-bottom1-top1-hair5"


def test_every_character_has_nine_clips():
    clips = sprites.list_clips(sprites_drawing.ACTIONS)
    assert len(clips["train"]) == 9000 and len(clips["test"]) == 2664
    names = {(c.character, c.action, c.view) for split in clips.values() for c in split}
    assert len(names) == 1296 * 9


def test_records_hold_the_drawn_clip_with_its_factors(tmp_path, few_characters):
    info = sprites.prepare_embedded(tmp_path / "sprites", progress=False)
    assert info.name == "sprites" and info.splits["train"].count == 18
    assert info.class_names[:4] == ("walk/front", "walk/left", "walk/right", "spellcast/front")
    assert info.attribute_sizes == (6, 6, 6, 6) and len(info.identity_names) == 1296
    assert info.licence and info.source and "ICML 2018" in info.citation
    for split, characters in few_characters.items():
        records = _records(tmp_path / "sprites", split)
        assert len(records) == 9 * len(characters)
        for position, record in enumerate(records):
            character, label = characters[position // 9], position % 9
            a, b, c, d = np.base_repr(character, 6).zfill(4)
            action = ("walk", "spellcast", "slash")[label // 3]
            view = ("front", "left", "right")[label % 3]
            assert (
                record["id"].numpy().decode() == f"body{a}-bottom{b}-top{c}-hair{d}-{action}-{view}"
            )
            assert int(record["label"]) == label and int(record["identity"]) == character
            attributes = tuple(int(digit) for digit in (a, b, c, d))
            assert tuple(record["attributes"].numpy()) == attributes
            assert float(record["fps"]) == 8.0
            frames = decode_frames(record["frames"], "png", 64, 64, 3).numpy()
            expected = sprites_drawing.draw_clip(attributes, action, view)
            np.testing.assert_array_equal(frames, expected)


@pytest.mark.needs_shared
def test_lpc_records_hold_the_composed_clip(tmp_path, few_characters, shared_data, capsys):
    source = shared_data / "lpc_sprites"
    out_dir = tmp_path / "sprites-lpc"
    sprites.main(["--variant=lpc", f"--source_dir={source}", f"--out_dir={out_dir}"])
    printed = capsys.readouterr().out
    assert "train: 18 videos of 8" in printed and "test: 9 videos of 8" in printed
    description = json.loads((out_dir / "dataset.json").read_text())
    assert description["name"] == "sprites/lpc" and "CC-BY-SA 3.0" in description["licence"]
    assert description["class_names"][3] == "spellcard/front"
    record = _records(out_dir, "test")[4]  # spellcard/left
    sheets = lpc_sheets.load_sheets(source)
    attributes = sprites.Clip(few_characters["test"][0], "spellcard", "left").attributes
    expected = lpc_sheets.compose_clip(sheets, attributes, "spellcard", "left")
    frames = decode_frames(record["frames"], "png", 64, 64, 3).numpy()
    np.testing.assert_array_equal(frames, expected)


@pytest.mark.needs_shared
def test_lpc_without_sheets_downloads_them_once(
    tmp_path, few_characters, shared_data, serve_sheets, capsys
):
    asked = serve_sheets(shared_data / "lpc_sprites")
    given, fetched = tmp_path / "given", tmp_path / "data" / "sprites-lpc"
    sprites.prepare_lpc(given, shared_data / "lpc_sprites", progress=False)
    assert asked == []
    sprites.main(["--variant=lpc", f"--out_dir={fetched}"])
    assert "25/25 [" in capsys.readouterr().err and len(asked) == 25
    assert (fetched / "dataset.json").read_text() == (given / "dataset.json").read_text()
    kept = tmp_path / "data" / "lpc-sheets"
    assert len(list(kept.glob("*/*.png"))) == 25
    assert sorted(path.name for path in kept.parent.iterdir()) == ["lpc-sheets", "sprites-lpc"]
    sprites.main(["--variant=lpc", f"--out_dir={fetched}", "--overwrite"])
    assert len(asked) == 25


def test_lpc_sheets_that_cannot_be_had_get_one_line(tmp_path, serve_sheets):
    serve_sheets(tmp_path)  # which has no sheet
    with pytest.raises(SystemExit) as stop:
        sprites.main(["--variant=lpc", f"--out_dir={tmp_path / 'new'}"])
    said = str(stop.value)
    assert said.startswith(f"error: {lpc_sheets.ADDRESS}/body/0.png: the server answers 404")
    assert "--source_dir" in said and "\n" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--variant=lpc", "--source_dir=none", "--out_dir=new"], "none: no such folder"),
        (["--variant=drawn", "--out_dir=new"], "variant"),
        (["--out=new"], "out"),
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
        sprites.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "used" / "keep.txt").read_text() == "mine"


def test_a_data_set_is_replaced_only_on_request(tmp_path, few_characters, capsys):
    out_dir = tmp_path / "sprites"
    sprites.main([f"--out_dir={out_dir}"])
    with pytest.raises(SystemExit, match="--overwrite"):
        sprites.main([f"--out_dir={out_dir}"])
    before = (out_dir / "dataset.json").read_text()
    sprites.main([f"--out_dir={out_dir}", "--overwrite"])
    assert (out_dir / "dataset.json").read_text() == before  # the same bytes, hence checksums
