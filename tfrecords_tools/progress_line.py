"""The line on stderr that tells how far a long piece of work is."""

import sys
import time
from types import TracebackType


class ProgressLine:
    """One line on stderr that is rewritten five times a second; in a log, a line each 10 s.

    Args:
        total: how many things there are to do, 1 or more.
        shown: print it at all.
        what: are counted.

    Example:
        >>> with ProgressLine(len(videos)) as bar:
        ...     for video in videos:
        ...         write(video)
        ...         bar.advance()
        [==============================] 9000/9000 videos, 750/s, 0 s left
    """

    def __init__(self, total: int, shown: bool = True, what: str = "videos") -> None:
        self.total, self.done, self.shown, self.what = total, 0, shown, what
        self.started = self.printed = time.monotonic()
        self.rewrites = sys.stderr.isatty()

    def __enter__(self) -> "ProgressLine":
        return self

    def advance(self) -> None:
        """Counts one more as done."""
        self.done += 1
        now = time.monotonic()
        pause = 0.2 if self.rewrites else 10.0
        if self.shown and (now - self.printed > pause or self.done == self.total):
            self.printed = now
            rate = self.done / max(now - self.started, 1e-6)
            left = (self.total - self.done) / rate
            filled = 30 * self.done // self.total
            bar = "=" * filled + "." * (30 - filled)
            text = f"[{bar}] {self.done}/{self.total} {self.what}, {rate:.0f}/s, {left:.0f} s left"
            sys.stderr.write(f"\r{text} " if self.rewrites else f"{text}\n")
            sys.stderr.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.shown and self.done and self.rewrites:
            sys.stderr.write("\n")
