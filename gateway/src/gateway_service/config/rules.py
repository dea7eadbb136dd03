"""What each value of the configuration may be."""

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from gateway_service.config.model import METHODS, NO_LIMIT, Address, Balance, CorsAccess
from gateway_service.config.sections import Rule
from gateway_service.proxy.client_addresses import FORWARDED, X_FORWARDED_FOR

T = TypeVar("T")

_LAST_PORT: Final = 65_535
_HOST: Final = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\])"
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_ADDRESS: Final = re.compile(
    rf"http://({_HOST}):([0-9]{{1,5}})/?(?:\?probe=([0-9]{{1,5}}))?"
)
_SERVICE: Final = re.compile(rf"srv://({_HOST})/?(?:\?probe=([0-9]{{1,5}}))?")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PREFIX: Final = re.compile(r"/|(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)+/?")


def whole(least: int, most: int) -> Rule:
    """Accept whole numbers from `least` to `most`."""

    def rule(value: object) -> int:
        if type(value) is int and least <= value <= most:
            return value
        raise ValueError(f"must be a whole number from {least} to {most}")

    return rule


def number(least: float, most: float) -> Rule:
    """Accept numbers from `least` to `most`."""

    def rule(value: object) -> float:
        if type(value) in {int, float} and least <= value <= most:  # type: ignore[operator]
            return float(value)  # type: ignore[arg-type]
        raise ValueError(f"must be a number from {least:g} to {most:g}")

    return rule


def number_or_none(least: float, most: float) -> Rule:
    """Accept numbers from `least` to `most`, and 0 for no limit."""

    def rule(value: object) -> float:
        if type(value) is int and value == 0:
            return NO_LIMIT
        return number(least, most)(value)  # type: ignore[no-any-return]

    return rule


def yes_or_no(value: object) -> bool:
    """Accept a boolean."""
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def word(pattern: re.Pattern[str], what: str) -> Rule:
    """Accept a string that `pattern` matches as a whole."""

    def rule(value: object) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise ValueError(f"must be {what}")

    return rule


def each(rule: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """Accept an array whose entries all pass `rule`, without repetition."""

    def rule_of_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError("must be an array")  # noqa: TRY004 - a fault, not a bug
        entries = tuple(rule(entry) for entry in value)
        if len(set(entries)) != len(entries):
            raise ValueError("names something twice")
        return entries

    return rule_of_all


def a_set(rule: Rule) -> Rule:
    """Accept an array of distinct entries, whose order has no meaning."""
    return lambda value: frozenset(each(rule)(value))


def choice(kind: type[Balance] | type[CorsAccess]) -> Rule:
    """Accept the values of an Enum."""

    def rule(value: object) -> Any:  # noqa: ANN401 - either kind
        for member in kind:
            if member.value == value:
                return member
        names = " or ".join(repr(member.value) for member in kind)
        raise ValueError(f"must be {names}")

    return rule


def origin(value: object) -> str:
    """Accept an origin exactly as browsers serialise it (Fetch, RFC 6454 6.2)."""
    match = _ORIGIN.fullmatch(value) if isinstance(value, str) else None
    if match is None or _DEFAULT_PORTS.get(match[1]) == (match[2] or "none"):
        raise ValueError(
            f"must be origins like https://app.example, in lower case, without path"
            f" and default port; {value!r} is not"
        )
    return match[0]


def address(value: object) -> Address:
    """Accept where replicas are found.

    `http://name:port` stands for every address of the name, `srv://name` for every
    target of the service; `?probe=port` says where they are probed.
    """
    text = value if isinstance(value, str) else ""
    if match := _ADDRESS.fullmatch(text):
        host, port, probe = match[1].strip("[]"), int(match[2]), match[3]
    elif match := _SERVICE.fullmatch(text):
        host, port, probe = match[1], 0, match[2]
    else:
        raise ValueError(
            f"must be like http://name:8002 or srv://_http._tcp.name; {value!r} is not"
        )
    service = text.startswith("srv:")
    if max(port, int(probe or 0)) > _LAST_PORT or (not service and port == 0):
        raise ValueError(f"must name a port from 1 to {_LAST_PORT}; {value!r} does not")
    return Address(host, port, int(probe) if probe else None, service)


def addresses(value: object) -> tuple[Address, ...]:
    """Accept at least one address."""
    found = each(address)(value)
    if not found:
        raise ValueError("must name at least one address")
    return found


def network(value: object) -> str:
    """Accept an IP network in CIDR notation."""
    try:
        return str(ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(
            f"must be networks like 10.0.0.0/8; {value!r} is not"
        ) from None


def method(value: object) -> str:
    """Accept a method that the gateway forwards."""
    if value in METHODS:
        return str(value)
    raise ValueError(f"must be of {', '.join(sorted(METHODS))}; {value!r} is not")


def store(value: object) -> str:
    """Accept where rate limits are counted."""
    text = value if isinstance(value, str) else ""
    if text == "memory" or (
        urlsplit(text).scheme in {"valkey", "valkeys", "redis", "rediss"}
        and urlsplit(text).hostname
    ):
        return text
    raise ValueError('must be "memory" or a URL like valkey://host:6379')


prefix = word(_PREFIX, "a path of plain segments like /api/auth")
name = word(re.compile(r"[a-z][a-z0-9_-]{0,31}"), "a short name in lower case")
header_name = word(_TOKEN, "header names")
probe_path = word(re.compile(r"|/[\x21-\x7e]*"), 'a path, or "" for no probes')
file_name = word(re.compile(r".+"), "a file's name")
pseudonym = word(_TOKEN, "one word without spaces, as Via wants it")


def trusted_header(value: object) -> str:
    """Accept one of the two headers that name clients."""
    if value in {X_FORWARDED_FOR, FORWARDED}:
        return str(value)
    raise ValueError(f'must be "{X_FORWARDED_FOR}" or "{FORWARDED}"')
