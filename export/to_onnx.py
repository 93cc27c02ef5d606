"""The same as `kerasvid export onnx`."""

import sys

from kerasvid.cli.main import main

main(["export", "onnx", *sys.argv[1:]])
