"""The table of a client connection's states says all that can happen."""

import pytest

from gateway_service.http1.states import TRANSITIONS, Event, State

HALF_CLOSED = (
    State.LAST_BODY,
    State.TRUNCATED,
    State.LAST_RESPONSE,
    State.LAST_QUEUED,
    State.LAST_BLOCKED,
    State.TUNNEL_ENDED,
)
BOTH_WAYS = [each for each in State if each not in (*HALF_CLOSED, State.OPENING)]


def reachable() -> set[State]:
    found, fresh = {State.OPENING}, {State.OPENING}
    while fresh:
        after = {
            ways[each] for ways in TRANSITIONS.values() for each in fresh & set(ways)
        }
        fresh = after - found
        found |= fresh
    return found


def test_every_event_has_a_row() -> None:
    assert set(TRANSITIONS) == set(Event)


def test_every_state_is_reached() -> None:
    assert reachable() == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_closed(state: State) -> None:
    assert TRANSITIONS[Event.CLOSED][state] is State.CLOSED


@pytest.mark.parametrize("event", Event)
def test_nothing_opens_a_closed_connection(event: Event) -> None:
    assert TRANSITIONS[event].get(State.CLOSED, State.CLOSED) is State.CLOSED


@pytest.mark.parametrize("state", HALF_CLOSED)
def test_a_client_that_sends_no_more_is_never_asked_for_another_request(
    state: State,
) -> None:
    after = {ways[state] for ways in TRANSITIONS.values() if state in ways}
    assert after <= {*HALF_CLOSED, State.CLOSED}


@pytest.mark.parametrize("state", BOTH_WAYS)
def test_the_end_of_sending_is_expected_in_every_state(state: State) -> None:
    assert state in TRANSITIONS[Event.CLIENT_ENDED]
