"""`make up` and `make down`: the whole system on this machine, embedded.

All state lives in `.local/`. honcho runs the three services; this prepares what they
need, and sees to it that one start of this tree runs at a time.
"""

import fcntl
import multiprocessing
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Final

from deploy.dev.profile import (
    LOCAL,
    PORTS,
    admin_credentials,
    development_environment,
)
from honcho.manager import Manager
from honcho.printer import Message, Printer

BIN: Final = Path(sys.executable).parent
PID_FILE: Final = LOCAL / "up.pid"
READY: Final = "ready"
_DOWN_SECONDS: Final = 30.0
_LAST_PORT: Final = 65_535
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class UpError(Exception):
    """It can not start; the message is one line for a person."""


class _Printer(Printer):  # type: ignore[misc] # honcho has no types
    """Prints what tells how to use the system as it is, everything else prefixed."""

    def write(self, message: Message) -> None:
        try:
            if message.name == READY and isinstance(message.data, bytes):
                print(message.data.decode(), end="", flush=True)
            else:
                super().write(message)
        except BrokenPipeError:
            # Nobody reads any more, as when a terminal closes: stop.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.kill(os.getpid(), signal.SIGTERM)


class _Manager(Manager):  # type: ignore[misc] # honcho has no types
    """Stops between two turns of its loop, where honcho would stop in a handler.

    There it may print in the middle of printing, or know not all processes yet.
    """

    _asked_to_stop = False

    def _start(self) -> None:
        super()._start()
        for each in STOP_SIGNALS:
            signal.signal(each, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def _all_started(self) -> bool:
        started = bool(super()._all_started())
        if started and self._asked_to_stop:
            self.returncode = 0
            self.terminate()
        return started


def up() -> int:
    """Run the system until it is stopped; 0 if it was told to stop."""
    for each in STOP_SIGNALS:
        signal.signal(each, _leave)
    _hold_lock()
    environ = development_environment(os.environ)
    _check_ports(environ)
    _prepare(environ)
    return _run(environ)


def down() -> int:
    """Stop the system that runs from this tree, and wait until it has stopped."""
    if not PID_FILE.exists() or _try_lock() is not None:
        print("down: nothing runs from here")
        return 0
    runner = int(PID_FILE.read_text())
    try:
        os.kill(runner, signal.SIGTERM)
    except ProcessLookupError:
        raise UpError("its runner was killed, the services go on: end them") from None
    deadline = time.monotonic() + _DOWN_SECONDS
    while _try_lock() is None:
        if time.monotonic() > deadline:
            raise UpError(f"process {runner} does not stop")
        time.sleep(0.1)
    print("down: stopped")
    return 0


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _hold_lock() -> None:
    """Take this tree's lock, for as long as this process lives, and sign it."""
    try:
        LOCAL.mkdir(mode=0o700, exist_ok=True)
        PID_FILE.touch(mode=0o600)
        held = _try_lock()
    except OSError as error:
        raise UpError(f"can not write to {LOCAL}: {error.strerror}") from None
    if held is None:
        runner = PID_FILE.read_text()
        raise UpError(f"it runs already (process {runner}); `make down` stops it")
    PID_FILE.write_text(str(os.getpid()))


def _try_lock() -> int | None:
    """Return the locked file's descriptor, or None where another process has it."""
    descriptor = os.open(PID_FILE, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _check_ports(environ: Mapping[str, str]) -> None:
    """Find out before the start what would fail after it."""
    taken: dict[int, str] = {}
    for name in PORTS:
        text = environ[name]
        if not (text.isdecimal() and 0 < int(text) <= _LAST_PORT):
            raise UpError(f"{name}={text} is no port")
        port = int(text)
        if port in taken:
            raise UpError(f"{name} and {taken[port]} both say {port}")
        taken[port] = name
        if not _is_free(environ.get(name.replace("PORT", "HOST"), "127.0.0.1"), port):
            raise UpError(
                f"port {port} is taken; free it or choose another: "
                f"{name}={port + 10} make up"
            )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _prepare(environ: Mapping[str, str]) -> None:
    """Bring the database up to date, with the first admin in it."""
    _identity(environ, "migrate")
    admin = admin_credentials()
    _identity(
        environ,
        *("create-admin", "--username", admin["username"], "--email", admin["email"]),
        "--password-stdin",
        stdin=admin["password"],
    )


def _identity(environ: Mapping[str, str], *arguments: str, stdin: str = "") -> None:
    command = [str(BIN / "identity-service"), *arguments]
    finished = subprocess.run(  # noqa: S603 - our own command
        command, env=environ, input=stdin, text=True, check=False
    )
    if finished.returncode != 0:
        raise UpError(f"this failed, see above: identity-service {arguments[0]}")


def _run(environ: Mapping[str, str]) -> int:
    # Forked while SIGHUP is ignored, honcho's readers outlive a closed terminal, and
    # the ends of the services are heard of.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    multiprocessing.set_start_method("fork")
    manager = _Manager(_Printer())
    for service in ("identity", "content", "gateway"):
        command = [str(BIN / f"{service}-service"), "serve"]
        manager.add_process(service, _exec(command), env=environ)
    manager.add_process(
        READY, _exec([sys.executable, "-u", "-m", "deploy.dev.ready"]), env=environ
    )
    manager.loop()
    return 0 if manager.returncode == 0 else 1


def _exec(command: list[str]) -> str:
    """Return a line for honcho's shell, which makes way for the command."""
    return f"exec {shlex.join(command)}"


def main(arguments: list[str]) -> int:
    """Do what the Makefile asks for."""
    commands: dict[str, Callable[[], int]] = {"up": up, "down": down}
    [command] = arguments
    try:
        return commands[command]()
    except UpError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
