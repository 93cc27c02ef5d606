"""The same as `kerasvid export web`."""

import sys

from kerasvid.cli.main import main

main(["export", "web", *sys.argv[1:]])
