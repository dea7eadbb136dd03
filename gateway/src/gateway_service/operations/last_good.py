"""The configuration and the certificate that were last found good.

A worker that replaces another must start even if the files have changed meanwhile.
So the supervisor holds their content and hands it to each worker that it starts.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway_service.config.clients import TlsConfig
from gateway_service.config.faults import ConfigError
from gateway_service.config.file import Source
from gateway_service.config.model import Config
from gateway_service.operations.tls import Certificate, KeyPair, fault_of


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a gateway starts with."""

    config: Config
    certificate: Certificate | None
    """What its listener shows, for as long as it runs."""


def load(config: Config) -> Loaded:
    """Return a configuration with its certificate, or raise ConfigError."""
    if config.tls is None:
        return Loaded(config, None)
    try:
        return Loaded(config, Certificate(config.tls))
    except OSError as error:
        raise ConfigError([fault_of(config.tls, error)]) from error


class LastGood:
    """Holds the content of the files, and takes over new content that is good.

    Raises
    ------
    ConfigError
        There is nothing good yet.
    """

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._source = Source.read(path, environ)
        self.loaded = load(self._source.parse(path, environ))
        """What the file held when this was made."""
        self._certificate = self.loaded.certificate
        self.config = self.loaded.config

    def take_over(self) -> Source:
        """Take over what the files hold, and return it; ConfigError changes nothing."""
        source = Source.read(self._path, self._environ)
        self.config = source.parse(self._path, self._environ)
        self._source = source
        return source

    def follow_certificate(self) -> None:
        """Take over a new certificate, if there is one."""
        if self._certificate is not None:
            self._certificate.reload_if_changed()

    def to_line(self) -> bytes:
        """Return all of it, for `from_line`."""
        content: dict[str, Any] = {"source": self._source, "tls": None}
        if self._certificate is not None:
            tls, pair = self._certificate.config, self._certificate.pair
            content["tls"] = asdict(tls)
            content["pair"] = [
                each.decode("latin-1") for each in (pair.certificate, pair.key)
            ]
        return json.dumps(content).encode() + b"\n"


def from_line(line: bytes, path: Path, environ: Mapping[str, str]) -> Loaded:
    """Return what `to_line` of the supervisor said."""
    content = json.loads(line)
    config = Source(*content["source"]).parse(path, environ)
    if content["tls"] is None:
        return Loaded(config, None)
    pair = KeyPair(*(each.encode("latin-1") for each in content["pair"]))
    return Loaded(config, Certificate(TlsConfig(**content["tls"]), pair))
