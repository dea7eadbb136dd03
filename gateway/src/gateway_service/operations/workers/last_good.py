"""The configuration and the certificate that were last found good.

A worker that replaces another must start even if files have changed meanwhile, those
with secrets included. So it reads none: the supervisor hands over what it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gateway_service.config.faults import ConfigError
from gateway_service.config.file import read_config
from gateway_service.config.model import Config
from gateway_service.operations.tls import Certificate, fault_of


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

    Raises `ConfigError`: there is nothing good yet.
    """

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._read = partial(read_config, path, environ)
        self.loaded = load(self._read())

    def take_over(self) -> None:
        """Take over what the file holds; ConfigError changes nothing."""
        self.loaded = replace(self.loaded, config=self._read())

    def follow_certificate(self) -> None:
        """Take over a new certificate, if there is one."""
        if self.loaded.certificate is not None:
            self.loaded.certificate.reload_if_changed()
