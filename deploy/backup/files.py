"""Files of backups: compressed, encrypted if there is a passphrase, whole or absent."""

import gzip
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
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
def writing(target: Path, passphrase: Path | None) -> Iterator[IO[bytes]]:
    """Yield where to write; the target appears when all is written, for its owner."""
    if target.exists():
        raise BackupError(f"{target} exists already")
    with _folder(target.absolute().parent) as folder:
        plain = folder / "plain.gz"
        with _own(plain) as own, gzip.GzipFile(fileobj=own, mode="wb") as file:
            yield file  # type: ignore[misc] # a GzipFile does what is needed
        made = plain if passphrase is None else _gpg(plain, passphrase, "--symmetric")
        with made.open("rb") as whole:
            os.fsync(whole.fileno())
        made.rename(target)


@contextmanager
def reading(source: Path, passphrase: Path | None) -> Iterator[IO[bytes]]:
    """Yield what a backup holds, after all of it was found to be as it was written."""
    if not source.is_file():
        raise BackupError(f"there is no {source}")
    with _folder(None) as folder:
        packed = source
        if passphrase is not None:
            packed = _gpg(source, passphrase, "--decrypt", folder)
        try:
            with gzip.open(packed) as file:
                while file.read(_CHUNK):
                    pass
        except (EOFError, OSError, zlib.error) as error:
            hint = "" if passphrase else ", or encrypted: --passphrase-file"
            raise BackupError(f"{source} is damaged{hint}") from error
        with gzip.open(packed) as file:
            yield file  # type: ignore[misc]


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


def _gpg(source: Path, passphrase: Path, what: str, folder: Path | None = None) -> Path:
    target = (folder or source.parent) / "gpg"
    with _folder(None) as home:
        command = [
            *(*_GPG, "--homedir", str(home), "--passphrase-file", str(passphrase)),
            *("--output", str(target), what, str(source)),
        ]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except FileNotFoundError:
            raise BackupError("encryption needs the program gpg") from None
        finally:
            _end_agent(home)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["gpg failed"])[-1]
        raise BackupError(f"{source.name}: {last}")
    target.chmod(0o600)
    return target


def _end_agent(home: Path) -> None:
    """End the agent that gpg leaves behind."""
    if shutil.which("gpgconf"):
        subprocess.run(
            ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"],
            check=False,
            capture_output=True,
        )
