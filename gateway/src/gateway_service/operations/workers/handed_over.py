"""The configuration as the supervisor read it, handed over to its workers.

It alone reads the file again: a worker that did so for itself might see another one
than the supervisor has judged.
"""

import base64
import json
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from gateway_service.config.faults import ConfigError
from gateway_service.config.model import Config

_BEGINNING: Final = b'{"configuration": '
"""The beginning of this module's lines, which are mixed with others."""


def packed(value: object) -> str:
    """Return a value as text, for `unpacked` in a worker."""
    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def unpacked(text: str) -> Any:  # noqa: ANN401 - whatever was packed
    """Return the value of a text that the supervisor alone can have written."""
    return pickle.loads(base64.b64decode(text))  # noqa: S301 - see above


def good_line(config: Config) -> bytes:
    """Return the line that hands over a configuration."""
    return _line({"good": packed(config)})


def refusal_line(faults: Sequence[str]) -> bytes:
    """Return the line that says why the file's content is not used."""
    return _line({"faults": list(faults)})


def _line(content: object) -> bytes:
    return json.dumps({"configuration": content}).encode() + b"\n"


class HandedOver:
    """What a worker reads in place of the file."""

    def __init__(self, start: Config) -> None:
        self._read: Callable[[], Config] = lambda: start
        self._reload: Callable[[], object] | None = None
        self._is_news = False

    def read(self) -> Config:
        """Return the configuration that was handed over last.

        Raises `ConfigError`: the supervisor refused it.
        """
        return self._read()

    def follow(self, reload: Callable[[], object]) -> None:
        """Call ``reload`` whenever something has been handed over."""
        self._reload = reload
        if self._is_news:
            reload()

    def take(self, lines: Iterable[bytes]) -> list[bytes]:
        """Take over what lines say of the configuration; return the other lines."""
        others = []
        for line in lines:
            if line.startswith(_BEGINNING):
                self._take(line)
            else:
                others.append(line)
        return others

    def _take(self, line: bytes) -> None:
        content = json.loads(line)["configuration"]

        def read() -> Config:
            if "faults" in content:
                raise ConfigError(content["faults"])
            config: Config = unpacked(content["good"])
            return config

        self._read, self._is_news = read, True
        if self._reload is not None:
            self._reload()
