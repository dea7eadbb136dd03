"""The mails that a folder keeps, for developers to read."""

import asyncio
import heapq
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Final

FILE_TIME: Final = "%Y%m%dT%H%M%S"
"""How a file's name begins: with the moment of its mail, in UTC."""

_NAME: Final = re.compile(r"([0-9]{8}T[0-9]{6})-[0-9a-f]{32}")
"""What may be asked for: no path can be made of it."""

MOST_HEADER: Final = 1000
"""Characters of a header field that are shown."""

MOST_TEXT: Final = 262_144
"""Bytes of a file that are read; our own mails have some two thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMail:
    """A mail in the folder."""

    id: str
    """The file's name, without its ending."""
    kept_at: datetime
    to: str
    subject: str
    text: str


class Mailbox:
    """Reads a folder that mail is delivered to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def newest(self, limit: int, *, before: str | None = None) -> list[KeptMail]:
        """Return some mails, newest first; ``before`` is the id of a newer one."""
        return await asyncio.to_thread(self._newest, limit, before)

    async def read(self, mail_id: str) -> KeptMail | None:
        """Return a mail, None if there is no such file."""
        return await asyncio.to_thread(self._read, mail_id)

    def _newest(self, limit: int, before: str | None) -> list[KeptMail]:
        names = (path.stem for path in self._folder.glob("*.eml"))
        older = (name for name in names if before is None or name < before)
        found = map(self._read, heapq.nlargest(limit, filter(_NAME.fullmatch, older)))
        return [mail for mail in found if mail is not None]

    def _read(self, mail_id: str) -> KeptMail | None:
        named = _NAME.fullmatch(mail_id)
        if named is None:
            return None
        try:
            kept_at = datetime.strptime(named[1], FILE_TIME).replace(tzinfo=UTC)
            with (self._folder / f"{mail_id}.eml").open("rb") as file:
                content = file.read(MOST_TEXT)
        except (OSError, ValueError):
            return None
        message = message_from_bytes(content, _class=EmailMessage, policy=default)
        return KeptMail(
            id=mail_id,
            kept_at=kept_at,
            to=str(message.get("To", ""))[:MOST_HEADER],
            subject=str(message.get("Subject", ""))[:MOST_HEADER],
            text=_text(message),
        )


def _text(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    try:
        return "" if body is None else str(body.get_content())
    except LookupError:  # a charset that nobody knows
        return ""
