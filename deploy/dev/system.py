"""All services of `make up` together: started in order, ended together."""

import asyncio
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from typing import Final

from deploy.dev.console import Console
from deploy.dev.profile import LOCAL, ROOT, SERVICES, admin_credentials
from deploy.dev.service import BIN, Service, StartError
from deploy.dev.sources import Sources
from deploy.dev.welcome import welcome

from identity_service.domain.accounts.users import AdminOutcome

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class System:
    """The services, and what is made ready for them."""

    def __init__(self, environ: Mapping[str, str], *, reloads: bool) -> None:
        self._environ = environ
        self._sources = {name: Sources(name) for name in SERVICES if reloads}
        self._console = Console(LOCAL / "start.log", self._end)
        self._services = [Service(name, environ, self._console) for name in SERVICES]
        self._work: asyncio.Task[str] | None = None

    async def run(self) -> int:
        """Run until a signal comes or a service ends; 0 if it was a signal."""
        loop = asyncio.get_running_loop()
        self._work = loop.create_task(self._start_and_watch())
        for each in STOP_SIGNALS:
            loop.add_signal_handler(each, self._end)
        try:
            reason = await self._work
        except asyncio.CancelledError:
            return 0
        except StartError as error:
            self._console.replay()
            reason = str(error)
        finally:
            for service in reversed(self._services):
                await service.stop()
        self._console.say(f"up: {reason}")
        return 1

    def _end(self) -> None:
        """End everything; at once if it is ending already."""
        if self._work is not None and not self._work.cancel():
            for service in self._services:
                service.signal(signal.SIGTERM)

    async def _start_and_watch(self) -> str:
        """Start everything, and return what has ended it."""
        await self._start()
        self._console.open()
        watch = self._restart_on_change if self._sources else _end_of
        watches = [asyncio.create_task(watch(service)) for service in self._services]
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for each in watches:
                each.cancel()

    async def _start(self) -> None:
        """Start one service after the other, each when those before it are ready."""
        schema, _, _ = (await self._identity("migrate")).partition(":")
        self._console.say(f"up: database  ready, {schema}")
        admin = asyncio.create_task(self._create_admin())
        try:
            for service in self._services:
                await service.start()
                await service.wait_until_ready()
                self._console.say(f"up: {service.name:8}  ready on {service.address}")
            self._console.say(welcome(self._environ, await admin))
        finally:
            admin.cancel()

    async def _create_admin(self) -> AdminOutcome:
        admin = admin_credentials()
        printed = await self._identity(
            *("create-admin", "--username", admin["username"]),
            *("--email", admin["email"], "--password-stdin"),
            stdin=admin["password"],
        )
        return AdminOutcome(printed.strip().removeprefix(f"{admin['username']} "))

    async def _identity(self, *arguments: str, stdin: str = "") -> str:
        """Run a command of identity to its end, and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            *(str(BIN / "identity-service"), *arguments),
            cwd=ROOT,
            env=self._environ,
            stdin=PIPE if stdin else DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        try:
            output, _ = await process.communicate(stdin.encode() if stdin else None)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            self._console.say(output.decode().rstrip())
            raise StartError(f"identity-service {arguments[0]} failed, see above")
        return output.decode()

    async def _restart_on_change(self, service: Service) -> str:
        """Start a service again whenever its source changes."""
        while True:
            path = await self._sources[service.name].change()
            self._console.say(f"up: {service.name} starts again: {path.name} changed")
            await service.stop()
            await service.start()
            try:
                await service.wait_until_ready()
            except StartError as error:
                self._console.say(f"up: {error}; the next change starts it again")
            else:
                self._console.say(f"up: {service.name} is ready again")


async def _end_of(service: Service) -> str:
    code = await service.ended()
    return f"{service.name} ended with exit code {code}, so everything stops"
