"""The same as `kerasvid benchmark`."""

import sys

from kerasvid.cli.main import main

main(["benchmark", *sys.argv[1:]])
