"""One request on its way to a replica, and the answer on its way back.

A request is tried on another replica only if nothing of it was sent, or if it is
idempotent and has no body, and only under the upstream's retry budget. So a POST is
delivered at most once (RFC 9110, 9.2.2).
"""

import asyncio
import contextlib
import time
from typing import Final

from gateway_service import problems
from gateway_service.client.answer import Answer, UpstreamError
from gateway_service.client.connection import UpstreamConnection
from gateway_service.client.pool import ConnectionPool
from gateway_service.client_addresses import TrustedProxies
from gateway_service.exchange import Exchange
from gateway_service.framing import CHUNKED
from gateway_service.messages import answer_lines, request_head
from gateway_service.replicas import FailureKind, Replica
from gateway_service.routing import Route
from gateway_service.streams import Stream
from gateway_service.upstreams import Upstream
from service_kit.errors import Problem, ProblemError

GATHERED: Final = 65_536
"""Octets of a body that are awaited before a replica is asked.

A small body goes out whole, so that a slow client holds no replica's connection.
"""

GATHERED_UNTOLD: Final = 131_072
"""The same for a body whose length was not told.

More than the limit of most routes, so what exceeds it reaches no replica.
"""

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

_SWITCHING_PROTOCOLS: Final = 101

_FAILURE_STATUSES: Final = frozenset({500, 502, 503, 504})
"""Answers that speak against a replica, and that another might not give."""


class Forwarding:
    """Sends a request until a replica answers, and relays the answer."""

    __slots__ = (
        "_asked_at",
        "_attempts",
        "_exchange",
        "_is_paid",
        "_is_repeatable",
        "_is_whole",
        "_loop",
        "_problem",
        "_received",
        "_replica",
        "_request",
        "_route",
        "_sending",
        "_total_at",
        "_tried",
        "_upstream",
    )

    _replica: Replica[ConnectionPool]

    def __init__(
        self,
        exchange: Exchange,
        route: Route,
        upstream: Upstream[ConnectionPool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._exchange = exchange
        self._route = route
        self._upstream = upstream
        self._loop = loop
        self._total_at = exchange.started_at + route.timeouts.total
        self._request = b""
        self._is_whole = True
        """Whether `_request` is all there is to send."""
        self._is_repeatable = (
            exchange.body is None and exchange.request.method in _IDEMPOTENT
        )
        self._received = 0
        self._sending: asyncio.Task[None] | None = None
        self._tried: tuple[Replica[ConnectionPool], ...] = ()
        self._attempts = 0
        self._is_paid = False
        """Whether the budget was asked for the next attempt already."""
        self._problem = problems.UNAVAILABLE
        """What is told when no further attempt is made."""
        self._asked_at = 0.0

    async def run(self, pseudonym: bytes, proxies: TrustedProxies) -> None:
        """Answer the exchange."""
        first = await self._first_of_body()
        length = len(first) if self._is_whole else self._exchange.request.length
        head = request_head(
            self._exchange,
            length,
            upstream=self._upstream.name,
            pseudonym=pseudonym,
            proxies=proxies,
        )
        self._request = head + self._encoded(first)
        while (replica := self._upstream.select(self._tried)) is not None:
            self._replica = replica
            self._exchange.replica = replica.endpoint
            try:
                if await self._attempt():
                    return
            finally:
                self._upstream.release(replica)
        self._exchange.tell(self._problem)

    async def _first_of_body(self) -> bytes:
        """Return the whole body if it is small, else its beginning."""
        body = self._exchange.body
        if body is None:
            return b""
        is_told = self._exchange.request.length != CHUNKED
        gathered = GATHERED if is_told else GATHERED_UNTOLD
        first = await self._exchange.read_body(min(gathered, self._route.body_limit))
        self._count(first)
        self._is_whole = body.is_complete and body.is_empty
        return first

    def _count(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._route.body_limit:
            raise ProblemError(problems.BODY_TOO_LARGE)

    def _encoded(self, data: bytes) -> bytes:
        if self._is_whole or self._exchange.request.length != CHUNKED:
            return data
        return b"%x\r\n%b\r\n" % (len(data), data)

    async def _attempt(self) -> bool:
        """Try the chosen replica; False asks for another attempt."""
        pool = self._replica.pool
        self._asked_at = time.monotonic()
        self._attempts += 1
        connection = pool.take()
        is_reused = connection is not None
        try:
            if connection is None:
                connection = await pool.connect(self._route.timeouts.connect)
            answer = await self._ask(connection)
            self._exchange.upstream_seconds = time.monotonic() - self._asked_at
            if self._is_failure(answer) and self._may_repeat(was_sent=True):
                return False
            await self._relay(answer, connection)
        except UpstreamError as error:
            return self._give_up(error, is_reused=is_reused)
        finally:
            if connection is not None:
                pool.give_back(connection)
            if self._sending is not None:
                self._sending.cancel()
        return True

    def _give_up(self, error: UpstreamError, *, is_reused: bool) -> bool:
        """Judge a failed attempt; False asks for another one."""
        if self._exchange.status:
            self._replica.failed(error.kind)
            self._exchange.client.cut()
            return True
        if not (is_reused and error.kind is FailureKind.RESET):
            # Else: a connection that was closed while idle says nothing of a replica.
            self._replica.failed(error.kind)
            self._tried = (*self._tried, self._replica)
        self._problem = _problem_of(error)
        if self._may_repeat(was_sent=error.kind is not FailureKind.REFUSED):
            return False
        self._exchange.tell(self._problem)
        return True

    def _is_failure(self, answer: Answer) -> bool:
        if answer.status not in _FAILURE_STATUSES:
            self._replica.succeeded()
            return False
        self._replica.failed(FailureKind.STATUS)
        self._tried = (*self._tried, self._replica)
        return True

    def _may_repeat(self, *, was_sent: bool) -> bool:
        if was_sent and not self._is_repeatable:
            return False
        paid, self._is_paid = self._is_paid, False
        config = self._upstream.config.retries
        return paid or (
            self._attempts < config.attempts
            and self._upstream.has_another(self._tried)
            and self._upstream.retry_budget.withdraw()
        )

    def _gives_up_early(self) -> bool:
        """Whether another replica may be asked while this one takes its time."""
        tried = (*self._tried, self._replica)
        self._is_paid = (
            self._attempts < self._upstream.config.retries.attempts
            and self._upstream.has_another(tried)
            and self._upstream.retry_budget.withdraw()
        )
        return self._is_paid

    async def _ask(self, connection: UpstreamConnection) -> Answer:
        request = self._exchange.request
        answer = connection.ask(
            self._request,
            request.method,
            self._route.timeouts,
            self._total_at,
            is_whole=self._is_whole,
            is_upgrade=request.is_upgrade,
        )
        if self._is_repeatable:
            patience = self._upstream.config.retries.attempt_timeout
            connection.give_up_early(patience, self._gives_up_early)
        try:
            if not self._is_whole:
                await self._begin_sending(connection, answer)
            return await answer
        finally:
            answer.cancel()  # whoever left will not hear how it failed

    # A body that does not fit into the first write

    async def _begin_sending(
        self, connection: UpstreamConnection, answer: asyncio.Future[Answer]
    ) -> None:
        """Send the rest of the body, until it is sent or there is an answer."""
        self._sending = sending = self._loop.create_task(self._send_rest(connection))
        sending.add_done_callback(lambda task: _abort_if_failed(task, connection))
        await asyncio.wait((sending, answer), return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and (error := sending.exception()) is not None:
            raise error

    async def _send_rest(self, connection: UpstreamConnection) -> None:
        body = self._exchange.body
        if body is None:
            return
        with contextlib.suppress(ConnectionResetError):
            while data := await body.read():
                self._count(data)
                await connection.send(self._encoded(data))
            await connection.send(self._encoded(b""))
            connection.sent()

    # The answer

    async def _relay(self, answer: Answer, connection: UpstreamConnection) -> None:
        exchange = self._exchange
        lines, body = answer_lines(answer), answer.body
        if isinstance(body, bytes):
            exchange.respond(answer.status, lines, body, answer.bodiless_framing)
        elif answer.status == _SWITCHING_PROTOCOLS:
            exchange.switch_protocols(lines)
            await self._tunnel(body, connection)
        else:
            exchange.begin(answer.status, lines, answer.length)
            while data := await body.read():
                await exchange.send(data)
            exchange.end()

    async def _tunnel(self, theirs: Stream, connection: UpstreamConnection) -> None:
        """Pass octets both ways until one side ends."""
        ours = self._exchange.client.open_tunnel()

        async def up() -> None:
            while data := await ours.read():
                await connection.send(data)

        async def down() -> None:
            while data := await theirs.read():
                await self._exchange.send(data)

        ways = {self._loop.create_task(way) for way in (up(), down())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


def _abort_if_failed(
    sending: asyncio.Task[None], connection: UpstreamConnection
) -> None:
    if not sending.cancelled() and sending.exception() is not None:
        connection.abort()


def _problem_of(error: UpstreamError) -> Problem:
    if not error.in_time:
        return problems.NO_ANSWER_IN_TIME
    if error.kind is FailureKind.REFUSED:
        return problems.UNREACHABLE
    if error.kind is FailureKind.UNREACHABLE:
        return problems.UNAVAILABLE
    return problems.BAD_ANSWER
