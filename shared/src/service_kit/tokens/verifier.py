"""Decide whether an access token can be trusted."""

import functools
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from service_kit.clock import Clock, utc_now
from service_kit.tokens.claims import AccessClaims, StatusReference
from service_kit.tokens.errors import InvalidTokenError, RefusalReason
from service_kit.tokens.jws import key_id, numeric_date, open_jws, take_apart
from service_kit.tokens.key_set import KeySet, VerificationKey
from service_kit.tokens.memory import VerifiedTokens
from service_kit.tokens.status_list import Status

MEDIA_TYPE: Final = "at+jwt"
"""The ``typ`` of an access token, so no other JWT passes as one (RFC 9068)."""

MAX_LENGTH: Final = 8_192
"""Characters. As long as a header line may be; real tokens have about 900."""

MAX_CLOCK_SKEW: Final = timedelta(seconds=60)
"""More would stretch every token's life for the sake of a broken clock."""

DEFAULT_CLOCK_SKEW: Final = timedelta(seconds=30)

_MAX_TEXT: Final = 256
"""Characters in a claim that names something."""

_MAX_NAMES: Final = 128
"""Roles, or methods of authentication: more than our issuer lets anybody have."""

_NO_NAMES: Final[frozenset[str]] = frozenset()

_VALID: Final = int(Status.VALID)


class StatusSource(Protocol):
    """Where a verifier reads whether a token has been revoked."""

    def cached(self, reference: StatusReference, now: datetime) -> int | None:
        """Return the entry that the token refers to, or None if it is not here.

        Raises `InvalidTokenError`: there is no such entry.
        """
        ...

    async def fetch(self, reference: StatusReference, now: datetime) -> int:
        """Return the entry that the token refers to, as of now.

        Raises `InvalidTokenError`: there is no such entry, or its list is not from a
        trusted issuer; `StatusUnavailableError`: the entry could not be had.
        """
        ...


class TokenVerifier:
    """Checks access tokens from one issuer, meant for one audience.

    With ``statuses``, revocation is checked as well, and a token that does not say
    where its status is kept is refused, unless ``require_status`` is False.
    Without it the caller checks revocation. ``media_type`` is for an issuer that
    says ``JWT`` where RFC 9068 says ``at+jwt``.
    """

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        audience: str,
        statuses: StatusSource | None = None,
        require_status: bool = True,
        clock_skew: timedelta = DEFAULT_CLOCK_SKEW,
        clock: Clock = utc_now,
        media_type: str = MEDIA_TYPE,
        memory: VerifiedTokens | None = None,
    ) -> None:
        if not timedelta() <= clock_skew <= MAX_CLOCK_SKEW:
            raise ValueError(f"clock_skew is not from 0 to {MAX_CLOCK_SKEW}")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._statuses = statuses
        self._require_status = require_status
        self._clock_skew = clock_skew
        self._clock = clock
        self._media_type = media_type.lower()
        self._memory = VerifiedTokens() if memory is None else memory

    async def verify(self, untrusted_token: str) -> AccessClaims:
        """Return the token's claims, or refuse it.

        This waits only for a key or a status list that is not cached.

        Raises `InvalidTokenError`: the token is malformed, forged, expired, revoked, or
        for someone else; `KeysUnavailableError`: the issuer's keys could not be had;
        `StatusUnavailableError`: its status could not be had, so it may be revoked.
        """
        if len(untrusted_token) > MAX_LENGTH or not untrusted_token.isascii():
            raise InvalidTokenError("too long or not ASCII")
        now = self._clock()
        claims = self._recall(untrusted_token, now)
        if claims is None:
            claims, key = await self._check(untrusted_token, now)
            self._memory.remember(untrusted_token, claims, key)
        if self._statuses is not None:
            if claims.status is not None:
                status = self._statuses.cached(claims.status, now)
                if status is None:
                    status = await self._statuses.fetch(claims.status, now)
                if status != _VALID:
                    raise InvalidTokenError("revoked", RefusalReason.REVOKED)
            elif self._require_status:
                raise InvalidTokenError("has no status", RefusalReason.STATUS)
        return claims

    async def _check(
        self, untrusted_token: str, now: datetime
    ) -> tuple[AccessClaims, VerificationKey]:
        """Check the signature and every claim of a token."""
        jws = take_apart(untrusted_token, max_length=MAX_LENGTH)
        kid = key_id(jws.header, self._media_type)
        key = self._keys.cached(kid) or await self._keys.fetch(kid)
        verified = open_jws(jws, key)
        return self._claims(verified.payload, now), verified.key

    def _recall(self, token: str, now: datetime) -> AccessClaims | None:
        """Return what is remembered, while its time and its key still hold."""
        remembered = self._memory.get(token)
        if remembered is None:
            return None
        claims, key = remembered
        if now - self._clock_skew >= claims.expires_at:
            self._memory.forget(token)
            raise InvalidTokenError("expired", RefusalReason.EXPIRED)
        if self._keys.cached(key.kid) is not key:
            self._memory.forget(token)
            return None
        return claims

    def _claims(self, payload: Mapping[str, Any], now: datetime) -> AccessClaims:
        """Check every claim of a payload whose signature holds."""
        if payload.get("iss") != self._issuer:
            raise InvalidTokenError("from another issuer", RefusalReason.ISSUER)
        if self._audience not in _audiences(payload):
            raise InvalidTokenError("for another audience", RefusalReason.AUDIENCE)
        issued_at = numeric_date(payload, "iat")
        expires_at = numeric_date(payload, "exp")
        if now - self._clock_skew >= expires_at:
            raise InvalidTokenError("expired", RefusalReason.EXPIRED)
        if issued_at > now + self._clock_skew:
            raise InvalidTokenError("issued in the future", RefusalReason.NOT_YET_VALID)
        if "nbf" in payload and numeric_date(payload, "nbf") > now + self._clock_skew:
            raise InvalidTokenError("not valid yet", RefusalReason.NOT_YET_VALID)
        return AccessClaims(
            subject=_text(payload, "sub"),
            roles=_names(payload, "roles"),
            token_id=_text(payload, "jti"),
            session_id=_text(payload, "sid") if "sid" in payload else None,
            client_id=sys.intern(_text(payload, "client_id")),
            issued_at=issued_at,
            expires_at=expires_at,
            status=_status(payload),
            authenticated_at=numeric_date(payload, "auth_time")
            if "auth_time" in payload
            else None,
            methods=_names(payload, "amr") if "amr" in payload else _NO_NAMES,
            assurance=sys.intern(_text(payload, "acr")) if "acr" in payload else None,
        )


def _text(members: Mapping[str, Any], name: str) -> str:
    """Read a claim that names something: printable ASCII, not empty, not long."""
    value = members.get(name)
    if (
        isinstance(value, str)
        and 0 < len(value) <= _MAX_TEXT
        and value.isascii()
        and value.isprintable()
    ):
        return value
    raise InvalidTokenError(f"{name} is not a short text")


def _audiences(payload: Mapping[str, Any]) -> list[str]:
    audiences = payload.get("aud")
    if isinstance(audiences, str):
        return [audiences]
    if isinstance(audiences, list) and all(isinstance(a, str) for a in audiences):
        return audiences
    raise InvalidTokenError("aud is neither text nor a list of texts")


@functools.lru_cache(maxsize=256)
def _name_set(*names: str) -> frozenset[str]:
    """Return one set for all the tokens that hold the same names, to save memory."""
    return frozenset(names)


def _names(payload: Mapping[str, Any], claim: str) -> frozenset[str]:
    names = payload.get(claim)
    if (
        isinstance(names, list)
        and len(names) <= _MAX_NAMES
        and all(isinstance(name, str) for name in names)
    ):
        return _name_set(*names)
    raise InvalidTokenError(f"{claim} is not a short list of texts")


def _status(payload: Mapping[str, Any]) -> StatusReference | None:
    """Read where the status is kept (draft-ietf-oauth-status-list section 6)."""
    if "status" not in payload:
        return None
    status = payload["status"]
    reference = status.get("status_list") if isinstance(status, dict) else None
    if isinstance(reference, dict):
        idx = reference.get("idx")
        if isinstance(idx, int) and not isinstance(idx, bool) and idx >= 0:
            return StatusReference(sys.intern(_text(reference, "uri")), idx)
    raise InvalidTokenError("status is not a status list reference")
