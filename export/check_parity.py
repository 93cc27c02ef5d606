"""The same as `kerasvid export parity`."""

import sys

from kerasvid.cli.main import main

main(["export", "parity", *sys.argv[1:]])
