"""The same as `kerasvid fit-prior`."""

import sys

from kerasvid.cli.main import main

main(["fit-prior", *sys.argv[1:]])
