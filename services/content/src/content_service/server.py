"""Answer with a resource, if the caller may read it."""

import asyncio
import hashlib
import re
import time
from functools import partial
from typing import Final

from content_service.domain.resources import RESOURCES, Access, Resource
from service_kit.auth import MissingTokenError, require_role
from service_kit.credentials import (
    ACCESS_TOKEN_HEADER,
    AUTHORIZATION,
    COOKIE,
    read_access_token,
)
from service_kit.edge.answers import SECURITY_LINES, date_line
from service_kit.edge.batch import WriteBatch
from service_kit.edge.connection import ClientTimeouts
from service_kit.edge.deadlines import Deadlines
from service_kit.edge.exchange import CLIENT_GONE, Exchange
from service_kit.edge.fields import READ_OF_REQUESTS, FieldPolicy
from service_kit.edge.framing import HeadLimits
from service_kit.edge.problems import NOT_FOUND, method_not_allowed
from service_kit.edge.server import EdgeServer
from service_kit.health import Readiness
from service_kit.metrics import RequestMetrics
from service_kit.problems import Problem, ProblemError, ProblemTable, problem_teller
from service_kit.request_id import HEADER, accepted_request_id, request_id
from service_kit.server import KEEPALIVE_SECONDS
from service_kit.tokens import AccessClaims, TokenVerifier

PUBLIC_MAX_AGE: Final = 60
"""Seconds a cache may keep what everybody may read."""

_METHODS: Final = frozenset({"GET", "HEAD"})
_OK: Final = 200
_NOT_MODIFIED: Final = 304

_REQUEST_ID: Final = HEADER.lower()
_IF_NONE_MATCH: Final = "if-none-match"
_OWN: Final = (ACCESS_TOKEN_HEADER, AUTHORIZATION, COOKIE, _IF_NONE_MATCH, _REQUEST_ID)
_FIELDS: Final = FieldPolicy(
    READ_OF_REQUESTS.union(name.encode("ascii") for name in _OWN),
    is_dropped=lambda _: True,
)
"""All that is read of a request's header; nothing of it goes any further."""

_TAG: Final = re.compile(r'"[^"]*"|\*')
"""An entity tag, weak or not, or the one that stands for any (RFC 9110, 13.1.2)."""


class _Ready:
    """A resource as octets, but for the date and the request id."""

    def __init__(self, resource: Resource) -> None:
        self.body = resource.text.encode()
        self.etag = ""
        caching = "Cache-Control: no-store\r\n"
        if resource.access is Access.PUBLIC:
            self.etag = f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'
            caching = (
                f"ETag: {self.etag}\r\n"
                f"Cache-Control: public, max-age={PUBLIC_MAX_AGE}\r\n"
            )
        self.caching_lines = caching.encode("ascii") + SECURITY_LINES
        self.lines = b"Content-Type: text/plain; charset=utf-8\r\n" + self.caching_lines
        self.access = resource.access


class ContentServer(EdgeServer):
    """Serves the resources, which can only be read."""

    head_limits = HeadLimits(
        start_line=16_384, field=16_384, fields=65_536, field_count=200
    )
    """More than a gateway lets through: it adds fields of its own."""
    timeouts = ClientTimeouts(keep_alive=KEEPALIVE_SECONDS)

    def __init__(
        self,
        verifier: TokenVerifier,
        problems: ProblemTable,
        metrics: RequestMetrics,
        readiness: Readiness,
        *,
        cookie: str,
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(_FIELDS, readiness, Deadlines(loop), WriteBatch(loop), loop)
        self._verifier = verifier
        self._tell = problem_teller(problems)
        self._metrics = metrics
        self._cookie = cookie
        self._resources = {each.path: _Ready(each) for each in RESOURCES}

    def handle(self, exchange: Exchange) -> None:
        """Find the resource, and answer with it or with the problem."""
        request = exchange.request
        told = request.texts(_REQUEST_ID)
        if told:
            exchange.request_id = accepted_request_id(told[0])
        request_id.set(exchange.request_id)
        ready = self._resources.get(request.path)
        if ready is None:
            exchange.tell(NOT_FOUND)
            return
        exchange.route = request.path
        if request.method not in _METHODS:
            exchange.tell(method_not_allowed(", ".join(sorted(_METHODS))))
            return
        try:
            if ready.access is Access.PUBLIC:
                _serve_public(exchange, ready)
            else:
                self._serve_protected(exchange, ready)
        except Exception as error:
            if exchange.status:
                raise
            exchange.tell(self._tell(error))

    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Answer octets that could not be understood as a request."""
        del received
        exchange.tell(problem)

    def ended(self, exchange: Exchange) -> None:
        """Count an exchange that is over; the labels are few, whatever was asked."""
        method = exchange.request.method if exchange.route else "other"
        self._metrics.count(
            method if method in _METHODS else "other",
            exchange.route or "none",
            exchange.status or CLIENT_GONE,
            time.monotonic() - exchange.started_at,
        )

    def _serve_protected(self, exchange: Exchange, ready: _Ready) -> None:
        """Serve it to who has a valid access token, and the role if one is needed."""
        credentials = read_access_token(exchange.request.texts, cookie=self._cookie)
        if credentials is None:
            raise MissingTokenError
        token = credentials.untrusted_token
        claims = self._verifier.verify_at_once(token)
        if claims is None:
            exchange.wait_for(partial(self._verify_and_serve, exchange, ready, token))
        else:
            _serve_to(claims, exchange, ready)

    async def _verify_and_serve(
        self, exchange: Exchange, ready: _Ready, untrusted_token: str
    ) -> None:
        """Wait for what the token is judged by, at the issuer if need be."""
        try:
            claims = await self._verifier.verify(untrusted_token)
            _serve_to(claims, exchange, ready)
        except Exception as error:
            raise ProblemError(self._tell(error)) from error


def _serve_to(claims: AccessClaims, exchange: Exchange, ready: _Ready) -> None:
    if ready.access is not Access.AUTHENTICATED:
        require_role(claims, ready.access.value)
    exchange.respond(_OK, ready.lines + date_line(), ready.body)


def _serve_public(exchange: Exchange, ready: _Ready) -> None:
    """Serve it to anybody and any cache; whatever token comes with it is ignored."""
    known = ",".join(exchange.request.texts(_IF_NONE_MATCH))
    if known and not {"*", ready.etag}.isdisjoint(_TAG.findall(known)):
        exchange.respond(_NOT_MODIFIED, ready.caching_lines + date_line(), b"")
    else:
        exchange.respond(_OK, ready.lines + date_line(), ready.body)
