"""Hand messages over to a mail server, or keep them in a folder."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from email.errors import MessageError
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Final

import aiosmtplib

from identity_service.domain.mail import (
    LetterDeferredError,
    LetterRefusedError,
    MailServerUnavailableError,
)
from identity_service.mail.mailbox import FILE_TIME
from identity_service.mail.servers import Encryption, MailServer
from service_kit.certificates import client_context
from service_kit.connection_faults import connection_fault
from service_kit.running.own_thread import in_own_thread

COMMAND_SECONDS: Final = 5.0
"""How long a mail server may take to connect, and for each response."""

DELIVERY_SECONDS: Final = 20.0
"""How long one message may take in all: well within the time it is claimed for."""

_NAME_SECONDS: Final = 1.0
"""How long the full name of this host is looked for."""

_PERMANENT: Final = 500
"""From this code on a server will not change its mind (RFC 5321 section 4.2.1)."""


Deliver = Callable[[EmailMessage, str], Awaitable[None]]
"""Hands a message over to a recipient.

Raises `LetterRefusedError`, `LetterDeferredError`: it was not taken, the next one may
be; `MailServerUnavailableError`: nothing can be handed over now, and this message may
have been taken, too.
"""


def delivery_to(place: MailServer | Path) -> AbstractAsyncContextManager[Deliver]:
    """Open a way to a mail server or folder, or raise `MailServerUnavailableError`."""
    return _into_folder(place) if isinstance(place, Path) else _by_smtp(place)


@contextlib.asynccontextmanager
async def _by_smtp(server: MailServer) -> AsyncIterator[Deliver]:
    """Connect, encrypt and authenticate; take leave at the end."""
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.encryption is Encryption.TLS,
        start_tls=server.encryption is Encryption.STARTTLS,
        username=server.username,
        password=server.password,
        tls_context=await _tls_context(server),
        local_hostname=await _own_name(),
        timeout=COMMAND_SECONDS,
    )
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            await client.connect()
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        client.close()
        raise MailServerUnavailableError(_reason(error)) from error
    try:
        yield partial(_send, client)
    finally:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await client.quit()
        client.close()


async def _own_name() -> str:
    """Return how this host introduces itself; a name server that is asked may hang."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_NAME_SECONDS):
            return await in_own_thread(socket.getfqdn)
    return socket.gethostname()


async def _tls_context(server: MailServer) -> ssl.SSLContext | None:
    """Read the certificates again, because an operator may have replaced them."""
    if server.encryption is Encryption.NONE:
        return None
    try:
        return await asyncio.to_thread(client_context, server.authority)
    except OSError as error:
        raise MailServerUnavailableError(f"certificates: {error}") from error


async def _send(client: aiosmtplib.SMTP, message: EmailMessage, recipient: str) -> None:
    """Hand a message over to a mail server; see `Deliver`."""
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            await client.send_message(message, recipients=[recipient])
    except aiosmtplib.SMTPRecipientsRefused as error:
        code = max(each.code for each in error.recipients)
        raise _of_code(code, _reason(error.recipients[0])) from error
    except aiosmtplib.SMTPDataError as error:
        raise _of_code(error.code, _reason(error)) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise LetterRefusedError(_reason(error)) from error
    except aiosmtplib.SMTPResponseException as error:
        raise LetterDeferredError(_reason(error)) from error
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise MailServerUnavailableError(_reason(error)) from error
    except (ValueError, MessageError) as error:  # it cannot be written
        raise LetterRefusedError(_reason(error)) from error


@contextlib.asynccontextmanager
async def _into_folder(folder: Path) -> AsyncIterator[Deliver]:
    """Make the folder, unless it is there."""
    try:
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MailServerUnavailableError(_reason(error)) from error
    yield partial(_keep, folder)


async def _keep(folder: Path, message: EmailMessage, _: str) -> None:
    """Write a message to a file, for development; its recipient stands in it."""
    try:
        await asyncio.to_thread(_write, folder, message)
    except OSError as error:
        raise MailServerUnavailableError(_reason(error)) from error
    except (ValueError, MessageError) as error:
        raise LetterRefusedError(_reason(error)) from error


def _write(folder: Path, message: EmailMessage) -> None:
    """Write a file, named by the message's date and id; it never exists half."""
    at = message["Date"].datetime.strftime(FILE_TIME)
    name = message["Message-ID"].strip("<>").partition("@")[0]
    path = folder / f"{at}-{name}.eml"
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(bytes(message))
    unfinished.rename(path)


def _of_code(code: int, reason: str) -> LetterRefusedError | LetterDeferredError:
    return (LetterRefusedError if code >= _PERMANENT else LetterDeferredError)(reason)


def _reason(error: BaseException) -> str:
    """Return one line for the operator: servers say more, and quote addresses."""
    match error:
        case aiosmtplib.SMTPResponseException(code=code):
            return f"{type(error).__name__} {code}"
        case OSError(strerror=str(text)):
            return text
        case _:
            return connection_fault(error) or type(error).__name__
