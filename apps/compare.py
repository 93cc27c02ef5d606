"""The same as `kerasvid compare`."""

import sys

from kerasvid.cli.main import main

main(["compare", *sys.argv[1:]])
