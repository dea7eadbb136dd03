"""Explain what the gateway would do with a request, without sending anything.

The parser, the routes and the CORS policy are those that serve requests.
"""

import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gateway_service.config.model import Config, UpstreamConfig
from gateway_service.config.values import NO_LIMIT, Address
from gateway_service.console.pages import PAGE_METHODS
from gateway_service.http1.parsing.grammar import MalformedError, split_lines
from gateway_service.http1.parsing.requests import Request, read_request
from gateway_service.operations.doctor import config_or_exit
from gateway_service.proxy.active_config import own_origin_of, pages_of
from gateway_service.proxy.cors import (
    SAFELISTED_METHODS,
    VARY,
    Cors,
    is_own_origin,
    is_preflight,
    wanted_by_preflight,
)
from gateway_service.proxy.headers import request_fields
from gateway_service.proxy.messages import hops_left, is_loop
from gateway_service.proxy.routing import Route, Routes
from service_kit.problems import ProblemError

_REFUSED: Final = 1
_LABEL_WIDTH: Final = 12

_NO_HOST: Final = "Host: gateway.invalid"
"""Where the operator names none: the host of no page."""
_PREFLIGHT: Final = ("204: a preflight, which the gateway itself responds to", True)
_SAFELISTED_HEADERS: Final = frozenset(
    {"accept", "accept-language", "content-language"}
)
"""What a page may send without a preflight (Fetch, 2.2.1 and 2.2.2); `Content-Type` may
in three forms."""
_SAFELISTED_TYPES: Final = frozenset(
    {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)


class RequestDescription(NamedTuple):
    """A request as the operator describes it."""

    method: str
    url: str
    """Absolute, or a path."""
    headers: Sequence[str]
    """Each is ``Name: value``."""


class Explanation(NamedTuple):
    """What becomes of a request, and whether an upstream or the gateway serves it."""

    lines: list[str]
    is_served: bool


def explain(
    path: Path, environ: Mapping[str, str], described: RequestDescription
) -> int:
    """Write what the configuration makes of a request; return the exit code."""
    explanation = explanation_of(config_or_exit(path, environ), described)
    sys.stdout.writelines(f"{line}\n" for line in explanation.lines)
    return 0 if explanation.is_served else _REFUSED


def explanation_of(config: Config, described: RequestDescription) -> Explanation:
    """Return what becomes of a request."""
    try:
        limits = config.limits.head
        fields = request_fields(config.dropped_headers)
        request = read_request(split_lines(_head(described), limits), limits, fields)
    except MalformedError as error:
        return Explanation(
            [_line("outcome", f"{error.status}: {error}")], is_served=False
        )
    routes = Routes(config)
    route = routes.match(request.path)
    cors = routes.default_cors if route is None else route.cors
    if route is None:
        outcome, is_served = _without_route(request, pages_of(config))
    else:
        outcome, is_served = _on_route(request, route, config.pseudonym)
    lines = [_line("request", f"{request.method} {request.target.decode('ascii')}")]
    if route is not None:
        upstream = next(u for u in config.upstreams if u.name == route.upstream)
        lines += [*_route(route), *_upstream(upstream), *_removed(described, request)]
    lines += _cors(request, cors, described, own_origin_of(config))
    lines.append(_line("outcome", outcome))
    return Explanation(lines, is_served=is_served)


def _head(described: RequestDescription) -> bytes:
    """Return the head of the request, or raise MalformedError."""
    target = described.url.partition("#")[0]  # which clients do not send
    has_host = any(_name(header) == "host" for header in described.headers)
    host = [] if has_host else [_NO_HOST]
    lines = [f"{described.method} {target} HTTP/1.1", *host, *described.headers]
    if any("\r" in line or "\n" in line for line in lines):
        raise MalformedError("A line end is in the request.")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def _without_route(request: Request, pages: Container[str]) -> tuple[str, bool]:
    """Return what happens, in words, and whether it is what the client wants."""
    if is_preflight(request):
        return _PREFLIGHT
    if request.path == "*":
        return "204: the methods that the gateway lets through", True
    if request.path not in pages:
        return "404 not_found: no route and no page has this path", False
    if request.method not in PAGE_METHODS:
        return "405 method_not_allowed: it is a page", False
    return "200: the gateway's own page", True


def _on_route(request: Request, route: Route, pseudonym: str) -> tuple[str, bool]:
    """Return the same for a request on a route."""
    if (here := _responded_here(request)) is not None:
        return here
    if request.method not in route.methods:
        allowed = ", ".join(sorted(route.methods))
        return f"405 method_not_allowed: the route lets {allowed} through", False
    if request.length > route.body_limit:
        return f"413 body_too_large: more than {route.body_limit} bytes", False
    if is_loop(request.values.get(b"via", []), pseudonym.encode("ascii")):
        return f"508 loop_detected: its Via names {pseudonym}, this gateway", False
    return f"sent to {route.upstream}", True


def _responded_here(request: Request) -> tuple[str, bool] | None:
    """Return the same for an OPTIONS that no upstream gets; None for all else."""
    if is_preflight(request):
        return _PREFLIGHT
    try:
        is_last_hop = hops_left(request) == 0
    except ProblemError as error:
        return f"400 {error.problem.code}: {error.problem.message}", False
    if is_last_hop:
        return "204: the route's methods, for Max-Forwards is 0", True
    return None


def _route(route: Route) -> Iterator[str]:
    yield _line("route", route.prefix)
    yield _line("methods", ", ".join(sorted(route.methods)))
    limit = route.rate_limit
    yield _line(
        "rate limit",
        "none"
        if limit is None
        else f"{limit.requests} requests in {limit.seconds} s from one address",
    )
    yield _line("body limit", f"{route.body_limit} bytes")
    timeouts = route.timeouts
    yield _line(
        "timeouts",
        f"connect {timeouts.connect:g} s, response head {timeouts.response_head:g} s,"
        f" idle {timeouts.idle:g} s, total {_duration(timeouts.total)}",
    )
    yield _line("priority", "high: refused last" if route.is_urgent else "normal")


def _duration(seconds: float) -> str:
    return "without limit" if seconds == NO_LIMIT else f"{seconds:g} s"


def _upstream(upstream: UpstreamConfig) -> Iterator[str]:
    places = ", ".join(map(_place, upstream.addresses))
    yield _line("upstream", f"{upstream.name} at {places}")
    yield _line(
        "concurrency",
        f"{upstream.concurrency.value}, at most {upstream.max_in_flight} in flight",
    )


def _place(address: Address) -> str:
    if address.service:
        return f"srv://{address.host}"
    return f"http://{address.host}:{address.port}"


def _removed(described: RequestDescription, request: Request) -> Iterator[str]:
    """Name the headers that do not reach the upstream."""
    passed = {line.partition(b":")[0].lower() for line in request.lines}
    names = [_name(header) for header in described.headers]
    if removed := [name for name in names if name.encode() not in passed]:
        yield _line("not passed", ", ".join(removed))


def _cors(
    request: Request, cors: Cors, described: RequestDescription, public: bytes
) -> Iterator[str]:
    """Say what a page of the request's origin may do."""
    origin = request.origin
    if origin is None:
        yield _line("CORS", "the request has no Origin, so nothing is said")
        return
    if is_own_origin(origin, request.host, public):
        yield _line("CORS", "the page is the gateway's own, which needs none")
        return
    page = origin.decode("ascii", "backslashreplace")
    if cors.for_request(origin) is VARY:
        yield _line("CORS", f"pages of {page} may not read the response")
        yield _line("", "allow it in GATEWAY_ALLOWED_ORIGINS or cors.origins")
        return
    yield _line("CORS", f"pages of {page} may read the response")
    if is_preflight(request):
        yield from _preflight(cors, origin, *wanted_by_preflight(request))
        return
    yield from _header_lines(cors.for_request(origin))
    method, headers = request.method, _not_safelisted(described.headers)
    needs = headers if method in SAFELISTED_METHODS else [method, *headers]
    if needs:
        yield _line("preflight", f"asked first, because of {', '.join(needs)}")
        yield from _preflight(cors, origin, method, headers)


def _preflight(
    cors: Cors, origin: bytes, method: str, headers: Iterable[str]
) -> Iterator[str]:
    yield from _header_lines(cors.for_preflight(origin))
    if lacking := cors.not_offered(method, headers):
        yield _line("", f"the browser stops: {', '.join(lacking)} not offered")


def _not_safelisted(headers: Iterable[str]) -> list[str]:
    """Return the names of the headers that a page may not send unasked."""
    names = []
    for header in headers:
        name, value = _name(header), header.partition(":")[2]
        kind = value.partition(";")[0].strip().lower()
        is_safelisted = name in _SAFELISTED_HEADERS | _SENT_BY_BROWSERS or (
            name == "content-type" and kind in _SAFELISTED_TYPES
        )
        if not is_safelisted:
            names.append(name)
    return names


_SENT_BY_BROWSERS: Final = frozenset({"origin", "cookie", "host", "content-length"})
"""What no page can set, and browsers send by themselves."""


def _header_lines(lines: bytes) -> Iterator[str]:
    for line in lines.decode("ascii", "backslashreplace").splitlines():
        yield _line("", line)


def _name(header: str) -> str:
    return header.partition(":")[0].strip().lower()


def _line(label: str, text: str) -> str:
    return f"{label:{_LABEL_WIDTH}}{text}"
