"""Ask for identity's documents where clients ask, and for what its pages may do."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from identity_service.settings import Settings
from service_kit.connection_faults import connection_fault
from service_kit.discovery import metadata_url
from service_kit.origins import is_loopback
from service_kit.running.doctor import Finding, fault, note

_SECONDS: Final = 3.0

_WITH_COOKIES: Final = "/api/auth/refreshtoken"
_ANY_PORT: Final = "8081"
"""Stands for the port of an origin that has any."""

_ROUTE: Final = "route /.well-known to identity at the gateway, or correct the issuer"


async def examine_issuer(settings: Settings, kids: list[str]) -> AsyncIterator[Finding]:
    """Yield whether clients find identity where its tokens say it is."""
    yield _scheme(settings)
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async for finding in _documents(settings, kids, session):
                yield finding
            async for finding in _origins(settings, session):
                yield finding
        except (aiohttp.ClientError, TimeoutError) as error:
            found = f"{settings.issuer} is not reachable from here"
            advice = f"where clients are, try: curl {metadata_url(settings.issuer)}"
            why = connection_fault(error) or type(error).__name__
            yield note("issuer", f"{found}: {why}", advice)


def _scheme(settings: Settings) -> Finding:
    """Compare the issuer's scheme with the cookies that browsers get."""
    parts = urlsplit(settings.issuer)
    if parts.scheme == "https":
        if settings.cookie_secure:
            return Finding("cookies", "Secure, over TLS")
        text = "lack Secure, though the issuer has TLS"
        return fault("cookies", text, "IDENTITY_COOKIE_SECURE=true")
    if is_loopback(settings.issuer):
        return Finding("cookies", "for this machine alone, without TLS")
    if settings.cookie_secure and settings.gives_cookies:
        text = "are Secure, so browsers do not store them over plain HTTP"
        return fault("cookies", text, "serve over TLS; IDENTITY_ISSUER=https://...")
    text = "and passwords travel in the clear: the issuer has no TLS"
    return note("tokens", text, "serve over TLS; IDENTITY_ISSUER=https://...")


async def _documents(
    settings: Settings, kids: list[str], session: aiohttp.ClientSession
) -> AsyncIterator[Finding]:
    url = metadata_url(settings.issuer)
    metadata = await _json(session, url)
    if not isinstance(metadata, dict) or "jwks_uri" not in metadata:
        yield fault("discovery", f"{url} has no metadata", _ROUTE)
        return
    if metadata.get("issuer") != settings.issuer:
        text = f"{url} names {metadata.get('issuer')}, not {settings.issuer}"
        yield fault("discovery", text, "set IDENTITY_ISSUER alike in all replicas")
        return
    yield Finding("discovery", url)
    jwks = await _json(session, str(metadata["jwks_uri"]))
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    found = {each.get("kid") for each in keys or () if isinstance(each, dict)}
    if found == set(kids):
        yield Finding("JWKS", f"{metadata['jwks_uri']}, {len(found)} keys")
    else:
        text = f"{metadata['jwks_uri']} has other keys than the database"
        yield fault("JWKS", text, _ROUTE)


async def _json(session: aiohttp.ClientSession, url: str) -> Any:  # noqa: ANN401 - of JSON
    async with session.get(url) as response:
        if response.status != HTTPStatus.OK:
            return None
        try:
            return await response.json(content_type=None)
        except ValueError:
            return None


async def _origins(
    settings: Settings, session: aiohttp.ClientSession
) -> AsyncIterator[Finding]:
    """Yield whether the gateway lets in the pages that may use cookies here."""
    unfit = fault if settings.gives_cookies else note
    for origin in settings.allowed_origins:
        example = origin.replace("*", _ANY_PORT)
        headers = {"Origin": example, "Access-Control-Request-Method": "POST"}
        url = settings.issuer + _WITH_COOKIES
        async with session.options(url, headers=headers) as response:
            allowed = response.headers.get("Access-Control-Allow-Origin")
            has_credentials = "Access-Control-Allow-Credentials" in response.headers
        if allowed != example:
            text = "may use cookies here, but the gateway does not let it in"
            yield fault(f"origin {origin}", text, f"GATEWAY_ALLOWED_ORIGINS={origin}")
        elif not has_credentials:
            text = "may use cookies here, but the gateway lets it send none"
            yield unfit(f"origin {origin}", text, "GATEWAY_ALLOW_CREDENTIALS=true")
        else:
            yield Finding(f"origin {origin}", "may use cookies here and at the gateway")
