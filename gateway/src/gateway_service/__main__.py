"""``gateway-service serve | check | doctor | explain``."""

import argparse
import asyncio
import ctypes
import gc
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from typing import Any, Final

from service_kit.imports import uncollected

with uncollected():
    import uvloop

    from gateway_service.app import GatewayApp, SharedByWorkers, create_app
    from gateway_service.config.faults import ConfigError
    from gateway_service.config.file import read_config
    from gateway_service.http1.descriptors import raise_limit
    from gateway_service.operations.access_log import target_fault
    from gateway_service.operations.doctor import check, diagnose
    from gateway_service.operations.explain import RequestDescription, explain
    from gateway_service.operations.workers.last_good import LastGood
    from gateway_service.operations.workers.parent import Parent
    from gateway_service.operations.workers.ports import Ports
    from gateway_service.operations.workers.received_config import ReceivedConfig
    from gateway_service.operations.workers.shared_memory import SharedMemory
    from gateway_service.operations.workers.workers import Supervisor
    from gateway_service.settings import GatewaySettings
    from gateway_service.upstreams.watching.reports import (
        UpstreamReport,
        UpstreamReports,
    )
    from service_kit.observability.logs import configure_logging
    from service_kit.observability.process import version_text
    from service_kit.running.doctor import report
    from service_kit.running.loop import Loop
    from service_kit.running.server import (
        HELD_SIGNALS,
        exit_unusable,
        serve_until_stopped,
        settings_or_exit,
    )
    from service_kit.running.sockets import ListenError

_GC_THRESHOLDS: Final = (20_000, 20, 50)
"""A request leaves no cycles, so the collector need not look after every few dozen."""

_MALLOC_SETTINGS: Final = {-1: 262_144, -3: 1_048_576, -8: 1}
"""M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX of glibc's mallopt(3).

Large bodies pass in pieces of up to 256 kB. What they leave free is given back, but not
mapped and unmapped for each piece, as it would be if it were said by one of them alone.
"""

_FAILURE: Final = 1

_LAST_SECONDS: Final = 10.0
"""That a worker takes at most to end, once its requests have ended or were cut."""


def main() -> None:
    """Run the command that the arguments name."""
    arguments = _parser().parse_args()
    settings = settings_or_exit(GatewaySettings)
    match arguments.command:
        case "check":
            check(settings.config, os.environ)
        case "explain":
            described = _description(arguments)
            sys.exit(explain(settings.config, os.environ, described))
        case "doctor":
            doctor = report(diagnose(settings, os.environ))
            sys.exit(uvloop.run(doctor, loop_factory=Loop))
        case _:
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
            settings = replace(settings, workers=arguments.workers or settings.workers)
            configure_logging("gateway", settings.log_level, settings.log_format)
            sys.exit(_serve(settings, arguments.ports, arguments.shared))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway-service")
    parser.add_argument("--version", action="version", version=version_text("gateway"))
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="forward requests until SIGTERM")
    serving.add_argument(
        "--workers", type=int, choices=range(1, 65), metavar="N", help="processes"
    )
    serving.add_argument("--ports", help=argparse.SUPPRESS)
    serving.add_argument("--shared", help=argparse.SUPPRESS)
    commands.add_parser("check", help="name every fault of the configuration")
    commands.add_parser("doctor", help="check what the gateway needs")
    explaining = commands.add_parser(
        "explain", help="say what would become of a request, without sending it"
    )
    explaining.add_argument("method", metavar="METHOD")
    explaining.add_argument("url", metavar="URL", help="absolute, or a path")
    explaining.add_argument("--origin", metavar="ORIGIN", help="of the page that asks")
    explaining.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="may be given several times",
    )
    return parser


def _description(arguments: argparse.Namespace) -> RequestDescription:
    origin = [f"Origin: {arguments.origin}"] if arguments.origin else []
    return RequestDescription(
        arguments.method, arguments.url, [*arguments.header, *origin]
    )


def _serve(settings: GatewaySettings, ports: str | None, shared: str | None) -> int:
    """Serve; what cannot be used is a line each, and exit code 2.

    A worker inherits its ports and the shared memory as descriptors.
    """
    raise_limit()
    try:
        if ports is not None and shared is not None:
            return _serve_as_worker(settings, Ports.inherit(ports), shared)
        return _serve_as_parent(settings)
    except ConfigError as error:
        exit_unusable(*error.faults)
    except ListenError as error:
        exit_unusable(str(error))


def _serve_as_parent(settings: GatewaySettings) -> int:
    """Serve in this process, or in several of which this one is the parent."""
    if fault := target_fault(settings.access_log):
        exit_unusable(fault)
    last_good = LastGood(settings.config, os.environ)
    all_ports = Ports.bind(settings)
    if settings.workers > 1:
        longest = (settings.drain_delay + settings.shutdown_grace).total_seconds()
        longest += _LAST_SECONDS
        return asyncio.run(Supervisor(all_ports, last_good, longest_stop=longest).run())

    async def serve() -> int:
        read = partial(read_config, settings.config, os.environ)
        app = create_app(settings, read, last_good.loaded)
        return await _serve_here(settings, all_ports[0], app)

    return uvloop.run(serve(), loop_factory=Loop)


def _serve_as_worker(settings: GatewaySettings, ports: Ports, shared: str) -> int:
    parent = Parent()
    start = parent.read()
    if start is None:
        return _FAILURE  # it is gone already
    received = ReceivedConfig(start.config)
    descriptor, worker = map(int, shared.split("/"))
    memory = SharedMemory(descriptor, settings.workers)

    async def serve() -> int:
        reports = UpstreamReports(counts_probes=worker == 0)

        def deliver(message: Any) -> None:  # noqa: ANN401 - of either kind
            if isinstance(message, UpstreamReport):
                reports.deliver(message)
            else:
                received.take(message)

        parent.follow(asyncio.get_running_loop(), deliver)
        shared = SharedByWorkers(reports, memory, worker)
        app = create_app(settings, received.read, start, shared)
        received.follow(app.reload)
        return await _serve_here(settings, ports, app)

    return uvloop.run(serve(), loop_factory=Loop)


async def _serve_here(settings: GatewaySettings, ports: Ports, app: GatewayApp) -> int:
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        for parameter, value in _MALLOC_SETTINGS.items():
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)  # what the imports left free
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.reload)
    await serve_until_stopped(
        app.serving(ports.public),
        app.internal_app,
        app.readiness,
        settings,
        ports.internal,
    )
    return 0


if __name__ == "__main__":
    main()
