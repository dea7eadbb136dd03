"""What becomes of letters: several senders, refusals, and the operator's commands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email.headerregistry import Address
from typing import Final, cast

import pytest
from sqlalchemy import insert
from tests.support.database import SERVERS, connected
from tests.support.identity import MovableClock, identity_settings, random_key
from tests.support.mail_server import MailServer
from tests.support.operator import Operator

from identity_service.composition import Services
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    TooManyAttemptsError,
)
from identity_service.domain.limits.throttling import MAILS_OF_ALL
from identity_service.domain.mail import (
    LONGEST_RETRY,
    Letter,
    MailKind,
    MailRequest,
    MailRequestKind,
)
from identity_service.mail.messages import MessageWriter
from identity_service.settings import Settings
from identity_service.storage.repositories import Repositories
from identity_service.storage.tables import outbox
from identity_service.usecases.mail.requests import MailRequestHandler
from identity_service.usecases.mail.sending import (
    CLAIMED_FOR,
    MOST_ATTEMPTS,
    READABLE_AFTER,
    UNREADABLE_RETRY,
    MailSender,
)

TO: Final = "alice@example.test"


@contextlib.asynccontextmanager
async def composed(
    settings: Settings, clock: MovableClock
) -> AsyncIterator[tuple[Services, MailSender]]:
    async with Services(settings, clock=clock) as services:
        assert services.accounts.mail_sender is not None
        yield services, services.accounts.mail_sender


def letter_to(to: str) -> Letter:
    return Letter(
        kind=MailKind.PASSWORD_CHANGED,
        to=to,
        language="en",
        values={"username": "alice"},
    )


async def post(services: Services, to: str = TO) -> None:
    await services.database.write(
        lambda unit: services.outbox.post(unit, letter_to(to))
    )


async def send_all(sender: MailSender) -> None:
    while await sender.once():
        pass


async def test_of_several_senders_one_sends_each_letter(
    settings: Settings, clock: MovableClock, mail_server: MailServer
) -> None:
    async with (
        composed(settings, clock) as (services, one),
        composed(settings, clock) as (_, other),
    ):
        for number in range(25):
            await post(services, f"user{number}@example.test")
        await asyncio.gather(send_all(one), send_all(other), send_all(one))

        assert sorted(mail.to for mail in mail_server.received) == sorted(
            f"user{number}@example.test" for number in range(25)
        )
        assert one.sent + other.sent == 25
        assert await services.outbox.count() == (0, 0)


async def test_a_letter_of_a_clock_that_was_ahead_waits_no_longer(
    settings: Settings, clock: MovableClock, mail_server: MailServer
) -> None:
    async with composed(settings, clock) as (services, sender):
        clock.advance(timedelta(days=1))
        await post(services)
        clock.advance(-timedelta(days=1))
        await send_all(sender)

        assert [mail.to for mail in mail_server.received] == [TO]
        assert await services.outbox.count() == (0, 0)


def request_for(email_key: str) -> MailRequest:
    return MailRequest(
        kind=MailRequestKind.PASSWORD_RESET,
        email_key=email_key,
        language="en",
        address="192.0.2.1",
    )


def sender_with(
    answer: MailRequestHandler,
    services: Services,
    settings: Settings,
    clock: MovableClock,
) -> MailSender:
    assert settings.mail is not None
    return MailSender(
        services.database,
        outbox=services.outbox,
        handlers={MailRequestKind.PASSWORD_RESET: answer},
        throttle=services.throttle,
        place=settings.mail,
        writer=MessageWriter(
            templates=settings.mail_templates,
            sender=Address("a", "b", "c.test"),
            pages_url="",
        ),
        clock=clock,
    )


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
async def test_a_request_that_cannot_be_answered_costs_no_other(
    settings: Settings, clock: MovableClock
) -> None:
    """While one replica answers the older request, another fails at the younger."""
    is_taken, is_over = asyncio.Event(), asyncio.Event()

    async def give_up(unit: Repositories) -> None:
        await unit.outbox.take_request()
        is_taken.set()
        await is_over.wait()
        raise RuntimeError

    async with composed(settings, clock) as (services, _):
        database = services.database
        for name in ("older", "younger"):
            await database.write(
                lambda unit, name=name: unit.outbox.add_request(  # type: ignore[misc]
                    request_for(name)
                )
            )
        replica = asyncio.create_task(database.write(give_up))
        await is_taken.wait()

        answered = []

        async def answer(_: Repositories, request: MailRequest) -> bool:
            answered.append(request.email_key)
            if request.email_key == "younger":
                is_over.set()
                await asyncio.wait([replica])
                raise RuntimeError
            return False

        sender = sender_with(answer, services, settings, clock)
        await send_all(sender)

    assert isinstance(replica.exception(), RuntimeError)
    assert answered == ["younger", "older"]


async def test_a_request_that_fails_at_the_end_takes_no_mail_of_others(
    settings: Settings, clock: MovableClock
) -> None:
    async def answer(unit: Repositories, _: MailRequest) -> bool:
        unit.record(AuditEvent(action=Action.PASSWORD_RESET_SENT, subject_id=2**70))
        return True

    throttled = replace(settings, throttle=True)
    async with composed(throttled, clock) as (services, _):
        for _ in range(MAILS_OF_ALL[0].amount - 1):
            await services.throttle.reserve_mail_in_all()
        await services.database.write(
            lambda unit: unit.outbox.add_request(request_for("alice"))
        )
        sender = sender_with(answer, services, settings, clock)
        with contextlib.suppress(DatabaseUnavailableError):
            await sender.once()

        await services.throttle.reserve_mail_in_all()
        with pytest.raises(TooManyAttemptsError):
            await services.throttle.reserve_mail_in_all()


async def test_a_transaction_that_fails_sends_nothing(
    settings: Settings, clock: MovableClock, mail_server: MailServer
) -> None:
    async with composed(settings, clock) as (services, sender):

        async def work(unit: Repositories) -> None:
            await services.outbox.post(unit, letter_to(TO))
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await services.database.write(work)
        await send_all(sender)

    assert not mail_server.received


async def test_a_deferred_letter_is_tried_again_later_each_time(
    settings: Settings, clock: MovableClock, mail_server: MailServer
) -> None:
    mail_server.refusals[TO] = ["451 later"] * 3
    async with composed(settings, clock) as (services, sender):
        await post(services)
        for seconds in (5, 10, 20):
            await send_all(sender)
            clock.advance(timedelta(seconds=seconds - 2))
            assert not await sender.once()
            clock.advance(timedelta(seconds=2))
        await send_all(sender)

    assert len(mail_server.received) == 1


async def test_whoever_is_killed_in_sending_leaves_the_letter_to_others(
    settings: Settings, clock: MovableClock, mail_server: MailServer
) -> None:
    async with composed(settings, clock) as (services, sender):
        await post(services)
        (letter,) = await services.outbox.page(dead=False)
        until = clock() + CLAIMED_FOR
        assert await services.database.write(
            lambda unit: unit.outbox.claim(letter, until)
        )
        assert not await sender.once()
        clock.advance(CLAIMED_FOR)
        await send_all(sender)

    assert len(mail_server.received) == 1


@pytest.mark.parametrize("response", ["550 No such user", "451 Later"])
async def test_the_operator_lists_and_resends_what_was_given_up(
    settings: Settings,
    clock: MovableClock,
    mail_server: MailServer,
    database_url: str,
    response: str,
) -> None:
    attempts = 1 if response.startswith("550") else MOST_ATTEMPTS
    mail_server.refusals[TO] = [response] * attempts
    operator = Operator(database_url, IDENTITY_MAIL_URL=mail_server.url)
    async with composed(settings, clock) as (services, sender):
        await post(services)
        for _ in range(attempts):
            await send_all(sender)
            clock.advance(LONGEST_RETRY)
        (dead,) = await services.outbox.page(dead=True)

        listed = await operator.run("mail", "list")
        unknown = await operator.run("mail", "resend", "0" * 32)
        resent = await operator.run("mail", "resend", dead.id)
        waiting = await operator.run("mail", "list", "--waiting")
        await send_all(sender)

    assert listed.out.splitlines()[0] == "0 wait, 1 could not be sent"
    assert dead.id in listed.out
    assert response[:3] in listed.out
    assert TO not in listed.out
    assert (unknown.code, unknown.out) == (1, "0 will be sent again\n")
    assert (resent.code, resent.out) == (0, "1 will be sent again\n")
    assert dead.id in waiting.out
    assert [mail.to for mail in mail_server.received] == [TO]


async def test_all_that_was_given_up_is_resent_however_much_it_is(
    settings: Settings, clock: MovableClock, database_url: str
) -> None:
    letter = {
        "kind": MailKind.PASSWORD_CHANGED,
        "sealed": b"",
        "created_at": clock(),
        "dead_at": clock(),
        "attempts": MOST_ATTEMPTS,
        "error": "451 Later",
    }
    async with connected(database_url) as engine, engine.begin() as connection:
        letters = [{"id": f"{number:032}", **letter} for number in range(2001)]
        await connection.execute(insert(outbox), letters)
    async with composed(settings, clock) as (services, _):
        assert await services.outbox.resend([]) == 2001
        assert await services.outbox.count() == (2001, 0)


@pytest.fixture
def strange(mail_server: MailServer, database_url: str) -> Settings:
    """Those of a replica with another key-encryption key."""
    return identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_KEY_ENCRYPTION_KEYS="A" * 43,
    )


async def test_a_letter_that_no_key_opens_waits_for_whoever_has_the_key(
    settings: Settings,
    strange: Settings,
    clock: MovableClock,
    mail_server: MailServer,
) -> None:
    async with (
        composed(strange, clock) as (stranger, its_sender),
        composed(settings, clock) as (services, sender),
    ):
        await post(stranger)
        await post(services, "bob@example.test")
        for _ in range(MOST_ATTEMPTS + 1):
            await send_all(sender)
            clock.advance(UNREADABLE_RETRY)
        assert [mail.to for mail in mail_server.received] == ["bob@example.test"]
        (left,) = await services.outbox.page(dead=False)
        assert (left.attempts, left.error) == (0, "cannot be read: SealBrokenError")

        await send_all(its_sender)
    assert [mail.to for mail in mail_server.received] == ["bob@example.test", TO]


async def test_a_letter_of_a_later_version_waits_for_it(
    settings: Settings, clock: MovableClock
) -> None:
    later = replace(letter_to(TO), kind=cast("MailKind", "news_of_tomorrow"))
    async with composed(settings, clock) as (services, sender):
        await services.database.write(lambda unit: services.outbox.post(unit, later))
        await send_all(sender)
        assert await services.outbox.count() == (1, 0)


async def test_a_letter_that_nobody_can_read_is_given_up_after_a_day(
    settings: Settings, strange: Settings, clock: MovableClock
) -> None:
    async with (
        composed(strange, clock) as (stranger, _),
        composed(settings, clock) as (services, sender),
    ):
        await post(stranger)
        await send_all(sender)
        clock.advance(READABLE_AFTER)
        await send_all(sender)
        assert await services.outbox.count() == (0, 1)


async def test_letters_are_sealed_again_before_their_key_goes(
    strange: Settings, clock: MovableClock, mail_server: MailServer, database_url: str
) -> None:
    new = random_key()
    async with composed(strange, clock) as (services, _):
        await post(services)
    lost, both = (
        Operator(
            database_url,
            IDENTITY_MAIL_URL=mail_server.url,
            IDENTITY_KEY_ENCRYPTION_KEYS=keys,
        )
        for keys in (new, f"{new},{'A' * 43}")
    )

    refused = await lost.run("reseal-signing-keys")
    resealed = await both.run("reseal-signing-keys")

    assert refused.out.splitlines()[0] == "1 mails do not open"
    assert refused.code == 1
    assert resealed.out == "resealed: 1; all are sealed under the first key now\n"
    alone = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_KEY_ENCRYPTION_KEYS=new,
    )
    async with composed(alone, clock) as (_, sender):
        await send_all(sender)
    assert [mail.to for mail in mail_server.received] == [TO]


async def test_after_restore_sends_nothing_again(
    settings: Settings, clock: MovableClock, mail_server: MailServer, database_url: str
) -> None:
    async with composed(settings, clock) as (services, sender):
        await post(services)
        restored = await Operator(database_url).run("after-restore")
        await send_all(sender)

    assert restored.code == 0, restored.err
    assert "letters and tokens of mails forgotten: 1" in restored.out
    assert not mail_server.received
