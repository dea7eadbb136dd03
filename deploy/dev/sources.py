"""The source files that a service is made of, and when they change."""

import asyncio
from pathlib import Path
from typing import Final

from deploy.dev.profile import ROOT

_POLL_SECONDS: Final = 0.5
"""Every platform can look at the time of a file; some can not watch it."""


class Sources:
    """The Python files of a service and of the kit, as they were last looked at."""

    def __init__(self, service: str) -> None:
        own = ROOT / "gateway" if service == "gateway" else ROOT / "services" / service
        self._folders = (own / "src", ROOT / "shared" / "src")
        self._times = self._look()

    async def change(self) -> Path:
        """Return a file that has changed, come or gone, once one has."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            before, self._times = self._times, await asyncio.to_thread(self._look)
            if changed := dict(before.items() ^ self._times.items()):
                return min(changed)

    def _look(self) -> dict[Path, int]:
        found = {}
        for folder in self._folders:
            for path in folder.rglob("*.py"):
                try:
                    found[path] = path.stat().st_mtime_ns
                except FileNotFoundError:
                    continue  # gone meanwhile
        return found
