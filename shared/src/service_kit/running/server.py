"""Run a service until it is stopped, without losing a request."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NoReturn, TypeVar

import uvloop
from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from service_kit.health import Readiness
from service_kit.observability.log_format import LogFormat
from service_kit.observability.logs import configure_logging, flush_logs
from service_kit.observability.process import BUILD
from service_kit.running.listener import ListenerSettings
from service_kit.running.loop import Loop
from service_kit.running.output import write_notices
from service_kit.running.sockets import BACKLOG, ListenError, bind, host_port, listen
from service_kit.settings import SettingsError, read_settings

KEEPALIVE_SECONDS: Final = 75.0
"""Longer than the gateway keeps an idle connection, so that it closes first."""

_UNPACKS_BODIES: Final = False
"""64 kB can unpack to 64 MiB, on the event loop."""

_LONGEST_FIELD: Final = 16_384
"""Bytes of a header field or a request line. A gateway lets less through, but it adds
to fields."""

_MOST_FIELDS: Final = 1_024
"""A gateway can be configured to let 1,000 through, and adds some of its own."""

_LINGER_SECONDS: Final = 2.0
"""How long the rest of a body that no handler read is waited for and thrown away."""

UNUSABLE: Final = 2
"""The exit code of a process that cannot use its settings or its ports."""
_SIGNALLED: Final = 128
"""A process ended by signal n is reported as 128 + n."""
_INTERNAL_GRACE_SECONDS: Final = 1.0
_LAST_WORDS_SECONDS: Final = 0.2
"""How long a process waits for its log to be written when a second signal ends it."""

SUPERVISOR_STOPS: Final = signal.SIGUSR1
"""What a supervisor sends to have its workers stop.

Terminals and systemd signal every process of a service. A worker that also got SIGTERM
from its supervisor would take it for the second one.
"""

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, SUPERVISOR_STOPS)

HELD_SIGNALS: Final = frozenset({*_STOP_SIGNALS, signal.SIGHUP})
"""Those that a process may block while it starts; they are delivered once it serves."""

_CONTINUE: Final = "100-continue"

S = TypeVar("S")

_logger: Final = logging.getLogger(__name__)


class _Runner(web.AppRunner):
    """Ignores what requests expect besides 100 Continue (RFC 9110 section 10.1.1).

    aiohttp refuses it itself, before any middleware, and fails on bytes that are not
    UTF-8.
    """

    async def setup(self) -> None:
        """Set the server up, and have it make requests without such a field."""
        await super().setup()
        if self.server is not None:
            make_request = self.server.request_factory
            self.server.request_factory = lambda message, *others: make_request(
                _without_expectation(message), *others
            )


def _without_expectation(message: RawRequestMessage) -> RawRequestMessage:
    """Return the head of a request without an expectation that nobody knows."""
    expected = message.headers.get(hdrs.EXPECT)
    if expected is None or expected.lower() == _CONTINUE:
        return message
    headers = CIMultiDict(message.headers)
    headers.popall(hdrs.EXPECT)
    return message._replace(headers=CIMultiDictProxy(headers))


def app_runner(app: web.Application, listening: ListenerSettings) -> web.AppRunner:
    """Return a runner with the bounds of a service behind the gateway."""
    return _Runner(
        app,
        access_log=None,
        handle_signals=False,
        keepalive_timeout=KEEPALIVE_SECONDS,
        auto_decompress=_UNPACKS_BODIES,
        lingering_time=_LINGER_SECONDS,
        max_line_size=_LONGEST_FIELD,
        max_field_size=_LONGEST_FIELD,
        max_headers=_MOST_FIELDS,
        shutdown_timeout=listening.shutdown_grace.total_seconds(),
    )


async def serve(
    public: web.AppRunner,
    internal_app: web.Application,
    readiness: Readiness,
    listening: ListenerSettings,
) -> None:
    """Serve an aiohttp application on the public port until the process is stopped.

    Raises `ListenError`: one of the ports is taken; nothing has been started then.
    """
    sockets = bind(listening.host, listening.port)
    internal = bind(listening.internal_host, listening.internal_port)
    site = _public_site(public, sockets)
    await serve_until_stopped(site, internal_app, readiness, listening, internal)


async def serve_until_stopped(
    public: AbstractAsyncContextManager[str],
    internal_app: web.Application,
    readiness: Readiness,
    listening: ListenerSettings,
    internal_sockets: list[socket.socket],
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process.

    The supervisor's signals and those of others are counted separately.
    ``public`` serves the public side inside of its block, and gives its address.
    It starts before the internal port opens, so that readiness is never reported too
    early, and it stops before the internal port closes.
    """
    internal = web.AppRunner(
        internal_app, access_log=None, shutdown_timeout=_INTERNAL_GRACE_SECONDS
    )
    with _stop_signals() as stop:
        async with _set_up(internal), public as address:
            for each in internal_sockets:
                listen(each)
                await web.SockSite(internal, each, backlog=BACKLOG).start()
            _logger.info(
                "serving",
                extra={
                    "address": address,
                    "internal_address": host_port(internal.addresses[0]),
                    "build": BUILD,
                },
            )
            await stop.wait()
            _logger.info("draining")
            readiness.draining = True
            await asyncio.sleep(listening.drain_delay.total_seconds())
    _logger.info("stopped")


def run(
    service: str,
    main: Callable[[S], Coroutine[Any, Any, None]],
    settings_class: type[S],
) -> None:
    """Run ``main(settings)`` to its end.

    Bad settings and ports that are taken are named, and end the process with 2. The
    settings ``log_level`` and ``log_format`` are honoured where they are there.
    """
    settings = settings_or_exit(settings_class)
    configure_logging(
        service,
        getattr(settings, "log_level", "info"),
        getattr(settings, "log_format", LogFormat.AUTO),
    )
    try:
        uvloop.run(main(settings), loop_factory=Loop)
    except ListenError as error:
        exit_unusable(str(error))


def settings_or_exit(settings_class: type[S]) -> S:
    """Return the settings of the environment, or print every fault and exit 2."""
    try:
        return read_settings(settings_class, os.environ)
    except SettingsError as error:
        exit_unusable(*(f"setting {fault}" for fault in error.faults))


def exit_unusable(*faults: str) -> NoReturn:
    """Print a line for each fault of the settings or the configuration, and exit 2."""
    write_notices(*faults)
    sys.exit(UNUSABLE)


@contextlib.asynccontextmanager
async def _public_site(
    runner: web.AppRunner, sockets: list[socket.socket]
) -> AsyncIterator[str]:
    async with _set_up(runner):
        for each in sockets:
            listen(each)
            await web.SockSite(runner, each, backlog=BACKLOG).start()
        yield host_port(runner.addresses[0])


@contextlib.asynccontextmanager
async def _set_up(runner: web.BaseRunner) -> AsyncIterator[None]:
    try:
        await runner.setup()
        yield
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    stopped_by: set[bool] = set()
    """Who has asked it to stop: the supervisor (True), others (False)."""

    def on_signal(number: int) -> None:
        is_supervisor = number == SUPERVISOR_STOPS
        if is_supervisor in stopped_by:
            _logger.warning("stopped_at_once")
            flush_logs(_LAST_WORDS_SECONDS)
            os._exit(_SIGNALLED + (signal.SIGTERM if is_supervisor else number))
        stopped_by.add(is_supervisor)
        stop.set()

    for each in _STOP_SIGNALS:
        loop.add_signal_handler(each, on_signal, each)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
    try:
        yield stop
    finally:
        for each in _STOP_SIGNALS:
            loop.remove_signal_handler(each)
