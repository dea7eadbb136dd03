"""The certificate the gateway shows, and how it is exchanged without a restart."""

import logging
import ssl
from pathlib import Path
from typing import Final

from gateway_service.config.model import TlsConfig

_logger: Final = logging.getLogger(__name__)

FileState = tuple[int, int, int]
"""Inode, size and time of change: what tells that a file is another."""


class Certificate:
    """A server-side TLS context whose certificate follows its files.

    Raises
    ------
    OSError
        A file cannot be read, or certificate and key do not fit (`ssl.SSLError`).
    """

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._loaded = self._state()
        self.context = _context()
        self._load(self.context)

    def reload_if_changed(self) -> bool:
        """Show the files' present content to new handshakes, if it has changed.

        Files that do not fit together, as while they are being exchanged, are left
        for the next time; connections that stand keep what they were shown.
        """
        try:
            state = self._state()
            if state == self._loaded:
                return False
            self._load(_context())  # a context can't take back half of a bad pair
            self._load(self.context)
        except OSError as error:
            _logger.warning(
                "certificate_not_reloaded", extra={"error": type(error).__name__}
            )
            return False
        self._loaded = state
        _logger.info("certificate_reloaded")
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(
            self._config.certificate, self._config.key, password=_no_password
        )

    def _state(self) -> tuple[FileState, FileState]:
        return _file_state(self._config.certificate), _file_state(self._config.key)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _file_state(name: str) -> FileState:
    status = Path(name).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _no_password() -> bytes:
    """Have an encrypted key refused, where OpenSSL would ask at the terminal."""
    return b""
