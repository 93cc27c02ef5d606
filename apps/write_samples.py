"""The same as `kerasvid write-samples`."""

import sys

from kerasvid.cli.main import main

main(["write-samples", *sys.argv[1:]])
