"""Metrics of work: what waits, what was done, and how much there is room for."""

from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.database import Database
from identity_service.storage.database_clock import DatabaseClock
from identity_service.usecases.caching.watching import MOST_WAITING, Waiters
from identity_service.usecases.housekeeping import Housekeeping
from identity_service.usecases.mail.sending import MailSender


def database_metrics(
    database: Database, clock: DatabaseClock, pool_size: int
) -> Iterator[Metric]:
    """Yield how much the database is used, and what went wrong with it."""
    yield GaugeMetricFamily(
        "identity_database_connections",
        "Connections to the database that are in use",
        database.connections,
    )
    yield GaugeMetricFamily(
        "identity_database_connections_limit",
        "Connections to the database that this process may have",
        pool_size,
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
        clock.ahead().total_seconds(),
    )


def hashing_metrics(hasher: PasswordHasher) -> Iterator[Metric]:
    """Yield how many passwords are hashed, and how many wait for that."""
    turns, work = hasher.turns, hasher.work
    yield GaugeMetricFamily(
        "identity_hashes_running", "Password hashes being made", turns.running
    )
    yield GaugeMetricFamily(
        "identity_hashes_waiting", "Password hashes that wait", turns.waiting
    )
    yield GaugeMetricFamily(
        "identity_hashes_waiting_limit", "Password hashes that may wait", turns.room
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


def waiting_metrics(waiters: Waiters) -> Iterator[Metric]:
    """Yield how many clients wait for a document to change."""
    yield GaugeMetricFamily(
        "identity_waiting_verifiers",
        "Requests that wait for keys or a status list to change",
        len(waiters),
    )
    yield GaugeMetricFamily(
        "identity_waiting_verifiers_limit", "Requests that may wait so", MOST_WAITING
    )


def housekeeping_metrics(housekeeping: Housekeeping) -> Iterator[Metric]:
    """Yield the results of the last run of this process's chores."""
    backlog = GaugeMetricFamily(
        "identity_housekeeping_backlog_seconds",
        "How long the oldest removable row has been due, in seconds",
        labels=("chore",),
    )
    age = GaugeMetricFamily(
        "identity_housekeeping_age_seconds",
        "How long ago this process last did the chore with success",
        labels=("chore",),
    )
    for name, state in housekeeping.states.items():
        backlog.add_metric((name,), state.backlog.total_seconds())
        age.add_metric((name,), housekeeping.age(name).total_seconds())
    yield backlog
    yield age


def mail_metrics(sender: MailSender | None) -> Iterator[Metric]:
    """Yield what this process has sent, and what it last saw in the outbox.

    Nothing without a mail server.
    """
    if sender is None:
        return
    yield CounterMetricFamily(
        "identity_mail_sent",
        "Mails handed over to the mail server by this process",
        sender.sent,
    )
    yield CounterMetricFamily(
        "identity_mail_failed_attempts",
        "Attempts of this process to hand a mail over that failed",
        sender.failed,
    )
    yield GaugeMetricFamily(
        "identity_mail_waiting",
        "Mails in the outbox that wait to be sent",
        sender.waiting,
    )
    yield GaugeMetricFamily(
        "identity_mail_dead", "Mails in the outbox that were given up", sender.dead
    )
