"""Asks a model server for videos, or for any other signature of a model, by REST or gRPC.

    kerasvid client --address=localhost:8501 --model=rjvae --seeds=1,2,3 --out=clips.gif
    kerasvid client --address=localhost:8500 --protocol=grpc --model=rjvae --version=stable
    kerasvid client --model=cvae --first=a.png --last=b.png --seeds=0,1 --out=between.mp4
    kerasvid client --model=rjvae --signature=swap --inputs=clips.npz --out=swapped.png

It needs the extra `serving`: pip install 'kerasvid[serving]'.
"""

import os
import zipfile
from typing import Any

import numpy as np
from absl import flags

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow
from kerasvid.export.serving.client import PORTS, SERVICES, Client, as_video
from kerasvid.export.serving.served_signature import ServingError
from kerasvid.io import atomic_write
from kerasvid.visualization.grids import clip_rows, grid, mosaic
from kerasvid.visualization.writers import write_gif, write_mp4, write_png

COLUMNS = 4  # clips beside each other
ENDINGS = (".gif", ".mp4", ".png", ".npz")

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("address", None, "host:port of the server; by default localhost, 8501 or 8500.")
define.string("model", None, "Name of the model on the server.", required=True)
define.string("version", None, "Number or label, as 3 or stable; the newest by default.")
define.enum("protocol", "rest", [*SERVICES], "Protocol of the server.")
define.list("seeds", ["0"], "Random seeds, one for each video.")
define.integer("label", None, "Number of the class, for models with classes; by default any.", 0)
define.string("first", None, "First frame, for models of the video between two frames.")
define.string("last", None, "Last frame, for the same models.")
define.float("temperature", 1.0, "Noise between two frames, as a standard deviation.", 0.0)
define.string("signature", None, "Other signature to call, with --inputs and --seeds.")
define.string("inputs", None, ".npz file of the signature's inputs.")
define.string("out", "clips.gif", "File to write: .gif, .mp4, .png, or .npz for arrays.")
define.float("fps", 8.0, "Frames per second.", 0.1)
define.integer("scale", None, "Enlargement of a frame; by default to 64 pixels.", lower_bound=1)
define.float("timeout", 60.0, "Seconds for a request with its retries.", 0.001)
define.float("connect_timeout", 5.0, "Seconds for a connection.", 0.001)
define.integer("retries", 3, "Retries after transient errors, such as a full queue; gRPC: at "
               "most 4.", 0)  # fmt: skip
define.bool("list", False, "List of the model's versions and signatures; nothing is called.")


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError, OSError, ServingError):
        if not _F.out.lower().endswith(ENDINGS):
            raise ValueError(f"--out={_F.out}: the ending must be {', '.join(ENDINGS)}.")
        if not os.path.isdir(os.path.dirname(_F.out) or "."):
            raise ValueError(f"--out={_F.out}: the folder does not exist. Make it first.")
        if _F.signature and (_F.first or _F.last):
            raise ValueError("--first, --last: not used with --signature. Give them in --inputs.")
        if _F.inputs and not _F.signature:
            raise ValueError("--inputs needs --signature. Give the signature that takes them.")
        version = int(_F.version) if _F.version and _F.version.isdigit() else _F.version
        names = ("timeout", "connect_timeout", "retries")
        options: dict[str, Any] = {name: _F[name].value for name in names}
        if _F.protocol == "grpc":
            start_tensorflow()  # its messages import it
        address = _F.address or f"localhost:{PORTS[_F.protocol]}"
        with Client(address, _F.model, version, _F.protocol, **options) as client:
            if _F.list:
                return _print_signatures(client)
            outputs = _outputs(client, [_seed(text) for text in _F.seeds])
        _write(_F.out, outputs)
        shapes = ", ".join(f"{name} {[*array.shape]}" for name, array in outputs.items())
        print(f"{_F.out}: {shapes}")


def _outputs(client: Client, seeds: list[int]) -> dict[str, np.ndarray]:
    """What the flags ask for."""
    if _F.signature:
        inputs: dict[str, Any] = _arrays(_F.inputs) if _F.inputs else {}
        if "seed" in client.signature(_F.signature).inputs:
            inputs.setdefault("seed", seeds)
        outputs = client.call(_F.signature, **inputs)
        return {"video": as_video(outputs)} if "frames_bytes" in outputs else outputs
    wanted = client.signature("serving_default").inputs
    if "first" not in wanted:
        if _F.first or _F.last:
            raise ValueError(f"--first, --last: {client.model} takes no frames. Leave them out.")
        return {"video": client.generate(seeds, _F.label)}
    for name in ("first", "last"):
        if not _F[name].value:
            raise ValueError(f"--{name}: {client.model} needs a first and a last frame. Give both.")
    start_tensorflow()
    from tfrecords_tools.media import read_frame

    size: Any = (wanted["first"].shape or ())[1:]
    first, last = (read_frame(path, *size) for path in (_F.first, _F.last))
    return {"video": client.between(first, last, seeds, _F.temperature, _F.label)}


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"--seeds: {text!r} is not a whole number. Give 0 to 2^62 - 1.") from error


def _arrays(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"--inputs={path}: not an .npz file of plain arrays. Write it with "
                         "numpy.savez.") from error  # fmt: skip


def _write(path: str, outputs: dict[str, Any]) -> None:
    ending = os.path.splitext(path)[1].lower()
    if ending == ".npz":
        # To a name numpy would add an ending.
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **outputs)
        return
    shown = outputs.get("video", outputs.get("image"))
    if shown is None:
        raise ValueError(f"--out={path}: {', '.join(outputs)} are not images. Write an .npz file.")
    if shown.dtype != np.uint8:  # `decode` gives pixels in [-1, 1]
        shown = np.round((np.clip(shown, -1, 1) + 1) * 127.5).astype(np.uint8)
    videos = shown if shown.ndim == 5 else shown[:, None]  # [B, T, H, W, C]
    if ending == ".png":
        return write_png(path, grid(clip_rows(videos), _F.scale))
    rows = [list(videos[start : start + COLUMNS]) for start in range(0, len(videos), COLUMNS)]
    write = write_gif if ending == ".gif" else write_mp4
    write(path, mosaic(rows, _F.scale), _F.fps)


def _print_signatures(client: Client) -> None:
    for number, state in sorted(client.versions().items()):
        print(f"version {number}: {state}")
    for name, each in sorted(client.signatures().items()):
        inputs = ", ".join(f"{tensor}: {spec}" for tensor, spec in each.inputs.items())
        outputs = ", ".join(f"{tensor}: {spec}" for tensor, spec in each.outputs.items())
        print(f"{name}({inputs}) -> {outputs}")
