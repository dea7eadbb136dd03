"""What administrators do stays quick with very many accounts and sessions."""

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.faults.figures import tell
from tests.support.database import SERVERS, connected, database_url, sqlite_template
from tests.support.identity import (
    IdentityClient,
    create_admin,
    identity_settings,
    running_identity,
)

from identity_service.composition import Services
from identity_service.domain.accounts.search import search_words
from identity_service.storage import tables
from service_kit.clock import utc_now

__all__ = ["database_url", "sqlite_template"]

USERS: Final = 200_000
SESSIONS: Final = 500_000
OLD_SESSIONS: Final = 100_000
"""Of one account."""

TIMES: Final = 100
SIGN_INS_A_SECOND: Final = 200
DAY: Final = timedelta(days=1)
BATCH: Final = 5_000

FIRST_NAMES: Final = ("anna", "ben", "chloe", "david", "emma", "felix", "grace", "hugo")

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1_200),
    pytest.mark.parametrize("database_url", SERVERS, indirect=True),
]


def percentile(times: Sequence[float], part: float) -> float:
    return sorted(times)[int((len(times) - 1) * part)]


async def insert_all(
    connection: AsyncConnection, table: Table, rows: Iterator[dict[str, Any]]
) -> None:
    while batch := list(itertools.islice(rows, BATCH)):
        await connection.execute(insert(table), batch)


def name_of(user_id: int) -> str:
    return f"{FIRST_NAMES[user_id % len(FIRST_NAMES)]}_{user_id}"


def user_rows(first_id: int, password_hash: str) -> Iterator[dict[str, Any]]:
    now = utc_now()
    for user_id in range(first_id, first_id + USERS):
        name = name_of(user_id)
        yield {
            "id": user_id,
            "username": name,
            "username_key": name,
            "email": f"{name}@example.test",
            "email_key": f"{name}@example.test",
            "password_hash": password_hash,
            "password_is_temporary": False,
            "password_changed_at": now,
            "created_at": now,
            "updated_at": now,
            "subject": secrets.token_urlsafe(16),
        }


def word_rows(first_id: int) -> Iterator[dict[str, Any]]:
    for user_id in range(first_id, first_id + USERS):
        name = name_of(user_id)
        for word in search_words(name, f"{name}@example.test"):
            yield {"user_id": user_id, "word": word}


def session_rows(
    user_ids: Sequence[int], expired_for: timedelta
) -> Iterator[dict[str, Any]]:
    """One session for each of the users; a negative time has them live on."""
    now = utc_now()
    for user_id in user_ids:
        yield {
            "id": secrets.token_hex(16),
            "user_id": user_id,
            "client_id": "first-party",
            "generation": 1,
            "device": "test",
            "address": "192.0.2.1",
            "created_at": now - 90 * DAY,
            "rotated_at": now - DAY,
            "idle_expires_at": now - expired_for,
            "expires_at": now - expired_for,
        }


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[tuple[IdentityClient, str, int]]:
    """Identity with all the accounts, an administrator's token, the first account."""
    async with running_identity(identity_settings(database_url)) as identity:
        await create_admin(database_url)
        admin = (await identity.sign_in("boss")).json["accessToken"]
        pattern = (await identity.signed_in("pattern"))["id"]
        async with connected(database_url) as engine, engine.begin() as connection:
            users = tables.users.c
            password_hash = await connection.scalar(
                select(users.password_hash).where(users.id == pattern)
            )
            first = pattern + 1
            everybody = range(first, first + USERS)
            await insert_all(
                connection, tables.users, user_rows(first, str(password_hash))
            )
            await insert_all(connection, tables.user_search_words, word_rows(first))
            roles = ({"user_id": user_id, "role_id": 1} for user_id in everybody)
            await insert_all(connection, tables.user_roles, roles)
            owners = list(itertools.islice(itertools.cycle(everybody), SESSIONS))
            await insert_all(connection, tables.sessions, session_rows(owners, -DAY))
            old = session_rows([first] * OLD_SESSIONS, DAY)
            await insert_all(connection, tables.sessions, old)
        yield identity, admin, first


async def timed(
    identity: IdentityClient, token: str, method: str, path: str, body: object
) -> float:
    began_at = time.monotonic()
    answer = await identity.call(method, path, token, json=body)
    assert answer.status == 200, answer.text
    return time.monotonic() - began_at


async def test_administrators_are_served_at_once(
    filled: tuple[IdentityClient, str, int],
) -> None:
    identity, admin, first = filled
    for name, method, suffix, body in (
        ("roles", "PUT", "/roles", {"roles": ["user", "moderator"]}),
        ("end sessions", "DELETE", "/sessions", None),
        ("disable", "PATCH", "", {"disabled": True}),
        ("delete", "DELETE", "", None),
    ):
        took = [
            await timed(identity, admin, method, f"/api/users/{user_id}{suffix}", body)
            for user_id in range(first, first + TIMES)
        ]
        tell(f"{name}: p99 {percentile(took, 0.99) * 1e3:.0f} ms, first {took[0]:.3f}")
        assert max(took[0], percentile(took, 0.99)) <= 0.3, name

    searches = ["anna", "ben_1", "chloe_123", "example", "test", "150000", "zzz"]
    took = [
        await timed(identity, admin, "GET", f"/api/users?search={text}", None)
        for text in searches * 15
    ]
    tell(f"search: p95 {percentile(took, 0.95) * 1e3:.0f} ms")
    assert percentile(took, 0.95) <= 0.1


async def test_pruning_keeps_up_with_sign_ins(
    filled: tuple[IdentityClient, str, int], database_url: str
) -> None:
    del filled
    minutes = 2
    due = SIGN_INS_A_SECOND * 60 * minutes
    count = select(func.count()).select_from(tables.sessions)
    async with connected(database_url) as engine:
        async with engine.begin() as connection:
            await connection.execute(
                tables.sessions.delete().where(tables.sessions.c.expires_at < utc_now())
            )
            rows = session_rows([7] * due, 30 * DAY)
            await insert_all(connection, tables.sessions, rows)
        async with engine.connect() as connection:
            before = await connection.scalar(count)
        async with Services(identity_settings(database_url)) as services:
            began_at = time.monotonic()
            done = await services.housekeeping.once()
            took = time.monotonic() - began_at
        async with engine.connect() as connection:
            after = await connection.scalar(count)
    tell(f"{done['sessions']} sessions pruned in {took:.1f} s")
    assert before is not None
    assert after == before - due, "a round leaves nothing over"
    assert took < 60 * minutes / 2, "and it is done long before the next one"
