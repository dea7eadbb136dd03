"""One request and the answer it gets, whoever gives it."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from service_kit.edge.answers import (
    CONNECTION_CLOSE,
    CONTINUE,
    date_line,
    problem_answer,
    status_line,
)
from service_kit.edge.fields import body_line
from service_kit.edge.framing import BODILESS, CHUNKED, CRLF
from service_kit.edge.requests import Request
from service_kit.edge.streams import Stream
from service_kit.problems import Problem
from service_kit.request_id import new_request_id

CLIENT_GONE: Final = 499
"""Logged in place of a status when the client left before there was one."""


_SWITCHING_PROTOCOLS: Final = 101


class Work(Protocol):
    """Something that is being waited for."""

    def cancel(self) -> bool:
        """Wait for it no longer."""


class Client(Protocol):
    """The connection that the request came by."""

    address: str
    """The IP address at the other end."""
    is_secure: bool
    """Whether the connection is TLS."""

    @property
    def stays_open(self) -> bool:
        """Whether a further request may follow on the connection."""

    def write(self, data: bytes) -> None:
        """Send octets to the client."""

    def write_whole(self, data: bytes) -> None:
        """Send a whole answer."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""

    def wait_for(
        self, exchange: "Exchange", work: Callable[[], Coroutine[Any, Any, None]]
    ) -> Work:
        """Do what must be waited for; it ends when the client is gone."""

    def finished(self, exchange: "Exchange") -> None:
        """Go on after an answer that is complete."""

    def failed(self, exchange: "Exchange", error: Exception) -> None:
        """Make the best of an exception that nobody expected."""

    def open_tunnel(self) -> Stream:
        """Return what the client sends from now on, no longer HTTP."""

    def cut(self) -> None:
        """End the connection so that the client sees it broken."""


class Exchange:
    """What is known of a request on its way, and the means to answer it."""

    lines = b""
    """Header lines that stand on the answer, whoever gives it."""
    status = 0
    """Of the answer; 0 until it has begun."""
    bytes_sent = 0
    """Of the answer's body."""
    route = ""
    upstream = ""
    replica: object = ""
    """Its `str` is where the answer came from."""
    upstream_seconds = 0.0
    """From sending the request to the answer's head."""
    on_abandoned: Callable[[], None] | None = None
    """Gives back what the answer was to come from."""
    _is_chunked = False

    def __init__(
        self,
        client: Client,
        request: Request,
        body: Stream | None,
        started_at: float,
    ) -> None:
        self.client = client
        self.request = request
        self.body = body
        self.started_at = started_at
        """On the monotonic clock, which the event loop's is too, but coarser."""
        self.request_id = new_request_id()
        self.closes = request.closes
        """Whether the connection ends with this exchange."""

    def wait_for(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Work:
        """Do what must be waited for, as long as the client is there."""
        return self.client.wait_for(self, work)

    def abandon(self) -> None:
        """Do no more for a client that is gone, or that is told something else."""
        if self.on_abandoned is not None:
            self.on_abandoned()

    def tell(self, problem: Problem) -> None:
        """Answer with a problem."""
        lines, body = problem_answer(problem, self.request_id)
        self.respond(int(problem.status), lines + date_line(), body)

    def respond(
        self, status: int, lines: bytes, body: bytes, framing: bytes | None = None
    ) -> None:
        """Give a whole answer; its length is told by ``framing``, if not as usual."""
        if framing is None:
            framing = b"" if status in BODILESS else body_line(len(body))
        if self.request.method == "HEAD":
            body = b""
        self.bytes_sent = len(body)
        self.client.write_whole(self._head(status, lines, framing) + body)
        self.client.finished(self)

    def begin(self, status: int, lines: bytes, length: int) -> None:
        """Begin an answer whose body comes by `send`, and ends with `end`."""
        if length >= 0:
            framing = body_line(length)
        elif self.request.is_http_10:
            framing = b""
            self.closes = True
        else:
            framing = body_line(CHUNKED)
            self._is_chunked = True
        self.client.write(self._head(status, lines, framing))

    async def send(self, data: bytes) -> None:
        """Send a piece of the body, waiting while the client is slow."""
        self.bytes_sent += len(data)
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.client.write(data)
        await self.client.drain()

    def end(self) -> None:
        """End the answer."""
        if self._is_chunked:
            self.client.write(b"0\r\n\r\n")
        self.client.finished(self)

    def switch_protocols(self, lines: bytes) -> None:
        """Answer 101; what follows belongs to the other protocol."""
        self.status = _SWITCHING_PROTOCOLS
        self.closes = True
        self.client.write(
            b"%bConnection: upgrade\r\nUpgrade: websocket\r\n%b%b\r\n"
            % (status_line(_SWITCHING_PROTOCOLS), lines, self._own_lines())
        )

    async def read_body(self, limit: int) -> bytes:
        """Return what has come of the body once it is complete or beyond ``limit``."""
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
        closing = CONNECTION_CLOSE if self.closes else b""
        return b"".join(
            (status_line(status), lines, self._own_lines(), framing, closing, CRLF)
        )

    def _own_lines(self) -> bytes:
        return self.lines + b"X-Request-Id: " + self.request_id.encode("ascii") + CRLF
