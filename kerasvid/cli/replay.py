"""Replays the warm-up requests of a version folder, as a server does when it loads the version.

kerasvid replay export/models/rjvae/1
"""

import statistics

from absl import flags

from kerasvid.cli.command import one_line_errors, start_tensorflow

FLAGS = flags.FlagValues()


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export.serving.replay import replay
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, *ERRORS):
        if len(argv) != 2:
            raise ValueError("Give one version folder, as export/models/rjvae/1.")
        done = replay(argv[1])
    for number, each in enumerate(done, 1):
        shapes = ", ".join(f"{name} {[*shape]}" for name, shape in sorted(each.outputs.items()))
        call = f"{each.signature} x {each.rows}: {shapes}"
        print(f"{number:4d}  {each.seconds * 1000:9.1f} ms  {call}")
    times = [1000 * each.seconds for each in done]
    spread = f"median {statistics.median(times):.1f} ms, slowest {max(times):.1f} ms"
    print(f"{len(done)} requests in {sum(times) / 1000:.2f} s, {spread}")
