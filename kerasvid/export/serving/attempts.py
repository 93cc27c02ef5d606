"""Errors of a model server, the time that a call may take, and attempts after transient errors."""

import dataclasses
import random
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

LONGEST_PAUSE = 10.0  # seconds between two attempts


class ServingError(Exception):
    """A call that failed: one line that names the server, the cause and the remedy."""


class NotFoundError(ServingError):
    """The server has no such model or version."""


class TransientError(ServingError):
    """A failure that may pass by itself: nobody listens yet, a full queue, a lost connection.

    Args:
        message: what is wrong, without a remedy.
        remedy: what to do if it does not pass.
        after: seconds that the server asks to wait, or 0.
    """

    def __init__(self, message: str, remedy: str, after: float = 0.0):
        super().__init__(f"{message}; {remedy}")
        self.message, self.remedy, self.after = message, remedy, after


class Deadline:
    """The moment until which a call may go on, its pauses and further attempts included.

    Args:
        seconds: from now.
        clock: seconds that only grow.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.seconds, self._clock, self._end = seconds, clock, clock() + seconds

    def left(self) -> float:
        """Seconds, not below 0."""
        return max(0.0, self._end - self._clock())

    def passed(self, server: str) -> ServingError:
        """The error to raise when nothing is left."""
        return ServingError(
            f"{server}: no answer within {self.seconds:g} s; the server is busy or hangs: look at "
            "its log, ask for fewer rows, or give a longer timeout."
        )


@dataclasses.dataclass(frozen=True)
class Attempts:
    """How often a call is made again after transient errors, and with what pauses.

    The pause before attempt n + 1 is `backoff` * 2^(n - 1) seconds, 10 at most, of which a random
    half to whole is waited: clients that failed together do not come back together. What the
    server asks for by Retry-After is waited at least. Errors that stay are raised at once.

    Args:
        retries: further attempts after the first one.
        backoff: seconds before the second attempt.
        sleep: waits.
        uniform: a random number between two.

    Example:
        >>> Attempts(retries=3).call(lambda: service.predict(...), Deadline(60))
    """

    retries: int = 3
    backoff: float = 0.25
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def __post_init__(self):
        if self.retries < 0 or self.backoff < 0:
            raise ValueError(f"retries={self.retries}, backoff={self.backoff} must not be negative")

    def call(self, attempt: Callable[[], Result], deadline: Deadline) -> Result:
        """What `attempt` returns, the last transient error if it keeps failing, others at once.

        Raises:
            ServingError: also where the next attempt would begin after the deadline.
        """
        for number in range(1, self.retries + 2):
            try:
                return attempt()
            except TransientError as error:
                whole = min(self.backoff * 2 ** (number - 1), LONGEST_PAUSE)
                pause = max(self.uniform(whole / 2, whole), error.after)
                if number > self.retries or pause >= deadline.left():
                    tries = "1 attempt" if number == 1 else f"{number} attempts"
                    raise ServingError(f"{error.message} ({tries}); {error.remedy}") from error
                self.sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")
