"""The gateway's part in an operation: what its configuration lets through."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway_service.config.file import read_config
from gateway_service.config.model import RouteConfig
from service_kit.operations import Operation

ROOT: Final = Path(__file__).parents[3]

_ROUTES: Final = read_config(ROOT / "deploy" / "gateway.toml", {}).routes


def route_of(path: str) -> RouteConfig:
    """Return the route of the gateway that a path takes."""
    matching = [
        each for each in _ROUTES if f"{path}/".startswith(f"{each.prefix.rstrip('/')}/")
    ]
    return max(matching, key=lambda each: len(each.prefix))


def limits_of(operation: Operation, route: RouteConfig) -> Iterator[str]:
    """Yield a sentence for each limit of a route that an operation can reach."""
    if route.rate_limit is not None:
        limit = route.rate_limit
        yield f"A client has {limit.requests} requests in {limit.seconds} seconds."
    if operation.body is not None:
        yield f"At most {route.body_limit} bytes."
