"""How a run ends: at its last step, or early after a signal or a divergence."""

import os
import pathlib
import signal
import threading

from kerasvid.training.callbacks.checkpoints import Checkpoints
from kerasvid.training.callbacks.step_callback import Diverged, StepCallback
from kerasvid.training.devices import of_all_workers


class GracefulStop(StepCallback):
    """Ends `fit` at the last step; after SIGTERM or Ctrl-C it saves a checkpoint and ends earlier.

    A second signal ends the process at once. Python delivers signals only to the main thread. Of
    several workers, all stop after the same step if one of them received a signal.

    Args:
        checkpoints: the callback that saves.
        last_step: number of updates, over all resumptions of the run; `None` for no limit.

    Attributes:
        received: number of the signal that any worker received, or `None`.
        saved: path of the checkpoint that was written, or `None`.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, checkpoints: Checkpoints, last_step: int | None = None):
        super().__init__(last_step=last_step)
        self.checkpoints = checkpoints
        self.received: int | None = None
        self.saved: pathlib.Path | None = None
        self._previous: dict = {}

    def _receive(self, number, frame) -> None:
        self.received = number
        # Not print: the signal may have come during another print.
        os.write(2, b"\nstopping after this step; a second signal ends the process at once\n")
        for each in self.SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def on_train_begin(self, logs=None) -> None:
        if threading.current_thread() is threading.main_thread():
            self._previous = {each: signal.signal(each, self._receive) for each in self.SIGNALS}

    def on_step_end(self, step: int, logs: dict) -> None:
        received = of_all_workers(self.model.distribute_strategy, [self.received or 0]).max()
        if received and not self.model.stop_training:
            self.received, self.saved = int(received), self.checkpoints.save()
            self.model.stop_training = True
        elif self.last_step is not None and step >= self.last_step:
            self.model.stop_training = True

    def on_train_end(self, logs=None) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)
        self._previous = {}


class DivergenceLimit(StepCallback):
    """Saves a checkpoint and ends `fit` after an evaluation that found too large a divergence.

    Args:
        checkpoints: the callback that saves.
        most: the largest `val_..._divergence` that training goes on with; 0 for no limit.

    Raises:
        Diverged: from `fit`.
    """

    def __init__(self, checkpoints: Checkpoints, most: float):
        super().__init__()
        self.checkpoints, self.most = checkpoints, most

    def on_step_end(self, step: int, logs: dict) -> None:
        found = {name: float(logs[name]) for name in logs if name.endswith("_divergence")}
        worst = max(found, key=lambda name: found[name], default="")
        if not self.most or not worst or found[worst] <= self.most:
            return
        self.checkpoints.save()
        raise Diverged(
            f"{worst} is {found[worst]:.2f} at step {step}, more than "
            f"training.max_divergence={self.most}: the discriminator knows its training clips. "
            "Raise the limit, or start a new run with objective.augmentation or more videos."
        )
