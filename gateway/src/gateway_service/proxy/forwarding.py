"""One request on its way to a replica, and the answer on its way back.

A request is tried on another replica only if nothing of it was sent, or if it is
idempotent and has no body, and only under the upstream's retry budget. So a POST is
delivered at most once (RFC 9110, 9.2.2).
"""

import asyncio
import contextlib
import time
from functools import partial
from typing import Final

from gateway_service.proxy import problems
from gateway_service.proxy.messages import (
    Hop,
    answer_lines,
    request_framing,
    request_head,
)
from gateway_service.proxy.routing import Route
from gateway_service.upstreams.connection import UpstreamConnection
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.replica import Replica
from gateway_service.upstreams.response import Answer, UpstreamError
from gateway_service.upstreams.upstream import Upstream
from service_kit.edge.deadlines import NEVER
from service_kit.edge.exchange import Exchange, Work
from service_kit.edge.framing import CHUNKED
from service_kit.edge.streams import Stream
from service_kit.problems import Problem, ProblemError
from service_kit.request_id import request_id

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
    """Sends a request until a replica answers, and relays the answer.

    Each step leads to the next by a plain call, so the usual request, whose answer
    comes in one piece, costs no task. Only what must be waited for is a task.
    """

    is_whole = True
    """Whether `_request` is all there is to send."""
    patience = NEVER
    _request = b""
    _received = 0
    """Octets of the request's body."""
    _attempts = 0
    _tried: tuple[Replica, ...] = ()
    _is_trying = False
    """Whether a place on `_replica` is taken."""
    _connection: UpstreamConnection | None = None
    _is_reused = False
    """Whether the connection was open before."""
    _sending: Work | None = None
    _is_paid = False
    """Whether the budget was asked for the next attempt already."""
    _problem = problems.UNAVAILABLE
    """What is told when no further attempt is made."""

    _replica: Replica

    def __init__(
        self,
        exchange: Exchange,
        route: Route,
        upstream: Upstream,
        hop: Hop,
    ) -> None:
        self._exchange = exchange
        self._route = route
        self._upstream = upstream
        self._hop = hop
        request = exchange.request
        self.method = request.method
        self.is_upgrade = request.is_upgrade
        self.timeouts = route.timeouts
        self.total_at = exchange.started_at + route.timeouts.total
        self._is_repeatable = exchange.body is None and request.method in _IDEMPOTENT
        if self._is_repeatable:
            self.patience = upstream.config.retries.attempt_timeout

    def start(self) -> None:
        """Send the request, if need be after the beginning of its body has come."""
        if self._exchange.body is None:
            self._begin(b"")
        else:
            self._exchange.wait_for(self._gather)

    async def _gather(self) -> None:
        """Wait for the whole body if it is small, else for its beginning."""
        is_told = self._exchange.request.length != CHUNKED
        gathered = GATHERED if is_told else GATHERED_UNTOLD
        first = await self._exchange.read_body(min(gathered, self._route.body_limit))
        self._count(first)
        body = self._exchange.body
        self.is_whole = body is None or (body.is_complete and body.is_empty)
        self._begin(first)

    def _begin(self, first: bytes) -> None:
        length = len(first) if self.is_whole else self._exchange.request.length
        framing = request_framing(
            self._exchange.request, length, is_upgrade=self.is_upgrade
        )
        head = request_head(self._exchange, self._upstream.name, self._hop, framing)
        self._request = head + self._encoded(first) if first else head
        self._attempt()

    def _count(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._route.body_limit:
            raise ProblemError(problems.BODY_TOO_LARGE)

    def _encoded(self, data: bytes) -> bytes:
        if self.is_whole or self._exchange.request.length != CHUNKED:
            return data
        return b"%x\r\n%b\r\n" % (len(data), data)

    # Asking a replica

    def _attempt(self) -> None:
        """Ask the next replica, or say why none is left."""
        replica = self._upstream.select(self._tried)
        if replica is None:
            self._exchange.tell(self._problem)
            return
        self._replica = replica
        self._is_trying = True
        self._exchange.on_abandoned = self._end_attempt
        self._attempts += 1
        self._asked_at = time.monotonic()
        self._exchange.replica = replica.endpoint
        connection = replica.pool.take()
        self._is_reused = connection is not None
        if connection is None:
            self._exchange.wait_for(self._connect)
        else:
            self._ask(connection)

    async def _connect(self) -> None:
        try:
            connection = await self._replica.pool.connect(self.timeouts.connect)
        except UpstreamError as error:
            self._fail(error)
        else:
            self._ask(connection)

    def _ask(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.ask(self._request, self)
        if not self.is_whole:
            self._sending = self._exchange.wait_for(self._send_rest)

    def gives_up(self) -> bool:
        """Say whether another replica is asked while this one takes its time."""
        tried = (*self._tried, self._replica)
        self._is_paid = self._is_repeatable and self._may_ask_another(tried)
        return self._is_paid

    def answered(self, outcome: Answer | UpstreamError) -> None:
        """Relay what the replica says, or try another one."""
        try:
            if isinstance(outcome, Answer):
                self._conclude(outcome)
            else:
                self._fail(outcome)
        except Exception as error:  # noqa: BLE001 - it is told and logged
            self._exchange.client.failed(self._exchange, error)

    def _conclude(self, answer: Answer) -> None:
        exchange, replica = self._exchange, self._replica
        exchange.upstream_seconds = time.monotonic() - self._asked_at
        if answer.status in _FAILURE_STATUSES:
            request_id.set(exchange.request_id)
            replica.failed(FailureKind.STATUS)
            self._tried = (*self._tried, replica)
            if self._may_repeat(was_sent=True):
                self._end_attempt()
                self._attempt()
                return
        else:
            replica.succeeded()
        if isinstance(answer.body, bytes):
            self._end_attempt()
            lines = answer_lines(answer)
            exchange.respond(answer.status, lines, answer.body, answer.bodiless_framing)
        else:
            exchange.wait_for(partial(self._relay, answer, answer.body))

    def _fail(self, error: UpstreamError) -> None:
        """Judge a failed attempt, and make another or say why not."""
        exchange, replica = self._exchange, self._replica
        request_id.set(exchange.request_id)
        if exchange.status:
            replica.failed(error.kind)
            self._end_attempt()
            exchange.client.cut()
            return
        if not (self._is_reused and error.kind is FailureKind.RESET):
            # Else: a connection that was closed while idle says nothing of a replica.
            replica.failed(error.kind)
            self._tried = (*self._tried, replica)
        self._problem = _problem_of(error)
        is_repeated = self._may_repeat(was_sent=error.kind is not FailureKind.REFUSED)
        self._end_attempt()
        if is_repeated:
            self._attempt()
        else:
            exchange.tell(self._problem)

    def _may_repeat(self, *, was_sent: bool) -> bool:
        if was_sent and not self._is_repeatable:
            return False
        paid, self._is_paid = self._is_paid, False
        return paid or self._may_ask_another(self._tried)

    def _may_ask_another(self, tried: tuple[Replica, ...]) -> bool:
        upstream = self._upstream
        return (
            self._attempts < upstream.config.retries.attempts
            and upstream.has_another(tried)
            and upstream.retry_budget.withdraw()
        )

    def _end_attempt(self) -> None:
        """Give back what the attempt had; nothing more is awaited of it."""
        if not self._is_trying:
            return
        self._is_trying = False
        self._exchange.on_abandoned = None
        connection, self._connection = self._connection, None
        if connection is not None:
            self._replica.pool.give_back(connection)
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
        self._upstream.release(self._replica)

    async def _send_rest(self) -> None:
        """Send the rest of a body that does not fit into the first write."""
        body, connection = self._exchange.body, self._connection
        if body is None or connection is None:
            return
        with contextlib.suppress(ConnectionResetError):
            while data := await body.read():
                self._count(data)
                await connection.send(self._encoded(data))
            await connection.send(self._encoded(b""))
            connection.sent()

    # The answer

    async def _relay(self, answer: Answer, body: Stream) -> None:
        exchange = self._exchange
        if not self._is_trying:
            return  # the client was told something else meanwhile
        lines = answer_lines(answer)
        try:
            if answer.status == _SWITCHING_PROTOCOLS:
                exchange.switch_protocols(lines)
                await self._tunnel(body)
            else:
                exchange.begin(answer.status, lines, answer.length)
                while data := await body.read():
                    await exchange.send(data)
        except UpstreamError as error:
            if self._is_trying:
                self._fail(error)
        else:
            self._end_attempt()
            exchange.end()

    async def _tunnel(self, theirs: Stream) -> None:
        """Pass octets both ways until one side ends."""
        connection = self._connection
        if connection is None:
            return
        ours = self._exchange.client.open_tunnel()

        async def up() -> None:
            while data := await ours.read():
                await connection.send(data)

        async def down() -> None:
            while data := await theirs.read():
                await self._exchange.send(data)

        ways = {asyncio.ensure_future(way) for way in (up(), down())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


def _problem_of(error: UpstreamError) -> Problem:
    if not error.in_time:
        return problems.NO_ANSWER_IN_TIME
    if error.kind is FailureKind.REFUSED:
        return problems.UNREACHABLE
    if error.kind is FailureKind.UNREACHABLE:
        return problems.UNAVAILABLE
    return problems.BAD_ANSWER
