"""The same as `kerasvid export saved-model`."""

import sys

from kerasvid.cli.main import main

main(["export", "saved-model", *sys.argv[1:]])
