"""Fixtures for the readers of faces."""

import cv2
import numpy as np
import pytest

SHARPER = 4  # drawn so many times larger, then shrunk
SKIN, SHADE, HAIR, LIPS = (214, 176, 150), (176, 134, 112), (50, 36, 30), (150, 40, 40)


@pytest.fixture(scope="session")
def draw_face():
    """A function that draws a head as seen from the front, which a cascade takes for a face."""

    def draw(height=160, width=200, centre=(100, 80), size=70, mouth=0.1, image=None):
        """uint8 RGB [height, width, 3], on grey or on `image`.

        Centre is (column, row), size the width of the head, in pixels; mouth is half the height
        of the mouth, as a share of half that width.
        """
        image = np.full((height, width, 3), 150, np.uint8) if image is None else image
        canvas = cv2.resize(image, None, fx=SHARPER, fy=SHARPER, interpolation=cv2.INTER_NEAREST)
        unit = size * SHARPER / 2

        def ellipse(x, y, half_width, half_height, color):
            middle = (round(centre[0] * SHARPER + x * unit), round(centre[1] * SHARPER + y * unit))
            axes = (max(1, round(half_width * unit)), max(1, round(half_height * unit)))
            cv2.ellipse(canvas, middle, axes, 0, 0, 360, color, -1)

        ellipse(0, -0.25, 1.12, 1.25, HAIR)
        ellipse(0, 0.05, 1.0, 1.3, SKIN)
        ellipse(0, -0.95, 0.95, 0.45, HAIR)  # the fringe
        for side in (-0.4, 0.4):
            ellipse(side, -0.22, 0.26, 0.15, SHADE)
            ellipse(side, -0.18, 0.17, 0.09, (235, 235, 235))
            ellipse(side, -0.18, 0.085, 0.085, (20, 20, 20))
            ellipse(side, -0.38, 0.27, 0.06, HAIR)  # the brow
        ellipse(0, 0.28, 0.16, 0.07, SHADE)  # under the nose
        ellipse(0, 0.05, 0.08, 0.22, (226, 190, 165))
        ellipse(0, 0.68, 0.36, mouth, LIPS)
        canvas = cv2.GaussianBlur(canvas, (0, 0), max(1.0, 0.03 * unit))
        return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)

    return draw


@pytest.fixture(scope="session")
def find_mouth():
    """A function from a frame of a drawn face to (column, row) of the middle of its lips."""

    def find(frame):
        red, green = frame[..., 0].astype(float), frame[..., 1].astype(float)
        weight = np.maximum(red - green - 60, 0)  # skin and shade are less red than that
        assert weight.sum() > 0, "no lips in the frame"
        rows, columns = np.indices(weight.shape)
        return (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()

    return find
