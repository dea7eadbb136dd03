"""A mail server that keeps what it is sent, and what tests read of it."""

import asyncio
import contextlib
import re
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tests.support.certificates import write_authority

HOST: Final = "127.0.0.1"
USERNAME: Final = "identity"
PASSWORD: Final = "mail password"


@dataclass(frozen=True)
class Mail:
    """A mail that arrived."""

    to: str
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def link(self) -> str:
        """The address that stands in a line of its own."""
        found = re.search(r"^https?://\S+$", self.text, re.MULTILINE)
        assert found, self.text
        return found[0]

    @property
    def page(self) -> str:
        """What the link's fragment names."""
        return urlsplit(self.link).fragment.partition("?")[0]

    @property
    def token(self) -> str:
        """What the link's fragment brings along."""
        return parse_qs(urlsplit(self.link).fragment.partition("?")[2])["token"][0]

    @property
    def code(self) -> str:
        found = re.search(r"^\d{8}$", self.text, re.MULTILINE)
        assert found, self.text
        return found[0]

    def _part(self, subtype: str) -> str:
        part = self.message.get_body((subtype,))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")


@dataclass
class MailServer:
    """What a server has been sent, and how it responds."""

    url: str = ""
    port: int = 0
    received: list[Mail] = field(default_factory=list)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    """Responses to recipients, one for each time they come; then they are taken."""
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if responses := self.refusals.get(address):
            return responses.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _: SMTP, __: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        async with self._arrived:
            self.received += [Mail(to, message) for to in envelope.rcpt_tos]
            self._arrived.notify_all()
        return "250 OK"

    def to(self, address: str) -> list[Mail]:
        """Return what has been sent to an address."""
        return [mail for mail in self.received if mail.to == address]

    async def next_to(self, address: str, *, within: float = 15) -> Mail:
        """Return the oldest mail to an address, once there is one, and forget it."""
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: self.to(address))
        mail = self.to(address)[0]
        self.received.remove(mail)
        return mail


def authenticate(
    _: SMTP, __: Session, ___: Envelope, ____: str, data: object
) -> AuthResult:
    is_ours = data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=is_ours, handled=False)


def _protocol(server: MailServer, options: dict[str, Any]) -> SMTP:
    with warnings.catch_warnings():
        # It does not see TLS that is there from the first byte, and warns.
        warnings.simplefilter("ignore", UserWarning)
        return SMTP(server, **options)


@contextlib.asynccontextmanager
async def running_mail_server(
    folder: Path,
    *,
    scheme: str = "smtps",
    port: int = 0,
    server: MailServer | None = None,
) -> AsyncIterator[MailServer]:
    """Run a mail server, which asks for a name and a password where it encrypts."""
    server = server or MailServer()
    authority, certificate, key = await asyncio.to_thread(write_authority, folder, HOST)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    options: dict[str, Any] = {"hostname": "mail.test"}
    if scheme != "smtp-plain":
        options |= {"authenticator": authenticate, "auth_required": True}
    if scheme == "smtp":
        options |= {"tls_context": context, "require_starttls": True}
    if scheme == "smtps":
        options |= {"auth_require_tls": False}
    listening = await asyncio.get_running_loop().create_server(
        lambda: _protocol(server, options),
        HOST,
        port,
        ssl=context if scheme == "smtps" else None,
    )
    server.port = listening.sockets[0].getsockname()[1]
    user = "" if scheme == "smtp-plain" else f"{USERNAME}:{quote(PASSWORD)}@"
    ca = "" if scheme == "smtp-plain" else f"?ca={quote(str(authority))}"
    server.url = f"{scheme}://{user}{HOST}:{server.port}{ca}"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
