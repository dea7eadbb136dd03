"""Values of the configuration that are more than numbers and words."""

import math
import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import Final

from gateway_service.config.rules import Rule, word
from service_kit.origins import ANY_PORT, is_origin, origin_of
from service_kit.requests.addresses import holds_clients, parse_network
from service_kit.settings import LAST_PORT

NO_LIMIT: Final = math.inf
"""A duration that never ends: what 0 means for `total` in the file."""

METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""What a route forwards unless it says otherwise. Never TRACE and CONNECT."""

DROPPED_HEADERS: Final = tuple(
    """
    akamai-* ali-cdn-real-ip auth-user base-url cdn-real-ip cdn-src-ip cf-access-*
    cf-connecting-ip cf-connecting-ipv6 cf-visitor client-cert* client-ip
    cloudfront-forwarded-proto cloudfront-viewer-* cluster-client-ip do-connecting-ip
    fastly-client-ip fly-client-ip forwarded-for front-end-https http-url
    impersonate-* incap-client-ip iv-* oam-* oidc-* proxy proxy-client-ip proxy-host
    proxy-url real-ip remote-* request-uri shib-* sm-* ssl-client-* tailscale-*
    teleport-* true-client-ip wl-proxy-* x-accel-* x-akamai-* x-amzn-mtls-*
    x-amzn-oidc-* x-anonymous-consumer x-apigateway-api-userinfo x-appengine-* x-arr-*
    x-auth-email x-auth-groups x-auth-request-* x-auth-roles x-auth-subject
    x-auth-user* x-authenticated-* x-authentik-* x-azure-clientip x-azure-socketip
    x-client-cert* x-client-ip x-client-verify x-cluster-client-ip x-consumer-*
    x-credential-* x-custom-ip-authorization x-email x-endpoint-api-userinfo x-envoy-*
    x-forward-for x-forwarded x-forwarder-for x-goog-authenticated-* x-goog-iap-*
    x-groups x-host x-http-destinationurl x-http-host-override x-http-method
    x-http-method-override x-id-token x-jwt-assertion x-jwt-claim* x-jwt-payload
    x-method-override x-middleware-subrequest x-ms-client-principal* x-ms-token-*
    x-nf-client-connection-ip x-original-* x-originating-ip x-override-url
    x-pomerium-* x-principal* x-proxy-* x-proxyuser-ip x-real-* x-remote-*
    x-rewrite-url x-role* x-scheme x-sendfile-type x-spiffe-id x-ssl-* x-subject*
    x-sucuri-* x-tls-client-* x-true-client-ip x-true-ip x-url-scheme x-user*
    x-vercel-* x-vouch-* x-webauth-*
    """.split()
)
"""What an upstream might take for a client's identity, or for another request."""

MEMORY: Final = "memory"
"""The rate limit store of a gateway that counts for itself."""

_HOST: Final = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\])"
_ADDRESS: Final = re.compile(
    rf"(?:http://({_HOST}):([0-9]{{1,5}})|srv://({_HOST}))/?(?:\?probe=([0-9]{{1,5}}))?"
)
_DIGITS: Final = re.compile(r"[0-9.]+")
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?"
)
_PUBLIC_URL: Final = re.compile(r"|https?://[!-~]*[!-.0-~]")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_TCHARS: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
"""A token of RFC 9110, 5.6.2."""


class Balance(Enum):
    """How an upstream picks a replica."""

    LEAST_IN_FLIGHT = "least_in_flight"
    ROUND_ROBIN = "round_robin"


class Concurrency(Enum):
    """How the concurrent requests to an upstream are limited."""

    OFF = "off"
    FIXED = "fixed"
    ADAPTIVE = "adaptive"


class Priority(Enum):
    """Which requests are refused first when an upstream has too many."""

    NORMAL = "normal"
    HIGH = "high"


class CorsAccess(Enum):
    """Whose pages may read a route's responses."""

    ALLOWED_ORIGINS = "allowed_origins"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Address:
    """Where replicas are found: a literal address, a name, or a service name."""

    host: str
    port: int
    probe_port: int | None = None
    """Where this address is probed, if not where its upstream says."""
    service: bool = False
    """`host` is looked up as SRV, which names hosts and ports."""


def _origin(value: object) -> str | None:
    if isinstance(value, str) and value.endswith(ANY_PORT):
        return value if is_origin(value) else None
    match = _ORIGIN.fullmatch(value) if isinstance(value, str) else None
    if match is None or _DEFAULT_PORTS.get(match[1]) == (match[2] or "none"):
        return None
    return match[0]


def _address(value: object) -> Address | None:
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    host, port, service, probe = match.groups()
    if not _is_possible(host or service):
        return None
    ports = [int(each) for each in (port, probe) if each]
    if not all(0 < each <= LAST_PORT for each in ports):
        raise ValueError(f"must name ports from 1 to {LAST_PORT}; {value!r} does not")
    probe_port = int(probe) if probe else None
    if service:
        return Address(service, 0, probe_port, service=True)
    return Address(host.strip("[]"), int(port), probe_port)


def _is_possible(host: str) -> bool:
    """Whether a host that looks like an IP address is one."""
    is_bracketed = host.startswith("[")
    if not is_bracketed and _DIGITS.fullmatch(host) is None:
        return True
    try:
        return isinstance(ip_address(host.strip("[]")), IPv6Address) is is_bracketed
    except ValueError:
        return False


def _network(value: object) -> str | None:
    try:
        network = parse_network(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if network is not None and holds_clients(network):
        raise ValueError(f"must name proxies alone; {value!r} has clients in it, too")
    return None if network is None else str(network)


def _public_url(value: object) -> str | None:
    if not isinstance(value, str) or not _PUBLIC_URL.fullmatch(value):
        return None
    try:
        origin_of(value)
    except ValueError:
        return None
    return value


def _store(value: object) -> str | None:
    if value == MEMORY:
        return MEMORY
    # Imported only where a store is named: it takes 8 MiB.
    from service_kit.valkey_pools import is_store_url  # noqa: PLC0415

    return value if isinstance(value, str) and is_store_url(value) else None


origin = Rule(
    "origins like https://app.example, in lower case, without path and default port,"
    " or http://localhost:*",
    _origin,
)
"""An origin exactly as browsers serialise it (Fetch, RFC 6454 6.2), or all of the
ports of this machine."""
address = Rule("like http://name:8002 or srv://_http._tcp.name", _address)
network = Rule("networks like 10.0.0.0/8", _network)
method = word("|".join(METHODS), f"of {', '.join(sorted(METHODS))}")
store = Rule(
    '"memory" or a URL like valkey://host:6379'
    " or valkey+sentinel://host:26379,other:26379/service",
    _store,
)
prefix = word(
    r"/|(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)+/?",
    "a path of plain segments like /api/auth",
)
name = word(r"[a-z][a-z0-9_-]{0,31}", "a short name in lower case")
header_name = word(rf"(?!\*$){_TCHARS}", "header names, never `*`")
header_pattern = word(
    rf"(?!\*|.*\*.){_TCHARS}", "header names, of which `*` may be the end"
)
probe_path = word(r"|/[\x21-\x7e]*", 'a path, or "" for no probes')
file_name = word(r"[^\0-\x1f]+", "a file's name")
trusted_header = word("x-forwarded-for|forwarded", '"x-forwarded-for" or "forwarded"')
public_url = Rule(
    "a URL like https://api.example, without a slash at its end", _public_url
)
pseudonym = word(_TCHARS, "one word without spaces, as Via wants it")
