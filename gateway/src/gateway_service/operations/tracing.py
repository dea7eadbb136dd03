"""Record traces of some requests."""

from typing import Final

from gateway_service.http1.exchange import CLIENT_GONE, Exchange
from gateway_service.operations.metrics import method_label
from service_kit.observability.tracing import ServerSpan, SpanSender

_DIGITS: Final = 8
"""Of an id, which decide whether the trace is recorded: they are random."""


class ExchangeTracing:
    """Decides which exchanges are recorded, and records them.

    What a client says of its trace decides nothing, unless a trusted proxy says it:
    else a client could choose to be recorded, and have the operator pay for it (W3C
    Trace Context, 7). All gateways behind one proxy decide alike of one trace.
    """

    def __init__(self, sender: SpanSender, percent: int) -> None:
        self._sender = sender
        self._below = percent * 16**_DIGITS // 100

    def begin(self, exchange: Exchange, *, is_trusted: bool) -> None:
        """Decide whether an exchange is recorded."""
        decisive = exchange.trace_id if is_trusted else exchange.request_id
        exchange.is_sampled = int(decisive[-_DIGITS:], 16) < self._below

    def end(self, exchange: Exchange, seconds: float) -> None:
        """Record an exchange that is over, if it is one to be recorded."""
        if not exchange.is_sampled:
            return
        caller = exchange.caller
        self._sender.send(
            ServerSpan(
                trace_id=exchange.trace_id,
                span_id=exchange.span_id,
                parent_id=None if caller is None else caller.span_id,
                method=method_label(exchange),
                route=exchange.route or "none",
                status=exchange.status or CLIENT_GONE,
                seconds=seconds,
                attributes={
                    "gatehouse.request_id": exchange.request_id,
                    "gatehouse.upstream": exchange.upstream,
                    "gatehouse.replica": str(exchange.replica),
                    "gatehouse.upstream_seconds": exchange.upstream_seconds,
                },
            )
        )

    async def close(self) -> None:
        """Send what waits."""
        await self._sender.close()
