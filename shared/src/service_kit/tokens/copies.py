"""Copies of fetched documents on disk, for a start while their server is away."""

import asyncio
import contextlib
import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

MAX_AGE: Final = timedelta(days=1)
"""An older copy is not used: a key may have been withdrawn meanwhile."""

_OTHERS_MAY_WRITE: Final = 0o022

_PATIENCE_SECONDS: Final = 1.0
"""Reading a small file takes no longer, unless the disk hangs."""


class CopiesOnDisk:
    """A folder with the last good copy of each document, one file for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def load(self, url: str) -> bytes | None:
        """Return the copy, if there is one that is young and nobody else's."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await asyncio.to_thread(self._load, url)
        return None

    async def save(self, url: str, document: bytes) -> None:
        """Keep a copy in place of the one before; a full disk is no failure."""
        await asyncio.to_thread(self._save, url, document)

    def _path(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode()).hexdigest()

    def _load(self, url: str) -> bytes | None:
        try:
            with self._path(url).open("rb") as file:
                about = os.fstat(file.fileno())
                age = time.time() - about.st_mtime
                if (
                    about.st_uid != os.geteuid()
                    or about.st_mode & _OTHERS_MAY_WRITE
                    or age > MAX_AGE.total_seconds()
                ):
                    return None
                return file.read()
        except OSError:
            return None

    def _save(self, url: str, document: bytes) -> None:
        path = self._path(url)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_bytes(document)
            unfinished.chmod(0o600)
            unfinished.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()
