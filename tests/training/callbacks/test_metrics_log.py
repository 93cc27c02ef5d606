import csv

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.training.callbacks.metrics_log import HeldOutEvaluation, MetricsLog


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


def test_resuming_drops_later_rows_and_goes_on(counter, fit, tmp_path):
    path = tmp_path / "metrics.csv"
    fit(counter(), [0.1] * 6, [MetricsLog(path, every=2)])
    model = counter()
    model.optimizer.iterations.assign(4)
    fit(model, [0.2] * 4, [MetricsLog(path, every=2)])
    rows = read(path)
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8]
    np.testing.assert_allclose([float(r["loss"]) for r in rows], [0.1, 0.1, 0.2, 0.2], rtol=1e-5)
    assert path.read_text().count("step") == 1


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
