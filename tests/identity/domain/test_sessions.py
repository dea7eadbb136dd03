from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from identity_service.domain.sessions.authentication import Authentication, Method
from identity_service.domain.sessions.interruptions import (
    LONGEST,
    Interruption,
    Interruptions,
)
from identity_service.domain.sessions.sessions import (
    Session,
    SessionRules,
    Verdict,
    judge,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

RULES = SessionRules(
    idle_lifetime=timedelta(days=14),
    lifetime=timedelta(days=90),
    grace=10 * SECOND,
    tokens_are_spent=True,
    most=100,
)

SESSION = Session(
    id="0" * 32,
    user_id=1,
    client_id="first-party",
    generation=7,
    device="curl",
    address="192.0.2.1",
    created_at=NOW - timedelta(days=1),
    rotated_at=NOW,
    idle_expires_at=NOW + timedelta(days=14),
    expires_at=NOW + timedelta(days=89),
    ended_at=None,
    entry=None,
    token_expires_at=None,
    authentication=Authentication(NOW, frozenset({Method.PASSWORD})),
)


@pytest.mark.parametrize(
    ("generation", "age", "verdict"),
    [
        pytest.param(6, 0 * SECOND, Verdict.REPLAYED, id="R8 spent just now"),
        pytest.param(6, 10 * SECOND, Verdict.REPLAYED, id="R8 at the end of the grace"),
        pytest.param(6, 10.001 * SECOND, Verdict.REUSED, id="R3 after the grace"),
        pytest.param(5, 0 * SECOND, Verdict.REUSED, id="R3 its successor was used"),
        pytest.param(1, 0 * SECOND, Verdict.REUSED, id="R3 the very first"),
        pytest.param(8, 0 * SECOND, Verdict.ENDED, id="of the future"),
        pytest.param(6, -9 * SECOND, Verdict.REPLAYED, id="clocks differ a little"),
        pytest.param(6, -11 * SECOND, Verdict.REUSED, id="clocks differ by far"),
    ],
)
def test_a_token_that_is_not_current(
    generation: int, age: timedelta, verdict: Verdict
) -> None:
    session = replace(SESSION, rotated_at=NOW - age)

    assert judge(session, generation, NOW, RULES, began_at=NOW) is verdict


@pytest.mark.parametrize(
    ("generation", "waited", "verdict"),
    [
        pytest.param(6, 31 * SECOND, Verdict.REPLAYED, id="begun before the rotation"),
        pytest.param(6, 25 * SECOND, Verdict.REPLAYED, id="begun within the grace"),
        pytest.param(6, 19 * SECOND, Verdict.REUSED, id="begun after the grace"),
        pytest.param(5, 31 * SECOND, Verdict.LATE, id="begun before, spent twice"),
        pytest.param(5, 25 * SECOND, Verdict.REUSED, id="begun after, spent twice"),
    ],
)
def test_a_token_whose_request_was_on_its_way_for_long(
    generation: int, waited: timedelta, verdict: Verdict
) -> None:
    session = replace(SESSION, rotated_at=NOW - 30 * SECOND)
    began_at = NOW - waited
    assert judge(session, generation, NOW, RULES, began_at=began_at) is verdict


@pytest.mark.parametrize(
    ("generation", "age", "failed", "verdict"),
    [
        pytest.param(6, 60, (55, 3), Verdict.REPLAYED, id="R8 soon after it"),
        pytest.param(6, 60, (61, 3), Verdict.REPLAYED, id="R8 rotated during it"),
        pytest.param(6, 60, (55, 11), Verdict.REUSED, id="R3 long after it"),
        pytest.param(6, 60, (49, 3), Verdict.REUSED, id="R3 it began too late"),
        pytest.param(5, 60, (55, 3), Verdict.REUSED, id="R3 its successor was used"),
        pytest.param(6, 599, (598, 3), Verdict.REPLAYED, id="R8 a long one"),
        pytest.param(6, 601, (600, 3), Verdict.REUSED, id="R3 too long a one"),
    ],
)
def test_a_token_after_refreshes_have_failed(
    generation: int, age: int, failed: tuple[int, int], verdict: Verdict
) -> None:
    session = replace(SESSION, rotated_at=NOW - age * SECOND)
    interruption = Interruption(NOW - failed[0] * SECOND, NOW - failed[1] * SECOND)
    found = judge(
        session, generation, NOW, RULES, began_at=NOW, interruption=interruption
    )
    assert found is verdict


def test_failures_close_together_are_one_interruption() -> None:
    moments = iter([0, 9, 19, 30])
    interruptions = Interruptions(lambda: NOW + next(moments) * SECOND, RULES.grace)
    assert interruptions.latest is None
    for began, last in ((0, 0), (0, 9), (0, 19), (30, 30)):
        interruptions.note()
        assert interruptions.latest == (NOW + began * SECOND, NOW + last * SECOND)
    assert timedelta(minutes=5) < LONGEST < timedelta(minutes=15)


@pytest.mark.parametrize(
    ("session", "verdict"),
    [
        pytest.param(
            replace(SESSION, idle_expires_at=NOW), Verdict.EXPIRED, id="R5 idle"
        ),
        pytest.param(
            replace(SESSION, expires_at=NOW), Verdict.EXPIRED, id="R5 absolute"
        ),
        pytest.param(replace(SESSION, ended_at=NOW), Verdict.ENDED, id="ended"),
        pytest.param(
            replace(SESSION, ended_at=NOW, expires_at=NOW), Verdict.ENDED, id="both"
        ),
    ],
)
def test_no_grace_outlives_the_session(session: Session, verdict: Verdict) -> None:
    assert judge(session, 6, NOW, RULES, began_at=NOW) is verdict
