"""An account with any number of old sessions is ended, changed and deleted at once."""

import re
import secrets
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.support.database import connected
from tests.support.identity import (
    IdentityClient,
    identity_settings,
    running_identity,
)

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser
from identity_service.domain.sessions.sessions import Device, EndReason
from identity_service.storage import tables
from identity_service.storage.expired_rows import Expiring
from identity_service.storage.users.queries import user_columns
from service_kit.clock import utc_now

OLD: Final = 10_000
MANY: Final = 100_000
"""Sessions of one account, all of them over, one way or the other."""

DAY: Final = timedelta(days=1)
HERE: Final = Device("test", "192.0.2.9")


async def add_old_sessions(url: str, user_id: int, number: int) -> None:
    """Give a user sessions that have ended, idled out or expired."""
    now = utc_now()
    ages = (
        {"ended_at": now - DAY, "idle_expires_at": now + DAY, "expires_at": now + DAY},
        {"ended_at": None, "idle_expires_at": now - 2 * DAY, "expires_at": now + DAY},
        {"ended_at": None, "idle_expires_at": now - DAY, "expires_at": now - DAY},
    )
    common = {
        "user_id": user_id,
        "client_id": "first-party",
        "generation": 1,
        "device": "old",
        "address": "192.0.2.1",
        "created_at": now - 90 * DAY,
        "rotated_at": now - 90 * DAY,
    }
    async with connected(url) as engine, engine.begin() as connection:
        for start in range(0, number, 10_000):
            await connection.execute(
                insert(tables.sessions),
                [
                    {"id": secrets.token_hex(16), **common, **ages[n % len(ages)]}
                    for n in range(start, min(start + 10_000, number))
                ],
            )


async def count(url: str, *which: Any) -> int:  # noqa: ANN401 - conditions
    async with connected(url) as engine, engine.connect() as connection:
        query = select(func.count()).select_from(tables.sessions).where(*which)
        return int(await connection.scalar(query) or 0)


@pytest.fixture
async def composed(database_url: str) -> AsyncIterator[Services]:
    async with Services(identity_settings(database_url)) as services:
        yield services


@pytest.mark.parametrize(
    ("number", "most_seconds"),
    [
        pytest.param(OLD, 2.0, id="10 000"),
        pytest.param(MANY, 0.3, id="100 000", marks=[pytest.mark.faults]),
    ],
)
async def test_old_sessions_hold_up_nobody(  # noqa: PLR0917 - fixtures
    identity: IdentityClient,
    admin: str,
    composed: Services,
    database_url: str,
    number: int,
    most_seconds: float,
) -> None:
    alice = await identity.signed_in("alice")
    await add_old_sessions(database_url, alice["id"], number)
    path = f"/api/users/{alice['id']}"
    took = {}
    for name, method, where, body in (
        ("roles", "PUT", f"{path}/roles", {"roles": ["user", "moderator"]}),
        ("sessions", "DELETE", f"{path}/sessions", None),
        ("disable", "PATCH", path, {"disabled": True}),
        ("delete", "DELETE", path, None),
    ):
        began_at = time.monotonic()
        answer = await identity.call(method, where, admin, json=body)
        took[name] = time.monotonic() - began_at
        assert answer.status == 200, answer.text

    assert max(took.values()) < most_seconds, took
    assert (await identity.refresh(alice["refreshToken"])).status == 403
    while (await composed.housekeeping.once())["deleted_users"]:
        pass
    of_alice = tables.sessions.c.user_id == alice["id"]
    assert await count(database_url, of_alice) == 0


async def test_sign_in_beyond_the_limit_ends_the_least_recently_used(
    database_url: str,
) -> None:
    settings = identity_settings(database_url, IDENTITY_SESSIONS_PER_USER="3")
    async with running_identity(settings) as identity:
        first = await identity.signed_in("alice")
        second = (await identity.sign_in("alice")).json
        third = (await identity.sign_in("alice")).json
        first = {**first, **(await identity.refresh(first["refreshToken"])).json}

        fourth = (await identity.sign_in("alice")).json

        assert not await identity.is_accepted(second["accessToken"])
        assert (await identity.refresh(second["refreshToken"])).status == 403
        for pair in (first, third, fourth):
            assert await identity.is_accepted(pair["accessToken"])
        listed = await identity.call(
            "GET", "/api/users/me/sessions", fourth["accessToken"]
        )
        assert len(listed.json["sessions"]) == 3
    too_many = tables.sessions.c.end_reason == EndReason.TOO_MANY
    assert await count(database_url, too_many) == 1


class Plans:
    """How the database would run what it is asked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.asked: list[tuple[str, Any]] = []
        event.listen(engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, *noted: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        _, _, statement, parameters, *_ = noted
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            self.asked.append((statement, parameters))

    async def explained(self) -> dict[str, str]:
        """Return the plan of each statement that was asked."""
        is_sqlite = self._engine.dialect.name == "sqlite"
        explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        asked, plans = list(self.asked), {}
        async with self._engine.connect() as connection:
            for statement, parameters in asked:
                rows = await connection.exec_driver_sql(explain + statement, parameters)
                plans[statement] = "\n".join(str(tuple(row)) for row in rows)
        return plans


async def test_hot_and_bounded_statements_go_by_an_index(
    identity: IdentityClient, composed: Services, database_url: str
) -> None:
    alice = await identity.signed_in("alice")
    await add_old_sessions(database_url, alice["id"], 3000)
    async with connected(database_url) as engine, engine.begin() as connection:
        entries = [
            {"status_list": f"{n % 7}", "idx": n, "until": utc_now() + n * DAY / 100}
            for n in range(3000)
        ]
        await connection.execute(insert(tables.revoked_entries), entries)
        if engine.dialect.name != "sqlite":
            await connection.execute(text("ANALYZE TABLE sessions, revoked_entries"))
    plans, now = Plans(composed.engine), utc_now()
    user_id = alice["id"]
    await composed.tokens.keys.refresh()
    await composed.tokens.refreshes.refresh((alice["refreshToken"],), HERE)
    for work in (
        lambda unit: unit.sessions.live(user_id, 100),
        lambda unit: unit.sessions.end_surplus(user_id, 100),
        lambda unit: unit.sessions.renew_entries(user_id),
        lambda unit: unit.sessions.end_all(user_id, EndReason.SIGNED_OUT),
        lambda unit: unit.status_lists.revoked("1"),
        lambda unit: unit.status_lists.revisions(("1", "2")),
        lambda unit: unit.expired_rows.remove(Expiring.SESSIONS, now - 30 * DAY, 100),
        lambda unit: unit.expired_rows.remove(Expiring.REVOKED_ENTRIES, now - DAY, 100),
    ):
        await composed.database.write(work)

    explained = {
        statement: plan
        for statement, plan in (await plans.explained()).items()
        if any(table in statement for table in ("sessions", "revoked_entries"))
    }
    assert len(explained) > 10
    for statement, plan in explained.items():
        scanned = [line for line in plan.splitlines() if "SCAN" in line]
        assert all("INDEX" in line for line in scanned), (statement, plan)
        assert "'ALL'" not in plan, (statement, plan)
        if "user_id = " in statement and "idle_expires_at >" in statement:
            assert "ix_sessions_user_id_live" in plan, (statement, plan)


async def test_users_who_sign_in_are_found_by_an_index(
    composed: Services, database_url: str
) -> None:
    async with connected(database_url) as engine, engine.begin() as connection:
        people = [
            NewUser(
                username=Username.parse(f"user{n}"),
                email=EmailAddress.parse(f"user{n}@example.test"),
                password_hash="",
                roles=frozenset(),
                created_at=utc_now(),
            )
            for n in range(1000)
        ]
        await connection.execute(
            insert(tables.users), [user_columns(each) for each in people]
        )
        if engine.dialect.name != "sqlite":
            await connection.execute(text("ANALYZE TABLE users"))
    plans, name, email = Plans(composed.engine), "user7", "user7@example.test"
    for work in (
        lambda unit: unit.logins.by_login(name, email, HERE.address),
        lambda unit: unit.logins.by_login(name, None, "2001:db8::1"),
        lambda unit: unit.logins.by_username_key("nobody", HERE.address),
        lambda unit: unit.logins.by_email_key(email, HERE.address),
        lambda unit: unit.logins.by_id(7, HERE.address),
    ):
        await composed.database.read(work)

    explained = {
        statement: plan
        for statement, plan in (await plans.explained()).items()
        if "users" in statement
    }
    assert len(explained) == 4
    for statement, plan in explained.items():
        scanned = re.findall("SCAN (.*)'", plan)
        assert set(scanned) <= {"CONSTANT ROW", "anon_1"}, (statement, plan)
        assert "'ALL'" not in plan, (statement, plan)


async def test_letters_are_counted_by_indexes(
    composed: Services, database_url: str
) -> None:
    """And not read: after an outage of the mail server there are very many."""
    letter = {
        "kind": "password_reset",
        "sealed": b"x" * 900,
        "created_at": utc_now(),
        "attempts": 0,
        "error": "",
    }
    async with connected(database_url) as engine, engine.begin() as connection:
        letters = [
            {"id": f"{n:032}", **letter, "due_at": utc_now() if n % 3 else None}
            for n in range(1000)
        ]
        await connection.execute(insert(tables.outbox), letters)
        if engine.dialect.name != "sqlite":
            await connection.execute(text("ANALYZE TABLE outbox"))
    plans = Plans(composed.engine)

    assert await composed.outbox.count() == (666, 0)

    *_, plan = (await plans.explained()).values()
    assert "ix_outbox_due_at" in plan, plan
    assert "ix_outbox_dead_at" in plan, plan
