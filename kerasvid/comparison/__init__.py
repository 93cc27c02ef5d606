"""Two-alternative forced-choice studies: raters compare clips of two runs on a web page."""
