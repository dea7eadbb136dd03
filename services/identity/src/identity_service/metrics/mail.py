"""What becomes of mail."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from identity_service.usecases.mail.sending import MailSender


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
