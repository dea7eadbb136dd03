"""What the client programs of MySQL and MariaDB are told of a database's URL."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from deploy.backup.files import BackupError, temporary_file
from deploy.backup.urls import DatabaseUrl

_FILES: Final = ("ssl-ca", "ssl-cert", "ssl-key")
_MODES: Final = ("DISABLED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_OPTIONS: Final = frozenset({"ssl-mode", *_FILES, "charset", "unix_socket"})
"""Those that identity takes (docs/operations.md)."""


@dataclass(frozen=True)
class Login:
    """How to reach a database as identity does, and never with less TLS."""

    database: str
    user: str
    password: str = field(repr=False)
    host: str
    port: int
    options: dict[str, str]

    @classmethod
    def parse(cls, url: DatabaseUrl) -> "Login":
        """Return what a URL says, or raise BackupError with what is wrong in it."""
        pairs = parse_qsl(url.query, keep_blank_values=True)
        options = dict(pairs)
        if len(options) < len(pairs) or not all(options.values()):
            raise BackupError("the database's URL has an option twice, or an empty one")
        if unknown := sorted(set(options) - _OPTIONS):
            raise BackupError(f"the database's URL has the option {unknown[0]!r}")
        mode = options.get("ssl-mode", _MODES[0]).upper()
        if mode not in _MODES:
            raise BackupError(f"ssl-mode is none of {', '.join(_MODES)}")
        if not url.database or "`" in url.database:
            raise BackupError("the database's URL names no database")
        return cls(
            database=url.database,
            user=url.user,
            password=url.password,
            host=url.host,
            port=url.port,
            options={**options, "ssl-mode": mode},
        )

    @contextlib.contextmanager
    def file(self, *, is_mariadb: bool) -> Iterator[str]:
        """Yield the option that names a file with all of it, which no list shows."""
        with temporary_file() as file:
            lines = ["[client]", *self._address(), *self._tls(is_mariadb=is_mariadb)]
            lines += [_option("user", self.user), _option("password", self.password)]
            file.write_text("".join(f"{line}\n" for line in lines))
            yield f"--defaults-file={file}"

    def _address(self) -> Iterator[str]:
        if "unix_socket" in self.options:
            yield "protocol=socket"
            yield _option("socket", self.options["unix_socket"])
        else:
            yield "protocol=tcp"
            yield _option("host", self.host)
            yield f"port={self.port}"

    def _tls(self, *, is_mariadb: bool) -> Iterator[str]:
        """Yield what the program needs: MariaDB's has no words for the modes.

        Where only the authority is to be verified, MariaDB's verifies the name too.
        """
        mode = self.options["ssl-mode"]
        files = {name: self.options[name] for name in _FILES if name in self.options}
        is_verified = mode.startswith("VERIFY") or "ssl-ca" in files
        if mode == "DISABLED":
            if files:
                raise BackupError(f"{', '.join(files)} without an ssl-mode")
        elif is_verified:
            files.setdefault("ssl-ca", _authorities())
        if not is_mariadb:
            is_named = mode == "VERIFY_IDENTITY"
            least = "VERIFY_IDENTITY" if is_named else "VERIFY_CA"
            yield f"ssl-mode={least if is_verified else mode}"
            if mode == "DISABLED":  # a password without TLS is encrypted all the same
                yield "get-server-public-key"
        elif mode == "DISABLED":
            yield "skip-ssl"
        else:
            yield "ssl"
            verify = "ssl-verify-server-cert"
            yield verify if is_verified else f"disable-{verify}"
        for name, path in files.items():
            yield _option(name, path)


def _authorities() -> str:
    """Return the file of the authorities that the system trusts."""
    if found := ssl.get_default_verify_paths().cafile:
        return found
    raise BackupError("there is no file of the system's authorities: name an ssl-ca")


def _option(name: str, value: str) -> str:
    """Return a line of an option file, whatever the value holds."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(plain, escaped)
    return f'{name}="{value}"'
