"""The same as `kerasvid train`."""

import sys

from kerasvid.cli.main import main

main(["train", *sys.argv[1:]])
