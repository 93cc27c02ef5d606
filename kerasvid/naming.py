"""What to say to a name that nobody knows."""

import difflib
from collections.abc import Iterable


def nearest_names(name: str, known: Iterable[str]) -> str:
    """`did you mean 'rjvae'?` where something is near, else the list of what is known.

    Example:
        >>> nearest_names("rjvea", ["rjvae", "dsa"])
        "did you mean 'rjvae'? Known: dsa, rjvae"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    listing = f"Known: {', '.join(known)}"
    return f"did you mean {close[0]!r}? {listing}" if close else f"nothing is near. {listing}"
