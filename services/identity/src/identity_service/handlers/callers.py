"""Who is calling: the account and the session that a request speaks for."""

from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from identity_service.app_keys import CLIENT_ADDRESSES, TRUSTED_PAGES
from identity_service.domain.roles import ADMIN
from identity_service.domain.sessions import Device
from identity_service.handlers.origins import CrossSiteRequestError, device_of
from identity_service.usecases.users import Actor
from service_kit.auth import (
    ACCESS_TOKEN_COOKIE,
    TOKEN_VERIFIER,
    MissingTokenError,
    require_role,
)
from service_kit.credentials import (
    CredentialsSource,
    MalformedCredentialsError,
    fields_of,
    read_access_token,
)
from service_kit.tokens import AccessClaims, InvalidTokenError

_SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, by an access token that has been verified."""

    user_id: int
    session_id: str
    device: Device

    @property
    def actor(self) -> Actor:
        """The caller as one who does something."""
        return Actor(self.user_id, self.device)


async def caller(request: web.Request) -> Caller:
    """Return the caller, or raise what `service_kit.auth.authenticate` raises.

    A cookie counts for an unsafe method only if a page of ours made the request.

    Raises
    ------
    CrossSiteRequestError
    """
    claims = await _claims(request)
    return _caller(request, claims)


async def admin(request: web.Request) -> Caller:
    """Return the caller if he is an administrator.

    Raises
    ------
    MissingRoleError
        Besides what `caller` raises.
    """
    claims = await _claims(request)
    require_role(claims, ADMIN)
    return _caller(request, claims)


async def session_of(request: web.Request) -> str | None:
    """Return the session of a request's access token, None if there is no good one."""
    try:
        return (await caller(request)).session_id
    except (
        MissingTokenError,
        MalformedCredentialsError,
        InvalidTokenError,
        CrossSiteRequestError,
    ):
        return None


def device(request: web.Request) -> Device:
    """Return the device that a request comes from."""
    return device_of(request, request.app[CLIENT_ADDRESSES])


async def _claims(request: web.Request) -> AccessClaims:
    credentials = read_access_token(
        fields_of(request), cookie=request.app[ACCESS_TOKEN_COOKIE]
    )
    if credentials is None:
        raise MissingTokenError
    if (
        credentials.source is CredentialsSource.COOKIE
        and request.method not in _SAFE_METHODS
    ):
        request.app[TRUSTED_PAGES].require(request)
    return await request.app[TOKEN_VERIFIER].verify(credentials.untrusted_token)


def _caller(request: web.Request, claims: AccessClaims) -> Caller:
    if not claims.subject.isdigit():
        raise InvalidTokenError("sub is no account of ours")
    return Caller(int(claims.subject), claims.session_id, device(request))
