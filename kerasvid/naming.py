"""Names that people type: what a constructor knows, and what to say to a name that nobody knows."""

import difflib
import inspect
import os
import shlex
import shutil
import sys
import typing
from collections.abc import Iterable
from typing import Any


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


def constructor_arguments(cls: type) -> dict[str, tuple[Any, Any]]:
    """The named arguments of a constructor, with those of the classes it hands `**kwargs` on to.

    Args:
        cls: a class of this library; arguments of Keras's own classes are left out.

    Returns:
        By name the annotation (`Any` where there is none) and the default.

    Example:
        >>> constructor_arguments(RMoCoGAN)["motion_dim"]
        (<class 'int'>, 10)
    """
    found: dict[str, tuple[Any, Any]] = {}
    for base in cls.__mro__:
        own = vars(base).get("__init__")
        if own is None or not base.__module__.startswith(__package__):
            continue
        hints = typing.get_type_hints(own)
        for parameter in inspect.signature(own).parameters.values():
            if parameter.default is not inspect.Parameter.empty:
                found.setdefault(
                    parameter.name, (hints.get(parameter.name, Any), parameter.default)
                )
    return found


def kept_arguments(instance: Any) -> dict[str, Any]:
    """The arguments of an object's constructor, for `get_config`.

    Each is kept as `self.NAME`, or as `self.NAME_arguments` where `self.NAME` is the network.

    Example:
        >>> kept_arguments(GaussianHead(8))
        {'latent_dim': 8, 'hidden_units': 0}
    """
    kept = vars(instance)
    named = inspect.signature(type(instance).__init__).parameters.values()
    names = [each.name for each in named if each.kind is each.POSITIONAL_OR_KEYWORD][1:]
    return {name: kept.get(f"{name}_arguments", kept.get(name)) for name in names}


def python_command(*arguments: str) -> str:
    """A line for the shell that runs Python as this process does, environment included.

    Example:
        >>> python_command("apps/train.py", "--set=frames=4")
        '.venv/bin/python apps/train.py --set=frames=4'
    """
    python, found = sys.executable, shutil.which("python")
    if found and os.path.dirname(found) == os.path.dirname(python):
        python = "python"  # that of the environment, which is activated
    elif not os.path.relpath(python).startswith(os.pardir):
        python = os.path.relpath(python)
    return shlex.join([python, *arguments])
