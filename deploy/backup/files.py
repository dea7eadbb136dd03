"""Files of backups: compressed, encrypted if there is a passphrase, whole or absent."""

import gzip
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final


class BackupError(Exception):
    """Nothing was done, or not all of it; the text is one line for the operator."""


_CHUNK: Final = 1 << 20

_GPG: Final = (
    *("gpg", "--batch", "--quiet", "--no-options", "--no-symkey-cache"),
    *("--pinentry-mode", "loopback", "--cipher-algo", "AES256"),
)


@contextmanager
def writing(
    target: Path, passphrase: Path | None, is_wanted: Callable[[IO[bytes]], bool]
) -> Iterator[IO[bytes]]:
    """Yield where to write; the target appears once it can be read, for its owner.

    With a passphrase nothing that is not encrypted is in a file at any time.
    """
    if target.exists():
        raise BackupError(f"{target} exists already")
    with _folder(target.absolute().parent) as folder:
        made = folder / "backup"
        with _own(made) as own:
            with (
                _encrypted(own, passphrase) as packed,
                gzip.GzipFile(fileobj=packed, mode="wb") as file,
            ):
                yield file  # type: ignore[misc] # a GzipFile does what is needed
            own.flush()
            os.fsync(own.fileno())
        if not _is_wanted(made, passphrase, is_wanted):
            raise BackupError("nothing there that could be restored: no backup is made")
        made.rename(target)


@contextmanager
def reading(
    source: Path, passphrase: Path | None, is_wanted: Callable[[IO[bytes]], bool]
) -> Iterator[IO[bytes]]:
    """Yield the content of a backup, once all of it is known to be whole and wanted.

    It is read, and decrypted, twice; ``is_wanted`` reads all of it first.
    """
    if not source.is_file():
        raise BackupError(f"there is no {source}")
    if not _is_wanted(source, passphrase, is_wanted):
        text = "is no whole backup of what is to be restored"
        raise BackupError(f"{source} {text}; nothing was changed")
    with _packed(source, passphrase) as packed, gzip.open(packed) as file:
        yield file  # type: ignore[misc]


def _is_wanted(
    source: Path, passphrase: Path | None, is_wanted: Callable[[IO[bytes]], bool]
) -> bool:
    """Read all of a backup, and return whether it is wanted."""
    with _packed(source, passphrase) as packed:
        try:
            with gzip.open(packed) as file:
                wanted = is_wanted(file)  # type: ignore[arg-type] # a GzipFile will do
                while file.read(_CHUNK):
                    pass
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            hint = "encrypted: --passphrase-file"
            if passphrase:
                hint = "encrypted with another passphrase"
            raise BackupError(f"{source} is damaged, or {hint}") from error
    return wanted


@contextmanager
def temporary_file(folder: Path | None = None) -> Iterator[Path]:
    """Yield an empty file of our own, in a folder or the system's, gone at the end."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".backup-")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink()


@contextmanager
def _folder(parent: Path | None) -> Iterator[Path]:
    """Yield a folder of our own, which is gone at the end."""
    if parent is not None and not parent.is_dir():
        raise BackupError(f"there is no folder {parent}")
    with tempfile.TemporaryDirectory(dir=parent, prefix=".backup-") as folder:
        yield Path(folder)


def _own(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "wb")


@contextmanager
def _encrypted(target: IO[bytes], passphrase: Path | None) -> Iterator[IO[bytes]]:
    """Yield where to write what goes to the target encrypted, if it is to be so."""
    if passphrase is None:
        yield target
        return
    with _gpg("--symmetric", passphrase, subprocess.PIPE, target) as process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        with process.stdin as stdin:
            yield stdin


@contextmanager
def _packed(source: Path, passphrase: Path | None) -> Iterator[IO[bytes]]:
    """Yield the compressed form of a backup."""
    with source.open("rb") as file:
        if passphrase is None:
            yield file
            return
        with _gpg("--decrypt", passphrase, file, subprocess.PIPE) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            with process.stdout as stdout:
                yield stdout


@contextmanager
def _gpg(
    what: str, passphrase: Path, stdin: IO[bytes] | int, stdout: IO[bytes] | int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run gpg meanwhile; BackupError with its own words if it fails."""
    with _folder(None) as home, tempfile.TemporaryFile() as errors:
        command = [
            *(*_GPG, "--homedir", str(home), "--passphrase-file", str(passphrase)),
            what,
        ]
        try:
            process = subprocess.Popen(
                command, stdin=stdin, stdout=stdout, stderr=errors
            )
        except FileNotFoundError:
            raise BackupError("encryption needs the program gpg") from None
        try:
            with suppress(BrokenPipeError):  # it has ended, and says why
                yield process
            process.wait()
        finally:
            process.kill()
            process.wait()
            _end_agent(home)
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise BackupError((lines or ["gpg failed"])[-1])


def _end_agent(home: Path) -> None:
    """End the agent that gpg leaves behind."""
    if shutil.which("gpgconf"):
        subprocess.run(
            ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"],
            check=False,
            capture_output=True,
        )
