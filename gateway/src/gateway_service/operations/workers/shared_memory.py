"""Counts that the workers of one gateway share."""

import os
import secrets
import tempfile
from mmap import mmap
from typing import Final, Self

from gateway_service.http1.client_counts import SharedClientCounts
from gateway_service.proxy.rate_limits import RowCounter
from gateway_service.shared_rows import SECRET_SIZE, SharedRows

_RATE_ROWS: Final = 131_072
"""Pairs of client and route that can be counted, in 3 MiB."""

_CLIENT_ROWS: Final = 65_536
"""Clients with open connections: each worker has 10,000 of these by default."""

_HEADER: Final = 4_096
"""Bytes before the tables, of which the secret is the first."""


class SharedMemory:
    """Memory that the supervisor makes, and its workers inherit by a descriptor."""

    def __init__(self, descriptor: int, workers: int) -> None:
        self.descriptor = descriptor
        self.workers = workers
        rates = SharedRows.size_for(_RATE_ROWS, 1)
        clients = SharedRows.size_for(_CLIENT_ROWS, workers)
        size = _HEADER + rates + clients
        os.ftruncate(descriptor, size)
        memory = mmap(descriptor, size)
        secret = memory[:SECRET_SIZE]
        self._rates = SharedRows(
            memory,
            descriptor,
            start=_HEADER,
            rows=_RATE_ROWS,
            columns=1,
            secret=secret,
            need=lambda numbers: numbers[0],
        )
        self._clients = SharedRows(
            memory,
            descriptor,
            start=_HEADER + rates,
            rows=_CLIENT_ROWS,
            columns=workers,
            secret=secret,
            need=sum,
        )

    @classmethod
    def create(cls, workers: int) -> Self:
        """Return memory in which nothing is counted yet."""
        descriptor = _file_without_name()
        os.pwrite(descriptor, secrets.token_bytes(SECRET_SIZE), 0)
        return cls(descriptor, workers)

    def rate_counter(self) -> RowCounter:
        """Return what counts requests of clients."""
        return RowCounter(self._rates)

    def client_counts(self, worker: int) -> SharedClientCounts:
        """Return what counts connections of clients, those of one worker apart."""
        return SharedClientCounts(self._clients, worker)

    def forget(self, worker: int) -> None:
        """Forget the connections of a worker that has ended."""
        self._clients.clear_column(worker)


def _file_without_name() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("gateway")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
