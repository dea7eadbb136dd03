"""What the operator watches of keys and status lists, read when it is asked for."""

from collections.abc import Iterator
from datetime import timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from identity_service.domain.factors import Factor
from identity_service.usecases.factors.proofs import OUTCOMES, FactorProofs
from identity_service.usecases.housekeeping import Housekeeping
from identity_service.usecases.mail.sending import MailSender
from identity_service.usecases.signing_keys import SigningKeys
from identity_service.usecases.status_entries import StatusEntries
from identity_service.usecases.status_lists import StatusLists
from service_kit.clock import Clock


class HousekeepingMetrics(Collector):
    """How far the chores of this process came when it last did them."""

    def __init__(self, housekeeping: Housekeeping) -> None:
        self._housekeeping = housekeeping

    def collect(self) -> Iterator[Metric]:
        """Return the present values."""
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
        for name, state in self._housekeeping.states.items():
            backlog.add_metric((name,), _seconds(state.backlog))
            age.add_metric((name,), _seconds(self._housekeeping.age(name)))
        yield backlog
        yield age


class MailMetrics(Collector):
    """What this process has sent, and what it last saw in the outbox."""

    def __init__(self, sender: MailSender | None) -> None:
        self._sender = sender

    def collect(self) -> Iterator[Metric]:
        """Return the present values; none without a mail server."""
        if self._sender is None:
            return
        yield CounterMetricFamily(
            "identity_mail_sent",
            "Mails handed over to the mail server by this process",
            self._sender.sent,
        )
        yield CounterMetricFamily(
            "identity_mail_failed_attempts",
            "Attempts of this process to hand a mail over that failed",
            self._sender.failed,
        )
        yield GaugeMetricFamily(
            "identity_mail_waiting",
            "Mails in the outbox that wait to be sent",
            self._sender.waiting,
        )
        yield GaugeMetricFamily(
            "identity_mail_dead",
            "Mails in the outbox that were given up",
            self._sender.dead,
        )


class FactorMetrics(Collector):
    """What became of the second factors that this process judged."""

    def __init__(self, proofs: FactorProofs) -> None:
        self._proofs = proofs

    def collect(self) -> Iterator[Metric]:
        """Return the present values."""
        judged = CounterMetricFamily(
            "identity_second_factors_judged",
            "Second factors that were right or wrong",
            labels=("factor", "outcome"),
        )
        for factor in Factor:
            for outcome in OUTCOMES:
                judged.add_metric(
                    (factor, outcome), self._proofs.outcomes[factor, outcome]
                )
        yield judged


class KeyMetrics(Collector):
    """The state that this process has in memory; nobody is asked for it."""

    def __init__(
        self,
        keys: SigningKeys,
        entries: StatusEntries,
        lists: StatusLists,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._entries = entries
        self._lists = lists
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Return the present values."""
        yield from self._of_keys()
        yield CounterMetricFamily(
            "identity_status_list_leases",
            "Blocks of status list entries taken by this process",
            self._entries.leases_taken,
        )
        yield GaugeMetricFamily(
            "identity_status_list_entries_left",
            "Entries left in this process's block",
            self._entries.left(),
        )
        sizes = GaugeMetricFamily(
            "identity_status_list_octets",
            "Length of each status list as published, in octets",
            labels=("list",),
        )
        for name, size in self._lists.sizes().items():
            sizes.add_metric((name,), size)
        yield sizes

    def _of_keys(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "identity_signing_keys_unopened",
            "Keys that sign or are to sign and do not open here",
            len(self._keys.unopened()),
        )
        report = self._keys.report()
        if report is None:
            return
        now = self._clock()
        yield GaugeMetricFamily(
            "identity_signing_keys_published",
            "Keys in the JWKS",
            report.published,
        )
        yield GaugeMetricFamily(
            "identity_signing_key_age_seconds",
            "How long the active key has signed, in seconds",
            _seconds(now - report.activated_at),
        )
        yield GaugeMetricFamily(
            "identity_signing_keys_read_age_seconds",
            "How long ago the keys were read from the database, in seconds",
            _seconds(report.lag),
        )
        rotation = GaugeMetricFamily(
            "identity_signing_key_rotation_seconds",
            "How soon the next key signs, in seconds; negative when overdue",
        )
        if report.rotates_at is not None:
            rotation.add_metric((), _seconds(report.rotates_at - now))
        yield rotation


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()
