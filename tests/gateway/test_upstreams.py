import random
from collections import Counter
from dataclasses import replace
from statistics import median_low

import pytest
from tests.support.pools import CountingPool, pool_of

from gateway_service.config.model import EjectionConfig, HealthConfig, UpstreamConfig
from gateway_service.config.values import Balance
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.replica import (
    LONGEST_SILENCE,
    Replica,
    ReplicaHealth,
)
from gateway_service.upstreams.upstream import Upstream

CONFIG = UpstreamConfig(
    "content",
    (),
    slow_start=0,
    health=HealthConfig(path=""),
    ejection=EjectionConfig(failures=3, first=1, longest=8, share=0.5),
)
TIMEOUT, REFUSED = FailureKind.TIMEOUT, FailureKind.REFUSED


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def endpoints(*ports: int) -> list[Endpoint]:
    return [Endpoint("127.0.0.1", port, port) for port in ports]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make(clock: FakeClock, count: int = 3, config: UpstreamConfig = CONFIG) -> Upstream:
    chance = random.Random(7).random  # noqa: S311 - a test is to repeat itself
    upstream = Upstream(config, CountingPool, now=clock, chance=chance)
    upstream.assign(endpoints(*range(1, count + 1)))
    return upstream


def selections(upstream: Upstream, times: int) -> Counter[int]:
    """Select and release, and count how often each port was chosen."""
    chosen: Counter[int] = Counter()
    for _ in range(times):
        replica = upstream.select()
        assert replica is not None
        chosen[replica.endpoint.port] += 1
        upstream.release(replica)
    return chosen


def fail(replica: Replica, kind: FailureKind, times: int = 1) -> None:
    for _ in range(times):
        replica.failed(kind)


def usable_ports(upstream: Upstream) -> set[int]:
    return set(selections(upstream, 200))


def test_idle_replicas_share_evenly(clock: FakeClock) -> None:
    chosen = selections(make(clock), 3_000)

    assert all(900 < count < 1_100 for count in chosen.values())


def test_busier_of_two_is_avoided(clock: FakeClock) -> None:
    upstream = make(clock, 2)
    upstream.replicas[0].in_flight = 5

    assert selections(upstream, 50) == {2: 50}


def test_round_robin_takes_turns(clock: FakeClock) -> None:
    upstream = make(clock, 3, replace(CONFIG, balance=Balance.ROUND_ROBIN))

    assert selections(upstream, 30) == {1: 10, 2: 10, 3: 10}


def test_select_takes_a_place_and_release_gives_it_back(clock: FakeClock) -> None:
    upstream = make(clock, 1)

    replica = upstream.select()

    assert replica is not None
    assert (replica.in_flight, upstream.in_flight, replica.requests) == (1, 1, 1)
    upstream.release(replica)
    assert (replica.in_flight, upstream.in_flight, replica.requests) == (0, 0, 1)


def test_bulkhead_lets_no_more_than_its_number_through(clock: FakeClock) -> None:
    upstream = make(clock, 2, replace(CONFIG, max_in_flight=2))
    first = upstream.select()
    assert first is not None
    assert upstream.select() is not None

    fullness = [upstream.is_full]
    assert upstream.select() is None

    upstream.release(first)
    fullness.append(upstream.is_full)
    assert upstream.select() is not None
    assert fullness == [True, False]


def test_excluded_replicas_are_not_selected(clock: FakeClock) -> None:
    upstream = make(clock, 3)
    first, second, third = upstream.replicas

    assert {upstream.select({first, second}) for _ in range(20)} == {third}
    assert upstream.select({first, second, third}) is None
    assert not upstream.is_full


def test_upstream_without_replicas_selects_none(clock: FakeClock) -> None:
    assert make(clock, 0).select() is None


def test_failures_in_a_row_eject(clock: FakeClock) -> None:
    upstream = make(clock)

    fail(upstream.replicas[0], TIMEOUT, 2)
    assert usable_ports(upstream) == {1, 2, 3}

    fail(upstream.replicas[0], TIMEOUT)
    assert usable_ports(upstream) == {2, 3}


def test_one_refused_connection_ejects(clock: FakeClock) -> None:
    upstream = make(clock)

    fail(upstream.replicas[1], REFUSED)

    assert usable_ports(upstream) == {1, 3}
    assert upstream.ejected_for(upstream.replicas[1]) == 1.0


def test_ejection_ends_and_grows_each_time_up_to_its_longest(clock: FakeClock) -> None:
    upstream = make(clock)
    replica = upstream.replicas[0]
    times_out = []
    for _ in range(6):
        fail(replica, REFUSED)
        times_out.append(upstream.ejected_for(replica))
        clock.now += times_out[-1] - 0.01
        upstream.tick()
        assert 1 not in usable_ports(upstream)
        clock.now += 0.02
        upstream.tick()
        assert 1 in usable_ports(upstream)

    assert times_out == [1, 2, 4, 8, 8, 8]


def test_back_off_is_forgotten_after_a_good_while(clock: FakeClock) -> None:
    upstream = make(clock)
    replica = upstream.replicas[0]
    for _ in range(3):
        fail(replica, REFUSED)
        clock.now += 8
        upstream.tick()

    clock.now += 9
    fail(replica, REFUSED)

    assert upstream.ejected_for(replica) == 1


@pytest.mark.parametrize(
    ("count", "share", "most_ejected"),
    [
        (1, 0.5, 0),
        (2, 0.5, 1),
        (3, 0.5, 1),
        (4, 0.5, 2),
        (10, 0.3, 3),
        (3, 1.0, 2),
        (3, 0.0, 0),
    ],
)
def test_no_more_than_the_share_and_never_all_are_ejected(
    clock: FakeClock, count: int, share: float, most_ejected: int
) -> None:
    config = replace(CONFIG, ejection=replace(CONFIG.ejection, share=share))
    upstream = make(clock, count, config)

    for replica in upstream.replicas:
        fail(replica, REFUSED)

    assert sum(r.ejected_until > 0 for r in upstream.replicas) == most_ejected
    assert len(usable_ports(upstream)) == count - most_ejected


def test_readiness_decides_over_use(clock: FakeClock) -> None:
    upstream = make(clock, 2, replace(CONFIG, health=HealthConfig()))
    first, second = upstream.replicas
    assert usable_ports(upstream) == {1, 2}, "nobody knows better yet"

    upstream.report(first, ReplicaHealth.READY)
    assert usable_ports(upstream) == {1}, "one that is ready comes first"

    upstream.report(second, ReplicaHealth.READY)
    assert usable_ports(upstream) == {1, 2}

    upstream.report(first, ReplicaHealth.NOT_READY)
    assert usable_ports(upstream) == {2}

    upstream.report(second, ReplicaHealth.UNREACHABLE)
    assert usable_ports(upstream) == {1}, "it may still do some of its work"

    upstream.report(first, ReplicaHealth.UNREACHABLE)
    assert upstream.select() is None


def test_silent_replica_is_used_while_nothing_better_is_there(
    clock: FakeClock,
) -> None:
    upstream = make(clock, 1, replace(CONFIG, health=HealthConfig()))
    [only] = upstream.replicas
    upstream.report(only, ReplicaHealth.READY)

    upstream.report(only, ReplicaHealth.SILENT)

    assert usable_ports(upstream) == {1}


def silent_alone(clock: FakeClock) -> tuple[Upstream, Replica]:
    """Return an upstream whose only replica has just become silent to probes."""
    upstream = make(clock, 1, replace(CONFIG, health=HealthConfig()))
    [only] = upstream.replicas
    upstream.report(only, ReplicaHealth.READY)
    upstream.tick()
    upstream.report(only, ReplicaHealth.SILENT)
    return upstream, only


def test_silent_replica_that_answers_no_request_gets_no_more(clock: FakeClock) -> None:
    upstream, only = silent_alone(clock)
    assert upstream.select() is only

    clock.now += LONGEST_SILENCE
    upstream.tick()
    assert upstream.select() is None, "what is sent there would wait in vain"

    only.responses += 1
    upstream.tick()
    assert upstream.select() is only, "it was only slow"


def test_frozen_replica_is_tried_by_one_request_at_a_time(clock: FakeClock) -> None:
    upstream, only = silent_alone(clock)
    assert upstream.select() is only
    clock.now += LONGEST_SILENCE
    upstream.tick()

    upstream.release(only)  # its request timed out
    upstream.tick()
    assert upstream.select() is only
    assert upstream.select() is None

    upstream.report(only, ReplicaHealth.READY)
    assert upstream.select() is only


def test_silent_replica_that_was_asked_nothing_does_not_hang(clock: FakeClock) -> None:
    upstream, only = silent_alone(clock)

    for _ in range(3):
        clock.now += LONGEST_SILENCE
        upstream.tick()
    assert upstream.select() is only
    upstream.tick()

    assert upstream.select() is only


def test_silent_replica_is_not_judged_by_requests_that_wait_by_design(
    clock: FakeClock,
) -> None:
    upstream, only = silent_alone(clock)
    assert upstream.select() is only
    only.settled += 1

    clock.now += LONGEST_SILENCE
    upstream.tick()

    assert upstream.select() is only


@pytest.mark.parametrize(
    ("silent", "usable"),
    [(1, {2, 3, 4, 5}), (3, {4, 5}), (4, {1, 2, 3, 4, 5}), (5, {1, 2, 3, 4, 5})],
)
def test_silent_replicas_help_out_when_few_are_ready(
    silent: int, usable: set[int], clock: FakeClock
) -> None:
    health = HealthConfig(panic_share=0.3)
    upstream = make(clock, 5, replace(CONFIG, health=health))
    for replica in upstream.replicas:
        upstream.report(replica, ReplicaHealth.READY)
    for replica in upstream.replicas[:silent]:
        upstream.report(replica, ReplicaHealth.SILENT)

    assert usable_ports(upstream) == usable


def test_replicas_whose_port_is_closed_do_not_help_out(clock: FakeClock) -> None:
    upstream = make(clock, 5, replace(CONFIG, health=HealthConfig()))
    for replica in upstream.replicas:
        upstream.report(replica, ReplicaHealth.READY)
    for replica in upstream.replicas[:4]:
        upstream.report(replica, ReplicaHealth.UNREACHABLE)

    assert usable_ports(upstream) == {5}


def respond_in(upstream: Upstream, seconds: dict[int, float]) -> None:
    """Let each replica respond once, and time pass."""
    for replica in upstream.replicas:
        if replica.endpoint.port in seconds:
            replica.speed.responses += 1
            replica.speed.seconds += seconds[replica.endpoint.port]
    upstream.tick()


def test_slow_replica_gets_few_requests_and_is_not_ejected(
    clock: FakeClock,
) -> None:
    upstream = make(clock, 5)
    for _ in range(3):
        respond_in(upstream, {1: 0.2, 2: 0.02, 3: 0.02, 4: 0.03, 5: 0.01})

    assert selections(upstream, 1_000)[1] <= 10
    assert not upstream.replicas[0].ejected_until

    respond_in(upstream, {1: 0.02})
    assert selections(upstream, 1_000)[1] > 100


@pytest.mark.parametrize("count", range(1, 10))
def test_a_replica_is_slow_by_what_is_typical_of_the_others(
    clock: FakeClock, count: int
) -> None:
    chance = random.Random(count)  # noqa: S311 - a test is to repeat itself
    for _ in range(20):
        seconds = [chance.choice((0.01, 0.02, 0.05, 0.2, 1.0)) for _ in range(count)]
        upstream = make(clock, count)
        for _ in range(3):
            respond_in(upstream, dict(enumerate(seconds, 1)))
        for replica in upstream.replicas:
            port = replica.endpoint.port
            own, others = seconds[port - 1], seconds[: port - 1] + seconds[port:]
            is_slow = bool(others) and own > 3 * median_low(others) + 0.005
            assert replica.speed.is_slow is is_slow


def test_one_slow_look_is_no_slow_replica(clock: FakeClock) -> None:
    upstream = make(clock, 2)
    for _ in range(5):
        respond_in(upstream, {1: 0.8, 2: 0.02})
        respond_in(upstream, {1: 0.02, 2: 0.8})
        assert 60 < selections(upstream, 200)[1] < 140


def test_slow_replica_is_tried_again_when_it_was_asked_nothing_for_long(
    clock: FakeClock,
) -> None:
    upstream = make(clock, 2)
    for _ in range(3):
        respond_in(upstream, {1: 0.8, 2: 0.02})
    assert selections(upstream, 200)[1] <= 10

    for _ in range(41):
        respond_in(upstream, {})

    assert 60 < selections(upstream, 200)[1] < 140


def test_the_only_replica_serves_however_slow_it_is(clock: FakeClock) -> None:
    upstream = make(clock, 1)
    for _ in range(9):
        respond_in(upstream, {1: 5.0})

    assert selections(upstream, 10) == {1: 10}


def test_ejected_replica_serves_when_no_other_is_ready(clock: FakeClock) -> None:
    upstream = make(clock, 2)
    fail(upstream.replicas[0], REFUSED)

    upstream.report(upstream.replicas[1], ReplicaHealth.NOT_READY)

    assert usable_ports(upstream) == {1}


@pytest.mark.parametrize("other", [ReplicaHealth.UNKNOWN, ReplicaHealth.SILENT])
def test_where_all_ready_ones_are_ejected_others_help_out(
    other: ReplicaHealth, clock: FakeClock
) -> None:
    upstream = make(clock, 3, replace(CONFIG, health=HealthConfig()))
    failing, second, third = upstream.replicas
    upstream.report(failing, ReplicaHealth.READY)
    upstream.report(second, other)
    upstream.report(third, ReplicaHealth.NOT_READY)
    assert usable_ports(upstream) == {1}

    fail(failing, TIMEOUT, 3)
    assert usable_ports(upstream) == {1, 2}, "retries of either can go to the other"

    upstream.report(second, ReplicaHealth.UNREACHABLE)
    assert usable_ports(upstream) == {1}, "one that is not ready comes last"


def test_replica_that_becomes_ready_again_is_no_longer_ejected(
    clock: FakeClock,
) -> None:
    upstream = make(clock)
    fail(upstream.replicas[0], REFUSED)

    upstream.report(upstream.replicas[0], ReplicaHealth.UNREACHABLE)
    upstream.report(upstream.replicas[0], ReplicaHealth.READY)

    assert usable_ports(upstream) == {1, 2, 3}


def test_what_waits_for_a_replica_that_seems_gone_learns_of_it(
    clock: FakeClock,
) -> None:
    upstream = make(clock)
    replica = upstream.replicas[0]

    upstream.report(replica, ReplicaHealth.NOT_READY)
    assert pool_of(replica).times_suspected == 0, (
        "it may still answer what it has begun"
    )
    upstream.report(replica, ReplicaHealth.UNREACHABLE)
    assert pool_of(replica).times_suspected == 1
    assert pool_of(upstream.replicas[1]).times_suspected == 0


def test_replica_that_joins_starts_slowly(clock: FakeClock) -> None:
    config = replace(CONFIG, slow_start=10, health=HealthConfig())
    upstream = make(clock, 2, config)
    upstream.report(upstream.replicas[0], ReplicaHealth.READY)
    clock.now += 10
    upstream.tick()
    upstream.report(upstream.replicas[1], ReplicaHealth.READY)

    shares = []
    for _ in range(3):
        shares.append(selections(upstream, 2_000)[2] / 2_000)
        clock.now += 5
        upstream.tick()

    assert 0.02 < shares[0] < 0.09
    assert 0.2 < shares[1] < 0.35
    assert 0.45 < shares[2] < 0.55


def test_replicas_that_remain_keep_pool_and_state(clock: FakeClock) -> None:
    upstream = make(clock, 2)
    stays = upstream.replicas[1]
    stays.in_flight = 4

    upstream.assign(endpoints(2, 3))

    assert upstream.replicas[0] is stays
    assert pool_of(stays).times_closed == 0
    assert [replica.endpoint.port for replica in upstream.replicas] == [2, 3]


def test_replica_that_left_gets_nothing_new_and_ends_with_its_last_request(
    clock: FakeClock,
) -> None:
    upstream = make(clock, 1)
    leaving = upstream.select()
    assert leaving is not None

    upstream.assign(endpoints(2))

    assert usable_ports(upstream) == {2}
    assert pool_of(leaving).times_closed == 0
    upstream.release(leaving)
    assert pool_of(leaving).times_closed == 1
    assert upstream.in_flight == 0


def test_idle_replica_that_left_is_closed_at_once(clock: FakeClock) -> None:
    upstream = make(clock, 1)
    leaving = upstream.replicas[0]

    upstream.assign([])

    assert pool_of(leaving).times_closed == 1
    assert upstream.select() is None


def test_what_came_before_an_upstream_was_closed_is_still_sent(
    clock: FakeClock,
) -> None:
    upstream = make(clock, 1)
    upstream.close()
    assert pool_of(upstream.replicas[0]).times_closed == 1

    replica = upstream.select()

    assert replica is upstream.replicas[0]
    upstream.release(replica)
    assert pool_of(replica).times_closed == 2


def test_failure_of_a_replica_that_left_ejects_nobody(clock: FakeClock) -> None:
    upstream = make(clock, 3)
    leaving = upstream.replicas[0]
    upstream.assign(endpoints(2, 3))

    fail(leaving, REFUSED, 5)

    assert usable_ports(upstream) == {2, 3}
    assert not leaving.ejected_until


def test_address_named_twice_is_one_replica(clock: FakeClock) -> None:
    upstream = make(clock, 0)

    upstream.assign(endpoints(1, 1, 2))

    assert [replica.endpoint.port for replica in upstream.replicas] == [1, 2]


def test_only_first_tries_earn_retries(clock: FakeClock) -> None:
    upstream = make(clock, 2)
    while upstream.retry_budget.withdraw():
        pass

    for _ in range(50):
        upstream.select({upstream.replicas[0]})
    assert not upstream.retry_budget.withdraw()

    for _ in range(10):
        upstream.select()
    assert upstream.retry_budget.withdraw()


def test_ipv6_endpoint_is_written_in_brackets() -> None:
    assert str(Endpoint("::1", 8002, 9002)) == "[::1]:8002"
    assert str(Endpoint("127.0.0.1", 8002, 9002)) == "127.0.0.1:8002"
