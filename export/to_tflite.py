"""The same as `kerasvid export tflite`."""

import sys

from kerasvid.cli.main import main

main(["export", "tflite", *sys.argv[1:]])
