"""Where mail goes: a mail server, or a folder of files in development."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from service_kit.certificates import authorities_fault, client_context


class Encryption(Enum):
    """How a connection to a mail server is kept from others."""

    TLS = "smtps"
    """From its first byte (RFC 8314)."""
    STARTTLS = "smtp"
    """Before anything is said, or nothing is said (RFC 3207)."""
    NONE = "smtp-plain"
    """Not at all: for mail catchers, and networks that are private anyway."""


_PORTS: Final = {Encryption.TLS: 465, Encryption.STARTTLS: 587, Encryption.NONE: 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """A mail server, and how to talk to it."""

    host: str
    port: int
    encryption: Encryption
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    authority: Path | None = None
    """Certificates that the server's must be of, in place of the system's."""


def mail_place(url: str) -> MailServer | Path:
    """Return where the URL sends mail: a server, or a folder that keeps it in files.

    Raises ValueError, without the URL in it: it names no such place.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise ValueError("is not file:///folder")
        return Path(unquote(parts.path))
    try:
        encryption = Encryption(parts.scheme)
    except ValueError:
        raise ValueError("is none of smtps, smtp, smtp-plain, file") from None
    if not parts.hostname or parts.path.strip("/") or parts.fragment:
        raise ValueError("names no host, or more than one server")
    return MailServer(
        host=parts.hostname,
        port=port or _PORTS[encryption],
        encryption=encryption,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        authority=_authority(parts.query),
    )


def _authority(query: str) -> Path | None:
    match parse_qsl(query, keep_blank_values=True):
        case []:
            return None
        case [("ca", name)]:
            authority = Path(name)
        case _:
            raise ValueError("has another option than ca, or has it twice")
    try:
        client_context(authority)
    except (OSError, ValueError) as error:
        raise ValueError(f"has an unusable ca: {authorities_fault(error)}") from None
    return authority
