"""The page's noise: one hash in Python and in JavaScript, and standard Gaussians out of it."""

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from kerasvid.export.web import runtime
from tests.export.web.noise_oracle import gaussians, hash_of_name, triple32

PAGE = pathlib.Path(runtime.__file__).parent / "static"


@pytest.fixture(scope="module")
def javascript():
    """Runs an ES module's text in the page's folder; what it prints, read as JSON."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, which runs the page's modules without a browser")

    def run(script: str):
        command = [node, "--input-type=module", "--eval", script]
        done = subprocess.run(command, cwd=PAGE, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return run


def test_hashes_are_the_published_ones():
    # FNV-1a's offset basis, and its digest of "a", are printed in its definition.
    assert hash_of_name("") == 0x811C9DC5 and hash_of_name("a") == 0xE40C292C
    words = triple32(np.arange(1000))
    assert words[0] == 0 and len(np.unique(words)) == 1000  # a bijection that keeps 0
    assert words.max() < 2**32
    flipped = triple32(np.arange(1000) ^ 64) ^ words
    assert abs(np.mean([int(word).bit_count() for word in flipped]) - 16.0) < 0.5


def test_python_and_javascript_draw_the_same(javascript):
    cases = [(0, 0, "summary", 7), (2**32 - 1, 5, "residual", 64), (123456, 23, "größe", 1)]
    drawn = javascript(
        'import { gaussians } from "./noise.js";'
        f"const cases = {json.dumps(cases)};"
        "console.log(JSON.stringify(cases.map((each) => [...gaussians(...each)])));"
    )
    for case, values in zip(cases, drawn, strict=True):
        *where, count = case
        np.testing.assert_allclose(gaussians(*where, (count,)), values, rtol=0, atol=1e-6)


def test_noise_is_gaussian_and_depends_on_seed_row_and_name_only():
    many = gaussians(3, 1, "summary", (50000,))
    assert abs(many.mean()) < 0.02 and abs(many.var() - 1.0) < 0.03
    assert abs((many**4).mean() - 3.0) < 0.15
    assert abs(np.mean(many[:-1] * many[1:])) < 0.02
    np.testing.assert_array_equal(gaussians(3, 1, "summary", (10, 20)).ravel(), many[:200])
    for other in ((4, 1, "summary"), (3, 2, "summary"), (3, 1, "residual")):
        assert abs(np.corrcoef(many, gaussians(*other, (50000,)))[0, 1]) < 0.02
    with pytest.raises(ValueError, match="between 0 and 2\\^32 - 1"):
        gaussians(2**32, 0, "summary", (2,))


def test_noise_is_interpolated_as_in_the_library(javascript):
    from kerasvid.models.base.video_generator import spherical

    endpoints = [gaussians(seed, 0, "summary", (12,)) for seed in (1, 2)]
    fractions = [0.0, 0.3, 1.0]
    listed = json.dumps([list(each) for each in endpoints])
    ways = javascript(
        'import { spherical } from "./latents.js";'
        f"const endpoints = {listed}; const all = {fractions};"
        "const ways = [...all.map((f) => spherical(...endpoints, f)),"
        " spherical(endpoints[0], endpoints[0], 0.5)];"
        "console.log(JSON.stringify(ways));"
    )
    expected = [
        spherical(*[each[None].astype("float32") for each in endpoints], f)[0] for f in fractions
    ]
    np.testing.assert_allclose(ways[:3], expected, atol=1e-5)
    np.testing.assert_allclose(ways[3], endpoints[0], atol=1e-12)


def test_the_address_holds_the_state_and_malformed_parts_are_ignored(javascript):
    page = {"clips": 6, "frames": 8, "directions": [0] * 3, "examples": [], "categories": ["a"]}
    hashes = [
        "",
        "#content=7&a=3&b=0&between=0.25&moves=2.1:-1.5,3.0:0.1&playing=0&frame=5&speed=2",
        "#content=-1&a=99&b=x&between=7&moves=9.0:1,0.7:1,0.1:nan,:::&speed=&frame=8&category=1",
    ]
    found = javascript(
        'import { defaults, fromHash, toHash } from "./state.js";'
        f"const page = {json.dumps(page)}; const all = {json.dumps(hashes)};"
        "const states = all.map((hash) => fromHash(hash, page));"
        "const written = states.map((state) => toHash(state, page));"
        "console.log(JSON.stringify([states, written, defaults(page)]));"
    )
    states, written, usual = found
    assert states[0] == usual and written[0] == ""
    assert states[1] == {
        **usual, "content": 7, "a": 3, "b": 0, "between": 0.25, "playing": False, "frame": 5,
        "moves": {"2": {"1": -1.5}, "3": {"0": 0.1}}, "speed": 2,
    }  # fmt: skip
    assert set(written[1][1:].split("&")) == set(hashes[1][1:].split("&"))
    assert states[2] == {**usual, "between": 1}


def test_gifs_are_exact_for_few_colours_and_close_for_many(javascript, tmp_path):
    from PIL import Image

    generator = np.random.default_rng(0)
    few = generator.integers(0, 3, (3, 20, 30, 3)) * 90  # 27 colours
    plain = np.zeros([1, 8, 8, 3], int)
    full = np.stack(np.divmod(np.arange(256), 16), -1)[generator.integers(0, 256, (2, 90, 90))] * 16
    full = np.concatenate([full, full[..., :1]], axis=-1)  # 256 colours, the table of codes fills
    y, x = np.mgrid[0:64, 0:64]
    many = np.stack([np.stack([4 * x, 4 * y, (x + y + 8 * t) % 256], -1) for t in range(4)])
    for name, video in {"few": few, "plain": plain, "full": full, "many": many}.items():
        opaque = np.full([*video.shape[:3], 1], 255)
        rgba = np.concatenate([video, opaque], axis=-1).astype(np.uint8)
        (tmp_path / "in.rgba").write_bytes(rgba.tobytes())
        path, size = tmp_path / f"{name}.gif", rgba[0].size
        javascript(
            'import { encodeGif } from "./gif.js"; import fs from "node:fs";'
            f"const all = new Uint8Array(fs.readFileSync({str(tmp_path / 'in.rgba')!r}));"
            f"const frames = Array.from({{length: {len(rgba)}}}, (_, t) =>"
            f" all.subarray(t * {size}, (t + 1) * {size}));"
            f"const gif = encodeGif(frames, {rgba.shape[2]}, {rgba.shape[1]}, 13);"
            f"fs.writeFileSync({str(path)!r}, gif); console.log(gif.length);"
        )
        with Image.open(path) as image:
            assert (image.n_frames, image.size) == (len(rgba), rgba.shape[2:0:-1])
            assert image.info["duration"] == 130 and image.info["loop"] == 0
            read = []
            for frame in range(image.n_frames):
                image.seek(frame)
                read.append(np.asarray(image.convert("RGB")).astype(int))
        difference = np.abs(np.stack(read) - video)
        if name == "many":
            assert difference.mean() < 8 and difference.max() < 64
        else:
            assert difference.max() == 0, name
