"""Work in batches, where a response of the database takes a hundredth of a second."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Connection, delete, event, select
from sqlalchemy.engine import make_url
from tests.support.database import SERVERS, connected
from tests.support.identity import identity_settings
from tests.support.slow_proxy import slow_proxy

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import USER
from identity_service.domain.accounts.search import search_words
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser
from identity_service.storage.repositories import Repositories
from identity_service.storage.tables import user_search_words
from identity_service.usecases.importing.import_users import ImportedUsers, Outcome
from service_kit.clock import utc_now

DELAY = 0.01
"""Seconds."""

pytestmark = pytest.mark.parametrize("database_url", SERVERS, indirect=True)


@pytest.fixture
def slow_url(database_url: str) -> Iterator[str]:
    url = make_url(database_url)
    assert url.port is not None
    with slow_proxy(url.port) as proxy:
        proxy.delay = DELAY
        yield url.set(port=proxy.port).render_as_string(hide_password=False)


@pytest.fixture
async def composed(database_url: str) -> AsyncIterator[Services]:
    async with Services(identity_settings(database_url)) as services:
        yield services


def user(name: str) -> NewUser:
    return NewUser(
        username=Username.parse(name),
        email=EmailAddress.parse(f"{name}@example.test"),
        password_hash="",
        roles=frozenset({USER}),
        created_at=utc_now(),
    )


async def forget_words(database_url: str) -> None:
    """As if a replica that knows none had added the users."""
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(delete(user_search_words))


async def test_users_are_imported(slow_url: str) -> None:
    async with Services(identity_settings(slow_url)) as composed:
        users = [user(f"user{number}") for number in range(50)]
        outcomes = await ImportedUsers(composed.database).add(users)
    assert outcomes == [Outcome.IMPORTED] * 50


async def test_many_users_without_search_words_get_them(
    database_url: str, slow_url: str, composed: Services
) -> None:
    users = [user(f"user{number}") for number in range(300)]
    await ImportedUsers(composed.database).add(users)
    await forget_words(database_url)

    async with Services(identity_settings(slow_url)) as slow:
        done = [await slow.housekeeping.once() for _ in range(2)]

    assert [each["search_words"] for each in done] == [300, 0]
    assert len(await composed.users.page("user29", 0, 100)) == 11


async def test_one_who_is_renamed_meanwhile_is_found_by_the_new_name(
    database_url: str, composed: Services
) -> None:
    await ImportedUsers(composed.database).add([user("alice")])
    await forget_words(database_url)
    waits = asyncio.Event()

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        if "FOR UPDATE" in statement or statement.startswith("DELETE"):
            waits.set()

    async def rename(unit: Repositories) -> asyncio.Task[tuple[int, int]]:
        (alice,) = await unit.users.page("", 0, 1)
        alice = await unit.users.lock_existing(alice.id)
        name = Username.parse("rosa")
        await unit.users.rename(
            alice, name, alice.email_address, email_verified_at=None
        )
        event.listen(composed.engine.sync_engine, "before_cursor_execute", note)
        filling = asyncio.create_task(
            composed.database.write(lambda unit: unit.search_words.fill(0, 10))
        )
        await waits.wait()
        return filling

    filling = await composed.database.write(rename)

    assert (await filling)[1] == 0
    async with connected(database_url) as engine, engine.connect() as connection:
        words = await connection.scalars(select(user_search_words.c.word))
        assert set(words) == search_words("rosa", "alice@example.test")
