"""One request on its way to a replica, and the response on its way back.

A request is tried on another replica only if nothing of it was sent, or if it is
idempotent and has no body, and only under the upstream's retry budget. So a POST is
delivered at most once (RFC 9110, 9.2.2).
"""

import contextlib
import time
from functools import partial
from typing import Final

from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.grammar import CHUNKED
from gateway_service.http1.parsing.responses import SWITCHING_PROTOCOLS, ResponseHead
from gateway_service.http1.streams import Stream
from gateway_service.proxy import problems
from gateway_service.proxy.attempt import Attempt, Outcome
from gateway_service.proxy.messages import (
    ForwardingHeaders,
    request_framing,
    request_head,
    response_lines,
)
from gateway_service.proxy.routing import Route
from gateway_service.proxy.tunnel import tunnel
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.replica import Replica
from gateway_service.upstreams.response import (
    Result,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway_service.upstreams.upstream import Upstream
from service_kit.problems import Problem, ProblemError

GATHERED: Final = 65_536
"""Bytes of a body that are awaited before a replica is asked.

A small body goes out whole, so that a slow client holds no replica's connection.
"""

GATHERED_CHUNKED: Final = 131_072
"""The same for a body of unknown length.

More than the limit of most routes, so what exceeds it reaches no replica.
"""

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


# What each request needs: Python 3.11 takes 0.2 us to find a member in its Enum.
_RESPONSE: Final = Outcome.RESPONSE


class Forwarding:
    """Sends a request until a replica responds, and relays the response.

    The usual request has no body, finds an open connection, and its response comes in
    one piece: all of that is plain calls. Whatever must be waited for is one task, that
    of `_run`, with a second one while the rest of a long body is sent.
    """

    _request: UpstreamRequest
    _attempt: Attempt | None = None
    _attempts = 0
    _outcome: Outcome
    """Of the last attempt."""
    _asked_at = 0.0
    _received = 0
    """Bytes of the request's body."""
    _tried: tuple[Replica, ...] = ()
    """Replicas that are not asked again."""
    _problem = problems.UNAVAILABLE
    """The response if no further attempt is made."""

    def __init__(
        self,
        exchange: Exchange,
        route: Route,
        upstream: Upstream,
        headers: ForwardingHeaders,
    ) -> None:
        self._exchange = exchange
        self._route = route
        self._upstream = upstream
        self._headers = headers

    def start(self) -> None:
        """Send the request at once if a connection is open; leave all else to a task.

        Raises
        ------
        ProblemError
            No replica is there.
        """
        if self._exchange.body is not None:
            self._exchange.spawn(self._gather_and_run)
            return
        self._request = self._make_request(b"", is_whole=True)
        attempt = self._begin_attempt()
        if attempt.connection is None:
            self._exchange.spawn(partial(self._run, attempt))
        else:
            attempt.connection.send_request(
                self._request, self._on_first_result, self._may_give_up
            )

    def _on_first_result(self, result: Result) -> None:
        """Relay a response that came whole; leave all else to a task."""
        exchange, attempt = self._exchange, self._attempt
        if attempt is None:
            return
        try:
            self._judge(attempt, result)
            if (
                self._outcome is _RESPONSE
                and isinstance(result, UpstreamResponse)
                and isinstance(result.body, bytes)
            ):
                self._respond(result.head, result.body)
            else:
                exchange.spawn(partial(self._run, attempt, result))
        except Exception as error:  # noqa: BLE001 - it is logged
            exchange.fail(error)

    # The request

    async def _gather_and_run(self) -> None:
        """Wait for the whole body if it is small, else for its beginning."""
        exchange = self._exchange
        is_chunked = exchange.request.length == CHUNKED
        gathered = GATHERED_CHUNKED if is_chunked else GATHERED
        first = await exchange.read_body(min(gathered, self._route.body_limit))
        self._count(first)
        body = exchange.body
        is_whole = body is None or (body.is_complete and body.is_empty)
        self._request = self._make_request(first, is_whole=is_whole)
        await self._run(self._begin_attempt())

    def _make_request(self, first: bytes, *, is_whole: bool) -> UpstreamRequest:
        exchange, route = self._exchange, self._route
        request = exchange.request
        is_upgrade = request.is_upgrade
        length = len(first) if is_whole else request.length
        framing = request_framing(request, length, is_upgrade=is_upgrade)
        head = request_head(exchange, self._upstream.name, self._headers, framing)
        if first and not is_whole:
            first = self._chunk(first)
        attempt_timeout = NEVER
        if self._is_repeatable:
            attempt_timeout = self._upstream.config.retries.attempt_timeout
        return UpstreamRequest(
            head + first if first else head,
            request.method,
            route.timeouts,
            exchange.started_at + route.timeouts.total,
            attempt_timeout,
            is_upgrade=is_upgrade,
            is_whole=is_whole,
        )

    @property
    def _is_repeatable(self) -> bool:
        exchange = self._exchange
        return exchange.body is None and exchange.request.method in _IDEMPOTENT

    def _count(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._route.body_limit:
            raise ProblemError(problems.BODY_TOO_LARGE)

    def _chunk(self, data: bytes) -> bytes:
        if self._exchange.request.length != CHUNKED:
            return data
        return b"%x\r\n%b\r\n" % (len(data), data)

    def _send_rest(self) -> None:
        self._exchange.spawn(self._send_body)

    async def _send_body(self) -> None:
        """Send the rest of a body that does not fit into the first write."""
        body = self._exchange.body
        connection = None if self._attempt is None else self._attempt.connection
        if body is None or connection is None:
            return
        with contextlib.suppress(ConnectionResetError):
            while data := await body.read():
                self._count(data)
                await connection.send(self._chunk(data))
            await connection.send(self._chunk(b""))
            connection.end_request()

    # The attempts

    def _begin_attempt(self) -> Attempt:
        replica = self._upstream.select(self._tried)
        if replica is None:
            raise ProblemError(self._problem)
        self._attempts += 1
        self._asked_at = time.monotonic()
        self._exchange.replica = replica.endpoint
        self._exchange.on_abandoned = self._end_attempt
        self._attempt = attempt = Attempt(self._upstream, replica)
        return attempt

    def _end_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._exchange.on_abandoned = None
            attempt.release()

    async def _run(self, attempt: Attempt, result: Result | None = None) -> None:
        """Make one attempt after the other, and relay what the last one brought."""
        if result is None:
            result = await self._ask(attempt)
        while self._may_repeat():
            self._end_attempt()
            attempt = self._begin_attempt()
            result = await self._ask(attempt)
        if isinstance(result, UpstreamError):
            raise ProblemError(self._problem)
        if isinstance(result.body, bytes):
            self._respond(result.head, result.body)
        else:
            await self._relay(attempt, result.head, result.body)

    async def _ask(self, attempt: Attempt) -> Result:
        result = await attempt.ask(self._request, self._send_rest, self._may_give_up)
        self._judge(attempt, result)
        return result

    def _judge(self, attempt: Attempt, result: Result) -> None:
        self._outcome = outcome = attempt.judge(result)
        if not isinstance(result, UpstreamError):
            self._exchange.upstream_seconds = time.monotonic() - self._asked_at
            if outcome is _RESPONSE:
                return
        else:
            self._problem = _problem_of(result)
        if outcome is not Outcome.STALE:
            self._tried = (*self._tried, attempt.replica)

    def _may_repeat(self) -> bool:
        match self._outcome:
            case Outcome.RESPONSE:
                return False
            case Outcome.SUPERSEDED:
                return True
            case Outcome.UNSENT:
                return self._may_ask_another(self._tried)
            case Outcome.FAILURE_STATUS | Outcome.STALE | Outcome.FAILED:
                return self._is_repeatable and self._may_ask_another(self._tried)

    def _may_ask_another(self, tried: tuple[Replica, ...]) -> bool:
        upstream = self._upstream
        return (
            self._attempts < upstream.config.retries.attempts
            and upstream.has_another(tried)
            and upstream.retry_budget.withdraw()
        )

    def _may_give_up(self) -> bool:
        """Say whether another replica is asked while this one takes its time."""
        attempt = self._attempt
        if attempt is None:
            return True
        tried = (*self._tried, attempt.replica)
        if not self._is_repeatable or not self._may_ask_another(tried):
            return False
        attempt.supersede()
        return True

    # The response

    def _respond(self, head: ResponseHead, body: bytes) -> None:
        self._end_attempt()
        self._exchange.respond(head.status, response_lines(head), body, head.framing)

    async def _relay(self, attempt: Attempt, head: ResponseHead, body: Stream) -> None:
        exchange, lines = self._exchange, response_lines(head)
        try:
            if head.status == SWITCHING_PROTOCOLS and attempt.connection is not None:
                exchange.switch_protocols(lines)
                await tunnel(exchange, attempt.connection, body)
            else:
                exchange.begin(head.status, lines, head.length)
                while data := await body.read():
                    await exchange.send(data)
        except UpstreamError as error:
            attempt.replica.failed(error.kind)
            self._end_attempt()
            exchange.client.cut()
        else:
            self._end_attempt()
            exchange.end()


def _problem_of(error: UpstreamError) -> Problem:
    if error.is_late:
        return problems.NO_ANSWER_IN_TIME
    if error.kind is FailureKind.REFUSED:
        return problems.UNREACHABLE
    if error.kind is FailureKind.UNREACHABLE:
        return problems.UNAVAILABLE
    return problems.BAD_ANSWER
