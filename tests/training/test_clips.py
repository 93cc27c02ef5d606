"""The clips of a run as they are shown."""

import dataclasses

import pytest

from kerasvid.data import load_info
from kerasvid.training.clips import frame_rate


@pytest.mark.parametrize("stride, rate", [(1, 20.0), (4, 5.0)])
def test_clips_of_every_nth_frame_are_shown_as_fast_as_they_happened(
    config_of, squares, tmp_path, stride, rate
):
    info = dataclasses.replace(load_info(squares), fps=20.0)
    (tmp_path / "dataset.json").write_text(info.to_json())
    config = config_of()
    training = dataclasses.replace(config.training, stride=stride)
    config = dataclasses.replace(config, training=training, data_folder=str(tmp_path))
    assert frame_rate(config) == rate


def test_8_frames_a_second_stand_for_a_rate_that_is_not_known(config_of):
    config = dataclasses.replace(config_of(), data_folder="gone")
    assert frame_rate(config) == 8.0
