"""What a user's footage shows is what is read: all of it, upright, undistorted, in true colours."""

import os
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest
from PIL import Image

from tfrecords_tools.conversion import UnreadableMedia
from tfrecords_tools.converters.golf import count_frames
from tfrecords_tools.media import (
    VideoFrames,
    fit_frames,
    is_animation,
    open_video,
    read_frame,
    read_image,
    resize_and_crop,
    stack_frames,
)

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the program ffmpeg is absent")
HIDDEN = (200, 40, 90)  # a colour below full transparency


def frames_of(path, fps=None):
    """All frames of a video, uint8 [T, H, W, 3]."""
    return np.stack(list(open_video(str(path), fps)))


def bar(number, height=48, width=64, step=8):
    """RGB: black, with a white bar that moves right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, step * number % width : step * number % width + step] = 255
    return image


def write_video(path, images, fps=10, codec="MJPG"):
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(
        os.fspath(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (width, height)
    )
    assert writer.isOpened()
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return path


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-loglevel", "error", "-nostdin", "-y", *arguments], check=True)


def cut_in_half(path):
    os.truncate(path, os.path.getsize(path) // 2)


def boxes(data):
    """The outermost boxes of an MP4, by name."""
    found = {}
    while data:
        size = int.from_bytes(data[:4], "big")
        found[data[4:8]], data = data[:size], data[size:]
    return found


def index_first(path):
    """Moves the index of an MP4 before its frames, as for downloads."""
    parts = boxes(path.read_bytes())
    index = bytearray(parts.pop(b"moov"))
    at = index.index(b"stco") + 12  # 32-bit offsets of chunks
    count = int.from_bytes(index[at - 4 : at], "big")
    for each in range(at, at + 4 * count, 4):
        moved = int.from_bytes(index[each : each + 4], "big") + len(index)
        index[each : each + 4] = moved.to_bytes(4, "big")
    path.write_bytes(parts.pop(b"ftyp") + bytes(index) + b"".join(parts.values()))
    return path


# === Orientation and pixel aspect ===


@pytest.mark.parametrize(
    "matrix, turns",
    [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1), ((1, 0, 0, 1), 0)],
)
def test_a_phone_video_stands_as_it_was_held(tmp_path, matrix, turns):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :16] = (250, 0, 0)
    path = write_video(tmp_path / "phone.mp4", [image] * 3, codec="mp4v")
    fixed = [(value << 16 & 0xFFFFFFFF).to_bytes(4, "big") for value in matrix]
    a, b, c, d = fixed
    data, upright = bytearray(path.read_bytes()), (1 << 16).to_bytes(4, "big")
    identity = upright + bytes(12) + upright + bytes(12) + (1 << 30).to_bytes(4, "big")
    at = data.index(identity, data.index(b"tkhd"))  # of the track, not of the movie
    data[at : at + 36] = a + b + bytes(4) + c + d + bytes(12) + identity[32:]
    path.write_bytes(data)
    shown = np.rot90(image, turns).astype(int)
    np.testing.assert_allclose(frames_of(path)[0], shown, atol=12)


def test_pixels_that_are_not_square_become_so(tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    image[16:48, 23:41] = 255  # 18 columns of 16:9 pixels are as wide as 32 rows
    path = write_video(tmp_path / "wide.mpg", [image] * 3, fps=25, codec="MPG2")
    data = bytearray(path.read_bytes())
    for start in re.finditer(rb"\x00\x00\x01\xb3", bytes(data)):  # sequence headers
        data[start.end() + 3] = data[start.end() + 3] & 0x0F | 3 << 4  # shown as 16:9
    path.write_bytes(data)
    found = open_video(str(path))
    assert found.pixel_aspect == pytest.approx(16 / 9)
    square = stack_frames(fit_frames(found, str(path), 32, 32), str(path))[0, ..., 0] > 127
    assert square.any(0).sum() == pytest.approx(16, abs=1) == square.any(1).sum()


def test_wide_pixels_show_all_their_height():
    image = np.zeros((60, 30, 3), np.uint8)
    image[20:40, 10:20] = 255
    square = resize_and_crop(image, 30, 30, pixel_aspect=2.0)[..., 0]
    assert (square[10:20, 10:20] > 250).all() and square.astype(int).sum() == pytest.approx(25500)


def test_a_pixel_aspect_that_no_camera_has_is_ignored(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.avi", [bar(0)] * 2)
    capture, stated = cv2.VideoCapture, {cv2.CAP_PROP_SAR_NUM: 1.0, cv2.CAP_PROP_SAR_DEN: 2.0**31}

    class Capture:
        def __init__(self, *arguments):
            self.real = capture(*arguments)

        def get(self, which):
            return stated.get(which) or self.real.get(which)

        def __getattr__(self, name):
            return getattr(self.real, name)

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    assert open_video(str(path)).pixel_aspect == 1


def test_an_error_of_opencv_names_the_file():
    found = VideoFrames(iter([(bar(0), 0.0, None)]), pixel_aspect=2.0**-31)
    with pytest.raises(UnreadableMedia, match=r"^a\.mp4: cannot be read or resized \(.+\)$"):
        next(fit_frames(found, "a.mp4", 32, 32))


# === Colours ===


def transparent_image():
    """RGBA: red in the middle, HIDDEN below full transparency, half a green between."""
    image = np.zeros((12, 12, 4), np.uint8)
    image[..., :3] = HIDDEN
    image[4:8, 4:8] = (255, 0, 0, 255)
    image[8:10, 4:8] = (0, 200, 0, 128)
    return image


def assert_hides(image):
    assert (image[:4] == 0).all() and (image[4:8, 4:8] == [255, 0, 0]).all()
    np.testing.assert_allclose(image[8, 4], [0, 100, 0], atol=1)


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_colours_below_transparency_never_show(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    options = {"lossless": True, "exact": True} if ending == "webp" else {}
    Image.fromarray(transparent_image()).save(path, **options)
    assert_hides(read_image(str(path)))
    assert_hides(read_frame(str(path), 12, 12, 3))
    assert read_frame(str(path), 12, 12, 1)[0, 0] == 0


def test_grey_and_palettes_with_transparency_hide_colours_too(tmp_path):
    grey = Image.fromarray(np.full((4, 4), 200, np.uint8))
    mask = Image.fromarray(np.repeat(np.uint8([[0, 0, 255, 255]]), 4, axis=0))
    Image.merge("LA", [grey, mask]).save(tmp_path / "la.png")
    grey.quantize(2).save(tmp_path / "palette.png", transparency=0)
    Image.fromarray(np.full((4, 4, 3), HIDDEN, np.uint8)).save(
        tmp_path / "key.png", transparency=HIDDEN
    )
    columns = read_image(str(tmp_path / "la.png"))[0, :, 0].tolist()
    assert columns == [0, 0, 200, 200]
    assert not read_image(str(tmp_path / "palette.png")).any()
    assert not read_image(str(tmp_path / "key.png")).any()


@pytest.mark.parametrize("name", ["l.png", "l16.png", "rgb16.png", "bit.png", "l16.tif", "l16.pgm",
                                  "cmyk.jpg", "palette.png", "l.jpg", "rgb16.tif"])  # fmt: skip
def test_every_depth_becomes_8_bits(tmp_path, name):
    ramp = np.repeat(np.arange(0, 240, 15, dtype=np.uint8)[None], 16, axis=0)
    path, wide = str(tmp_path / name), ramp.astype(np.uint16) * 257
    kind = name.partition(".")[0]
    if kind.endswith("16"):
        assert cv2.imwrite(path, np.stack([wide] * 3, -1) if kind == "rgb16" else wide)
    elif kind == "cmyk":
        Image.merge("RGB", [Image.fromarray(ramp)] * 3).convert("CMYK").save(path, quality=98)
    elif kind == "bit":
        ramp = np.where(ramp > 100, 255, 0).astype(np.uint8)
        Image.fromarray(ramp > 0).save(path)
    elif kind == "palette":
        Image.fromarray(ramp).quantize(32).save(path)
    else:
        Image.fromarray(ramp).save(path)
    np.testing.assert_allclose(read_image(path), np.stack([ramp] * 3, -1).astype(int), atol=6)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_a_tiff_of_other_numbers_than_8_or_16_bits_is_refused(tmp_path, kind):
    Image.fromarray(np.ones((4, 4), kind)).save(tmp_path / "depth.tif")
    with pytest.raises(UnreadableMedia, match=r"depth\.tif: its pixels are .* to 8 or 16 bits"):
        read_image(str(tmp_path / "depth.tif"))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_photos_lie_as_they_were_held(tmp_path, ending):
    stored = np.zeros((24, 48, 3), np.uint8)
    stored[:, :16] = (0, 0, 250)
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    options = {"jpg": {"quality": 98, "subsampling": 0}, "webp": {"lossless": True}}
    image.save(tmp_path / f"a.{ending}", exif=exif, **options.get(ending, {}))
    found = read_image(str(tmp_path / f"a.{ending}"))
    np.testing.assert_allclose(found, np.rot90(stored, -1).astype(int), atol=10)


def test_a_photo_with_a_preview_is_one_image(tmp_path):
    image = Image.fromarray(np.full((16, 16, 3), 100, np.uint8))
    image.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[image.resize((8, 8))])
    assert read_image(str(tmp_path / "a.jpg")).shape == (16, 16, 3)


# === Animations ===


def save_animation(path, count=5, **options):
    images = [Image.fromarray(bar(number)) for number in range(count)]
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return str(path)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_an_animation_is_a_clip_and_no_image(tmp_path, name):
    options = {} if name == "a.tif" else {"duration": 50}
    options |= {"lossless": True} if name == "a.webp" else {}
    path = save_animation(tmp_path / name, **options)
    assert is_animation(path)
    np.testing.assert_array_equal(frames_of(path), [bar(number) for number in range(5)])
    found = open_video(path)
    assert sum(1 for _ in found) == 5 and found.rate == (-1 if name == "a.tif" else 20)
    with pytest.raises(UnreadableMedia, match=rf"{name}: holds 5 images, not one; convert it"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_transparent_animations_hide_colours(tmp_path, name):
    images = [Image.fromarray(np.roll(transparent_image(), k, axis=1)) for k in range(3)]
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    images[0].save(
        tmp_path / name,
        save_all=True,
        append_images=images[1:],
        disposal=2,
        duration=100,
        **options,
    )
    frames = frames_of(tmp_path / name)
    assert len(frames) == 3 and not frames[:, :4].any()
    assert all((frames[k, 5, 4 + k : 8 + k] == [255, 0, 0]).all() for k in range(3))


def test_the_preview_of_a_tiff_is_no_second_image(tmp_path):
    images = [Image.fromarray(bar(number)) for number in range(2)]
    path, kind = tmp_path / "a.tif", b"\xfe\x00\x04\x00\x01\x00\x00\x00"  # of a page
    images[0].save(path, save_all=True, append_images=images[1:], tiffinfo={254: 0})
    data = bytearray(path.read_bytes())
    data[data.rindex(kind) + len(kind)] = 1  # reduced in size
    assert data.count(kind) == 2
    path.write_bytes(data)
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.tif")), bar(0))
    assert not is_animation(str(tmp_path / "a.tif"))


# === Files that are not whole ===


@pytest.mark.parametrize("name, codec", [("a.avi", "MJPG"), ("a.webm", "VP80"), ("a.mkv", "MJPG"),
                                         ("a.mp4", "mp4v"), ("a.flv", "FLV1")])  # fmt: skip
def test_a_video_that_is_cut_short_is_unreadable(tmp_path, name, codec):
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / name, noise, 25, codec)
    path = index_first(path) if name == "a.mp4" else path
    assert len(frames_of(path)) == 60
    cut_in_half(path)
    with pytest.raises(
        UnreadableMedia, match=rf"{name}: the file is cut short; .* frames are left"
    ):
        frames_of(path)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_an_animation_that_is_cut_short_is_unreadable(tmp_path, name):
    path = save_animation(tmp_path / name, 20)
    cut_in_half(path)
    with pytest.raises(UnreadableMedia, match=name):
        frames_of(path)


def test_a_gif_that_ends_between_two_frames_is_unreadable(tmp_path):
    path = tmp_path / "a.gif"
    save_animation(path)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"\x21\xf9\x04")])  # where the last frame starts
    with pytest.raises(UnreadableMedia, match="the end of the file is missing"):
        frames_of(path)


@pytest.mark.parametrize("padding", [b"\0" * 1000, b"x" * 300])
def test_a_whole_gif_may_have_padding(tmp_path, padding):
    path = save_animation(tmp_path / "a.gif")
    with open(path, "ab") as file:
        file.write(padding)
    assert len(frames_of(path)) == 5


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif", "a.ppm"])
def test_an_image_that_is_cut_short_is_unreadable(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    cut_in_half(tmp_path / name)
    with pytest.raises(UnreadableMedia, match=rf"{name}: cannot be read as an image"):
        read_image(str(tmp_path / name))


@needs_ffmpeg
@pytest.mark.parametrize("name", ["edited.mp4", "sparse.webm", "sparse.avi", "sound.webm",
                                  "sound.flv", "pipe.webm"])  # fmt: skip
def test_whole_videos_that_state_more_frames_than_they_show_are_read(tmp_path, name):
    source, path = tmp_path / "source.mkv", str(tmp_path / name)
    write_video(source, [bar(k) for k in range(60)], 25)
    kind, expected = name.partition(".")[0], 60
    if kind == "edited":  # starts within a group of frames, which the file keeps
        ffmpeg("-i", source, "-c:v", "mpeg4", "-g", "60", tmp_path / "whole.mp4")
        ffmpeg("-ss", "1.2", "-i", tmp_path / "whole.mp4", "-c", "copy", path)
        expected = 30
    elif kind == "sparse":
        choose = "select='eq(n,0)+eq(n,9)+eq(n,59)'"
        codec = "mjpeg" if name.endswith("avi") else "libvpx"
        ffmpeg("-i", source, "-vf", choose, "-fps_mode", "vfr", "-c:v", codec, path)
        expected = 3
    elif kind == "sound":
        sound = ("-f", "lavfi", "-i", "sine=d=9")
        ffmpeg("-i", source, *sound, path)
    else:
        with open(path, "wb") as out:
            command = ["ffmpeg", "-loglevel", "error", "-i", source, "-f", "webm", "-"]
            subprocess.run(command, stdout=out, check=True)
    assert len(frames_of(path)) == expected


# === What OpenCV does not read rightly ===


def test_an_interlaced_video_is_read_or_refused_but_never_invented(tmp_path):
    path = write_video(tmp_path / "a.mpg", [bar(k) for k in range(6)], 25, "MPG2")
    expected = frames_of(path)
    data = bytearray(path.read_bytes())
    for start in re.finditer(rb"\x00\x00\x01\xb5", bytes(data)):  # extensions
        at = start.end()
        if data[at] >> 4 == 1:
            data[at + 1] &= ~0x08  # the sequence is not progressive
        if data[at] >> 4 == 8:
            data[at + 4] &= ~0x80  # nor is this frame
    path.write_bytes(data)
    try:
        found = frames_of(path)
    except UnreadableMedia as error:
        assert re.search(r"a\.mpg: is interlaced, which OpenCV .* ffmpeg", str(error))
    else:
        np.testing.assert_array_equal(found, expected)


@needs_ffmpeg
@pytest.mark.parametrize("name, form, codec", [("a.webm", "yuva420p", "libvpx-vp9"),
                                               ("a.mov", "rgba", "png"),
                                               ("b.mov", "yuva444p10le", "prores_ks"),
                                               ("a.avi", "bgra", "rawvideo")])  # fmt: skip
def test_a_video_with_transparency_is_refused(tmp_path, name, form, codec):
    source = f"color=red@0.0:s=64x64:r=10:d=0.3,format={form}"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", codec, tmp_path / name)
    with pytest.raises(UnreadableMedia, match=rf"{name}: has transparency, .* convert it"):
        open_video(str(tmp_path / name))


@needs_ffmpeg
def test_a_cover_picture_is_no_video(tmp_path):
    Image.fromarray(bar(0)).save(tmp_path / "cover.png")
    sound = ("-f", "lavfi", "-i", "sine=d=1")
    ffmpeg(*sound, "-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-c:v", "png",
           "-disposition:v:0", "attached_pic", tmp_path / "song.mp4")  # fmt: skip
    with pytest.raises(UnreadableMedia, match=r"song\.mp4: has a cover picture but no video"):
        open_video(str(tmp_path / "song.mp4"))


# === Names ===


def test_a_name_that_is_not_unicode_is_refused_before_opencv_sees_it(tmp_path):
    path = write_video(tmp_path / "a.avi", [bar(0)] * 2)
    Image.fromarray(bar(0)).save(tmp_path / "a.png")
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system has Unicode names only")
    for name in ("a.avi", "a.png"):
        odd = os.fsdecode(folder + b"/" + name.encode())
        shutil.copy(path.with_name(name), odd)
        read = open_video if name == "a.avi" else read_image
        with pytest.raises(UnreadableMedia, match=rf"caf\\xe9/{name}: .* is not UTF-8") as caught:
            read(odd)
        str(caught.value).encode()  # can be printed


@pytest.mark.parametrize("name", ["shot%03d.avi", "100%.avi", "-i.avi", "12:30:00.avi", "a\nb.avi",
                                  "concat:a|b.avi", "[x]*{y}.avi", "a#b?c&d.avi", "e\u0301 🎬.avi",
                                  "anim%02d.gif", "im%01d.png"])  # fmt: skip
def test_every_other_name_is_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    plain = tmp_path / f"plain{name[-4:]}"
    if name.endswith("avi"):
        write_video(plain, [bar(k) for k in range(3)])
    else:
        save_animation(plain, 3)
    plain.rename(name)
    assert len(frames_of(name)) == 3  # from this folder, a name may start with a dash


@pytest.mark.parametrize("read", [open_video, read_image, count_frames])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    with pytest.raises(UnreadableMedia, match=r"pipe\.mp4: .* \(Not a regular file\)"):
        read(str(path))


def test_a_message_about_a_file_is_one_line(tmp_path):
    with pytest.raises(UnreadableMedia, match=r"new\\nline\.mp4: cannot be read \(No such file"):
        open_video(str(tmp_path / "new\nline.mp4"))
    (tmp_path / "new\nline.png").write_bytes(b"x")
    with pytest.raises(UnreadableMedia, match=r"new\\nline\.png: cannot be read as an image"):
        read_image(str(tmp_path / "new\nline.png"))


# === Rates ===


def numbers(frames):
    """The place of the bar in each frame."""
    return [int(frame[0, :, 0].argmax()) // 8 for frame in frames]


def test_a_rate_repeats_and_leaves_out_frames(tmp_path):
    path = write_video(tmp_path / "a.avi", [bar(k) for k in range(8)], 20)
    assert numbers(frames_of(path)) == [*range(8)] == numbers(frames_of(path, 20))
    assert numbers(frames_of(path, 10)) == [0, 2, 4, 6]
    assert numbers(frames_of(path, 40)) == [k // 2 for k in range(16)]
    found = open_video(str(path), 10)
    assert (len(list(found)), found.rate, found.is_variable) == (4, 10, False)


def test_a_variable_rate_is_evened_out(tmp_path):
    path = save_animation(tmp_path / "a.gif", 5, duration=[100, 300, 100, 100, 100])
    found = open_video(path)
    assert numbers(found) == [0, 1, 2, 3, 4]
    assert found.is_variable and found.rate == pytest.approx(4 / 0.6, abs=0.001)
    assert numbers(frames_of(path, 10)) == [0, 1, 1, 1, 2, 3, 4]


def test_rounded_times_are_no_variable_rate(tmp_path):
    path = save_animation(tmp_path / "a.gif", 8, duration=[30, 40, 30, 30, 40, 30, 30, 40])
    found = open_video(path)
    assert len(list(found)) == 8 and found.rate == pytest.approx(30.4, abs=0.1)
    assert not found.is_variable
    ms = write_video(tmp_path / "a.mkv", [bar(k) for k in range(8)], 29.97)
    found = open_video(str(ms))
    assert len(list(found)) == 8 and (found.rate, found.is_variable) == (29.97, False)


@pytest.mark.parametrize("fps", [30, 29.97, 40, 60])
def test_a_gif_of_constant_rate_in_hundredths_of_seconds_is_not_variable(tmp_path, fps):
    ticks = np.diff(np.floor(np.arange(25) * 100 / fps + 1e-6)).astype(int)
    path = save_animation(tmp_path / "a.gif", 24, duration=(10 * ticks).tolist())
    found = open_video(path)
    assert len(list(found)) == 24 and not found.is_variable
    assert found.rate == pytest.approx(fps, rel=0.03)


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.tif"])
def test_an_animation_without_durations_has_no_known_rate(tmp_path, name):
    options = {} if name == "a.tif" else {"duration": 0}
    options |= {"lossless": True} if name == "a.webp" else {}
    path = save_animation(tmp_path / name, **options)
    found = open_video(path)
    assert len(list(found)) == 5 and found.rate == -1
    assert numbers(frames_of(path, 25)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_last_frame_of_an_animation_is_held_as_long_as_stated(tmp_path, name):
    options = {"lossless": True} if name == "a.webp" else {}
    path = save_animation(tmp_path / name, 3, duration=[100, 100, 5000], **options)
    assert numbers(frames_of(path, 10)) == [0, 1] + [2] * 50


def timed(times, duration=None, **options):
    frames = [(np.full((1, 1, 3), k, np.uint8), t, duration) for k, t in enumerate(times)]
    return VideoFrames(iter(frames), 25.0, **options)


@pytest.mark.parametrize("times", [[0, 0.04, 0.08, 3600, 3600.04], [0, 3600, 3600.04, 3600.08],
                                   [0, 0.04, 0.08, 0.12, 2.5, 2.54]])  # fmt: skip
def test_a_gap_in_the_times_of_a_video_invents_no_frames(times):
    found = timed(times, fps=25)
    assert [frame[0, 0, 0] for frame in found] == [*range(len(times))]
    assert found.closed_gaps == 1
    found = timed(times)
    assert len(list(found)) == len(times) and found.rate == 25 and not found.is_variable


def test_a_slide_show_keeps_its_times():
    found = timed([0, 3, 6, 9, 12], fps=1)
    assert len(list(found)) == 15 and not found.closed_gaps


def test_a_duration_without_bound_of_the_last_frame_invents_no_frames():
    found = timed([0, 0.04, 0.08], duration=65535.0, fps=25)
    assert len(list(found)) == 3 and found.closed_gaps == 1


def test_players_show_a_gif_without_a_time_at_10_frames_a_second(tmp_path):
    found = open_video(save_animation(tmp_path / "a.gif", 5, duration=0))
    assert len(list(found)) == 5 and found.rate == 10


def whole_then_cropped(image, height, width):
    """`resize_and_crop` of an image that shrinks, in the plain way."""
    rows, columns = image.shape[:2]
    scale = max(height / rows, width / columns)
    size = (max(width, round(columns * scale)), max(height, round(rows * scale)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return image[top : top + height, left : left + width]


@pytest.mark.parametrize("sizes", [(360, 640), (272, 640), (640, 270), (127, 301), (256, 512)])
@pytest.mark.parametrize("height, width", [(64, 64), (32, 100), (101, 7), (126, 120)])
def test_what_the_crop_leaves_out_does_not_change_a_pixel(sizes, height, width):
    generator = np.random.default_rng(height)
    for image in (generator.integers(0, 256, (*sizes, 3)), generator.integers(0, 2, sizes) * 255):
        image = image.astype(np.uint8)
        expected = whole_then_cropped(image, height, width)
        np.testing.assert_array_equal(resize_and_crop(image, height, width), expected)


@pytest.mark.parametrize("fps", [None, 4, 10, 25])
def test_fitted_frames_are_those_of_the_video_at_any_rate(tmp_path, fps):
    path = str(write_video(tmp_path / "a.avi", [bar(k) for k in range(8)]))
    frames = list(open_video(path, fps))
    expected = [resize_and_crop(frame, 24, 24) for frame in frames]
    np.testing.assert_array_equal(list(open_video(path, fps).fitted(24, 24)), expected)
    places = [frame[..., 1].mean(0).argmax() for frame in frames]
    assert places == sorted(places) and len(set(places)) == min(8, len(frames))
