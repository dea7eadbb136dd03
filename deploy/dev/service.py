"""One service of `make up`, as a process."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.dev.console import Console
from deploy.dev.pid_files import PidFile
from deploy.dev.profile import LOCAL, ROOT, address

from service_kit.healthcheck import answers_ok

BIN: Final = Path(sys.executable).parent

_PAUSE_SECONDS: Final = 0.05
_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0


class StartError(Exception):
    """It can not start; the message is one line for a person."""


def pid_file(name: str) -> PidFile:
    """Return the file that tells whether a service, or the whole `make up`, lives."""
    return PidFile(LOCAL / f"{name}.pid")


class Service:
    """A service that is started, and may be started again."""

    def __init__(self, name: str, environ: Mapping[str, str], console: Console) -> None:
        self.name = name
        self.address = f"http://localhost:{environ[f'{name.upper()}_PORT']}"
        self._internal = address(f"{name.upper()}_INTERNAL", environ)
        self._environ = environ
        self._console = console
        self._process: Process | None = None
        self._relay: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process, in a group of its own.

        Raises `StartError`: one of an earlier start lives on.
        """
        held = (file := pid_file(self.name)).take()
        if held is None:
            raise StartError(f"{self.name} of an earlier start runs: `make down`")
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(str(BIN / f"{self.name}-service"), "serve"),
                cwd=ROOT,
                env=self._environ,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=[held],
                start_new_session=True,
            )
        finally:
            os.close(held)
        file.sign(self._process.pid)
        if (output := self._process.stdout) is not None:
            self._relay = asyncio.create_task(self._console.relay(output))

    async def wait_until_ready(self) -> None:
        """Return when the internal port says that it is ready.

        Raises `StartError`: it has ended, or takes too long.
        """
        url = f"{self._internal}/readyz"
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not await asyncio.to_thread(answers_ok, url):
                    if not self.is_running:
                        raise StartError(f"{self.name} has ended, see above")
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise StartError(
                f"{self.name} is not ready after {_READY_SECONDS:.0f} s"
            ) from None

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.returncode is None

    async def ended(self) -> int:
        """Return the exit code once the process has ended and its lines are read."""
        if self._process is None:
            raise StartError(f"{self.name} was never started")
        code = await self._process.wait()
        if self._relay is not None:
            await self._relay
        return code

    async def stop(self) -> None:
        """End the process, and by force where it does not listen."""
        if not self.is_running:
            return
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self.ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, or a deadly one to all it has started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
