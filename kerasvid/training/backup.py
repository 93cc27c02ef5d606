"""Copies of runs in stores, such as s3://bucket/run, from which another machine goes on."""

import contextlib
import functools
import os
import pathlib
import re
import sys
import threading

from kerasvid.data.remote import (
    PARTIAL,
    DamagedFile,
    MissingFile,
    RemoteError,
    download,
    find_remote,
    read_remote,
    remove_remote,
    upload,
    write_remote,
)
from kerasvid.io import described
from kerasvid.training.callbacks import checkpoints
from kerasvid.training.callbacks.trackers import STATE
from kerasvid.training.config import RunConfig
from kerasvid.training.run_folder import RunError, RunFolder

# What the address of a store may bring into the folder beside settings, checkpoints and the model.
_FURTHER = re.compile(
    rf"kept/step-\d+/(config\.json|(checkpoints/step-\d+|model)\.keras)|{re.escape(STATE)}"
)


class _Newer(Exception):
    """The run folder has a finished model of the same step or a later one."""


class Backup:
    """A copy of a run in a store that fsspec writes to, by the same names as in the run's folder.

    It has what another machine needs: `config.json`, `checkpoints/`, `kept/`, `model.keras`,
    `metrics.csv` and `tracking.json`. Samples and events are not copied: nothing is continued from
    them. One run at a time may use an address.

    **Copying.** A thread copies the newest checkpoint, one at a time, while the training goes on.
    Checkpoints that the run has removed are removed from the store after a newer one is there.
    Files of weights end with their SHA-256, so that a part of one is found out.

    **Restoring: the newer wins.** If the last whole checkpoint of the store is of a later step than
    that of the run's folder, it is downloaded, with what else the folder lacks. Otherwise the
    folder stays as it is, and the store gets its next checkpoint. A damaged checkpoint is named on
    stderr, and the one before is taken.

    The address is not part of `RunConfig`: a run may go on with another, or without one.

    Args:
        address: of a folder, without passwords.
        run: the folder of the run, of which the chief copies and restores.

    Raises:
        RunError: the address is none that can be written to, or holds a password.
        RemoteError: a package is missing, or the store cannot be read.

    Example:
        >>> run = RunFolder("runs/rjvae-sprites")
        >>> with run.lock():
        ...     train(config, run, strategy, backup=Backup("s3://bucket/run", run))
    """

    def __init__(self, address: str, run: RunFolder):
        _check_address(address, run)
        self.address, self.run = address.rstrip("/"), run
        self._sent: dict[str, object] = {}  # by name: what the store has, as far as is known
        self._damaged: set[str] = set()  # names of what is not whole in the store
        self._may_remove = True
        self._thread: threading.Thread | None = None
        self._requested, self._ending = threading.Event(), False
        self._look()

    def _look(self) -> None:
        """Lists the store."""
        self._names = find_remote(self.address)
        folders = (name.rpartition("/") for name in self._names)
        steps = ((checkpoints.step_of(name), name) for folder, _, name in folders
                 if folder == self.run.checkpoints.name)  # fmt: skip
        self._steps = {step: name for step, name in steps if step is not None}
        self.__dict__.pop("config", None)

    def exists(self) -> bool:
        """Whether the store has weights, whole or not."""
        return bool(self._steps) or self.run.model.name in self._names

    @functools.cached_property
    def config(self) -> RunConfig:
        """The configuration in the store.

        Raises:
            RunError: it is missing or damaged.
            RemoteError: it cannot be read.
        """
        path = f"{self.address}/{self.run.config_path.name}"
        advice = "Restore it from a copy or use another --backup_to."
        try:
            content = read_remote(path)
        except MissingFile as error:
            raise RunError(f"{path}: missing. {advice}") from error
        try:
            return RunConfig.from_json(content.decode())
        except ValueError as error:
            raise RunError(f"{path}: {error}. {advice}") from error

    # === Before a run, as of `RunFolder` ===

    def keep_precision(self, precision: str) -> str:
        """The precision of the run's folder or of its backup in place of "auto"."""
        precision = self.run.keep_precision(precision)
        return self.config.precision if precision == "auto" and self.exists() else precision

    def check_source(self, config: RunConfig) -> None:
        """As of `RunFolder`: a run that has a backup is not new."""
        if not self.exists():
            self.run.check_source(config)

    def check_unchanged(self, config: RunConfig) -> None:
        """Raises `RunError` if the run or its backup was started with other settings."""
        self.run.check_unchanged(config)
        if self.exists() and (differences := self.config.differences(config)):
            raise RunError(
                f"{self.address}: the backup is of a run with other settings: "
                f"{'; '.join(differences)}. Use the same settings or another --backup_to."
            )

    # === From the store ===

    def restore(self, config: RunConfig) -> None:
        """Downloads the run if the store has a later checkpoint than its folder. For the chief.

        Args:
            config: what the run is asked for.

        Raises:
            RunError: the backup is of another run, or none of its weights are whole.
            RemoteError: the store cannot be read.
            OSError: the folder cannot be written; one line.
        """
        self._look()
        self.check_unchanged(config)
        newest = next((step for step, path in reversed(self._saved()) if _is_whole(path)), -1)
        later = sorted((step for step in self._steps if step > newest), reverse=True)
        if not later and (self._steps or not self.exists() or self.run.exists()):
            return
        if not self.run.config_path.exists():
            self._fetch(self.run.config_path.name)
        for name in self._names:
            if _FURTHER.fullmatch(name) and not (self.run.path / name).exists():
                self._fetch(name)
        model = self.run.model.name
        arrived = model in self._names and self._fetch(
            model, newer_than=checkpoints.saved_step(self.run.model)
        )
        # It is written again from the checkpoint, which comes last: with it, all is restored.
        self.run.metrics.unlink(missing_ok=True)
        folder = self.run.checkpoints.name
        found = next((s for s in later if self._fetch(f"{folder}/{self._steps[s]}")), None)
        if not self.run.exists():
            raise RunError(f"{self.address}: no saved weights can be read. Restore them from a "
                           "copy or use another --backup_to.")  # fmt: skip
        if found is None and not arrived:
            return
        step = checkpoints.saved_step(self.run.model) if found is None else found
        print(f"{self.run.path}: restored from {self.address}, step {step:,}", flush=True)

    def _saved(self) -> list[tuple[int, pathlib.Path]]:
        """The steps and the checkpoints of the run's folder, oldest first."""
        return [*checkpoints.saved_steps(self.run.checkpoints).items()]

    def _fetch(self, name: str, newer_than: int | None = None) -> bool:
        """Downloads a file of the run; whether it is there now.

        One that is missing or damaged in the store is named on stderr.

        Args:
            name: of the file.
            newer_than: step of the file that the folder has.
        """

        def check(path: str) -> None:
            checkpoints.check_whole(path)
            if newer_than is not None and checkpoints.saved_step(path) <= newer_than:
                raise _Newer

        target = self.run.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            weights = target.suffix == ".keras"
            download(f"{self.address}/{name}", target, check if weights else None)
            return True
        except (MissingFile, DamagedFile) as error:
            print(f"{error} Skipped.", file=sys.stderr)
            self._damaged.add(name)
        except _Newer:
            pass
        return False

    # === To the store ===

    def start(self, config: RunConfig) -> None:
        """Copies the configuration, and begins to copy what `request` asks for. For the chief.

        Raises:
            RunError: the store cannot be written to.
        """
        name, content = self.run.config_path.name, config.to_json().encode()
        try:
            write_remote(f"{self.address}/{name}", content)
        except RemoteError as error:
            raise RunError(f"{error} Give a store that can be written to, or train without "
                           "--backup_to.") from error  # fmt: skip
        self._sent[name] = content
        self._thread = threading.Thread(target=self._work, name="backup", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Lets the thread copy the newest checkpoint, after the one that it is copying now."""
        self._requested.set()

    def _work(self) -> None:
        while True:
            self._requested.wait()
            self._requested.clear()
            if self._ending:
                return
            self._try("Training goes on; the next checkpoint is copied again.")

    def finish(self) -> None:
        """Copies the rest and waits for it; a line on stderr says if the backup is not complete."""
        if self._thread is None:
            return
        print(f"\ncopying the run to {self.address}", flush=True)
        self._ending = True
        self.request()
        self._thread.join()
        self._thread = None
        self._try("The backup is not complete. Run the same command again to complete it.")

    def _try(self, consequence: str) -> None:
        """Copies; a fault is one line."""
        try:
            self._copy()
        except FileNotFoundError:
            pass  # the run has removed this checkpoint: a newer one is there, and is requested
        except RemoteError as error:
            print(f"\n{error} {consequence}", file=sys.stderr, flush=True)
        except Exception as error:  # the thread must not end
            why = described(error).rstrip(".")
            print(f"\n{self.address}: not copied ({why}). {consequence}", file=sys.stderr,
                  flush=True)  # fmt: skip

    def _copy(self) -> None:
        """Copies what the store lacks, and removes older checkpoints after that.

        Raises:
            FileNotFoundError: the run has removed a checkpoint in the meantime.
            RemoteError: the store fails.
        """
        kept = self.run.path / "kept"
        settings = [self.run.config_path, *kept.glob("*/config.json")]
        for path in (*settings, *kept.glob("*/checkpoints/step-*.keras")):
            self._send(path)
        newest = next(((s, path) for s, path in reversed(self._saved()) if _is_whole(path)), None)
        if newest is not None:
            self._send(newest[1])
        for path in (self.run.metrics, self.run.path / STATE, self.run.model):
            if path.exists():
                self._send(path)
        if newest is not None:
            self._remove_before(newest[0])

    def _send(self, path: pathlib.Path) -> None:
        """Copies a file if it has changed since it was copied."""
        name = path.relative_to(self.run.path).as_posix()
        weights, state = path.suffix == ".keras", path.stat()
        found = (state.st_mtime_ns, state.st_size) if weights else path.read_bytes()
        if self._sent.get(name) == found:
            return
        try:
            if isinstance(found, bytes):
                write_remote(f"{self.address}/{name}", found)
            else:
                upload(path, f"{self.address}/{name}", again=name in self._damaged)
                self._damaged.discard(name)
        except RemoteError:
            path.stat()  # one that was removed is no fault of the store
            raise
        self._sent[name] = found

    def _remove_before(self, step: int) -> None:
        """Removes earlier checkpoints that the run has removed, and parts of them."""
        if not self._may_remove:
            return
        own = {path.name for _, path in self._saved()}
        folder = f"{self.address}/{self.run.checkpoints.name}"
        for name in find_remote(folder):
            number = checkpoints.step_of(name.removeprefix(PARTIAL))
            if number is None or name in own or (number >= step and not name.startswith(PARTIAL)):
                continue
            try:
                remove_remote(f"{folder}/{name}")
            except RemoteError as error:  # such as a store that only adds files
                self._may_remove = False
                print(f"\n{error} Earlier checkpoints stay there.", file=sys.stderr, flush=True)
                return


def _is_whole(path: pathlib.Path) -> bool:
    with contextlib.suppress(ValueError, OSError):
        checkpoints.check_whole(path)
        return True
    return False


def _check_address(address: str, run: RunFolder) -> None:
    """Raises `RunError` for an address that cannot be written to, or holds a password."""
    scheme, separator, path = address.partition("://")
    if not separator or not path.strip("/"):
        raise RunError(f"--backup_to={address}: no address of a folder. Write s3://bucket/run or "
                       "file:///folder/run.")  # fmt: skip
    if re.search(r":.*@|\?", path):  # shown nowhere, and not kept
        raise RunError(f"--backup_to={scheme}://...: the address holds a password or a token. "
                       "Give it in a variable, such as AWS_SECRET_ACCESS_KEY.")  # fmt: skip
    if scheme in ("http", "https"):
        raise RunError(f"--backup_to={address}: web servers take no files. Give a store, such as "
                       "s3://bucket/run.")  # fmt: skip
    if scheme in ("file", "local") and os.path.realpath(path) == os.path.realpath(run.path):
        raise RunError(f"--backup_to={address}: is the folder of the run. Give another folder.")
