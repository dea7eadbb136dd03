"""Takes every mail and prints it, for people who develop with Compose."""

import sys
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Protocol

_LINE = 78 * "-"


class Envelope(Protocol):
    """What aiosmtpd knows of a mail."""

    content: bytes


class Catcher:
    """What aiosmtpd asks for each mail."""

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _: object, __: object, envelope: Envelope
    ) -> str:
        """Print a mail, and take it."""
        print(shown(envelope.content), flush=True)
        return "250 OK"


def shown(content: bytes) -> str:
    """Return a mail's addresses, subject and text, with no control characters."""
    mail = message_from_bytes(content, _class=EmailMessage, policy=default)
    head = [f"{name}: {mail.get(name, '')}" for name in ("From", "To", "Subject")]
    lines = [_LINE, *head, "", *_text(mail).splitlines(), _LINE]
    return "\n".join("".join(filter(str.isprintable, line)) for line in lines)


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    try:
        return "" if body is None else str(body.get_content())
    except LookupError as error:
        print(f"a mail cannot be shown: {error}", file=sys.stderr)
        return ""
