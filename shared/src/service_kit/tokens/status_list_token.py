"""Status lists, signed: made by their issuer, judged by verifiers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from service_kit.clock import Clock, utc_now
from service_kit.tokens.errors import InvalidTokenError
from service_kit.tokens.jws import key_id, numeric_date, open_jws, take_apart
from service_kit.tokens.key_set import KeySet
from service_kit.tokens.status_list import StatusList

MEDIA_TYPE: Final = "statuslist+jwt"
"""The ``typ`` of a status list, so that it is never taken for an access token."""

MAX_LENGTH: Final = 4 * 1024 * 1024
"""Characters. A million random one-bit entries take 180 000."""

MIN_TTL: Final = timedelta(seconds=1)
"""The shortest interval between fetches, regardless of the ``ttl``."""
MAX_TTL: Final = timedelta(hours=1)
"""The longest interval between fetches, regardless of the ``ttl``."""
DEFAULT_TTL: Final = timedelta(minutes=1)
"""Of a list without a ``ttl``."""

_CLOCK_SKEW: Final = timedelta(seconds=30)


def status_list_claims(
    uri: str,
    statuses: StatusList,
    *,
    issued_at: datetime,
    expires_at: datetime,
    ttl: timedelta,
) -> dict[str, Any]:
    """Return the claims of a status list token, to be signed with `MEDIA_TYPE`."""
    return {
        "sub": uri,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "ttl": int(ttl.total_seconds()),
        "status_list": statuses.to_claim(),
    }


@dataclass(frozen=True, slots=True)
class VerifiedStatusList:
    """A list that its issuer vouches for until it expires."""

    statuses: StatusList
    issued_at: datetime
    expires_at: datetime
    ttl: timedelta
    """When to ask for a newer one."""


async def verify_status_list(
    untrusted_token: str, keys: KeySet, *, uri: str, clock: Clock = utc_now
) -> VerifiedStatusList:
    """Return the list of that uri, or refuse the token.

    ``exp`` is required, though the draft only recommends it: without it a list that
    was once good would be good for ever.

    Raises `InvalidTokenError`: it is forged, expired, malformed, too large, or another
    list; `KeysUnavailableError`: the issuer's keys could not be had.
    """
    jws = take_apart(untrusted_token, max_length=MAX_LENGTH)
    kid = key_id(jws.header, MEDIA_TYPE)
    payload, _ = open_jws(jws, keys.cached(kid) or await keys.fetch(kid))
    if payload.get("sub") != uri:
        raise InvalidTokenError("sub is not the list's uri")
    now = clock()
    issued_at, expires_at = numeric_date(payload, "iat"), numeric_date(payload, "exp")
    if now >= expires_at:
        raise InvalidTokenError("the list has expired")
    if issued_at > now + _CLOCK_SKEW:
        raise InvalidTokenError("the list is from the future")
    try:
        statuses = StatusList.from_claim(payload.get("status_list"))
    except ValueError as error:
        raise InvalidTokenError("status_list is not a status list") from error
    return VerifiedStatusList(statuses, issued_at, expires_at, _ttl(payload))


def _ttl(payload: dict[str, Any]) -> timedelta:
    match payload.get("ttl", DEFAULT_TTL.total_seconds()):
        case int() | float() as seconds if not isinstance(seconds, bool):
            bounded = min(max(seconds, 0), MAX_TTL.total_seconds())
            return max(timedelta(seconds=bounded), MIN_TTL)
        case _:
            raise InvalidTokenError("ttl is not a number")
