"""How many connections each client has."""

from collections import Counter
from typing import Final, Protocol

from gateway_service.shared_rows import Numbers, SharedRows

SMALL_CLIENT: Final = 64
"""Connections that any client may have: an office behind one address."""


class ClientCounts(Protocol):
    """Counts connections by what counts as one client."""

    def add(self, network: str) -> int:
        """Count a connection; return how many its client has with it."""

    def remove(self, network: str) -> None:
        """Count one no longer."""

    def of(self, network: str) -> int:
        """Return how many a client has."""

    def own(self, network: str) -> int:
        """Return how many of them this process has."""


class OwnClientCounts:
    """Counts those of this process."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, network: str) -> int:
        """Count a connection; return how many its client has with it."""
        self._counts[network] += 1
        return self._counts[network]

    def remove(self, network: str) -> None:
        """Count one no longer."""
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]

    def of(self, network: str) -> int:
        """Return how many a client has."""
        return self._counts[network]

    def own(self, network: str) -> int:
        """Return how many of them this process has: all."""
        return self._counts[network]


class SharedClientCounts:
    """Counts those of all workers: each has a column, which ends with it."""

    def __init__(self, rows: SharedRows, worker: int) -> None:
        self._rows = rows
        self._worker = worker

    def add(self, network: str) -> int:
        """Count a connection; return how many its client has with it."""
        return self._change(network, 1)

    def remove(self, network: str) -> None:
        """Count one no longer."""
        self._change(network, -1)

    def of(self, network: str) -> int:
        """Return how many a client has."""
        return int(sum(self._rows.read(network)))

    def own(self, network: str) -> int:
        """Return how many of them this process has."""
        return int(self._rows.read(network)[self._worker])

    def _change(self, network: str, by: int) -> int:
        def changed(numbers: Numbers) -> Numbers:
            own = max(0, numbers[self._worker] + by)
            return (*numbers[: self._worker], own, *numbers[self._worker + 1 :])

        return int(sum(self._rows.change(network, changed)))
