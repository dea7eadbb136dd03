"""The configuration as the supervisor read it, handed over to its workers.

It alone reads the file again: a worker that did so for itself might see another one
than the supervisor has judged.
"""

from collections.abc import Callable

from gateway_service.config.faults import ConfigError
from gateway_service.config.model import Config


class ReceivedConfig:
    """What a worker reads in place of the file."""

    def __init__(self, start: Config) -> None:
        self._latest: Config | ConfigError = start
        self._reload: Callable[[], object] | None = None
        self._is_news = False

    def read(self) -> Config:
        """Return the configuration that was handed over last.

        Raises `ConfigError`: the supervisor refused it.
        """
        latest = self._latest
        if isinstance(latest, ConfigError):
            raise latest
        return latest

    def follow(self, reload: Callable[[], object]) -> None:
        """Call ``reload`` whenever something has been handed over."""
        self._reload = reload
        if self._is_news:
            reload()

    def take(self, latest: Config | ConfigError) -> None:
        """Take over a configuration, or why the file's content is not used."""
        self._latest, self._is_news = latest, True
        if self._reload is not None:
            self._reload()
