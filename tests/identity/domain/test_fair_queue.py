"""Whose turn it is, and who makes room, in a queue of many networks."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_service.domain.limits.fair_queue import FairQueue
from identity_service.domain.limits.sources import networks_of

ALICE = "198.51.100.7"
CROWDS = {
    "one IPv4 address": ["203.0.113.5"] * 64,
    "an IPv4 /24": [f"203.0.113.{number}" for number in range(64)],
    "one IPv6 address": ["2001:db8::1"] * 64,
    "an IPv6 /64": [f"2001:db8::{number:x}" for number in range(64)],
    "32 networks of an IPv6 /56": [
        f"2001:db8:0:{number % 32:x}::{number:x}" for number in range(64)
    ],
    "64 networks of an IPv6 /48": [f"2001:db8:0:{n << 8:x}::1" for n in range(64)],
    "IPv4 within IPv6": [f"::ffff:203.0.113.{number}" for number in range(64)],
    "addresses that are none": [f"none {number}" for number in range(64)],
}


def filled(addresses: list[str], *, length: int = 64) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue(length)
    for place, address in enumerate(addresses):
        queue.push(networks_of(address), f"{address} {place}")
    return queue


@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("address", [ALICE, "2001:db8:ffff::7"])
def test_p9_a_crowd_of_one_network_keeps_nobody_else_waiting(
    crowd: str, address: str
) -> None:
    queue = filled(CROWDS[crowd])

    assert not queue.refuses(networks_of(address), "alice")
    dropped = queue.push(networks_of(address), "alice")

    assert dropped is not None
    assert dropped != "alice"
    assert len(queue) == 64
    assert "alice" in {queue.pop(), queue.pop()}


def test_p9_who_has_most_makes_room_with_his_newest() -> None:
    queue = filled(["203.0.113.5"] * 40 + ["192.0.2.1"] * 24)

    assert queue.push(networks_of(ALICE), "alice") == "203.0.113.5 39"
    assert queue.refuses(networks_of("203.0.113.5"), "one more")
    assert queue.push(networks_of("203.0.113.5"), "one more") == "one more"
    assert not queue.refuses(networks_of("192.0.2.1"), "another")


def test_p9_a_neighbour_has_a_share_of_his_own() -> None:
    """The crowd's own /24: its addresses share, and none takes the other's."""
    queue = filled(["203.0.113.5"] * 64)

    queue.push(networks_of("203.0.113.6"), "neighbour")

    assert "neighbour" in {queue.pop(), queue.pop()}


def test_p9_turns_are_shared_by_networks_of_each_width() -> None:
    addresses = [
        *(["2001:db8:1::1"] * 20),
        *(f"2001:db8:2:{site:x}::1" for site in range(20)),
        *(["198.51.100.7"] * 20),
    ]
    queue = filled(addresses)

    served = Counter(networks_of(queue.pop().split()[0])[0] for _ in range(30))

    assert set(served.values()) == {10}


def test_one_source_is_served_in_order() -> None:
    queue = filled([ALICE] * 5)

    assert [queue.pop() for _ in range(5)] == [f"{ALICE} {n}" for n in range(5)]
    with pytest.raises(IndexError):
        queue.pop()


def test_what_gave_up_leaves_nothing() -> None:
    queue = filled([ALICE, "203.0.113.5"])

    queue.discard(networks_of(ALICE), f"{ALICE} 0")
    queue.discard(networks_of(ALICE), f"{ALICE} 0")
    queue.discard(networks_of("192.0.2.1"), "never there")

    assert len(queue) == 1
    assert queue.pop() == "203.0.113.5 1"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push", "pop", "discard"]),
            st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.1.1", "2001:db8::1", "x"]),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_or_served_twice(steps: list[tuple[str, str]]) -> None:
    queue: FairQueue[int] = FairQueue(8)
    inside: dict[int, str] = {}
    for number, (step, address) in enumerate(steps):
        path = networks_of(address)
        if step == "push":
            refuses = queue.refuses(path, number)
            inside[number] = address
            dropped = queue.push(path, number)
            assert refuses == (dropped == number)
            if dropped is not None:
                del inside[dropped]
        elif step == "pop" and inside:
            del inside[queue.pop()]
        elif step == "discard" and inside:
            oldest = min(inside)
            queue.discard(networks_of(inside.pop(oldest)), oldest)
        assert len(queue) == len(inside) <= 8
