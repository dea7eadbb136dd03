"""Requests to upstreams, and their results."""

from typing import Protocol

from gateway_service.config.model import Timeouts
from gateway_service.http1.parsing.responses import ResponseHead
from gateway_service.http1.streams import Stream
from gateway_service.upstreams.failures import FailureKind


class UpstreamError(Exception):
    """A replica gave no usable response."""

    def __init__(
        self,
        kind: FailureKind,
        *,
        is_late: bool = False,
        is_clients_fault: bool = False,
        is_unsent: bool = False,
    ) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.is_late = is_late
        """Whether it was given up while a response might still have arrived."""
        self.is_clients_fault = is_clients_fault
        """Whether the client was waited for: this says nothing of the replica."""
        self.is_unsent = is_unsent
        """Whether nothing was written: there was no connection, or it had ended."""


class UpstreamResponse:
    """The head of a response, and its body as far as it has been received."""

    def __init__(self, head: ResponseHead, body: bytes | Stream) -> None:
        self.head = head
        self.body = body
        """The whole body if it arrived with the head, else a stream of it."""


Result = UpstreamResponse | UpstreamError


class ResponseHandler(Protocol):
    """Handles the result of a request."""

    def on_result(self, result: Result) -> None:
        """Handle the response or the failure; called once, unless the sender aborts."""

    def on_interim(self, head: ResponseHead) -> None:
        """Handle an interim response; the final one follows."""

    def on_slow(self, *, is_gone: bool) -> None:
        """Handle a response that is slow, or whose replica seems to be gone.

        It may still arrive.
        """


class UpstreamRequest:
    """A request as it is sent to a replica, or to several in turn."""

    def __init__(
        self,
        data: bytes,
        method: str,
        timeouts: Timeouts,
        total_at: float,
        hedge_after: float,
        *,
        is_timed: bool,
        is_repeatable: bool,
        may_be_hedged: bool,
        proxied_client: str,
        is_upgrade: bool,
        is_whole: bool,
    ) -> None:
        self.data = data
        """The head, and the body as far as it has been received."""
        self.method = method
        self.timeouts = timeouts
        self.total_at = total_at
        """When all must be over, on the loop's clock."""
        self.hedge_after = hedge_after
        """Seconds without a head after which the handler learns that this is slow."""
        self.is_timed = is_timed
        """Whether nothing waits by design: the time it takes is the upstream's."""
        self.is_repeatable = is_repeatable
        """Whether it may be sent again after it may have been acted on."""
        self.may_be_hedged = may_be_hedged
        """Whether another replica may be asked while one takes its time."""
        self.proxied_client = proxied_client
        """The client behind a trusted proxy; empty without."""
        self.is_upgrade = is_upgrade
        self.is_whole = is_whole
        """Whether `data` is all there is to send."""
