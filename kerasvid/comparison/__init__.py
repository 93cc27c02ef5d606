"""Two-alternative forced choices: people compare clips of two runs on a page, and are counted."""
