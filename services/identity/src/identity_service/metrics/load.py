"""How much there is to do, and how much there is room for."""

from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.database import Database
from identity_service.storage.database_clock import DatabaseClock
from identity_service.usecases.watching import MOST_WAITING, Waiters


class LoadMetrics(Collector):
    """Saturation: the pool of connections, the queue of hashes, those who wait."""

    def __init__(
        self,
        database: Database,
        clock: DatabaseClock,
        hasher: PasswordHasher,
        waiters: Waiters,
        *,
        pool_size: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._waiters = waiters
        self._pool_size = pool_size

    def collect(self) -> Iterator[Metric]:
        """Return the present values."""
        yield from self._of_database()
        yield from self._of_hashing()
        yield GaugeMetricFamily(
            "identity_waiting_verifiers",
            "Requests that wait for keys or a status list to change",
            len(self._waiters),
        )
        yield GaugeMetricFamily(
            "identity_waiting_verifiers_limit",
            "Requests that may wait so",
            MOST_WAITING,
        )

    def _of_database(self) -> Iterator[Metric]:
        database = self._database
        yield GaugeMetricFamily(
            "identity_database_connections",
            "Connections to the database that are in use",
            database.connections,
        )
        yield GaugeMetricFamily(
            "identity_database_connections_limit",
            "Connections to the database that this process may have",
            self._pool_size,
        )
        yield GaugeMetricFamily(
            "identity_database_work_in_progress",
            "Units of work that run, or wait for a connection or their turn",
            database.in_progress,
        )
        yield CounterMetricFamily(
            "identity_database_work_undone",
            "Attempts at a unit of work that a deadlock or a lost connection undid",
            database.undone,
        )
        yield CounterMetricFamily(
            "identity_database_failures",
            "Units of work given up because the database was away, refused or too slow",
            database.failures,
        )
        yield GaugeMetricFamily(
            "identity_clock_ahead_seconds",
            "How far this host's clock is ahead of the database's, in seconds",
            self._clock.ahead().total_seconds(),
        )

    def _of_hashing(self) -> Iterator[Metric]:
        turns, work = self._hasher.turns, self._hasher.work
        yield GaugeMetricFamily(
            "identity_hashes_running", "Password hashes being made", turns.running
        )
        yield GaugeMetricFamily(
            "identity_hashes_waiting", "Password hashes that wait", turns.waiting
        )
        yield GaugeMetricFamily(
            "identity_hashes_waiting_limit",
            "Password hashes that may wait",
            turns.room,
        )
        yield CounterMetricFamily(
            "identity_hashes_refused",
            "Password hashes not made, because too many waited or nobody did",
            work.refused,
        )
        yield SummaryMetricFamily(
            "identity_hash_seconds",
            "Seconds that password hashes took, without their wait",
            work.done,
            work.seconds,
        )
