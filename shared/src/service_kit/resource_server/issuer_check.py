"""Check the issuer of access tokens, for a service's doctor."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final

import aiohttp

from service_kit.connection_faults import connection_fault
from service_kit.discovery import metadata_url
from service_kit.resource_server.verification import VerificationSettings
from service_kit.running.doctor import Finding, fault, note
from service_kit.strict_json import parse_object
from service_kit.tokens.fetching import FetchError, fetch, read_body
from service_kit.tokens.jwks import MAX_BYTES

_METADATA_SECONDS: Final = 3.0
_METADATA_BYTES: Final = 65_536


async def examine_issuer(settings: VerificationSettings) -> AsyncIterator[Finding]:
    """Yield whether the issuer's keys, name and clock are as the settings have them."""
    timeout = aiohttp.ClientTimeout(total=_METADATA_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async for finding in _keys(settings, session):
            yield finding
        yield await _metadata(settings, session)


async def _keys(
    settings: VerificationSettings, session: aiohttp.ClientSession
) -> AsyncIterator[Finding]:
    place = f"JWKS at {settings.jwks_url}"
    advice = f"see that the issuer runs, and {settings.prefix}JWKS_URL"
    try:
        # As the service does, which follows nobody to other keys.
        found = await fetch(session, settings.jwks_url, max_bytes=MAX_BYTES)
    except FetchError as error:
        yield fault(place, f"no keys there: {error}", advice)
        return
    match _object(found.body):
        case {"keys": [_, *_] as keys}:
            yield Finding(place, f"{len(keys)} keys")
        case _:
            yield fault(place, "no keys there", advice)
    yield _clock(settings, found.clock_ahead)


def _clock(settings: VerificationSettings, ahead: timedelta | None) -> Finding:
    if ahead is None:
        return note("clock", "the issuer does not say what time it is")
    text = f"{ahead.total_seconds():.0f} s ahead of the issuer's"
    if abs(ahead) > settings.clock_skew + timedelta(seconds=1):
        return fault("clock", text, "have both hosts follow a time server")
    return Finding("clock", text)


async def _metadata(
    settings: VerificationSettings, session: aiohttp.ClientSession
) -> Finding:
    """Compare the issuer's name with the one that its tokens must have."""
    url = metadata_url(settings.issuer)
    try:
        async with session.get(url) as response:
            body = await read_body(response, _METADATA_BYTES)
    except (aiohttp.ClientError, TimeoutError, FetchError) as error:
        why = connection_fault(error) or type(error).__name__
        text = f"{settings.issuer} is not reachable from here: {why}"
        return note("issuer", text, f"where clients are, try: curl {url}")
    name = _object(body).get("issuer")
    if name is None:
        return note("issuer", f"{url} has no metadata")
    if name != settings.issuer:
        text = f"its tokens say {name}, not {settings.issuer}"
        return fault("issuer", text, f"{settings.prefix}ISSUER={name}")
    return Finding("issuer", settings.issuer)


def _object(body: bytes) -> Mapping[str, object]:
    try:
        return parse_object(body)
    except ValueError:
        return {}


def refusals(counts: Mapping[str, int], *, prefix: str) -> list[Finding]:
    """Return what the counts of refused tokens reveal about the settings."""
    causes = {
        "issuer": f"{prefix}ISSUER must be the iss of tokens, to the letter",
        "audience": f"{prefix}AUDIENCE must be the issuer's IDENTITY_AUDIENCE",
        "type": f"{prefix}ACCESS_TOKEN_TYPE must be IDENTITY_ACCESS_TOKEN_TYPE",
        "not_yet_valid": "have both hosts follow a time server",
        "status": f"{prefix}STATUS_LIST_URLS must begin as the status uri of tokens",
    }
    return [
        note("refused tokens", f"{counts[reason]} for their {reason}", advice)
        for reason, advice in causes.items()
        if counts.get(reason)
    ]
