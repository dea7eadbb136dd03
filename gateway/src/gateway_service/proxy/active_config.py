"""A configuration, compiled for requests."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway_service.config.clients import TlsConfig
from gateway_service.config.model import Config
from gateway_service.console.front import front_page
from gateway_service.console.pages import FILES, Page
from gateway_service.console.problems import PROBLEM_PAGES
from gateway_service.console.reference import REFERENCE
from gateway_service.proxy.messages import ForwardingHeaders
from gateway_service.proxy.rate_limits import RateLimits
from gateway_service.proxy.routing import Routes
from gateway_service.upstreams.upstream import Upstream
from service_kit.origins import origin_of
from service_kit.requests.client_addresses import TrustedProxies


@dataclass(frozen=True)
class ActiveConfig:
    """One configuration in use; a request keeps the one it began with."""

    config: Config
    routes: Routes
    proxies: TrustedProxies
    forwarding_headers: ForwardingHeaders
    own_origin: bytes
    """The origin of `public_url`; without one, of no page."""
    hsts: bytes
    """The header line that keeps browsers to TLS, in responses over TLS."""
    rate_limits: RateLimits
    upstreams: Mapping[str, Upstream]
    pages: Mapping[str, Page]
    """The gateway's own, by path."""


def compile_config(
    config: Config, upstreams: Mapping[str, Upstream], rate_limits: RateLimits
) -> ActiveConfig:
    """Return what requests need of a configuration."""
    proxies = TrustedProxies(config.trusted_proxies, config.trusted_header)
    return ActiveConfig(
        config=config,
        routes=Routes(config),
        proxies=proxies,
        forwarding_headers=ForwardingHeaders(config.pseudonym.encode("ascii"), proxies),
        own_origin=own_origin_of(config),
        hsts=_hsts_line(config.tls),
        rate_limits=rate_limits,
        upstreams=upstreams,
        pages=pages_of(config),
    )


def pages_of(config: Config) -> Mapping[str, Page]:
    """Return the gateway's own pages by their paths."""
    return {**FILES, **REFERENCE, **PROBLEM_PAGES, "/": front_page(config)}


def own_origin_of(config: Config) -> bytes:
    """Return the origin of `public_url`, as browsers send it."""
    return origin_of(config.public_url).encode("ascii")


def _hsts_line(tls: TlsConfig | None) -> bytes:
    if tls is None or not tls.hsts:
        return b""
    return b"Strict-Transport-Security: max-age=%d\r\n" % tls.hsts
