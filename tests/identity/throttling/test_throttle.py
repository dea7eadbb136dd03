"""The rules, with counters in memory and a clock that the test turns."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from identity_service.domain.errors import TooManyAttemptsError
from identity_service.domain.limits.throttling import (
    REFRESHES_OF_SOURCE,
    SIGN_INS_OF_SOURCE,
    SIGN_INS_OF_USER,
    SIGN_INS_OF_USER_AT_SITE,
    SIGN_UPS_OF_SOURCE,
)
from identity_service.domain.sessions.authentication import Authentication, Method
from identity_service.domain.sessions.sessions import Caller, Device
from identity_service.storage.throttle_counters import MemoryCounts, StoreCounters
from identity_service.usecases.limits.reservations import NoCounters
from identity_service.usecases.limits.throttling import Throttle

HOME = "198.51.100.7"
DAY = timedelta(days=1)
Action = Callable[[], object]


class TurnedClock:
    """A monotonic clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def turn(self, by: timedelta) -> None:
        self.seconds += by.total_seconds()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def throttle(clock: TurnedClock) -> Throttle:
    return Throttle(StoreCounters(MemoryCounts(clock), clock))


def elsewhere(number: int) -> str:
    """Return one of many addresses of an attacker."""
    return f"203.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"


async def fails(
    throttle: Throttle, account: str, source: str, *, known: bool = False
) -> bool:
    """Sign in with a wrong password; tell whether that was looked at."""
    try:
        await throttle.reserve_sign_in(account, source, known_device=known)
    except TooManyAttemptsError:
        return False
    return True


async def succeeds(
    throttle: Throttle, account: str, source: str, *, known: bool = False
) -> bool:
    """Sign in with the right password; tell whether that was looked at."""
    try:
        attempt = await throttle.reserve_sign_in(account, source, known_device=known)
    except TooManyAttemptsError:
        return False
    await attempt.succeeded()
    return True


async def wait_to_sign_in(
    throttle: Throttle, account: str, source: str
) -> timedelta | None:
    """Sign in with the right password, or return how long to wait."""
    try:
        attempt = await throttle.reserve_sign_in(account, source)
    except TooManyAttemptsError as refused:
        return refused.retry_after
    await attempt.succeeded()
    return None


async def test_p8_a_thousand_guesses_from_as_many_addresses(
    throttle: Throttle,
) -> None:
    looked_at = [
        await fails(throttle, "alice", elsewhere(number)) for number in range(1000)
    ]

    assert sum(looked_at) == SIGN_INS_OF_USER[0].amount


async def test_p8_guesses_at_once_count_like_guesses_in_turn(
    throttle: Throttle,
) -> None:
    looked_at = await asyncio.gather(
        *(fails(throttle, "alice", elsewhere(number)) for number in range(1000))
    )

    assert sum(looked_at) == SIGN_INS_OF_USER[0].amount


async def test_p8_a_guesser_who_obeys_has_a_hundred_guesses_a_month(
    throttle: Throttle, clock: TurnedClock
) -> None:
    """All the addresses of a network: one guesser."""
    begin, guessed_at = clock(), []
    for number in itertools.count():
        try:
            await throttle.reserve_sign_in("alice", elsewhere(number % 256))
        except TooManyAttemptsError as refused:
            clock.turn(refused.retry_after)
            continue
        guessed_at.append(clock() - begin)
        if guessed_at[-1] >= 30 * DAY.total_seconds():
            break

    *within_minutes, a_month = SIGN_INS_OF_USER
    for limit in within_minutes:
        within = [at for at in guessed_at if at < limit.period.total_seconds()]
        assert limit.amount <= len(within) <= limit.amount + 3
    within = [at for at in guessed_at if at < a_month.period.total_seconds()]
    assert a_month.amount <= len(within) <= 100


@pytest.mark.parametrize("days", [0, 1, 10, 29])
@pytest.mark.parametrize("home", ["198.51.100.7", "2001:db8:1:2::7"])
async def test_p8_strangers_guesses_delay_a_new_address_by_minutes(
    throttle: Throttle, clock: TurnedClock, days: int, home: str
) -> None:
    end = clock() + days * DAY.total_seconds()
    for number in itertools.count():
        if not await fails(throttle, "alice", elsewhere(number % 256)):
            clock.turn(timedelta(minutes=20))
            if clock() > end:
                break
    while await fails(throttle, "alice", elsewhere(1)):
        pass

    waited = timedelta()
    while (wait := await wait_to_sign_in(throttle, "alice", home)) is not None:
        waited += wait
        clock.turn(wait)
        await fails(throttle, "alice", elsewhere(2))

    assert waited <= timedelta(minutes=5)


async def test_p8_newcomers_of_very_many_networks_are_a_few(
    throttle: Throttle, clock: TurnedClock
) -> None:
    looked_at = 0
    for minute in range(60):
        for number in range(30):
            source = elsewhere(256 * (30 * minute + number))
            looked_at += await fails(throttle, "alice", source)
        clock.turn(timedelta(minutes=1))

    assert looked_at <= 100


async def under_attack(throttle: Throttle, clock: TurnedClock) -> None:
    """Have strangers fail until nobody but newcomers may try."""
    for _ in range(2):
        while await fails(throttle, "alice", elsewhere(1)):
            pass
        clock.turn(timedelta(minutes=1))


async def second_step(throttle: Throttle, source: str, challenge: str) -> bool:
    """Do a second step; return whether it was looked at."""
    try:
        await throttle.reserve_second_step(
            "alice", source, challenge, known_device=False
        )
    except TooManyAttemptsError:
        return False
    return True


async def test_p8_both_steps_of_a_newcomer_are_one_newcomer(
    throttle: Throttle, clock: TurnedClock
) -> None:
    await under_attack(throttle, clock)

    assert await fails(throttle, "alice", HOME)
    assert not await fails(throttle, "alice", elsewhere(256))
    assert await second_step(throttle, HOME, "challenge")


async def test_p8_one_second_step_goes_with_a_first_one(
    throttle: Throttle, clock: TurnedClock
) -> None:
    await under_attack(throttle, clock)
    assert await fails(throttle, "alice", HOME)

    looked_at = await asyncio.gather(
        *(second_step(throttle, elsewhere(256 * n), "challenge") for n in range(9))
    )

    assert sum(looked_at) == 1


async def test_p8_newcomers_places_are_good_for_one_more_second_step_each(
    throttle: Throttle, clock: TurnedClock
) -> None:
    """Who holds thousands of networks has a place a minute, and two steps in it."""
    await under_attack(throttle, clock)
    minutes, looked_at = 60, 0
    sources = (elsewhere(256 * number) for number in itertools.count(1))
    for minute in range(minutes):
        for number in range(10):
            challenge = f"{minute} {number}"
            if await fails(throttle, "alice", next(sources)):
                looked_at += 1
                for _ in range(5):
                    looked_at += await second_step(throttle, next(sources), challenge)
        clock.turn(timedelta(minutes=1))

    of_strangers = SIGN_INS_OF_USER[2].amount
    assert looked_at <= 2 * minutes + of_strangers


async def mails(throttle: Throttle, kind: str, receiver: str, source: str) -> bool:
    """Return whether the source may have a mail sent."""
    try:
        await throttle.reserve_mail(kind, receiver, source)
    except TooManyAttemptsError:
        return False
    return True


async def test_one_subscriber_leaves_others_their_mail(throttle: Throttle) -> None:
    sent = 0
    for network in range(256):
        for number in range(20):
            source = f"2001:db8:0:{network:x}::1"
            sent += await mails(throttle, "reset", f"{network}.{number}", source)

    assert sent <= 30
    assert await mails(throttle, "reset", "somebody", HOME)


async def test_strangers_leave_the_owner_of_an_address_their_mail(
    throttle: Throttle,
) -> None:
    for number in range(100):
        await mails(throttle, "verification", "alice", elsewhere(number * 256))
    for _ in range(100):
        await mails(throttle, "reset", "alice", elsewhere(7))

    assert await mails(throttle, "reset", "alice", HOME)


async def test_p9_right_sign_ins_count_too(throttle: Throttle) -> None:
    limit = SIGN_INS_OF_USER_AT_SITE[0].amount
    for known in (False, True):
        account = f"alice {known}"
        looked_at = [
            await succeeds(throttle, account, HOME, known=known) for _ in range(500)
        ]
        assert sum(looked_at) == limit
        assert await succeeds(throttle, account, elsewhere(1), known=known)


async def test_p8_after_the_wait_the_right_password_is_looked_at(
    throttle: Throttle, clock: TurnedClock
) -> None:
    while await fails(throttle, "alice", HOME):
        pass
    clock.turn(timedelta(seconds=59))
    assert not await succeeds(throttle, "alice", HOME)
    clock.turn(timedelta(seconds=1))

    assert await succeeds(throttle, "alice", HOME)


async def test_p8_refused_attempts_do_not_prolong_the_wait(
    throttle: Throttle, clock: TurnedClock
) -> None:
    for _ in range(500):
        await fails(throttle, "alice", HOME)
        clock.turn(timedelta(seconds=0.1))
    clock.turn(timedelta(seconds=11))

    assert await succeeds(throttle, "alice", HOME)


async def test_p8_a_device_that_signed_in_before_is_not_locked_out(
    throttle: Throttle,
) -> None:
    for number in range(1000):
        await fails(throttle, "alice", elsewhere(number))
        await fails(throttle, "alice", elsewhere(number), known=True)

    assert not await succeeds(throttle, "alice", "192.0.2.1")
    assert await succeeds(throttle, "alice", HOME, known=True)


async def test_p8_nor_for_what_else_comes_from_its_address(
    throttle: Throttle,
) -> None:
    for account in ("alice", *(f"user {number}" for number in range(100))):
        for _ in range(20):
            await fails(throttle, account, HOME)

    assert not await succeeds(throttle, "bob", HOME)
    assert await succeeds(throttle, "alice", HOME, known=True)


async def test_p8_known_devices_may_not_guess_for_ever(
    throttle: Throttle,
) -> None:
    looked_at = [await fails(throttle, "alice", HOME, known=True) for _ in range(50)]

    assert sum(looked_at) == SIGN_INS_OF_USER[0].amount


async def test_p8_stolen_token_does_not_guess_from_site_after_site(
    throttle: Throttle,
) -> None:
    proven = Authentication(datetime.now(UTC), frozenset({Method.PASSWORD}))
    looked_at = 0
    for number in range(50):
        device = Device("a thief", elsewhere(256 * number))
        with contextlib.suppress(TooManyAttemptsError):
            await throttle.reserve_proof("alice", Caller(1, "1" * 32, device, proven))
            looked_at += 1

    assert looked_at == SIGN_INS_OF_USER[0].amount
    assert await succeeds(throttle, "alice", HOME, known=True)


@pytest.mark.parametrize("sessions", [1, 50])
async def test_p8_one_right_proof_pays_for_no_guesses_at_another(
    throttle: Throttle, sessions: int
) -> None:
    """Of a thief who has sessions and one of two credentials."""
    proven = Authentication(datetime.now(UTC), frozenset({Method.PASSWORD}))
    looked_at = 0
    for number in range(50):
        session_id = f"{number % sessions:032}"
        caller = Caller(1, session_id, Device("a thief", HOME), proven)
        with contextlib.suppress(TooManyAttemptsError):
            attempt = await throttle.reserve_proof("alice", caller)
            if number % 5 == 0:
                await attempt.succeeded()
            else:
                looked_at += 1

    assert looked_at == SIGN_INS_OF_USER[0].amount


async def test_p9_an_attempt_that_nobody_looked_at_does_not_count(
    throttle: Throttle,
) -> None:
    for known_device in (False, True):
        for _ in range(500):
            attempt = await throttle.reserve_sign_in(
                "alice", HOME, known_device=known_device
            )
            await attempt.was_not_tried()


async def test_p8_a_success_ends_the_row(throttle: Throttle) -> None:
    for number in range(20):
        for _ in range(SIGN_INS_OF_USER[0].amount - 1):
            assert await fails(throttle, "alice", elsewhere(number))
        assert await succeeds(throttle, "alice", elsewhere(number))


async def test_p8_successes_of_one_account_pay_for_no_guesses_at_others(
    throttle: Throttle,
) -> None:
    looked_at = 0
    for number in range(500):
        looked_at += await fails(throttle, f"victim {number}", HOME)
        await succeeds(throttle, "attacker", HOME)

    assert looked_at == 60


async def test_p8_one_source_is_limited_whatever_the_accounts(
    throttle: Throttle,
) -> None:
    looked_at = [await fails(throttle, f"user {number}", HOME) for number in range(200)]

    assert sum(looked_at) == 60
    assert await fails(throttle, "user 1", elsewhere(1))


async def test_p8_an_office_that_types_well_is_not_limited(
    throttle: Throttle,
) -> None:
    for number in range(2000):
        assert await succeeds(throttle, f"user {number}", HOME)


async def test_p8_guesses_refused_for_the_account_cost_the_source_nothing(
    throttle: Throttle,
) -> None:
    for _ in range(500):
        await fails(throttle, "alice", HOME)

    assert await succeeds(throttle, "bob", HOME)


async def test_p8_an_unknown_name_is_throttled_like_any(
    throttle: Throttle,
) -> None:
    names = ("nobody", "", "\ud800", "x" * 100_000)
    for name in names:
        looked_at = [
            await fails(throttle, name, elsewhere(number)) for number in range(30)
        ]
        assert sum(looked_at) == SIGN_INS_OF_USER[0].amount


async def test_p14_sign_ups_of_a_source_are_limited(
    throttle: Throttle, clock: TurnedClock
) -> None:
    for _ in range(SIGN_UPS_OF_SOURCE[0].amount):
        await throttle.reserve_sign_up(HOME)

    with pytest.raises(TooManyAttemptsError) as refused:
        await throttle.reserve_sign_up(HOME)
    await throttle.reserve_sign_up(elsewhere(1))
    clock.turn(refused.value.retry_after)
    await throttle.reserve_sign_up(HOME)


async def test_refreshes_of_a_source_are_limited(throttle: Throttle) -> None:
    for _ in range(REFRESHES_OF_SOURCE[0].amount):
        await throttle.reserve_refresh(HOME)

    with pytest.raises(TooManyAttemptsError):
        await throttle.reserve_refresh(HOME)
    await throttle.reserve_refresh(elsewhere(1))


async def test_switched_off_it_lets_everything_pass() -> None:
    throttle = Throttle(NoCounters())
    for _ in range(5000):
        await (await throttle.reserve_sign_in("alice", HOME)).succeeded()
        await throttle.reserve_sign_up(HOME)
        await throttle.reserve_refresh(HOME)


async def test_p8_what_is_given_back_late_allows_nobody_more(
    throttle: Throttle, clock: TurnedClock
) -> None:
    attempts = [
        await throttle.reserve_sign_in(f"user {number}", HOME) for number in range(50)
    ]
    clock.turn(timedelta(days=40))
    for attempt in attempts:
        await attempt.was_not_tried()
        await attempt.succeeded()

    looked_at = [await fails(throttle, f"user {number}", HOME) for number in range(200)]
    assert sum(looked_at) == SIGN_INS_OF_SOURCE[0].amount


async def test_memory_holds_a_bounded_number_of_counts(clock: TurnedClock) -> None:
    counts = MemoryCounts(clock, max_counts=100)
    for number in range(10_000):
        await counts.incr(f"key {number}", 60)
        await counts.incr("busy", 60)

    assert await counts.get("busy") == 10_000
    assert await counts.get("key 0") == 0
    assert await counts.reset() == 100


async def floods(throttle: Throttle) -> None:
    """Do from many networks what costs no hash."""
    for number in range(500):
        address = f"2001:db8:{number:x}::1"
        with contextlib.suppress(TooManyAttemptsError):
            await throttle.reserve_sign_up(address)
        with contextlib.suppress(TooManyAttemptsError):
            await throttle.reserve_mail("reset", f"{number}@example.test", address)


async def guesses_at_others(throttle: Throttle) -> None:
    for number in range(500):
        await fails(throttle, f"nobody {number}", f"2001:db8:{number:x}::1")


@pytest.mark.parametrize("flood", [floods, guesses_at_others])
async def test_guesses_are_not_forgotten_for_what_else_is_counted(
    clock: TurnedClock, flood: Callable[[Throttle], Awaitable[None]]
) -> None:
    throttle = Throttle(StoreCounters(MemoryCounts(clock, max_counts=400), clock))
    for number in range(SIGN_INS_OF_USER[0].amount):
        assert await fails(throttle, "alice", elsewhere(number))

    await flood(throttle)

    assert not await fails(throttle, "alice", elsewhere(99))


async def test_what_was_taken_back_leaves_no_counts(clock: TurnedClock) -> None:
    counts = MemoryCounts(clock)
    attempt = await Throttle(StoreCounters(counts, clock)).reserve_sign_in("a", HOME)
    await attempt.was_not_tried()
    assert await counts.reset() == 0
