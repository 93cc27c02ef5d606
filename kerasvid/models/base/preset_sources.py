"""Where presets with weights come from: the package, a folder, the Hugging Face Hub, any store."""

import contextlib
import importlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from kerasvid import io
from kerasvid.data.remote import RemoteError, download
from kerasvid.models import registry
from kerasvid.models.base.preset_folder import (
    CARD,
    CONFIG,
    METADATA,
    RUN_MODEL,
    WEIGHTS,
    PresetError,
    check_files,
    read_preset,
)
from kerasvid.naming import nearest_names

HUB = "hf://"


@contextlib.contextmanager
def local_preset(
    preset: str | os.PathLike, known: Iterable[str] = (), load_weights: bool = True
) -> Iterator[pathlib.Path]:
    """The folder of a preset on this machine, while the block runs.

    Args:
        preset: as of `WithPresets.from_preset`.
        known: further names, for the message about an unknown one.
        load_weights: whether the file with the weights is needed.

    Raises:
        PresetError: there is no such preset, or its store cannot be read.

    Example:
        >>> with local_preset("hf://anna/rjvae_mine") as folder:
        ...     model = read_preset(folder)
    """
    name = os.fspath(preset)
    files = (METADATA, CONFIG, *([WEIGHTS] if load_weights else []))
    if name.startswith(HUB):
        yield _from_hub(name, files)
    elif "://" in name:
        with tempfile.TemporaryDirectory() as folder:
            _from_store(name, files, pathlib.Path(folder))
            yield pathlib.Path(folder)
    elif name in registry.shipped_presets():
        yield registry.SHIPPED / name
    elif os.path.isdir(name):
        path = pathlib.Path(name)
        if not (path / METADATA).exists() and not (path / RUN_MODEL).exists():
            advice = "Give a folder of save_to_preset or of a run"
            if (path / CONFIG).exists():
                advice = "If this is a run, train it to its end"
            raise PresetError(f"{name}: no preset, {METADATA} is missing. {advice}.")
        yield path
    elif os.path.exists(name):
        raise PresetError(f"{name}: a file. Give the folder of a preset.")
    elif os.sep in name:
        raise PresetError(f"{name}: there is no such folder.")
    else:
        names = [*known, *registry.shipped_presets()]
        near = f": {nearest_names(name, names)}" if names else ""
        raise PresetError(f"There is no preset {name!r}{near}. Nor is there such a folder.")


def load_preset(preset: str | os.PathLike, load_weights: bool = True, **overrides: Any) -> Any:
    """The model of a preset with weights, of whichever class it is; see `from_preset`.

    Args:
        preset, load_weights, **overrides: as of `WithPresets.from_preset`, without its presets
            of hyper-parameters.

    Raises:
        PresetError: as there.

    Example:
        >>> load_preset("rjvae_mine").generate(8)
    """
    with local_preset(preset, load_weights=load_weights) as folder:
        return read_preset(folder, None, load_weights, **overrides)


# === Any store that fsspec can read ===


def _from_store(address: str, files: Iterable[str], folder: pathlib.Path) -> None:
    """Copies the files of a preset from a store into a folder."""
    for name in files:
        try:
            download(f"{address.rstrip('/')}/{name}", folder / name)
        except RemoteError as error:
            raise PresetError(str(error)) from error


# === The Hugging Face Hub ===


def _from_hub(address: str, files: Iterable[str]) -> pathlib.Path:
    """The folder of the hub's cache with the files of a preset, downloaded where they are not."""
    repository, revision, inner = parsed_address(address)
    hub = _package(address)
    path = pathlib.Path()
    for name in files:
        with _readable_hub_errors(address, name):
            path = pathlib.Path(hub.hf_hub_download(
                repository, f"{inner}{name}", revision=revision, library_name="kerasvid"
            ))  # fmt: skip
    return path.parent


def upload_preset(address: str, folder: str | os.PathLike, private: bool = False) -> str:
    """Uploads a preset to the Hugging Face Hub, after a check of its files.

    The repository is made where there is none. Its `README.md` is written where it has none, so
    that an edited card stays. The token is that of `hf auth login` or of `HF_TOKEN`.

    Args:
        address: `hf://user/repository`.
        folder: of `save_to_preset`.
        private: whether a new repository is private.

    Returns:
        The page of the commit.

    Raises:
        PresetError: the folder is not as it was written, or the hub refuses or is not reached.

    Example:
        >>> model.save_to_preset("rjvae_mine")
        >>> upload_preset("hf://anna/rjvae_mine", "rjvae_mine")
    """
    repository, revision, inner = parsed_address(address)
    hub = _package(address)
    check_files(folder)
    api, files = hub.HfApi(library_name="kerasvid"), [CONFIG, WEIGHTS, METADATA]
    with _readable_hub_errors(address, None):
        api.create_repo(repository, private=private, exist_ok=True)
        if not api.file_exists(repository, f"{inner}{CARD}", revision=revision):
            files.append(CARD)
        commit = api.upload_folder(
            repo_id=repository, folder_path=os.fspath(folder), path_in_repo=inner or None,
            revision=revision, allow_patterns=files, commit_message="Upload a preset of kerasvid",
        )  # fmt: skip
    return str(commit.commit_url)


def check_address(address: str) -> None:
    """Raises `PresetError` if an address of the hub is malformed or its package is missing."""
    parsed_address(address)
    _package(address)


def parsed_address(address: str) -> tuple[str, str | None, str]:
    """Repository, revision and inner folder of `hf://user/repository[@revision][/folder]`."""
    revision = r"refs/(?:pr|convert)/[\w.-]+|[\w.-]+"
    match = re.fullmatch(rf"hf://([\w.-]+/[\w.-]+)(?:@({revision}))?((?:/[\w.-]+)*)/?", address)
    if not match:
        raise PresetError(f"{address}: give hf://user/repository, also with @revision or /folder.")
    return match[1], match[2], f"{match[3].lstrip('/')}/" if match[3] else ""


@contextlib.contextmanager
def _readable_hub_errors(address: str, name: str | None) -> Iterator[None]:
    """Turns the errors of `huggingface_hub` into one line of what to do."""
    kinds = importlib.import_module("huggingface_hub.errors")
    try:
        yield
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, kinds.GatedRepoError):
            why = "you have no access to it. Ask for it on its page, and log in by hf auth login"
        elif isinstance(error, kinds.RepositoryNotFoundError) or status in (401, 403):
            why = "not found, or not open to you. Check the name, and log in by hf auth login"
        elif isinstance(error, kinds.RevisionNotFoundError):
            why = "it has no such revision"
        elif isinstance(error, kinds.LocalEntryNotFoundError):
            why = f"the hub is not reached, and {name} is not in its cache. Check the network"
        elif isinstance(error, kinds.EntryNotFoundError):
            why = f"{name} is missing: no preset of kerasvid"
        else:
            why = f"the hub failed ({io.cause_of(error)}). Try again"
        raise PresetError(f"{address}: {why}.") from error


def _package(address: str) -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise PresetError(f"{address}: needs huggingface_hub. Install it with pip install "
                          "'kerasvid[hub]'.") from error  # fmt: skip
