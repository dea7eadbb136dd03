"""Read the values of settings that are more than numbers and words."""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final
from urllib.parse import urlsplit

from identity_service.domain.accounts.roles import (
    InvalidRoleNameError,
    RoleName,
    parse_role_name,
)
from identity_service.security.client_secrets import ClientSecrets
from identity_service.security.keyrings import Keyring
from service_kit import settings as parse
from service_kit.requests.addresses import holds_clients, parse_network

DAY: Final = 86_400
YEAR: Final = 365 * DAY
"""Seconds."""

_LONGEST_ISSUER: Final = 200
"""Characters. The URI of a status list begins with the issuer, and verifiers accept
texts of at most 256 in a token."""

_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", re.ASCII)
"""Segments that no browser and no proxy writes otherwise."""

IpNetwork = IPv4Network | IPv6Network


class Transport(StrEnum):
    """How clients get their tokens."""

    BODY = "body"
    COOKIE = "cookie"
    BOTH = "both"


def issuer(value: str) -> str:
    """Accept the URL of an issuer, without a trailing slash."""
    if value.endswith("/"):
        raise ValueError("ends with a slash")
    if len(value) > _LONGEST_ISSUER:
        raise ValueError(f"has more than {_LONGEST_ISSUER} characters")
    url = parse.http_url(value)
    if not _PATH.fullmatch(urlsplit(url).path):
        raise ValueError("has a path of other than plain segments")
    return url


def keyring(value: str) -> Keyring:
    """Accept a list of keys, as `Keyring` reads them."""
    return Keyring.parse(parse.comma_list(value))


def client_secrets(value: str) -> ClientSecrets:
    """Accept a list of clients, as `ClientSecrets` reads them."""
    return ClientSecrets.parse(parse.comma_list(value))


def networks(value: str) -> tuple[IpNetwork, ...]:
    """Accept a list of networks in CIDR notation, none of which has clients in it."""
    found = tuple(map(parse_network, parse.comma_list(value)))
    if any(map(holds_clients, found)):
        raise ValueError("names a network so wide that clients are in it, too")
    return found


def urls(value: str) -> tuple[str, ...]:
    """Accept a list of http(s) URLs."""
    return tuple(map(parse.http_url, parse.comma_list(value)))


def roles(value: str) -> frozenset[RoleName]:
    """Accept a list of role names."""
    try:
        return frozenset(map(parse_role_name, parse.comma_list(value)))
    except InvalidRoleNameError:
        raise ValueError("holds what cannot be the name of a role") from None


def exact_origins(value: str) -> tuple[str, ...]:
    """Accept a list of origins, none of which stands for several."""
    origins = parse.origins(value)
    if any("*" in each for each in origins):
        raise ValueError("names a pattern: list each origin")
    return origins
