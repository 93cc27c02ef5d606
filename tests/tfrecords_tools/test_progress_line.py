"""The progress line: what it says, in a terminal and in a log."""

import io
import re
import sys
import types

import pytest

from tfrecords_tools import progress_line
from tfrecords_tools.progress_line import ProgressLine


class Screen(io.StringIO):
    """Stands for stderr, a terminal or not."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def count_to(monkeypatch):
    """A function that counts with a second between steps and returns what was printed."""

    def count(done, total, terminal, **options):
        screen, now = Screen(terminal), [100.0]
        monkeypatch.setattr(sys, "stderr", screen)
        clock = types.SimpleNamespace(monotonic=lambda: now[0])
        monkeypatch.setattr(progress_line, "time", clock)
        with ProgressLine(total, **options) as bar:
            for _ in range(done):
                now[0] += 1.0
                bar.advance()
        return screen.getvalue()

    return count


def test_a_terminal_has_one_line_that_is_rewritten(count_to):
    printed = count_to(4, 4, terminal=True)
    assert printed.count("\r") == 4 and printed.count("\n") == 1 and printed.endswith("\n")
    assert "1/4 videos, 1/s, 3 s left" in printed and "4/4 videos, 1/s, 0 s left" in printed
    assert re.search(r"\[={15}[.]{15}\] 2/4", printed)


def test_a_log_has_a_line_each_ten_seconds_and_the_last(count_to):
    lines = count_to(25, 25, terminal=False, what="records read").splitlines()
    assert [re.search(r"\d+/25 records read", line)[0] for line in lines] == [
        "11/25 records read", "22/25 records read", "25/25 records read",
    ]  # fmt: skip


def test_an_end_before_time_ends_the_line(count_to):
    assert count_to(2, 4, terminal=True).endswith("2 s left \n")


def test_it_is_silent_on_request(count_to):
    assert count_to(4, 4, terminal=True, shown=False) == ""
