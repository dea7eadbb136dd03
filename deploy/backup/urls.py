"""The URL of a database, read as identity's library reads it."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from deploy.backup.files import BackupError

_GRAMMAR: Final = re.compile(
    r"(?P<driver>[\w+]+)://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>[0-9]+))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
)
"""SQLAlchemy's: a password may hold `/`, `#` and `?`, and the names may be escaped."""


@dataclass(frozen=True)
class DatabaseUrl:
    """What a URL says."""

    driver: str
    user: str
    password: str = field(repr=False)
    host: str
    port: int
    database: str
    query: str

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Return what the text says, or raise BackupError, which repeats none of it."""
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise BackupError("IDENTITY_DATABASE_URL is no URL")
        return cls(
            driver=found["driver"],
            user=unquote(found["user"] or ""),
            password=unquote(found["password"] or ""),
            host=found["ipv6"] or found["host"] or "localhost",
            port=int(found["port"] or 3306),
            database=unquote(found["database"] or ""),
            query=found["query"] or "",
        )
