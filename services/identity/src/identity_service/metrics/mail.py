"""What becomes of mail."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from identity_service.usecases.mail.sending import MailSender


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
