"""Requests on their way: match -> select -> send -> relay."""

import math
import re
from functools import partial
from typing import Final

from gateway_service.config.clients import RateLimit
from gateway_service.config.values import METHODS
from gateway_service.console.pages import send_page
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.problems import NOT_FOUND, method_not_allowed
from gateway_service.http1.rendering import date_line
from gateway_service.proxy import problems
from gateway_service.proxy.active_config import ActiveConfig
from gateway_service.proxy.cors import (
    VARY,
    Cors,
    is_own_origin,
    is_preflight,
    wanted_by_preflight,
)
from gateway_service.proxy.cors_refusals import CorsRefusals
from gateway_service.proxy.forwarding import Forwarding
from gateway_service.proxy.messages import hops_left
from gateway_service.proxy.rate_limits import policy_line, quota_line
from gateway_service.proxy.routing import Route
from service_kit.problems import Problem, ProblemError
from service_kit.requests.addresses import client_network

_NO_CONTENT: Final = 204
_ALL_METHODS: Final = ", ".join(sorted(METHODS)).encode("ascii")
_ORIGIN: Final = re.compile(rb"\r\norigin:[ \t]*([!-~]+)[ \t]*\r\n", re.IGNORECASE)


class Proxy:
    """Responds to requests as a configuration says."""

    def __init__(self) -> None:
        self._refusals = CorsRefusals()

    def handle(self, exchange: Exchange, active: ActiveConfig) -> None:
        """Respond to a request now, or forward it."""
        request = exchange.request
        route = active.routes.match(request.path)
        cors = active.routes.default_cors if route is None else route.cors
        secure = active.hsts if exchange.client.is_secure else b""
        exchange.public_url = active.config.public_url
        origin = request.origin
        lines = cors.for_request(origin)
        exchange.lines = lines + secure
        if origin is not None and (lines is VARY or is_preflight(request)):
            self._note_refusal(exchange, origin, route, active)
        try:
            if request.method == "OPTIONS" and _respond_to_options(
                exchange, route, cors, secure
            ):
                return
            if route is None:
                _respond_without_route(exchange, active)
                return
            exchange.route = route.prefix
            _check_method(request.method, route)
            if route.rate_limit is None:
                _forward(exchange, route, active)
            else:
                limited = partial(_limit, exchange, route, route.rate_limit, active)
                exchange.spawn(limited)
        except ProblemError as error:
            exchange.send_problem(error.problem)

    def _note_refusal(
        self,
        exchange: Exchange,
        origin: bytes,
        route: Route | None,
        active: ActiveConfig,
    ) -> None:
        """Log what a browser refuses to a page of another origin."""
        request = exchange.request
        cors = active.routes.default_cors if route is None else route.cors
        prefix = "" if route is None else route.prefix
        found = exchange.origin(active.proxies)  # proxies may say another in Host
        host, client = found.host.encode("ascii") or request.host, found.addresses[0]
        if is_own_origin(origin, host, active.own_origin):
            return
        if cors.for_request(origin) is VARY:
            self._refusals.note_origin(origin, prefix, client)
        elif lacking := cors.not_offered(*wanted_by_preflight(request)):
            self._refusals.note_preflight(origin, lacking, prefix, client)

    def refuse(
        self,
        exchange: Exchange,
        problem: Problem,
        received: bytes,
        active: ActiveConfig,
    ) -> None:
        """Respond to bytes that could not be understood as a request.

        A page of an allowed origin may read the reason, if its origin can be seen.
        """
        match = _ORIGIN.search(received)
        origin = match[1] if match is not None else None
        exchange.public_url = active.config.public_url
        exchange.lines = active.routes.default_cors.for_request(origin)
        if exchange.client.is_secure:
            exchange.lines += active.hsts
        exchange.send_problem(problem)


def _respond_without_route(exchange: Exchange, active: ActiveConfig) -> None:
    """Respond to a request that belongs to no route."""
    request = exchange.request
    if request.path == "*":
        _allow(exchange, _ALL_METHODS)
    elif page := active.pages.get(request.path):
        send_page(exchange, page)
    else:
        exchange.send_problem(NOT_FOUND)


def _respond_to_options(
    exchange: Exchange, route: Route | None, cors: Cors, secure: bytes
) -> bool:
    """Respond to a preflight or to an OPTIONS that ends here; else return False.

    A preflight succeeds without a route, too: pages are to see the 404 that follows.
    """
    if route is not None:
        exchange.route = route.prefix
    if is_preflight(exchange.request):
        exchange.lines = cors.for_preflight(exchange.request.origin) + secure
        exchange.respond(_NO_CONTENT, date_line(), b"")
        return True
    if route is None or hops_left(exchange.request) != 0:
        return False
    _allow(exchange, route.allow)
    return True


def _allow(exchange: Exchange, methods: bytes) -> None:
    exchange.respond(_NO_CONTENT, b"Allow: %b\r\n" % methods + date_line(), b"")


def _check_method(method: str, route: Route) -> None:
    if method not in route.methods:
        allow = route.allow.decode("ascii")
        raise ProblemError(method_not_allowed(allow))


def _client_behind_proxy(exchange: Exchange, active: ActiveConfig) -> str:
    """Return what counts as one client; empty if its proxy does not name it."""
    client = exchange.client_address(active.proxies)
    return "" if client == exchange.client.address else client_network(client)


async def _limit(
    exchange: Exchange, route: Route, limit: RateLimit, active: ActiveConfig
) -> None:
    """Forward a request unless its client has sent too many."""
    client = exchange.client_address(active.proxies)
    quota = await active.rate_limits.count(route.prefix, limit, client)
    exchange.lines += policy_line(route.prefix, limit) + quota_line(route.prefix, quota)
    if quota.wait:
        raise ProblemError(problems.too_many_requests(math.ceil(quota.wait)))
    _forward(exchange, route, active)


def _forward(exchange: Exchange, route: Route, active: ActiveConfig) -> None:
    if exchange.request.length > route.body_limit:
        raise ProblemError(problems.BODY_TOO_LARGE)
    exchange.upstream = route.upstream
    if active.proxies.trusts(exchange.client.address):
        exchange.proxied_client = _client_behind_proxy(exchange, active)
    upstream = active.upstreams[route.upstream]
    Forwarding(exchange, route, upstream, active.forwarding_headers).start()
