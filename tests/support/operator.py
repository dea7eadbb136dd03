"""Identity's commands, as an operator runs them: each a process of its own."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.identity import ISSUER, KEYS


@dataclass
class Ended:
    """A command that has ended."""

    code: int | None
    out: str
    err: str


class Operator:
    """Runs commands with the settings of one deployment."""

    def __init__(self, database_url: str, **environ: str) -> None:
        self.url = database_url
        self._environment = {
            "PATH": os.environ["PATH"],
            "IDENTITY_DATABASE_URL": database_url,
            "IDENTITY_ISSUER": ISSUER,
            "IDENTITY_INTERNAL_PORT": "1",  # no process of another deployment is there
            "IDENTITY_BCRYPT_COST": "4",
            **KEYS,
            **environ,
        }

    async def run(self, *arguments: str, stdin: str = "", **environ: str) -> Ended:
        """Run a command to its end."""
        process = await self.start(*arguments, environ=environ)
        out, err = await process.communicate(stdin.encode())
        return Ended(process.returncode, out.decode(), err.decode())

    async def run_with(self, *arguments: str, stdin: int, stdout: int) -> Ended:
        """Run a command to its end, with a terminal or a pipe of the test's own."""
        process = await self.start(*arguments, stdin=stdin, stdout=stdout)
        _, err = await process.communicate()
        return Ended(process.returncode, "", err.decode())

    async def run_in_shell(self, script: str, *arguments: str) -> Ended:
        """Run a command to its end, as ``"$@"`` of a shell's script."""
        process = await self.start(*arguments, before=("sh", "-c", script, "sh"))
        out, err = await process.communicate(b"")
        return Ended(process.returncode, out.decode(), err.decode())

    async def start(
        self,
        *arguments: str,
        before: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
        stdin: int = asyncio.subprocess.PIPE,
        stdout: int = asyncio.subprocess.PIPE,
    ) -> asyncio.subprocess.Process:
        """Start a command."""
        return await asyncio.create_subprocess_exec(
            *(*before, sys.executable, "-m", "identity_service", *arguments),
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            env={**self._environment, **(environ or {})},
            start_new_session=True,  # without the terminal that the tests are run at
        )
