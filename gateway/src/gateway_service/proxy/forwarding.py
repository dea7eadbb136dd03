"""One request on its way to a replica, and the response on its way back.

A request is tried on another replica only if nothing of it was sent, or if it is
idempotent and has no body, and only under the upstream's retry budget. So a POST is
delivered at most once (RFC 9110, 9.2.2). A GET whose response takes its time is hedged:
another replica is asked as well, and the first response is passed on.
"""

from functools import partial

from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.requests import IDEMPOTENT, SAFE
from gateway_service.http1.parsing.responses import SWITCHING_PROTOCOLS, ResponseHead
from gateway_service.http1.streams import Stream
from gateway_service.proxy import problems
from gateway_service.proxy.attempt import NOT_SENT, RESPONSE, STALE, Attempt, Outcome
from gateway_service.proxy.messages import (
    ForwardingHeaders,
    request_framing,
    request_head,
    response_lines,
)
from gateway_service.proxy.request_body import RequestBody
from gateway_service.proxy.routing import Route
from gateway_service.proxy.tunnel import tunnel
from gateway_service.proxy.waiting import granted_wait, shed, wait_for_place
from gateway_service.upstreams.connections.connection import UpstreamConnection
from gateway_service.upstreams.connections.response import (
    Result,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway_service.upstreams.replica import Replica
from gateway_service.upstreams.upstream import Upstream
from service_kit.problems import ProblemError


class Forwarding:
    """Sends a request until a replica responds, and relays the response.

    The usual request has no body, finds an open connection, and gets its response in
    one piece: all of that is plain calls. A task waits only for a request's body, a
    new connection, or the rest of a response's body.
    """

    _request: UpstreamRequest
    _body: RequestBody
    """Only of a request that has one."""
    _in_flight: tuple[Attempt, ...] = ()
    """More than one only while a response takes its time."""
    _attempts = 0
    """How many were made."""
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
        """Send the request now if a connection is open; otherwise start a task.

        Raises `ProblemError`: no replica is there, or too many requests are.
        """
        exchange, upstream, route = self._exchange, self._upstream, self._route
        has_place = upstream.has_place(exchange, is_urgent=route.is_urgent)
        if not (has_place or upstream.may_wait(exchange, is_urgent=route.is_urgent)):
            raise shed(upstream)
        if exchange.body is not None or not has_place:
            exchange.spawn(self._gather_and_send)
            return
        self._request = self._make_request(b"", is_whole=True)
        self._begin_attempt()

    @property
    def _is_urgent(self) -> bool:
        """Whether the request is refused last."""
        return self._route.is_urgent or self._upstream.may_exceed_limit(self._exchange)

    async def _gather_and_send(self) -> None:
        exchange, upstream = self._exchange, self._upstream
        self._body = body = RequestBody(exchange, self._route.body_limit)
        urgent = self._route.is_urgent
        if not (body.is_received or upstream.has_place(exchange, is_urgent=urgent)):
            raise shed(upstream)  # its client would send a body for nothing
        first = await body.gather()
        exchange.kept = len(first)
        try:
            await wait_for_place(exchange, upstream, is_urgent=urgent)
            self._request = self._make_request(first, is_whole=body.is_whole)
            exchange.kept = len(self._request.data)
            self._begin_attempt()
        finally:
            upstream.admit_next()

    def _make_request(self, first: bytes, *, is_whole: bool) -> UpstreamRequest:
        exchange, route = self._exchange, self._route
        request, upstream = exchange.request, self._upstream
        wait = granted_wait(exchange, upstream) if b"prefer" in request.values else 0
        is_upgrade = b"upgrade" in request.values and request.is_upgrade
        is_stream = b"accept" in request.values  # which is read only for that
        is_timed = is_whole and not (wait or is_upgrade or is_stream)
        if not (is_timed or wait or upstream.has_room_to_wait(exchange)):
            raise shed(upstream)
        length = len(first) if is_whole else request.length
        framing = request_framing(request, length, is_upgrade=is_upgrade)
        head = request_head(exchange, upstream.name, self._headers, framing)
        if first and not is_whole:
            first = self._body.framed(first)
        is_repeatable = exchange.body is None and request.method in IDEMPOTENT
        may_be_hedged = is_timed and is_repeatable and request.method in SAFE
        return UpstreamRequest(
            head + first if first else head,
            request.method,
            route.timeouts.waiting(wait) if wait else route.timeouts,
            # Not from its head on: a body that was awaited took the client's time.
            exchange.client.loop.time() + route.timeouts.total + wait,
            upstream.config.retries.attempt_timeout if may_be_hedged else NEVER,
            is_timed=is_timed,
            is_repeatable=is_repeatable,
            may_be_hedged=may_be_hedged,
            proxied_client=exchange.proxied_client,
            is_upgrade=is_upgrade,
            is_whole=is_whole,
        )

    def _begin_attempt(self, *, connects: bool = False) -> None:
        upstream = self._upstream
        replica = upstream.select(self._tried, is_urgent=self._is_urgent)
        if replica is None:
            raise ProblemError(self._problem)
        self._attempts += 1
        exchange = self._exchange
        exchange.replica = replica.endpoint
        exchange.on_abandoned = self._end_attempts
        is_hedge = bool(self._in_flight)
        attempt = Attempt(
            upstream, replica, self, self._request, is_hedge=is_hedge, connects=connects
        )
        attempt.is_retry = bool(self._tried)
        self._in_flight = (*self._in_flight, attempt)
        connection = attempt.connection
        if connection is None:
            exchange.spawn(partial(self._connect, attempt))
        elif self._request.is_whole:
            connection.send_request(self._request, attempt)
        else:
            self._send(attempt, connection)

    async def _connect(self, attempt: Attempt) -> None:
        try:
            connection = await attempt.connect()
        except UpstreamError as error:
            if attempt in self._in_flight:
                attempt.on_result(error)
        except ProblemError:
            if self._in_flight == (attempt,):
                raise
            self._drop(attempt)
        else:
            if attempt in self._in_flight:
                self._send(attempt, connection)
            else:
                attempt.replica.pool.give_back(connection)

    def _send(self, attempt: Attempt, connection: UpstreamConnection) -> None:
        attempt.send(connection)
        if not self._request.is_whole:
            self._exchange.spawn(partial(self._body.send_to, connection))

    def _end_attempts(self) -> None:
        attempts, self._in_flight = self._in_flight, ()
        self._exchange.on_abandoned = None
        for attempt in attempts:
            attempt.release()
        self._upstream.admit_next()

    def _drop(self, attempt: Attempt) -> None:
        """End one of several attempts, or one that another is to follow."""
        if attempt in self._in_flight:
            self._in_flight = tuple(a for a in self._in_flight if a is not attempt)
            attempt.release()
            if self._in_flight:  # else the next attempt takes the place
                self._upstream.admit_next()

    def on_outcome(self, attempt: Attempt, outcome: Outcome, result: Result) -> None:
        """Pass the first response on; after a failure try again, or give up."""
        try:
            if outcome is not RESPONSE and self._goes_on(attempt, outcome, result):
                return
            if isinstance(result, UpstreamError):
                self._end_attempts()
                self._exchange.send_problem(self._problem)
            else:
                self._pass_on(attempt, result)
        except Exception as error:  # noqa: BLE001 - it is logged
            self._exchange.fail(error)

    def _goes_on(self, attempt: Attempt, outcome: Outcome, result: Result) -> bool:
        """Return whether another attempt may still bring a response."""
        if isinstance(result, UpstreamError):
            self._problem = problems.after(result)
        if outcome not in STALE:
            self._tried = (*self._tried, attempt.replica)
        has_others = len(self._in_flight) > 1
        may_repeat = outcome in NOT_SENT or self._request.is_repeatable
        if not (has_others or (may_repeat and self._may_ask_another(self._tried))):
            return False
        self._drop(attempt)
        if not has_others:
            self._upstream.retries += 1
            self._begin_attempt(connects=outcome in STALE)
        return True

    def on_interim(self, head: ResponseHead) -> None:
        """Pass an interim response on, to clients that know of such."""
        self._exchange.send_interim(head.status, head.lines)

    def on_slow(self, attempt: Attempt, *, is_gone: bool) -> None:
        """Send the request to another replica, too; the first response is passed on.

        Unless the replica is gone, only safe requests that do not wait are hedged.
        """
        try:
            is_first = attempt in self._in_flight and not attempt.is_hedged
            request = self._request
            may_hedge = request.is_repeatable if is_gone else request.may_be_hedged
            tried = (*self._tried, *(each.replica for each in self._in_flight))
            if not (is_first and may_hedge and self._may_ask_another(tried)):
                return
            attempt.is_hedged = True
            self._tried = tried
            self._upstream.hedges += 1
            self._begin_attempt()
        except Exception as error:  # noqa: BLE001 - it is logged
            self._exchange.fail(error)

    def _may_ask_another(self, tried: tuple[Replica, ...]) -> bool:
        upstream = self._upstream
        return (
            self._attempts < upstream.config.retries.attempts
            and self._request.total_at > self._exchange.client.loop.time()
            and upstream.admits(is_urgent=self._is_urgent)
            and upstream.has_another(tried)
            and upstream.retry_budget.withdraw()
        )

    def _pass_on(self, attempt: Attempt, response: UpstreamResponse) -> None:
        exchange, head, body = self._exchange, response.head, response.body
        exchange.replica = attempt.replica.endpoint
        exchange.upstream_seconds = attempt.seconds
        if len(self._in_flight) > 1:
            self._win(attempt)
        if isinstance(body, bytes):
            self._end_attempts()
            exchange.respond(head.status, response_lines(head), body, head.framing)
        else:
            exchange.relayed = body
            if head.status != SWITCHING_PROTOCOLS:
                exchange.begin(head.status, response_lines(head), head.length, body)
            exchange.spawn(partial(self._relay, attempt, head, body))
            self._upstream.admit_next()

    def _win(self, attempt: Attempt) -> None:
        """End the attempts that were slower."""
        others = [each for each in self._in_flight if each is not attempt]
        self._in_flight = (attempt,)
        self._upstream.hedges_won += attempt.is_hedge
        for each in others:
            each.lose()

    async def _relay(self, attempt: Attempt, head: ResponseHead, body: Stream) -> None:
        exchange = self._exchange
        try:
            if head.status == SWITCHING_PROTOCOLS and attempt.connection is not None:
                exchange.switch_protocols(response_lines(head))
                await tunnel(exchange, attempt.connection, body)
            else:
                while data := await body.read():
                    await exchange.send(data)
        except UpstreamError as error:
            attempt.blame_replica(error)
            self._end_attempts()
            exchange.client.cut()
        else:
            self._end_attempts()
            exchange.end()
