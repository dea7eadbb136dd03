"""`make up`, `down`, `reload` and `identity`: the whole system, embedded.

All state lives in `.local/`. One start of this tree runs at a time.
"""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from deploy.dev.profile import LOCAL, PORTS, ROOT, SERVICES, development_environment
from deploy.dev.service import BIN, StartError, pid_file
from deploy.dev.system import STOP_SIGNALS, System

from service_kit.running.sockets import ListenError, bind
from service_kit.settings import LAST_PORT

RUNNER: Final = "up"
_DOWN_SECONDS: Final = 30.0


def up() -> int:
    """Run the system until it is stopped; 0 if it was told to stop."""
    for each in STOP_SIGNALS:
        signal.signal(each, lambda *_: sys.exit(0))
    _hold_lock()
    environ = development_environment(os.environ)
    _check_ports(environ)
    if sys.stdout.isatty():
        environ = {**_TERMINAL, **environ}
    reloads = bool(os.environ.get("RELOAD"))
    return asyncio.run(System(environ, reloads=reloads).run())


_TERMINAL: Final = {
    "FORCE_COLOR": "1",
    **{f"{name.upper()}_LOG_FORMAT": "text" for name in SERVICES},
}
"""The services' lines pass through this process on their way to the terminal."""


def down() -> int:
    """Stop the system that runs from this tree, and wait until it has stopped."""
    living = _living()
    if not living:
        print("down: nothing is running from this folder")
        return 0
    # A runner ends its services; those of one that was killed have to be told.
    told = living.get(RUNNER) or 0
    for process in [told] if told else living.values():
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    while living := _living():
        if time.monotonic() > deadline:
            names = ", ".join(f"{name} ({pid})" for name, pid in living.items())
            raise StartError(f"still running after {_DOWN_SECONDS:g} s: {names}")
        time.sleep(0.1)
    print("down: stopped")
    return 0


def reload() -> int:
    """Have the gateway read its configuration again, if that has no fault."""
    gateway = pid_file("gateway").holder()
    if gateway is None:
        raise StartError(
            "no gateway is running from this folder; start it with `make up`"
        )
    environ = development_environment(os.environ)
    check = [str(BIN / "gateway-service"), "check"]
    checked = subprocess.run(  # noqa: S603 - our own command
        check, env=environ, stdout=subprocess.DEVNULL, check=False
    )
    if checked.returncode != 0:
        raise StartError("the gateway keeps its present configuration")
    os.kill(gateway, signal.SIGHUP)
    print(f"reload: the gateway (process {gateway}) reads its configuration again")
    return 0


def identity(*arguments: str) -> int:
    """Run a command of identity on the data of this tree; return its exit code."""
    command = [str(BIN / "identity-service"), *arguments]
    environ = development_environment(os.environ)
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode  # noqa: S603 - ours


def _living() -> dict[str, int]:
    """Return the processes of this tree that live, by name."""
    holders = {name: pid_file(name).holder() for name in (RUNNER, *SERVICES)}
    return {name: pid for name, pid in holders.items() if pid is not None}


def _hold_lock() -> None:
    """Take this tree's lock, for as long as this process lives."""
    try:
        LOCAL.mkdir(mode=0o700, exist_ok=True)
        is_held = pid_file(RUNNER).take() is not None
    except OSError as error:
        raise StartError(f"cannot write to {LOCAL}: {error.strerror}") from None
    living = _living()
    if not is_held:
        raise StartError(
            f"already running (process {living.get(RUNNER)}); `make down` stops it"
        )
    del living[RUNNER]
    if living:
        names = ", ".join(living)
        raise StartError(
            f"an earlier start left {names} running; `make down` stops them"
        )


def _check_ports(environ: Mapping[str, str]) -> None:
    """Find out before the start what would fail after it."""
    taken: dict[int, str] = {}
    for name in PORTS:
        text = environ[name]
        if not (text.isdecimal() and 0 < int(text) <= LAST_PORT):
            raise StartError(
                f"{name}={text} is not a port: use a number from 1 to {LAST_PORT}"
            )
        port = int(text)
        if port in taken:
            raise StartError(
                f"{name} and {taken[port]} are both {port}: each needs its own port"
            )
        taken[port] = name
        where = name.replace("PORT", "HOST")
        host = environ.get(where, "127.0.0.1")
        try:
            for each in bind(host, port):
                each.close()
        except ListenError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
                raise StartError(
                    f"port {port} is taken; free it or choose another: "
                    f"{name}={port + 10} make up"
                ) from None
            raise StartError(
                f"cannot listen on {host} ({where}), port {port} ({name}): "
                f"{error.reason}"
            ) from None


def main(arguments: list[str]) -> int:
    """Do what the Makefile asks for."""
    commands: dict[str, Callable[..., int]] = {
        "up": up,
        "down": down,
        "reload": reload,
        "identity": identity,
    }
    command, *rest = arguments
    try:
        return commands[command](*rest)
    except StartError as error:
        reason = str(error)
    except OSError as error:  # a full disk, or what another user has made
        reason = f"{error.filename or LOCAL}: {error.strerror}"
    print(f"{command}: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
