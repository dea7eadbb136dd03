"""Match paths to routes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from gateway_service.config.clients import CorsConfig, RateLimit
from gateway_service.config.model import Config, RouteConfig, Timeouts
from gateway_service.config.values import METHODS, CorsAccess, Priority
from gateway_service.proxy.cors import Cors
from gateway_service.proxy.rate_limits import FIELDS

_AMBIGUOUS: Final = re.compile(
    r"//|\\|%2f|%5c|%00|(?:^|/)(?:\.|%2e){1,2}(?:/|;|$)", re.IGNORECASE
)
"""What the gateway and an upstream could read as different paths."""

_SIGNS: Final = re.compile(r"%(?:21|24|2[6-9A-C]|3[AD]|40)", re.IGNORECASE)
"""Escapes of what a prefix may hold and a path need not escape: `/v1/users:find`."""


@dataclass(frozen=True)
class Route:
    """Where requests below one prefix go, and under which conditions."""

    prefix: str
    upstream: str
    methods: frozenset[str]
    allow: bytes
    """The methods as the value of `Allow`, for a 405."""
    body_limit: int
    timeouts: Timeouts
    rate_limit: RateLimit | None
    cors: Cors
    is_urgent: bool
    """Whether its requests are refused last."""


class Routes:
    """The routes of one configuration, compiled."""

    __slots__ = ("_by_prefix", "_longest", "default_cors")

    def __init__(self, config: Config) -> None:
        self.default_cors = Cors(config.cors, CorsAccess.ALLOWED_ORIGINS, METHODS)
        """For responses to paths without a route."""
        self._by_prefix = {
            route.prefix.rstrip("/"): Route(
                prefix=route.prefix,
                upstream=route.upstream,
                methods=route.methods,
                allow=", ".join(sorted(route.methods)).encode("ascii"),
                body_limit=route.body_limit,
                timeouts=route.timeouts,
                rate_limit=route.rate_limit,
                cors=_cors(config.cors, route),
                is_urgent=route.priority is Priority.HIGH,
            )
            for route in config.routes
        }
        self._longest = max(map(len, self._by_prefix), default=0)

    def match(self, untrusted_path: str) -> Route | None:
        """Return the route with the longest prefix that ends at a segment's border.

        The path is the bytes of the request target without its query, undecoded; an
        upstream is sent the same. A path that an upstream might read differently
        (dot segments, encoded or doubled slashes, backslashes) belongs to no route.
        """
        if untrusted_path[:1] != "/":
            return None
        if (
            "%" in untrusted_path
            or "/." in untrusted_path
            or "//" in untrusted_path
            or "\\" in untrusted_path
        ):
            if _AMBIGUOUS.search(untrusted_path):
                return None
            untrusted_path = _SIGNS.sub(_unescaped, untrusted_path)
        candidate = untrusted_path
        if len(candidate) > self._longest:
            candidate = candidate[: candidate.rfind("/", 0, self._longest + 1)]
        by_prefix = self._by_prefix
        while candidate:
            route = by_prefix.get(candidate)
            if route is not None:
                return route
            candidate = candidate[: candidate.rfind("/")]
        return by_prefix.get("")

    def __iter__(self) -> Iterator[Route]:
        return iter(self._by_prefix.values())


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[0][1:], 16))


def _cors(config: CorsConfig, route: RouteConfig) -> Cors:
    """Return a route's policy, which lets pages read what it says of a limit."""
    if route.rate_limit is not None:
        exposed = dict.fromkeys((*config.exposed_headers, *FIELDS))
        config = replace(config, exposed_headers=tuple(exposed))
    return Cors(config, route.cors, route.methods)
