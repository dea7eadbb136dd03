"""What an attempt says of its replica."""

import time

import pytest
from tests.support.pools import CountingPool

from gateway_service.config.model import HealthConfig, Timeouts, UpstreamConfig
from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.parsing.responses import ResponseHead
from gateway_service.proxy.attempt import Attempt, Outcome
from gateway_service.upstreams.connections.response import (
    Result,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.replica import (
    LONGEST_SILENCE,
    Replica,
    ReplicaHealth,
)
from gateway_service.upstreams.upstream import Upstream


class Requester:
    """Goes on with no result."""

    def on_outcome(self, attempt: Attempt, outcome: Outcome, result: Result) -> None:
        pass

    def on_interim(self, head: ResponseHead) -> None:
        pass

    def on_slow(self, attempt: Attempt, *, is_gone: bool) -> None:
        pass


def request(*, total_at: float = NEVER, is_timed: bool = True) -> UpstreamRequest:
    return UpstreamRequest(
        b"",
        "GET",
        Timeouts(),
        total_at,
        NEVER,
        is_timed=is_timed,
        is_repeatable=True,
        may_be_hedged=False,
        proxied_client="",
        is_upgrade=False,
        is_whole=True,
    )


def response(status: int, *lines: bytes) -> UpstreamResponse:
    return UpstreamResponse(
        ResponseHead(status, list(lines), {}, 0, None, closes=False), b""
    )


class Silent:
    """An upstream whose only replica responds to no probe."""

    def __init__(self) -> None:
        self.now = 1_000.0
        config = UpstreamConfig("content", (), health=HealthConfig())
        self.upstream = Upstream(config, CountingPool, now=lambda: self.now)
        self.upstream.assign([Endpoint("127.0.0.1", 1, 1)])
        self.upstream.report(self.replica, ReplicaHealth.SILENT)

    @property
    def replica(self) -> Replica:
        return self.upstream.replicas[0]

    def send(self, *, is_timed: bool = True, total_at: float = NEVER) -> Attempt:
        replica = self.upstream.select()
        assert replica is not None
        return Attempt(
            self.upstream,
            replica,
            Requester(),
            request(is_timed=is_timed, total_at=total_at),
            is_hedge=False,
            connects=False,
        )

    def tick_after(self, seconds: float) -> None:
        self.now += seconds
        self.upstream.tick()


@pytest.mark.parametrize("is_timed", [True, False])
def test_replica_with_a_long_response_on_its_way_does_not_hang(
    *, is_timed: bool
) -> None:
    scene = Silent()
    download = scene.send(is_timed=is_timed)
    download.on_result(response(200))
    scene.tick_after(0.1)

    scene.tick_after(LONGEST_SILENCE)
    assert not scene.replica.hangs

    download.release()
    scene.send()
    scene.tick_after(LONGEST_SILENCE)
    assert scene.replica.hangs, "nothing is left of the response that ended"


def test_hanging_replica_with_a_long_response_on_its_way_is_tried() -> None:
    scene = Silent()
    scene.send().on_result(response(200))
    unanswered = scene.send()
    scene.tick_after(0.1)
    scene.tick_after(LONGEST_SILENCE)
    assert scene.upstream.select() is None

    unanswered.release()
    scene.tick_after(0.1)

    assert scene.upstream.select() is scene.replica
    assert scene.upstream.select() is None


def test_replica_that_is_new_gets_the_time_of_any_other() -> None:
    scene = Silent()
    scene.send()

    scene.tick_after(LONGEST_SILENCE / 2)

    assert not scene.replica.hangs


@pytest.mark.parametrize(
    "responds",
    [response(500), response(503, b"Retry-After: 1\r\n"), response(404)],
    ids=["failure", "load shed", "good"],
)
def test_replica_that_responds_whatever_it_says_does_not_hang(
    responds: UpstreamResponse,
) -> None:
    scene = Silent()
    for _ in range(4):
        attempt = scene.send()
        scene.send()
        attempt.on_result(responds)
        attempt.release()
        scene.tick_after(LONGEST_SILENCE / 2)

    assert not scene.replica.hangs


def test_success_between_failures_starts_the_count_again() -> None:
    scene = Silent()
    for status in (500, 500, 200, 500):
        attempt = scene.send()
        attempt.on_result(response(status))
        attempt.release()

    assert scene.replica.failures == 1


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.RESET])
@pytest.mark.parametrize("is_over", [True, False])
@pytest.mark.parametrize("is_retry", [True, False])
def test_only_what_another_replica_left_of_the_whole_time_is_too_short_to_blame(
    *, is_retry: bool, is_over: bool, kind: FailureKind
) -> None:
    scene = Silent()
    attempt = scene.send(total_at=time.monotonic() + (0 if is_over else 60))
    attempt.is_retry = is_retry

    attempt.on_result(UpstreamError(kind))

    is_cut_short = is_retry and is_over and kind is FailureKind.TIMEOUT
    assert scene.replica.failures == (not is_cut_short)
