"""The gateway's certificate, which can be replaced without a restart."""

import errno
import logging
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Final

from gateway_service.config.clients import TlsConfig
from gateway_service.operations.x509 import not_after
from service_kit.certificates import key_pair_fault, no_password
from service_kit.files import read_file

_TLS_1_2_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Authenticated ciphers with forward secrecy: Mozilla's intermediate configuration."""

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What the two PEM files held when they were read."""

    certificate: bytes
    key: bytes = field(repr=False)

    @classmethod
    def read(cls, config: TlsConfig) -> "KeyPair":
        """Return the files' present content."""
        return cls(read_file(config.certificate), read_file(config.key))


class Certificate:
    """A certificate that follows its files, with what handshakes need.

    It shows ``pair`` until the files hold another one that can be loaded, or what they
    hold now.

    Raises `OSError`: a file cannot be read, or certificate and key do not fit.
    """

    def __init__(self, config: TlsConfig, pair: KeyPair | None = None) -> None:
        self.config = config
        self.pair = KeyPair.read(config) if pair is None else pair
        self.context = _context_with(self.pair)
        """For the next handshake."""
        self.expires_at = _expiry(self.pair)
        """When browsers begin to refuse the certificate."""

    def __reduce__(self) -> tuple[type, tuple[TlsConfig, KeyPair]]:
        return Certificate, (self.config, self.pair)

    def reload_if_changed(self) -> bool:
        """Show the files' present content to new handshakes, if it has changed.

        Files that do not fit together, as while they are being exchanged, are left
        for the next time; connections that stand keep what they were shown.
        """
        try:
            pair = KeyPair.read(self.config)
            if pair == self.pair:
                return False
            context = _context_with(pair)
            expires_at = _expiry(pair)
        except OSError as error:
            extra = {"error": fault_of(self.config, error)}
            _logger.warning("certificate_not_reloaded", extra=extra)
            return False
        # The loop may be in a handshake, which needs a pair that belongs together.
        self.context, self.pair, self.expires_at = context, pair, expires_at
        _logger.info("certificate_reloaded")
        return True


def fault_of(config: TlsConfig, error: OSError) -> str:
    """Return what is wrong with the files, in one line."""
    reason = error.strerror or type(error).__name__
    return f"{error.filename or config.certificate}: cannot be loaded: {reason}"


def _expiry(pair: KeyPair) -> datetime:
    try:
        return not_after(pair.certificate)
    except ValueError as error:
        raise OSError(errno.EINVAL, "it does not say when it expires") from error


def _context_with(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    with _in_memory(pair.certificate) as certificate, _in_memory(pair.key) as key:
        try:
            context.load_cert_chain(
                f"/dev/fd/{certificate.fileno()}",  # OpenSSL wants files
                f"/dev/fd/{key.fileno()}",
                password=no_password,
            )
        except ssl.SSLError as error:  # whose errno is a number of OpenSSL's
            raise OSError(errno.EINVAL, key_pair_fault(error, pair.key)) from error
    return context


def _in_memory(data: bytes) -> BinaryIO:
    """Return a file that is on no disk, where the system can do that."""
    if hasattr(os, "memfd_create"):
        file: BinaryIO = os.fdopen(os.memfd_create("pem"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(data)
    file.seek(0)
    return file
