import pytest

from kerasvid.command_line import one_line

FAULT = (
    "Graph execution error:\n\nDetected at node Assert/Assert defined at (most recent call last):\n"
    "<stack traces unavailable>\nError in user-defined function passed to MapDataset:1 "
    "transformation with iterator: Iterator::Root::ParallelMapV2: assertion failed: "
)


@pytest.mark.parametrize(
    ("assertion", "expected"),
    [
        (
            "[/my data/train-0.tfrecord] [: length is wrong; prepare it again.]",
            "/my data/train-0.tfrecord: length is wrong; prepare it again.",
        ),
        ("[a.tfrecord] [: a frame is not [8, 8, 3] but] [9 8 3]",
         "a.tfrecord: a frame is not [8, 8, 3] but 9 8 3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n\t [[{{node Assert/Assert}}]] [Op:Next]", " [Op:Next]", ""])
def test_of_a_failed_assertion_the_sentence_alone_is_told(assertion, expected, end):
    assert one_line(FAULT + assertion + end) == expected


def test_other_messages_only_lose_their_line_breaks():
    assert one_line("a\n  b [c]\n") == "a b [c]"
