"""``gateway-service serve | check | doctor``."""

import argparse
import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
from dataclasses import replace
from functools import partial
from typing import Final

import uvloop

from gateway_service.app import create_app
from gateway_service.config.faults import ConfigError
from gateway_service.config.file import read_config
from gateway_service.operations.doctor import check, diagnose
from gateway_service.operations.workers import (
    Supervisor,
    end_with_parent,
    open_listener,
)
from gateway_service.settings import GatewaySettings
from service_kit.doctor import report
from service_kit.logs import configure_logging
from service_kit.server import serve_until_stopped, settings_or_exit

_GC_THRESHOLDS: Final = (20_000, 20, 50)
"""A request leaves no cycles, so the collector need not look after every few dozen."""

_MALLOC_SETTINGS: Final = {-1: 262_144, -3: 1_048_576, -8: 1}
"""M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX of glibc's mallopt(3).

Large bodies pass in pieces of up to 256 kB. What they leave free is given back, but not
mapped and unmapped for each piece, as it would be if it were said by one of them alone.
"""

_FAILURE: Final = 1
_USAGE_ERROR: Final = 2


def main() -> None:
    """Run the command that the arguments name."""
    arguments = _parser().parse_args()
    settings = settings_or_exit(GatewaySettings)
    match arguments.command:
        case "check":
            sys.exit(check(settings.config, os.environ))
        case "doctor":
            sys.exit(asyncio.run(report(diagnose(settings, os.environ))))
        case _:
            settings = replace(settings, workers=arguments.workers or settings.workers)
            configure_logging("gateway", settings.log_level)
            sys.exit(_serve(settings, arguments.listener))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway-service")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="forward requests until SIGTERM")
    serving.add_argument(
        "--workers", type=int, choices=range(1, 65), metavar="N", help="processes"
    )
    serving.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    commands.add_parser("check", help="name every fault of the configuration")
    commands.add_parser("doctor", help="check what the gateway needs")
    return parser


def _serve(settings: GatewaySettings, inherited: int | None) -> int:
    """Serve in this process, or in several of which this one is the parent."""
    if inherited is not None:
        listener = socket.socket(fileno=inherited)
        return uvloop.run(_serve_here(settings, listener, is_worker=True))
    if settings.workers > 1 and check(settings.config, os.environ):
        return _USAGE_ERROR
    try:
        listener = open_listener(settings)
    except OSError as error:
        address = f"{settings.host}:{settings.port}"
        sys.stderr.write(f"cannot listen on {address}: {error.strerror}\n")
        return _FAILURE
    if settings.workers > 1:
        return uvloop.run(Supervisor(settings, listener).run())
    return uvloop.run(_serve_here(settings, listener, is_worker=False))


async def _serve_here(
    settings: GatewaySettings, listener: socket.socket, *, is_worker: bool
) -> int:
    loop = asyncio.get_running_loop()
    read = partial(read_config, settings.config, os.environ)
    try:
        app = create_app(settings, read)
    except ConfigError as error:
        sys.stderr.writelines(f"{fault}\n" for fault in error.faults)
        return _USAGE_ERROR
    if is_worker:
        end_with_parent(loop)
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        for parameter, value in _MALLOC_SETTINGS.items():
            mallopt(parameter, value)
    loop.add_signal_handler(signal.SIGHUP, app.reload)
    await serve_until_stopped(
        app.serving(listener), app.internal_app, app.readiness, settings
    )
    return 0


if __name__ == "__main__":
    main()
