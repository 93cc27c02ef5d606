"""The same as `kerasvid classifier`."""

import sys

from kerasvid.cli.main import main

main(["classifier", *sys.argv[1:]])
