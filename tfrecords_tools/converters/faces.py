"""Finds the face of a clip and cuts it out of every frame, by one box, so that it holds still."""

import dataclasses
import os
import threading
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia

CASCADE = "haarcascade_frontalface_alt2.xml"  # one that OpenCV 4 brings along
DETECTION_SIZE = 448  # larger images are shrunk for the search; a face needs few pixels
MIN_FACE = 0.1  # of the shorter side of an image: smaller finds are no portraits
SAMPLES = 7
MARGIN = 0.15
_own = threading.local()


@dataclasses.dataclass(frozen=True)
class Box:
    """A square in a frame, in pixels; where it reaches outside, the border is repeated.

    Args:
        left, top: its first column and row, negative where it begins outside.
        side: width and height.
    """

    left: int
    top: int
    side: int


def require_detector() -> None:
    """Raises ConversionError, one line, where the installed OpenCV cannot find faces."""
    _detector()


def find_face(image: np.ndarray) -> tuple[float, float, float] | None:
    """The largest upright frontal face in an image.

    The detector is the boosted cascade of Viola and Jones (CVPR 2001), as OpenCV brings it.

    Args:
        image: uint8 RGB [H, W, 3], values 0..255.

    Returns:
        Column and row of its centre and its side, in pixels; None where there is no face.

    Raises:
        ConversionError: OpenCV has no face detector, as version 5.

    Example:
        >>> find_face(read_image("anna.jpg"))
        (143.5, 120.0, 127.0)
    """
    detector = _detector()
    scale = min(1.0, DETECTION_SIZE / max(image.shape[:2]))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)  # [H, W]
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    smallest = round(MIN_FACE * min(gray.shape))
    # Equalized, so that faces in dim light are found, too.
    found = detector.detectMultiScale(
        cv2.equalizeHist(gray), scaleFactor=1.1, minNeighbors=3, minSize=(smallest, smallest)
    )
    if not len(found):
        return None
    left, top, width, height = max(found, key=lambda face: face[2] * face[3])
    return (
        float(left + width / 2) / scale,
        float(top + height / 2) / scale,
        float(max(width, height)) / scale,
    )


def find_box(frames: Iterable[np.ndarray], path: str, margin: float = MARGIN) -> Box:
    """One box for a clip: the median of the faces found in some of its frames, enlarged.

    The median leaves a false find in single frames without effect. The box is moved into the
    frame where it fits; a larger one covers the frame.

    Args:
        frames: some frames of the clip, each uint8 RGB [H, W, 3], all of one size.
        path: of the clip, for the error message.
        margin: added on each side, as a share of the face's side; 0 or more.

    Raises:
        UnreadableMedia: no frame shows a face; the message names path and remedy.
        ConversionError: OpenCV has no face detector, as version 5.

    Example:
        >>> find_box([frames[0], frames[-1]], "anna.mp4")
        Box(left=60, top=36, side=165)
    """
    faces, looked_at, height, width = [], 0, 0, 0
    for frame in frames:
        looked_at += 1
        height, width = frame.shape[:2]
        if face := find_face(frame):
            faces.append(face)
    if not faces:
        raise UnreadableMedia(
            f"{path}: no upright frontal face found in {looked_at} frame(s) of the clip; leave it "
            "out or keep whole frames with --nocrop_faces"
        )
    column, row, side = np.median(faces, axis=0)
    side = max(1, round(side * (1 + 2 * margin)))
    return Box(_shift(column, side, width), _shift(row, side, height), side)


def crop(frame: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Cuts the box out of a frame and resizes it.

    Args:
        frame: uint8 [H, W, C].
        box: which part of it; outside, the frame's border is repeated.
        size: height and width of the result.

    Returns:
        uint8 [size, size, C].
    """
    rows = np.arange(box.top, box.top + box.side).clip(0, frame.shape[0] - 1)
    columns = np.arange(box.left, box.left + box.side).clip(0, frame.shape[1] - 1)
    return media.resize_and_crop(frame[rows[:, None], columns], size, size)


def read_face_clip(
    paths: Sequence[str], size: int = 64, margin: float = MARGIN, crop_faces: bool = True
) -> np.ndarray:
    """Reads an image sequence as a clip of the face.

    Never more than one frame is in memory in full size.

    Args:
        paths: the images in order, one or more.
        size: height and width of the result.
        margin: as in `find_box`.
        crop_faces: otherwise the middle of the frame is kept, for images that are cropped already.

    Returns:
        uint8 RGB [T, size, size, 3].

    Raises:
        UnreadableMedia: an image cannot be read or is of another size than the first, or no
            face is found.
        ConversionError: OpenCV has no face detector, as version 5.

    Example:
        >>> read_face_clip(sorted(glob.glob("subjects3/001/anger/take000/*.jpg"))).shape
        (72, 64, 64, 3)
    """
    if not crop_faces:
        return media.stack_frames(media.iterate_images(paths), paths[0], size, size, None)
    some = np.unique(np.linspace(0, len(paths) - 1, SAMPLES).round().astype(int))
    box = find_box(media.iterate_images([paths[k] for k in some]), paths[0], margin)
    frames, first = [], None
    for path, frame in zip(paths, media.iterate_images(paths), strict=True):
        first = first or frame.shape
        if frame.shape != first:
            raise UnreadableMedia(f"{path}: of another size than the first image of its clip")
        frames.append(crop(frame, box, size))
    return np.stack(frames)  # [T, H, W, C]


def _shift(centre: float, side: int, length: int) -> int:
    """Where a box begins: inside the frame, or around the frame if the box is the larger."""
    start = round(centre - side / 2)
    return min(max(start, min(0, length - side)), max(0, length - side))


def _detector() -> "cv2.CascadeClassifier":
    # One a thread: a classifier keeps buffers of its own while it works.
    if not hasattr(_own, "detector"):
        _own.detector = _load_detector()
    return _own.detector


def _load_detector() -> "cv2.CascadeClassifier":
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = os.path.join(folder, CASCADE)
    detector = cv2.CascadeClassifier() if hasattr(cv2, "CascadeClassifier") else None
    if detector is None or not os.path.isfile(path) or not detector.load(path):
        raise ConversionError(
            f"OpenCV {cv2.__version__} has no {CASCADE} to find faces with: install version 4 with "
            "pip install 'opencv-python-headless>=4.11,<5', or keep whole frames with "
            "--nocrop_faces."
        )
    return detector
