"""Names that people type: arguments of constructors, nearest known names, lines for the shell."""

import dataclasses
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
    """The nearest known name, if there is one, then all known names.

    Example:
        >>> nearest_names("rjvea", ["rjvae", "dsa"])
        "did you mean 'rjvae'? Known: dsa, rjvae"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    listing = f"Known: {', '.join(known)}"
    return f"did you mean {close[0]!r}? {listing}" if close else listing


def constructor_arguments(cls: type) -> dict[str, tuple[Any, Any]]:
    """The named arguments of a constructor and of the base classes that it passes `**kwargs` to.

    Args:
        cls: a class of this library. Arguments of Keras's own classes are left out.

    Returns:
        By name the annotation (`Any` if there is none) and the default.

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
        for name, parameter in inspect.signature(own).parameters.items():
            if parameter.default is not inspect.Parameter.empty:
                found.setdefault(name, (hints.get(name, Any), parameter.default))
    return found


class KeepsArguments:
    """Mix-in for Keras objects: `get_config` has the constructor's arguments.

    Each is kept as `self.NAME`, or, where `self.NAME` is the network, as `self.NAME_arguments` or
    in the dictionary `self.network_arguments`. Dataclasses are given as dictionaries.

    Example:
        >>> GaussianHead(8).get_config()
        {'name': ..., 'dtype': ..., 'latent_dim': 8, 'hidden_units': 0}
    """

    def get_config(self) -> dict[str, Any]:
        own = inspect.signature(type(self).__init__).parameters.values()
        needed = [each.name for each in own if each.kind is each.POSITIONAL_OR_KEYWORD][1:]
        networks, values = getattr(self, "network_arguments", {}), {}
        for name in [*needed, *constructor_arguments(type(self))]:
            value = networks.get(name, getattr(self, f"{name}_arguments", None))
            value = getattr(self, name) if value is None else value
            values[name] = (
                dataclasses.asdict(value) if dataclasses.is_dataclass(type(value)) else value
            )
        return {**super().get_config(), **values}  # type: ignore[misc]  # of Keras


def python_command(*arguments: str) -> str:
    """A line for the shell that runs Python as this process does, environment included.

    Example:
        >>> python_command("apps/train.py", "--set=frames=4")
        '.venv/bin/python apps/train.py --set=frames=4'
    """
    return shlex.join([_typed(sys.executable, "python"), *arguments])


def command_line(command: str, *flags: str) -> str:
    """A line for the shell that runs another command of ours, in the form that the user typed.

    Args:
        command: as `kerasvid` takes it: "train" or "export saved-model".
        *flags: of the command.

    Example:
        >>> command_line("generate", "--run_dir=runs/x")  # in a process of `kerasvid train`
        'kerasvid generate --run_dir=runs/x'
        >>> command_line("generate", "--run_dir=runs/x")  # in one of `python apps/train.py`
        'python apps/generate.py --run_dir=runs/x'
    """
    program = sys.argv[0]
    script = os.path.join(os.path.dirname(program), f"{command}.py")
    if program.endswith(".py") and os.path.exists(script) and "__main__" not in program:
        return python_command(script, *flags)
    is_ours = os.path.basename(program) == "kerasvid"
    program = _typed(program, "kerasvid") if is_ours else "kerasvid"
    return shlex.join([program, *command.split(), *flags])


def _typed(path: str, name: str) -> str:
    """A program as it is typed here: its name if it is on the PATH, else its path."""
    found = shutil.which(name)
    if found and os.path.dirname(found) == os.path.dirname(path):
        return name
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative
