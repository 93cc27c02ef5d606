"""The same as `kerasvid reproduce`."""

import sys

from kerasvid.cli.main import main

main(["reproduce", *sys.argv[1:]])
