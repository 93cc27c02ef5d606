"""The same as `kerasvid export preset`."""

import sys

from kerasvid.cli.main import main

main(["export", "preset", *sys.argv[1:]])
