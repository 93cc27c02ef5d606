"""Opens a page in the browser that makes clips of a model with weights.

kerasvid demo
kerasvid demo --preset=rjgan_sprites --clips=12
kerasvid demo --preset=cvae_mine --first=a.png --last=b.png
"""

import functools
import http.server
import sys
import tempfile
import threading
import webbrowser
from typing import Any

from absl import flags, logging

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("preset", "rjvae_sprites", "Model with weights: a name that comes with the package, "
              "a folder, an address such as hf://user/repository.")  # fmt: skip
define.string("first", None, "File of the first image, for a model of videos between two images.")
define.string("last", None, "File of the last image.")
define.integer("frames", None, "Frames of a clip; by default the model's.", lower_bound=1)
define.integer("clips", 6, "Number of clips in the grid.", lower_bound=1, upper_bound=24)
define.integer("port", 8000, "Port of the page on this machine; 0: any free one.",
               lower_bound=0, upper_bound=65535)  # fmt: skip
define.bool("browser", True, "Opening of the browser; without it the address is printed alone.")
define.enum("directions", "leading", ["leading", "closed_form"], "What the sliders change: the "
            "directions that change the clips most, or those of SeFa, of some GANs.")  # fmt: skip
define.string("runtime_dir", None, "Folder node_modules with LiteRT.js; by default it is "
              "downloaded once.")  # fmt: skip


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a line for each file."""

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    """Ends with its process, and says nothing about a browser that closes a connection."""

    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*arguments)


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError):
        if bool(_F.first) != bool(_F.last):
            raise ValueError(f"--{'last' if _F.first else 'first'} is missing. Give both images.")
    start_tensorflow()
    logging.set_verbosity(logging.ERROR)  # no lines about the making of SavedModels
    from kerasvid.export.web.page import facts_of_preset, write_page
    from kerasvid.export.web.runtime import RuntimeUnavailable, cached_packages
    from kerasvid.models.base.preset_folder import read_metadata, read_preset
    from kerasvid.models.base.preset_sources import local_preset

    with one_line_errors(ValueError, OSError, RuntimeUnavailable):
        with local_preset(_F.preset) as folder:
            metadata = read_metadata(folder)
            model = read_preset(folder)
        pairs = _pairs(model, metadata)
        try:
            server = _Server(("127.0.0.1", _F.port), _Quiet)
        except OSError as error:
            raise ValueError(f"--port={_F.port}: cannot be used ({error.strerror}). Give another, "
                             "or --port=0.") from error  # fmt: skip
        with server, tempfile.TemporaryDirectory() as page:
            packages = _F.runtime_dir or cached_packages()
            print("The page is made, which takes a few seconds.", flush=True)
            facts = facts_of_preset(metadata)
            write_page(model, facts, page, _F.frames, _F.clips, packages, pairs, _F.directions)
            server.RequestHandlerClass = functools.partial(_Quiet, directory=page)  # type: ignore[assignment]
            address = f"http://127.0.0.1:{server.server_port}/"
            print(f"{address} shows {_F.preset}. Ctrl-C ends it.", flush=True)
            serving = threading.Thread(target=server.serve_forever, daemon=True)
            serving.start()  # first: a browser of the console waits for the page
            try:
                if _F.browser:
                    webbrowser.open(address)
                serving.join()
            except KeyboardInterrupt:
                server.shutdown()


def _pairs(model: Any, metadata: dict[str, Any]) -> Any:
    """Two images for a model that goes from one to another: the user's, or drawn ones."""
    import numpy as np

    from kerasvid.models.base.in_between import InBetween
    from kerasvid.models.base.preset_folder import description_of
    from tfrecords_tools.media import read_frame
    from tfrecords_tools.registry import drawn_clips

    if not isinstance(model, InBetween):
        if _F.first:
            raise ValueError(f"--first: {_F.preset} makes no video between two images. Remove it.")
        return None
    if _F.first:
        return np.stack([read_frame(path, *model.image_shape) for path in (_F.first, _F.last)])[
            None
        ]
    clips = drawn_clips(description_of(metadata).data, 6, model.frames, model.image_shape)
    return None if clips is None else clips[:, [0, -1]]
