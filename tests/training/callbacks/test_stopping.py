import os
import signal

import keras
import numpy as np
import pytest

from kerasvid.training.callbacks.checkpoints import Checkpoints, saved_steps
from kerasvid.training.callbacks.stopping import GracefulStop


class SendSignal(keras.callbacks.Callback):
    def __init__(self, number, at):
        super().__init__()
        self.number, self.at = number, at

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.at:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(counter, fit, tmp_path, number):
    before = signal.getsignal(number)
    checkpoints = Checkpoints(tmp_path, every=100)
    stop = GracefulStop(checkpoints)
    model = fit(counter(), [0.1] * 9, [checkpoints, SendSignal(number, at=3), stop])
    assert stop.received == number
    assert int(model.optimizer.iterations.numpy()) == 4
    assert list(saved_steps(tmp_path)) == [4]
    assert stop.saved == tmp_path / "step-000004.keras"
    assert signal.getsignal(number) is before


def test_without_a_signal_nothing_is_saved_and_handlers_come_back(counter, fit, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    stop = GracefulStop(Checkpoints(tmp_path, every=100))
    fit(counter(), [0.1] * 3, [stop])
    assert stop.received is None and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_signal_of_another_worker_ends_the_run_after_the_same_step(
    counter, fit, tmp_path, monkeypatch
):
    steps = iter([0, 0, signal.SIGTERM])

    def with_another(strategy, values):
        return np.array([values, [next(steps)]])

    monkeypatch.setattr("kerasvid.training.callbacks.stopping.of_all_workers", with_another)
    stop = GracefulStop(Checkpoints(tmp_path, every=100))
    fit(counter(), [0.1] * 9, [stop.checkpoints, stop])
    assert (stop.received, stop.saved) == (signal.SIGTERM, tmp_path / "step-000003.keras")
