"""The same as `kerasvid generate`."""

import sys

from kerasvid.cli.main import main

main(["generate", *sys.argv[1:]])
