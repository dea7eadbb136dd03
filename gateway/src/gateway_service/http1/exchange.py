"""One request and its response, from an upstream or from the gateway."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Final

from gateway_service.http1.client import Client
from gateway_service.http1.parsing.fields import body_line
from gateway_service.http1.parsing.grammar import BODILESS, CHUNKED
from gateway_service.http1.parsing.requests import Request
from gateway_service.http1.parsing.responses import SWITCHING_PROTOCOLS
from gateway_service.http1.rendering import (
    CONNECTION_CLOSE,
    CONTINUE,
    UPGRADE,
    date_line,
    render_problem,
    status_line,
)
from gateway_service.http1.streams import Stream
from service_kit.languages.accepting import language_of
from service_kit.observability.request_id import new_request_id, request_id
from service_kit.observability.trace_context import (
    SPAN_ID_LENGTH,
    TraceParent,
    parse_traceparent,
    traceparent,
)
from service_kit.problems import INTERNAL_ERROR, Problem, ProblemError
from service_kit.requests.client_addresses import Origin, TrustedProxies

_ACCEPT_LANGUAGE: Final = b"accept-language:"

CLIENT_GONE: Final = 499
"""Logged in place of a status when the client left before there was one."""

_logger: Final = logging.getLogger(__name__)


class Exchange:
    """The state of a request in flight, and the means to respond to it."""

    public_url = ""
    """Leads to the pages of problems."""
    lines = b""
    """Header lines of the response, from an upstream or from the gateway."""
    status = 0
    """Of the response; 0 until it has begun."""
    bytes_sent = 0
    """Of the response's body."""
    caller: TraceParent | None = None
    """The trace that the client says its request is part of."""
    is_sampled = False
    """Whether this gateway records the trace."""
    problem: Problem | None = None
    """The problem that replaced an upstream's response."""
    route = ""
    upstream = ""
    replica: object = ""
    """Its `str` is the address that sent the response."""
    upstream_seconds = 0.0
    """From sending the request to the response's head."""
    on_abandoned: Callable[[], None] | None = None
    """Releases the replica and its connection."""
    relayed: Stream | None = None
    """The body of an upstream's response, as far as it has not been sent."""
    proxied_client = ""
    """The client behind a trusted proxy, once the request is forwarded; else empty."""
    _origin: Origin | None = None
    kept = 0
    """Bytes of a request with a body that may have to be sent again."""
    _tasks: tuple[asyncio.Task[None], ...] = ()
    _is_chunked = False
    _head_size = 0

    def __init__(
        self, client: Client, request: Request, body: Stream | None, started_at: float
    ) -> None:
        self.client = client
        self.request = request
        self.body = body
        self.started_at = started_at
        """On the monotonic clock, which the event loop's is too, but coarser."""
        self.request_id = self.trace_id = new_request_id()
        if b"traceparent" in request.values:
            self._join(request.values[b"traceparent"])
        self.closes = request.closes
        """Whether the connection ends with this exchange."""

    def origin(self, proxies: TrustedProxies) -> Origin:
        """Return what trusted proxies say of the request's beginning, read once."""
        if self._origin is None:
            peer, fields = self.client.address, self.request.values
            self._origin = proxies.origin_behind(peer, fields)
        return self._origin

    def client_address(self, proxies: TrustedProxies) -> str:
        """Return the address of the client, which a trusted proxy names."""
        peer = self.client.address
        return self.origin(proxies).addresses[0] if proxies.trusts(peer) else peer

    @property
    def held(self) -> int:
        """Bytes held of the request and of both bodies."""
        if not self._head_size:  # few requests last until they are counted
            self._head_size = sum(map(len, self.request.lines))
        size = self._head_size + self.kept
        for each in (self.body, self.relayed):
            if each is not None:
                size += each.held
        return size

    @property
    def span_id(self) -> str:
        """What this exchange is called within its trace."""
        return self.request_id[:SPAN_ID_LENGTH]

    def _join(self, untrusted: list[bytes]) -> None:
        """Make this exchange part of a client's trace, if the field is well-formed."""
        if len(untrusted) == 1:
            self.caller = parse_traceparent(untrusted[0].decode("latin-1"))
            if self.caller is not None:
                self.trace_id = self.caller.trace_id

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run what must be waited for in a task that ends with the exchange.

        A `ProblemError` it raises becomes the response, or breaks one that has begun.
        """
        task = self.client.loop.create_task(self._run(work))
        self._tasks = (*self._tasks, task)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name_lines()
        try:
            await work()
        except ConnectionResetError:
            self.client.cut()
        except ProblemError as error:
            # The body holds the error, which must not hold the reader of the body.
            error.__traceback__ = None
            self._fail(error.problem)
        except Exception as error:  # noqa: BLE001 - it is logged
            self.fail(error)

    def _name_lines(self) -> None:
        """Set the ids of this exchange for the log."""
        request_id.set(self.request_id)
        is_joined = self.caller is not None
        field = self.request.values[b"traceparent"][0] if is_joined else None
        traceparent.set(None if field is None else field.decode("ascii"))

    def fail(self, error: Exception) -> None:
        """Log an unexpected exception, and end the exchange."""
        context = copy_context()
        context.run(self._name_lines)
        context.run(_logger.error, "unexpected_error", exc_info=error)
        if not self.status:
            self.closes = True
        self._fail(INTERNAL_ERROR)

    def _fail(self, problem: Problem) -> None:
        """Send a problem in place of the response, or break one that has begun."""
        self.abandon()
        if self.status:
            self.client.cut()
        else:
            self.send_problem(problem)

    def abandon(self) -> None:
        """Stop work for a client that is gone, or that gets another response."""
        self._cancel_tasks()
        if self.on_abandoned is not None:
            self.on_abandoned()

    def _cancel_tasks(self) -> None:
        tasks, self._tasks = self._tasks, ()
        current = asyncio.current_task(self.client.loop)
        for task in tasks:
            if task is not current:
                task.cancel()

    @property
    def language(self) -> str:
        """The language of ours that the client prefers."""
        return language_of(_accepted_languages(self.request.lines))

    def send_problem(self, problem: Problem) -> None:
        """Respond with a problem."""
        self.problem = problem
        lines, body = render_problem(
            problem, self.request_id, language=self.language, public_url=self.public_url
        )
        self.respond(int(problem.status), lines + date_line(), body)

    def send_interim(self, status: int, lines: list[bytes]) -> None:
        """Send a response before the final one (RFC 9110, 15.2)."""
        if not self.status and not self.request.is_http_10:
            fields = b"".join(line + b"\r\n" for line in lines)
            self.client.write(b"%b%b\r\n" % (status_line(status), fields))

    def respond(
        self, status: int, lines: bytes, body: bytes, framing: bytes | None = None
    ) -> None:
        """Send a whole response; ``framing`` states its length, if not as usual."""
        if framing is None:
            framing = b"" if status in BODILESS else body_line(len(body))
        if self.request.method == "HEAD":
            body = b""
        self.bytes_sent = len(body)
        self.client.write_whole(self._head(status, lines, framing) + body)
        if self._tasks:
            self._cancel_tasks()
        self.client.end_response()

    def begin(
        self, status: int, lines: bytes, length: int, body: Stream | None = None
    ) -> None:
        """Begin a response whose body `send` adds to, and `end` completes.

        What comes of ``body`` is sent without that, as far as it can be at once.
        """
        if length >= 0:
            framing = body_line(length)
        elif self.request.is_http_10:
            framing = b""
            self.closes = True
        else:
            framing = body_line(CHUNKED)
            self._is_chunked = True
        self.client.write(self._head(status, lines, framing))
        if body is not None and not self._is_chunked:
            body.offer_to(self._send_now)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body, waiting while the client is slow."""
        self.bytes_sent += len(data)
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.client.write(data)
        await self.client.drain()

    def _send_now(self, data: bytes | memoryview) -> int:
        """Send what the client takes at once; return how many bytes that is."""
        sent = self.client.write_now(data)
        self.bytes_sent += sent
        return sent

    def end(self) -> None:
        """End the response."""
        if self._is_chunked:
            self.client.write(b"0\r\n\r\n")
        if self._tasks:
            self._cancel_tasks()
        self.client.end_response()

    def switch_protocols(self, lines: bytes) -> None:
        """Respond with 101; what follows belongs to the other protocol."""
        self.closes = True
        self.client.write(self._head(SWITCHING_PROTOCOLS, lines, b""))

    async def read_body(self, limit: int) -> bytes:
        """Return the body once it is complete, or what exceeds ``limit``."""
        if self.body is None:
            return b""
        if self.request.expects_continue and self.body.is_empty:
            self.client.write(CONTINUE)
        return await self.body.gather(limit)

    def _head(self, status: int, lines: bytes, framing: bytes) -> bytes:
        self.status = status
        if not self.client.stays_open or (
            self.body is not None and not self.body.is_complete
        ):
            self.closes = True
        if status == SWITCHING_PROTOCOLS:
            closing = UPGRADE
        else:
            closing = CONNECTION_CLOSE if self.closes else b""
        return b"%b%b%bX-Request-Id: %b\r\n%b%b\r\n" % (
            status_line(status),
            lines,
            self.lines,
            self.request_id.encode("ascii"),
            framing,
            closing,
        )


def _accepted_languages(lines: list[bytes]) -> list[str]:
    """Return the values of Accept-Language, which are parsed only when needed."""
    size = len(_ACCEPT_LANGUAGE)
    return [
        line[size:].decode("latin-1")
        for line in lines
        if line[:size].lower() == _ACCEPT_LANGUAGE
    ]
