"""What the URL of a database may say, TLS included. No error repeats a part of it."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from service_kit.certificates import (
    authorities_fault,
    client_context,
    key_pair_fault,
    no_password,
)
from service_kit.files import read_file

_DRIVERS: Final = ("mysql+asyncmy", "sqlite+aiosqlite")
_MODE: Final = "ssl-mode"
_FILES: Final = ("ssl-ca", "ssl-cert", "ssl-key")
_SQLITE_OPTIONS: Final = frozenset(
    {"uri", "mode", "cache", "immutable", "nolock", "vfs", "timeout"}
)
_PORTS: Final = range(1, 65_536)
_OPTIONS: Final = frozenset({_MODE, *_FILES, "charset", "unix_socket"})

_EMPTY: Final = re.compile(r"[?&]([^=&]*)=?(?:&|$)")
"""SQLAlchemy drops such an option, so ``?ssl=`` would be plain text without a word."""


class TlsMode(StrEnum):
    """How much of the server is verified, in MySQL's own words.

    Its PREFERRED is not among them: it falls back to plain text without a word.
    """

    DISABLED = "DISABLED"
    REQUIRED = "REQUIRED"
    """Encrypted; the certificate is verified only where ``ssl-ca`` is given."""
    VERIFY_CA = "VERIFY_CA"
    VERIFY_IDENTITY = "VERIFY_IDENTITY"
    """The certificate must also be the host's."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where a database is, and how connections to it are encrypted."""

    url: URL
    """Without what is said of TLS."""
    tls: ssl.SSLContext | None

    @classmethod
    def parse(cls, value: str) -> "DatabaseUrl":
        """Return what the URL says, or raise ValueError with what is wrong in it."""
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("is not a SQLAlchemy URL") from None
        if url.drivername not in _DRIVERS:
            raise ValueError(f"does not begin with one of {', '.join(_DRIVERS)}")
        if url.get_backend_name() == "sqlite":
            _require_file(url)
            return cls(url, None)
        if url.port is not None and url.port not in _PORTS:
            raise ValueError("names a port that is not 1 to 65535")
        if not url.username or not url.database:
            raise ValueError("does not name a user and a database")
        options = _options(value, url)
        return cls(url.difference_update_query((_MODE, *_FILES)), _tls(options))


def checked_url(value: str) -> str:
    """Return a usable URL as it is; raise ValueError with what is wrong in it."""
    DatabaseUrl.parse(value)
    return value


def file_fault(value: str) -> str | None:
    """Return why SQLite cannot keep its file where a URL says, None if it can."""
    url = DatabaseUrl.parse(value).url
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name.startswith("file:"):
        return None
    try:
        if Path(name).is_dir():
            return "names a folder, not a file"
        if not Path(name).parent.is_dir():
            return "names a file in a folder that does not exist"
    except OSError as error:
        return f"names a file that cannot be looked for: {error.strerror}"
    return None


def _require_file(url: URL) -> None:
    """Raise ValueError unless SQLite would keep what others could find again."""
    in_memory = url.query.get("mode") == "memory"
    if in_memory or (url.database or ":memory:").endswith(":memory:"):
        raise ValueError("names no file")
    if unknown := sorted(set(url.query) - _SQLITE_OPTIONS):
        raise ValueError(f"has the unknown option {unknown[0]!r}")


def _options(value: str, url: URL) -> Mapping[str, str]:
    if empty := _EMPTY.search(value.rpartition("@")[2]):
        raise ValueError(f"has the option {empty[1]!r} without a value")
    if unknown := sorted(set(url.query) - _OPTIONS):
        known = ", ".join(sorted(_OPTIONS))
        raise ValueError(f"has the unknown option {unknown[0]!r}; there are {known}")
    options = {name: value for name, value in url.query.items() if type(value) is str}
    if repeated := sorted(set(url.query) - set(options)):
        raise ValueError(f"has {repeated[0]} twice")
    return options


def _tls(options: Mapping[str, str]) -> ssl.SSLContext | None:
    files = {name: options[name] for name in _FILES if name in options}
    try:
        mode = TlsMode(options.get(_MODE, TlsMode.DISABLED).upper())
    except ValueError:
        raise ValueError(
            f"has an {_MODE} that is none of {', '.join(TlsMode)}"
        ) from None
    if mode is TlsMode.DISABLED:
        if files:
            raise ValueError(f"has {', '.join(files)} without an {_MODE} that uses it")
        return None
    if ("ssl-cert" in files) != ("ssl-key" in files):
        raise ValueError("has only one of ssl-cert and ssl-key")
    context = _context(files.get("ssl-ca"))
    context.check_hostname = mode is TlsMode.VERIFY_IDENTITY
    if mode is TlsMode.REQUIRED and "ssl-ca" not in files:
        context.verify_mode = ssl.CERT_NONE
    if "ssl-cert" in files:
        _load_key_pair(context, files)
    return context


def _context(authorities: str | None) -> ssl.SSLContext:
    try:
        return client_context(authorities)
    except (OSError, ValueError) as error:
        fault = authorities_fault(error)
        raise ValueError(f"has an unusable ssl-ca: {fault}") from None


def _load_key_pair(context: ssl.SSLContext, files: Mapping[str, str]) -> None:
    certificate, key = files["ssl-cert"], files["ssl-key"]
    _content("ssl-cert", certificate)  # OpenSSL does not say which it cannot read
    content = _content("ssl-key", key)
    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except ssl.SSLError as error:
        fault = key_pair_fault(error, content)
        raise ValueError(f"has an unusable ssl-cert or ssl-key: {fault}") from None


def _content(option: str, name: str) -> bytes:
    try:
        return read_file(name)
    except (OSError, ValueError) as error:
        fault = authorities_fault(error)
        raise ValueError(f"has an unusable {option}: {fault}") from None
