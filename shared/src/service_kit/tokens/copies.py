"""Copies of fetched documents on disk, for a start while their server is away."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_AGE: Final = timedelta(days=1)
"""An older copy is not used: a key may have been withdrawn meanwhile. Nor is one from
the future, beyond `_FUTURE_SECONDS`: nobody knows how old it is."""

_FUTURE_SECONDS: Final = 60
"""A file server's clock may be ahead of this host's."""

_OTHERS_MAY_WRITE: Final = 0o022

_TIMEOUT_SECONDS: Final = 1.0
"""Reading a small file takes no longer, unless the disk hangs."""


class CopiesOnDisk:
    """A folder with the last good copy of each document, one file for each.

    It has one thread, and never the event loop's: while the disk hangs, nothing else
    does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, "copies")
        self._unsaved: dict[str, bytes] = {}
        """The newest version of each document that is not on disk yet."""
        self._saving: dict[str, asyncio.Task[None]] = {}

    async def load(self, url: str) -> bytes | None:
        """Return the copy, if it is recent and owned by this user."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await self._in_thread(self._load, url)
        return None

    def save(self, url: str, document: bytes) -> None:
        """Begin to put a copy in place of the one before; a full disk is no failure."""
        self._unsaved[url] = document
        if url not in self._saving:
            task = asyncio.create_task(self._save_newest(url), name=f"save {url}")
            self._saving[url] = task

    async def saved(self) -> None:
        """Wait briefly until everything is saved."""
        if self._saving:
            await asyncio.wait(list(self._saving.values()), timeout=_TIMEOUT_SECONDS)

    async def _save_newest(self, url: str) -> None:
        try:
            while (document := self._unsaved.pop(url, None)) is not None:
                await self._in_thread(self._save, url, document)
        finally:
            del self._saving[url]

    def _in_thread(self, function: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, function, *args)

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
                    or not -_FUTURE_SECONDS <= age <= MAX_AGE.total_seconds()
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
