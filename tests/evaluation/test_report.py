"""Values with their protocol, in a run's folder."""

import concurrent.futures
import contextlib
import dataclasses
import json
import math
import threading

import pytest

from kerasvid.evaluation import report
from kerasvid.evaluation.report import Evaluation, Measured, read_evaluation

SHARED = {"model": "dsa", "frames": 8, "image_shape": [64, 64, 3]}


def measured(name="frechet", value=9.9424, low=8.81, high=11.07, **rest):
    options = {"std": None, "clips": 512, "better": "lower", **rest}
    protocol = {**SHARED, **options.pop("protocol", {})}
    return Measured(name, value, low, high, protocol=protocol, **options)


def evaluation(*values, **rest):
    options = {"step": 500, "weights": "averaged", "split": "test", "seed": 0, **rest}
    return Evaluation("runs/x", "dsa", "sprites", measured=values or (measured(),), **options)


def test_a_written_evaluation_is_read_again(tmp_path):
    infinite = measured("motion_consistency/signed", -math.inf, None, None)
    whole = evaluation(measured(), infinite, left_out={"fvd": "needs weights"})
    assert whole.write(tmp_path) == whole == read_evaluation(tmp_path)
    text = (tmp_path / "evaluation.json").read_text()
    assert json.loads(text)["measured"][1]["value"] == "-inf" and "Infinity" not in text
    names = {path.name for path in tmp_path.iterdir()} - {".evaluation.lock"}
    assert names == {"evaluation.json", "evaluation.md"}
    assert read_evaluation(tmp_path / "nothing") is None


def test_other_metrics_of_the_same_weights_join(tmp_path):
    fcs = measured("frame_consistency", 0.75)
    real = measured("frame_consistency/real", 0.8)
    evaluation(fcs, real, left_out={"frechet": "no labels", "fvd": "no weights"}).write(tmp_path)
    evaluation(measured(value=3.0)).write(tmp_path)
    found = read_evaluation(tmp_path)
    assert [each.name for each in found.measured] == [
        "frame_consistency", "frame_consistency/real", "frechet",
    ]  # fmt: skip
    assert found.left_out == {"fvd": "no weights"}  # the distance is there now
    again = measured("frame_consistency", 0.5)
    evaluation(again).write(tmp_path)  # without the part "real": that was of another call
    found = read_evaluation(tmp_path)
    assert [each.value for each in found.measured] == [3.0, 0.5]
    assert found.value("frame_consistency") == again
    with pytest.raises(KeyError, match="was not measured; there are frame_consistency, frechet"):
        found.value("fvd")


@pytest.mark.parametrize("change", [{"step": 600}, {"weights": "trained"}, {"saved": "1f"}])
def test_values_of_other_weights_are_replaced(tmp_path, change):
    evaluation(measured("frame_consistency", 0.75)).write(tmp_path)
    evaluation(**change).write(tmp_path)
    assert [each.name for each in read_evaluation(tmp_path).measured] == ["frechet"]


def test_the_heading_names_all_splits_and_seeds(tmp_path):
    of_train = {"split": "train", "seed": 3}
    evaluation(measured("fvd", protocol=of_train), split="train", seed=3).write(tmp_path)
    assert "real clips of 'train', seed 3\n" in (tmp_path / "evaluation.md").read_text()
    evaluation(measured(protocol={"split": "test", "seed": 0})).write(tmp_path)
    found = read_evaluation(tmp_path)
    assert found.heading().endswith("real clips of 'train' and 'test', seeds 3 and 0")
    assert evaluation().heading().endswith("real clips of 'test', seed 0")


def test_two_evaluations_at_once_keep_the_values_of_both(tmp_path, monkeypatch):
    both_have_read, read = threading.Barrier(2), report.read_evaluation

    def read_and_wait(folder):
        found = read(folder)
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_read.wait(0.2)
        return found

    monkeypatch.setattr(report, "read_evaluation", read_and_wait)
    values = [evaluation(measured(name)) for name in ("fvd", "frechet")]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda each: each.write(tmp_path), values))
    assert {each.name for each in read(tmp_path).measured} == {"fvd", "frechet"}


def test_a_file_with_a_flipped_bit_is_refused_or_the_same(tmp_path):
    whole, path = evaluation().write(tmp_path), tmp_path / "evaluation.json"
    good = path.read_bytes()
    for place in range(0, 8 * len(good), 7):
        changed = bytearray(good)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            assert read_evaluation(tmp_path) == whole
        except ValueError as error:
            assert str(error).startswith(f"{path}: not an evaluation")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "other"}', '{"format": 1, "measured": 2}'])
def test_a_file_that_is_not_an_evaluation_is_kept(tmp_path, text):
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"evaluation.json: not an evaluation .*. Move or delete"):
        evaluation().write(tmp_path)
    assert path.read_text() == text


def test_nothing_is_lost_where_the_folder_cannot_be_written(tmp_path):
    evaluation().write(tmp_path)
    before = (tmp_path / "evaluation.json").read_bytes()
    broken = dataclasses.replace(measured("fvd"), protocol={"weights": object()})
    with pytest.raises(TypeError):
        evaluation(broken).write(tmp_path)
    assert (tmp_path / "evaluation.json").read_bytes() == before
    assert not list(tmp_path.glob("partial-*"))


def test_the_table_has_a_row_for_each_value_with_its_interval():
    values = measured(), measured("psnr", 30.123, None, None, std=1.2, better="higher")
    head, *rows = evaluation(*values).table().splitlines()
    assert head.split() == ["metric", "value", "95", "%", "interval", "std", "clips", "better"]
    assert rows[0].split() == ["frechet", "9.942", "8.810", "..", "11.07", "512", "↓"]
    assert rows[1].split() == ["psnr", "30.12", "1.200", "512", "↑"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0"), (1.0, "1.000"), (0.00012346, "0.0001235"), (123456.7, "123457"),
     (1e-9, "1.000e-09"), (-math.inf, "-inf"), (-2.5, "-2.500"), (0.99996, "1.0000")],
)  # fmt: skip
def test_numbers_have_four_digits(value, shown):
    row = evaluation(measured(value=value, low=None, high=None)).table().splitlines()[1]
    assert row.split()[1] == shown


def test_the_page_has_the_common_protocol_once():
    classifier = {"classifier": {"kind": "clip", "accuracy": {"action": 0.998}}}
    values = (
        measured(protocol=classifier),
        measured("psnr/a", protocol={"unit": "dB", "of": "a"}),
        measured("psnr/b", protocol={"unit": "dB", "of": "b"}),
    )
    text = evaluation(*values, left_out={"fvd": "needs weights"}).markdown()
    assert text.count("model: dsa") == 1 and text.count("unit: dB") == 1
    assert "- image_shape: 64x64x3" in text
    assert "## frechet\n\n- classifier\n  - kind: clip\n  - accuracy: action 0.998" in text
    assert "- psnr/b\n  - of: b" in text and "## Left out\n\n- fvd: needs weights" in text
