from datetime import UTC, datetime
from typing import Final

import bcrypt
import pytest
from sqlalchemy import select, update
from tests.support.authenticators import Authenticator
from tests.support.database import connected
from tests.support.factors import registered
from tests.support.identity import IdentityClient, identity_settings

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser
from identity_service.domain.errors import UnknownRoleError
from identity_service.storage import tables
from identity_service.usecases.importing.import_users import (
    MAX_ID,
    ImportedUsers,
    Outcome,
)

OLD_PASSWORD: Final = "123456"
OLD_HASH: Final = bcrypt.hashpw(OLD_PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def imported(user_id: int, username: str, email: str, *roles: str) -> NewUser:
    return NewUser(
        id=user_id,
        username=Username.parse(username),
        email=EmailAddress.parse(email),
        password_hash=OLD_HASH,
        created_at=datetime(2021, 1, 1, tzinfo=UTC),
        roles=frozenset(map(RoleName, roles or ["user"])),
    )


async def bring_over(url: str, *users: NewUser) -> list[Outcome]:
    async with Services(identity_settings(url)) as composed:
        target = ImportedUsers(composed.database)
        return await target.add(users)


async def test_p6_who_was_brought_over_signs_in_and_gets_a_hash_of_today(
    identity: IdentityClient, database_url: str
) -> None:
    outcomes = await bring_over(
        database_url,
        imported(17, "alice", "alice@example.test", "user", "moderator"),
    )
    signed_in = await identity.sign_in("alice", OLD_PASSWORD)
    again = await identity.sign_in("alice", OLD_PASSWORD)

    assert outcomes == [Outcome.IMPORTED]
    assert signed_in.json["id"] == 17
    assert signed_in.json["roles"] == ["ROLE_USER", "ROLE_MODERATOR"]
    assert again.status == 200
    async with connected(database_url) as engine, engine.connect() as connection:
        stored = await connection.scalar(select(tables.users.c.password_hash))
    assert str(stored).startswith("$hmac-sha384$")


async def test_each_row_has_its_outcome_and_a_second_run_changes_nothing(
    identity: IdentityClient, database_url: str
) -> None:
    del identity
    rows = [
        imported(1, "alice", "alice@example.test"),
        imported(2, "ALICE", "other@example.test"),
        imported(3, "bob", "Alice@example.test"),
        imported(4, "carol", "carol@example.test"),
    ]

    first = await bring_over(database_url, *rows)
    second = await bring_over(database_url, *rows, imported(4, "dan", "d@example.test"))

    assert first == [
        Outcome.IMPORTED,
        Outcome.USERNAME_TAKEN,
        Outcome.EMAIL_TAKEN,
        Outcome.IMPORTED,
    ]
    assert second == [
        Outcome.ALREADY_HERE,
        Outcome.USERNAME_TAKEN,
        Outcome.EMAIL_TAKEN,
        Outcome.ALREADY_HERE,
        Outcome.ID_TAKEN,
    ]


async def test_more_accounts_than_fit_in_one_transaction(
    identity: IdentityClient, database_url: str
) -> None:
    del identity
    rows = [
        imported(number, f"user{number}", f"user{number}@example.test")
        for number in range(1, 121)
    ]

    assert await bring_over(database_url, *rows) == [Outcome.IMPORTED] * 120


async def test_who_was_deleted_here_is_not_brought_back(
    identity: IdentityClient, admin: str, database_url: str
) -> None:
    row = imported(4711, "alice", "alice@example.test", "admin")
    await bring_over(database_url, row)
    deleted = await identity.call("DELETE", "/api/users/4711", admin)

    again = await bring_over(database_url, row)

    assert deleted.status in {200, 204}
    assert again == [Outcome.DELETED]
    assert (await identity.sign_in("alice", OLD_PASSWORD)).status == 401


async def test_who_was_changed_here_stays_as_changed(
    identity: IdentityClient, database_url: str
) -> None:
    row = imported(17, "alice", "alice@example.test")
    await bring_over(database_url, row)
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            tables.users.update().values(email="a@new.test", email_key="a@new.test")
        )

    again = await bring_over(database_url, row)

    assert again == [Outcome.ALREADY_HERE]
    assert (await identity.sign_in("alice", OLD_PASSWORD)).json["email"] == "a@new.test"


async def test_the_id_of_an_account_deleted_here_is_not_given_to_another(
    identity: IdentityClient, admin: str, database_url: str
) -> None:
    carol = (await identity.signed_in("carol"))["id"]
    await identity.call("DELETE", f"/api/users/{carol}", admin)

    again = await bring_over(database_url, imported(carol, "dave", "dave@example.test"))

    assert again == [Outcome.ID_TAKEN]


async def test_people_sign_up_after_the_greatest_id(
    identity: IdentityClient, database_url: str
) -> None:
    await bring_over(database_url, imported(MAX_ID, "alice", "alice@example.test"))

    assert (await identity.signed_in("bob"))["id"] == MAX_ID + 1


async def stored_hash(url: str) -> str:
    async with connected(url) as engine, engine.connect() as connection:
        return str(await connection.scalar(select(tables.users.c.password_hash)))


async def test_p6_who_has_a_second_factor_gets_a_hash_of_today_at_a_fresh_check(
    identity: IdentityClient, database_url: str
) -> None:
    await bring_over(database_url, imported(17, "alice", "alice@example.test"))
    token = (await identity.sign_in("alice", OLD_PASSWORD)).json["accessToken"]
    assert (await registered(identity, token, Authenticator())).status == 201
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(update(tables.users).values(password_hash=OLD_HASH))

    first_step = await identity.sign_in("alice", OLD_PASSWORD)
    at_sign_in = await stored_hash(database_url)
    body = {"password": OLD_PASSWORD}
    fresh = await identity.call("POST", "/api/users/me/fresh", token, json=body)

    assert first_step.json["code"] == "second_factor_required"
    assert at_sign_in == OLD_HASH, "its time would tell that the password was right"
    assert fresh.status == 200, fresh.text
    assert (await stored_hash(database_url)).startswith("$hmac-sha384$")


async def test_a_role_that_is_removed_during_an_import_ends_it_in_words(
    database_url: str,
) -> None:
    user = ("alice", "alice@example.test")
    with pytest.raises(UnknownRoleError, match="There is no role editor"):
        await bring_over(database_url, imported(1, *user, "editor"))

    assert await bring_over(database_url, imported(1, *user)) == [Outcome.IMPORTED]
