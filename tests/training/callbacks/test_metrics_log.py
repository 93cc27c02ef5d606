import csv
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.training.callbacks.metrics_log import HeldOutEvaluation, MetricsLog, restore_rows


def read(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def held_out_batches():
    return tf.data.Dataset.from_tensor_slices(np.zeros([2, 2, 8, 8, 3], "float32")).batch(1)


def test_a_row_has_the_means_since_the_row_before(counter, fit, tmp_path):
    path = tmp_path / "metrics.csv"
    fit(counter(), [0.1, 0.3, 0.5, 0.9, 0.2], [MetricsLog(path, every=2, last_step=5)])
    rows = read(path)
    assert [int(row["step"]) for row in rows] == [2, 4, 5]
    np.testing.assert_allclose([float(row["loss"]) for row in rows], [0.2, 0.7, 0.2], rtol=1e-5)
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)


def without_seconds(path):
    return [{**row, "seconds": None} for row in read(path)]


class StateAt(keras.callbacks.Callback):
    """Keeps the state of a log after a step, as a checkpoint does."""

    def __init__(self, log, step):
        super().__init__()
        self.log, self.step = log, step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == self.step:
            self.state = json.loads(json.dumps(self.log.state()))


@pytest.mark.parametrize("step", [3, 4, 6, 7])
def test_a_resumed_run_writes_the_rows_of_an_uninterrupted_one(counter, fit, tmp_path, step):
    values, paths = [0.1, 0.3, 0.5, 0.9, 0.2, 0.7, 0.4, 0.8, 0.6, 0.35], []
    for name in ("whole", "parts"):
        paths.append(tmp_path / f"{name}.csv")
        log, evaluation = (
            MetricsLog(paths[-1], 4, last_step=10),
            HeldOutEvaluation(held_out_batches(), 3),
        )
        state = StateAt(log, step)
        fit(counter(), values[: None if name == "whole" else 9], [evaluation, log, state])
    resumed = counter()
    resumed.w.assign(-np.cumsum(values)[step - 1] * np.ones(3))
    resumed.optimizer.iterations.assign(step)
    log = MetricsLog(paths[1], 4, last_step=10, resumed=state.state)
    fit(resumed, values[step:], [HeldOutEvaluation(held_out_batches(), 3), log])
    rows = without_seconds(paths[0])
    assert [int(row["step"]) for row in rows] == [4, 8, 10]
    assert without_seconds(paths[1]) == rows


def test_the_means_go_on_over_the_end_of_an_epoch(counter, tmp_path):
    path, model = tmp_path / "metrics.csv", counter()
    values = np.reshape(np.float32([0.1, 0.3, 0.5, 0.9, 0.2, 0.7]), [-1, 1, 1, 1, 1])
    batches = tf.data.Dataset.from_tensor_slices(values * np.ones([6, 2, 8, 8, 3], "float32"))
    log = MetricsLog(path, every=4, last_step=6)
    model.fit(batches.batch(1), verbose=0, epochs=2, steps_per_epoch=3, callbacks=[log])
    found = [float(row["loss"]) for row in read(path)]
    np.testing.assert_allclose(found, [0.45, 0.45], rtol=1e-5)


ROWS = [{"step": "2", "loss": "0.25"}, {"step": "4", "loss": "0.5", "val_loss": "1e-05"}]


def test_every_flipped_bit_of_the_metrics_is_said_and_no_row_is_lost(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)
    path, damaged = tmp_path / "metrics.csv", tmp_path / "metrics.csv.damaged"
    restore_rows(path, ROWS)
    good = path.read_bytes()
    assert good == b"step,loss,val_loss\r\n2,0.25,\r\n4,0.5,1e-05\r\n" and not damaged.exists()
    for place, bit in itertools.product(range(len(good)), range(8)):
        changed = bytearray(good)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        restore_rows(path, ROWS)
        assert path.read_bytes() == good
        said = capsys.readouterr().err
        if place < len(good) - 1:  # the last line break has no row after it
            assert said.startswith(f"{path}: damaged (") and len(said.splitlines()) == 1
            assert damaged.read_bytes() == changed
            damaged.unlink()


@pytest.mark.parametrize(
    "later", [b"", b"6,0.1,2\r\n", b"6,0.1", b"1", b"6,0.1,2,7\r\n8"]
)  # fmt: skip
def test_what_a_killed_run_wrote_after_its_checkpoint_is_no_damage(tmp_path, capsys, later):
    path = tmp_path / "metrics.csv"
    restore_rows(path, ROWS)
    good = path.read_bytes()
    path.write_bytes(good + later)
    restore_rows(path, ROWS)
    restore_rows(path, ROWS[:1])  # the checkpoint before
    assert path.read_bytes() == b"step,loss\r\n2,0.25\r\n"
    assert capsys.readouterr().err == "" and list(tmp_path.iterdir()) == [path]


def test_every_damaged_copy_of_the_metrics_is_kept(tmp_path):
    path = tmp_path / "metrics.csv"
    for text in (b"first", b"second"):
        path.write_bytes(text)
        restore_rows(path, ROWS)
    assert {each.read_bytes() for each in tmp_path.glob("*.damaged*")} == {b"first", b"second"}


def test_held_out_metrics_do_not_change_the_means(counter, fit, tmp_path):
    path = tmp_path / "metrics.csv"
    evaluation = HeldOutEvaluation(held_out_batches(), every=3)
    fit(counter(), [0.2, 0.4, 0.6, 0.8], [evaluation, MetricsLog(path, every=4)])
    (row,) = read(path)
    assert float(row["loss"]) == pytest.approx(0.5, rel=1e-5)
    assert float(row["val_loss"]) == pytest.approx(-3 * 1.2, rel=1e-5)  # the weights at step 3


def test_columns_that_come_later_are_added_to_the_header(counter, fit, tmp_path):
    path = tmp_path / "metrics.csv"
    evaluation = HeldOutEvaluation(held_out_batches(), every=4)
    fit(counter(), [0.1] * 4, [evaluation, MetricsLog(path, every=2)])
    first, second = read(path)
    assert first["val_loss"] == "" and float(second["val_loss"]) == pytest.approx(-1.2, rel=1e-5)


def test_events_carry_the_global_step(counter, fit, tmp_path):
    model = counter()
    model.optimizer.iterations.assign(10)
    fit(model, [0.25] * 4, [MetricsLog(tmp_path / "m.csv", 2, tmp_path / "events")])
    (file,) = (tmp_path / "events").iterdir()
    found = {}
    for record in tf.data.TFRecordDataset(str(file)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert found["loss", 12] == found["loss", 14] == pytest.approx(0.25)


@pytest.mark.parametrize("what", ["tf.summary.write", "tf.summary.create_file_writer"])
@pytest.mark.parametrize("why", ["No space left on device", "Disk quota exceeded"])
def test_events_that_cannot_be_written_are_named_with_the_cause(
    counter, fit, tmp_path, monkeypatch, what, why
):
    def fail(*_, **__):
        text = f"{{{{function_node x}}}} 0.v2; {why}\n\tFailed to flush"
        raise tf.errors.ResourceExhaustedError(None, None, text)

    monkeypatch.setattr(f"kerasvid.training.callbacks.metrics_log.{what}", fail)
    log = MetricsLog(tmp_path / "metrics.csv", every=1, events=tmp_path / "events")
    with pytest.raises(OSError, match=r"events: cannot be written \(the disk is full") as error:
        fit(counter(), [0.1], [log])
    assert "\n" not in str(error.value)
