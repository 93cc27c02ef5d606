"""The same as `kerasvid evaluate`."""

import sys

from kerasvid.cli.main import main

main(["evaluate", *sys.argv[1:]])
