"""Ask what identity uses outside: mail server, mirror of leaked passwords, gateways."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from identity_service.composition import Services
from identity_service.domain.mail import MailServerUnavailableError
from identity_service.mail.delivery import delivery_to
from identity_service.mail.servers import MailServer
from identity_service.security.breached_passwords import BreachedPasswords
from identity_service.settings import Settings
from service_kit.running.doctor import Finding, fault, note

_ANY_PASSWORD = "password"  # noqa: S105 - every mirror knows it


async def examine_outside(
    settings: Settings, services: Services
) -> AsyncIterator[Finding]:
    """Yield whether each of them responds, as far as the settings name it."""
    if settings.mail is not None:
        yield await _mail(settings.mail)
    if services.breached_passwords is not None:
        yield await _breached_passwords(services.breached_passwords)
    for gateway in await services.gateways.status():
        if gateway.status is None:
            advice = "correct IDENTITY_GATEWAY_STATUS_URLS; pages of admins lack it"
            yield note(f"gateway {gateway.url}", gateway.reason or "", advice)
        else:
            yield Finding(f"gateway {gateway.url}", "says how it is")


async def _mail(place: MailServer | Path) -> Finding:
    """Connect as for a mail, with TLS and password, and send none."""
    if isinstance(place, Path):
        return await asyncio.to_thread(_folder, place)
    try:
        async with delivery_to(place):
            return Finding("mail", f"goes to {place.host}")
    except MailServerUnavailableError as error:
        text = f"{place.host} takes none: {error}"
        return fault("mail", text, "see that it runs, and IDENTITY_MAIL_URL")


def _folder(folder: Path) -> Finding:
    """Look whether mails could be put there; the first one makes the folder."""
    folders = (folder, *folder.parents)
    present = next(each for each in folders if os.path.exists(each))  # noqa: PTH110 - it raises nothing
    if present.is_dir() and os.access(present, os.W_OK | os.X_OK):
        return Finding("mail", f"goes to {folder}")
    advice = "let identity write there, or correct IDENTITY_MAIL_URL"
    return fault("mail", f"{folder} takes none: {present} is not writable", advice)


async def _breached_passwords(mirror: BreachedPasswords) -> Finding:
    await mirror.contain(_ANY_PASSWORD)
    if mirror.fault is not None:
        text = f"none is refused, their mirror is of no use: {mirror.fault}"
        return fault("leaked passwords", text, "see IDENTITY_BREACHED_PASSWORDS_URL")
    return Finding("leaked passwords", "their mirror responds")
