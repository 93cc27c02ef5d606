"""Finds the face of a clip and crops all frames to the same box around it."""

import os
import threading
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia

CASCADE = "haarcascade_frontalface_alt2.xml"  # a file of OpenCV 4
DETECTION_SIZE = 448  # larger images are shrunk for the search
MIN_FACE = 0.1  # of the shorter side of an image; smaller detections are ignored
SAMPLES = 7
MARGIN = 0.15
_own = threading.local()

Box = tuple[int, int, int]  # a square in a frame: first column, first row and side, in pixels


def find_face(image: np.ndarray) -> tuple[float, float, float] | None:
    """Centre column and row and the side, in pixels, of the largest upright frontal face.

    The image is uint8 RGB [H, W, 3]. The detector is OpenCV's boosted cascade (Viola and Jones,
    CVPR 2001).
    """
    detector = face_detector()
    scale = min(1.0, DETECTION_SIZE / max(image.shape[:2]))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)  # [H, W]
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    smallest = round(MIN_FACE * min(gray.shape))
    # Equalized, so that faces in dim light are found too.
    found = detector.detectMultiScale(
        cv2.equalizeHist(gray), scaleFactor=1.1, minNeighbors=3, minSize=(smallest, smallest)
    )
    if not len(found):
        return None
    left, top, width, height = max(found, key=lambda face: face[2] * face[3])
    return (left + width / 2) / scale, (top + height / 2) / scale, max(width, height) / scale


def find_box(frames: Iterable[np.ndarray], path: str, margin: float = MARGIN) -> Box:
    """One box for a clip: the median of the faces in some of its frames, enlarged.

    The median ignores a false detection in a single frame. The box is moved into the frame if it
    fits; a larger box covers the frame and reaches outside.

    Args:
        frames: some frames of the clip, each uint8 RGB [H, W, 3], all of one size.
        path: of the clip, for the error message.
        margin: added on each side, as a share of the face's side; 0 or more.

    Raises:
        UnreadableMedia: no frame shows a face.
    """
    found, height, width = [], 0, 0
    for frame in frames:
        height, width = frame.shape[:2]
        found.append(find_face(frame))
    faces = [face for face in found if face]
    if not faces:
        raise UnreadableMedia(
            f"{path}: no upright frontal face found in {len(found)} frame(s) of the clip; leave it "
            "out or keep whole frames with --nocrop_faces"
        )
    column, row, face_side = np.median(faces, axis=0)
    side = max(1, round(face_side * (1 + 2 * margin)))
    return _shift(column, side, width), _shift(row, side, height), side


def crop(frame: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Crops a frame, uint8 [H, W, C], to a box and resizes it to uint8 [size, size, C].

    Outside the frame, its border is repeated.
    """
    left, top, side = box
    rows = np.arange(top, top + side).clip(0, frame.shape[0] - 1)
    columns = np.arange(left, left + side).clip(0, frame.shape[1] - 1)
    return media.resize_and_crop(frame[rows[:, None], columns], size, size)


def read_face_clip(
    paths: Sequence[str], size: int = 64, margin: float = MARGIN, crop_faces: bool = True
) -> np.ndarray:
    """Reads an image sequence as a clip of the face; one full frame is in memory at a time.

    Without `crop_faces`, the middle of the frame is kept, for images that are cropped already.

    Returns:
        uint8 RGB [T, size, size, 3].

    Raises:
        UnreadableMedia: an image cannot be read or is of another size than the first, or no
            face is found.
        ConversionError: OpenCV has no face detector (version 5).
    """
    if not crop_faces:
        images = map(media.read_image, paths)
        return media.stack_frames(media.fit_frames(images, paths[0], size, size), paths[0])
    some = np.unique(np.linspace(0, len(paths) - 1, SAMPLES).round().astype(int))
    box = find_box((media.read_image(paths[k]) for k in some), paths[0], margin)
    frames, first = [], media.read_image(paths[0]).shape
    for path in paths:
        frame = media.read_image(path)
        if frame.shape != first:
            raise UnreadableMedia(f"{path}: has another size than the first image of its clip")
        frames.append(crop(frame, box, size))
    return np.stack(frames)  # [T, H, W, C]


def _shift(centre: float, side: int, length: int) -> int:
    """First pixel of a box: inside the frame, or before it if the box is larger than the frame."""
    start = round(centre - side / 2)
    return min(max(start, min(0, length - side)), max(0, length - side))


def face_detector() -> "cv2.CascadeClassifier":
    """The detector of this thread; ConversionError if the installed OpenCV has none."""
    # One for each thread: a cascade has buffers of its own while it works.
    if hasattr(_own, "detector"):
        return _own.detector
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = os.path.join(folder, CASCADE)
    detector = cv2.CascadeClassifier() if hasattr(cv2, "CascadeClassifier") else None
    if detector is None or not os.path.isfile(path) or not detector.load(path):
        raise ConversionError(
            f"OpenCV {cv2.__version__} has no face detector ({CASCADE}); install version 4 with "
            "pip install 'opencv-python-headless>=4.11,<5', or keep whole frames with "
            "--nocrop_faces."
        )
    _own.detector = detector
    return detector
