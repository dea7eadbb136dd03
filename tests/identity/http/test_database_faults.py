"""The database fails in every way it can; identity says 503 in time and recovers."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import URL, make_url, select, text
from sqlalchemy.exc import OperationalError
from tests.support.database import (
    DatabaseServer,
    connected,
    database_folder,
    empty_database,
    migrate,
    running_server,
)
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.identity import (
    Answer,
    IdentityClient,
    MovableClock,
    give_signing_keys,
    identity_settings,
    running_identity,
    starting_identity,
    until_ready,
)
from tests.support.operator import Operator

from identity_service.composition import Services
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage import tables
from identity_service.storage.expired_rows import Expiring
from identity_service.storage.repositories import Repositories
from identity_service.storage.upgrades import schema
from service_kit.health import Readiness

USER: Final = "identity"
SECRET: Final = "only-what-it-needs"

MOST_PACKETS: Final = 60
"""More than signing up and in take, and far more than refreshing does."""

ANSWERED_WITHIN: Final = 3.0
RECOVERED_WITHIN: Final = 2.0


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    """A server of these tests' own, which they may break."""
    with database_folder() as folder, running_server(folder) as own:
        yield own


@pytest.fixture
async def url(server: DatabaseServer) -> AsyncIterator[str]:
    """The URL of a database, as a user who may do no more than identity needs."""
    async with empty_database(server.url) as created:
        await migrate(created)
        database = make_url(created).database
        for host in ("localhost", "127.0.0.1"):
            await execute(
                server,
                f"CREATE USER IF NOT EXISTS '{USER}'@'{host}' IDENTIFIED BY '{SECRET}'",
                "GRANT SELECT, INSERT, UPDATE, DELETE"
                f" ON {database}.* TO '{USER}'@'{host}'",
            )
        yield as_user(make_url(created))


def as_user(url: URL) -> str:
    return url.set(username=USER, password=SECRET).render_as_string(hide_password=False)


async def execute(server: DatabaseServer, *statements: str) -> None:
    async with (
        connected(server.url, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as connection,
    ):
        for statement in statements:
            await connection.execute(text(statement))


async def all_refused_in_time(identity: IdentityClient, token: str) -> None:
    """Check every kind of request: 503 and when to try again, before 3 s are over."""
    started_at = time.monotonic()
    answers = await asyncio.gather(
        identity.sign_up("bob"),
        identity.sign_in("alice"),
        identity.refresh(token),
        identity.sign_out(token),
    )
    assert time.monotonic() - started_at < ANSWERED_WITHIN
    for answer in answers:
        assert answer.status == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json["code"] == "temporarily_unavailable"


async def recovers_in_time(identity: IdentityClient) -> None:
    started_at = time.monotonic()
    while (await identity.sign_in("alice")).status != 200:
        assert time.monotonic() - started_at < RECOVERED_WITHIN
        await asyncio.sleep(0.05)


async def test_privileges_on_its_tables_suffice(server: DatabaseServer) -> None:
    async with empty_database(server.url) as created:
        await migrate(created)
        await give_signing_keys(identity_settings(created))
        name, own = make_url(created).database, make_url(created).set(username="own")
        names = [*tables.metadata.tables, schema.VERSION_TABLE]
        for host in ("localhost", "127.0.0.1"):
            await execute(
                server,
                f"CREATE USER own@'{host}' IDENTIFIED BY '{own.password}'",
                *(
                    "GRANT SELECT, INSERT, UPDATE, DELETE"
                    f" ON {name}.{table} TO own@'{host}'"
                    for table in names
                ),
            )
        url = own.render_as_string(hide_password=False)
        async with starting_identity(identity_settings(url)) as (identity, readiness):
            await until_ready(readiness)
            assert (await identity.sign_up("alice")).status == 200


@pytest.mark.quiet
async def test_the_server_is_killed_and_comes_back(
    server: DatabaseServer, url: str
) -> None:
    async with running_identity(identity_settings(url)) as identity:
        token = (await identity.signed_in("alice"))["refreshToken"]
        server.kill()
        try:
            await all_refused_in_time(identity, token)
        finally:
            await asyncio.to_thread(server.start)
        await recovers_in_time(identity)
        assert (await identity.refresh(token)).status == 200


@pytest.mark.quiet
async def test_the_server_freezes(server: DatabaseServer, url: str) -> None:
    async with running_identity(identity_settings(url)) as identity:
        token = (await identity.signed_in("alice"))["refreshToken"]
        server.signal(signal.SIGSTOP)
        try:
            await all_refused_in_time(identity, token)
            await all_refused_in_time(identity, token)
        finally:
            server.signal(signal.SIGCONT)
        await recovers_in_time(identity)


@pytest.mark.quiet
@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.MUTE])
async def test_connections_are_refused_or_mute_from_the_handshake_on(
    server: DatabaseServer, url: str, fault: Fault
) -> None:
    async with FaultProxy(server.port) as proxy:
        through = make_url(url).set(port=proxy.port)
        settings = identity_settings(through.render_as_string(hide_password=False))
        async with running_identity(settings) as identity:
            token = (await identity.signed_in("alice"))["refreshToken"]
            proxy.cut()
            proxy.set(fault)
            await all_refused_in_time(identity, token)
            proxy.set(Fault.NONE)
            await recovers_in_time(identity)


async def test_connections_that_were_cut_are_noticed_before_they_are_used(
    server: DatabaseServer, url: str
) -> None:
    async with FaultProxy(server.port) as proxy:
        through = make_url(url).set(port=proxy.port)
        settings = identity_settings(through.render_as_string(hide_password=False))
        async with running_identity(settings) as identity:
            await identity.sign_up("alice")
            for _ in range(5):
                proxy.cut()
                assert (await identity.sign_in("alice")).status == 200


async def test_r8_a_connection_cut_after_any_packet_halves_nothing(
    server: DatabaseServer, url: str
) -> None:
    names = [f"alice{packets}" for packets in range(1, MOST_PACKETS + 1)]
    async with FaultProxy(server.port) as proxy:
        through = make_url(url).set(port=proxy.port)
        settings = identity_settings(through.render_as_string(hide_password=False))
        async with running_identity(settings) as identity:
            for packets, name in enumerate(names, 1):
                proxy.cut_after(packets)
                signed_up = await identity.sign_up(name)
                if signed_up.status == 503:
                    signed_up = await identity.sign_up(name)
                    # It may have been the answer alone that was lost.
                    assert signed_up.status == 200 or "in use" in signed_up.message
                pair = (
                    await until_not_unavailable(partial(identity.sign_in, name))
                ).json
                assert pair["roles"] == ["ROLE_USER"]

                proxy.cut_after(packets)
                token = pair["refreshToken"]
                successor = await until_not_unavailable(
                    partial(identity.refresh, token)
                )
                assert successor.status == 200
                proxy.cut_after(0)
                again = await identity.refresh(successor.json["refreshToken"])
                assert again.status == 200
                assert (await identity.refresh(token)).status == 403
    await nothing_is_halved(url, names)


async def test_r8_a_lost_answer_is_forgiven_after_an_outage(
    server: DatabaseServer, url: str
) -> None:
    """Its client came again at once, but nobody could answer it."""
    clock, readiness = MovableClock(), Readiness()
    async with FaultProxy(server.port) as proxy:
        through = make_url(url).set(port=proxy.port)
        settings = identity_settings(through.render_as_string(hide_password=False))
        async with (
            running_identity(settings, clock=clock) as identity,
            running_identity(settings, clock=clock, readiness=readiness) as other,
        ):
            tokens = [
                (await identity.signed_in(name))["refreshToken"]
                for name in ("alice", "bob", "carol")
            ]
            successors = [await identity.refresh(token) for token in tokens]
            proxy.set(Fault.REFUSE)
            for _ in range(5):
                clock.advance(timedelta(seconds=8))
                assert (await identity.refresh(tokens[0])).status == 503
                assert "database" in await readiness.faults()
            proxy.set(Fault.NONE)
            clock.advance(timedelta(seconds=8))
            for replica, token, successor in zip(
                (identity, other), tokens, successors, strict=False
            ):
                again = await until_not_unavailable(partial(replica.refresh, token))
                assert again.status == 200
                assert again.json["refreshToken"] == successor.json["refreshToken"]

            clock.advance(timedelta(seconds=11))
            assert (await identity.refresh(tokens[2])).status == 403
            ended = await identity.refresh(successors[2].json["refreshToken"])
            assert ended.status == 403, "a spent token that comes so late is reuse"


async def until_not_unavailable(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask, and ask again once, as a client does that was told to."""
    answer = await ask()
    return await ask() if answer.status == 503 else answer


async def nothing_is_halved(url: str, names: Sequence[str]) -> None:
    """Check that these users and no others are there, each with his role, audited."""
    with_role = select(tables.users.c.username).join_from(
        tables.users, tables.user_roles
    )
    async with connected(url) as engine, engine.connect() as connection:
        for users in (select(tables.users.c.username), with_role):
            assert sorted(await connection.scalars(users)) == sorted(names)
    async with Services(identity_settings(url)) as composed:
        verification = await composed.audit.verify()
    assert verification.broken_at is None


@pytest.mark.quiet
async def test_a_read_only_server_goes_on_reading(
    server: DatabaseServer, url: str
) -> None:
    await give_signing_keys(identity_settings(url))
    async with starting_identity(identity_settings(url)) as (identity, readiness):
        await until_ready(readiness)
        signed_in = await identity.signed_in("alice")
        await execute(server, "SET GLOBAL read_only = 1")
        try:
            await all_refused_in_time(identity, signed_in["refreshToken"])
            assert await identity.is_accepted(signed_in["accessToken"])
            writes = (await readiness.warned())["writes"]
            assert writes.startswith("the last one failed: ")
            assert writes.endswith("the server is read-only")
            doctor = await Operator(url).run("doctor")
            assert doctor.code == 1
            assert "fault writes: " in doctor.out
            assert "the server is read-only -> " in doctor.out
        finally:
            await execute(server, "SET GLOBAL read_only = 0")
        await recovers_in_time(identity)
        assert "writes" not in await readiness.warned()


@pytest.mark.quiet
async def test_a_server_that_completes_no_write_is_named_as_such(
    server: DatabaseServer, url: str
) -> None:
    """As MySQL does on a full disk: it waits for room."""
    await give_signing_keys(identity_settings(url))
    async with (
        starting_identity(identity_settings(url)) as (identity, readiness),
        connected(server.url, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as blocking,
    ):
        await until_ready(readiness)
        pair = await identity.signed_in("alice")
        for statement in no_commits(server):
            await blocking.execute(text(statement))
        assert (await identity.sign_up("bob")).status == 503
        assert await identity.is_accepted(pair["accessToken"])
        assert not await readiness.faults()
        assert "no response in time" in (await readiness.warned())["writes"]
        doctor = await Operator(url).run("doctor")
        assert "ok    database: " in doctor.out
        assert "fault writes: TimeoutError: no response in time -> " in doctor.out


@pytest.mark.quiet
async def test_what_changes_nothing_shows_no_recovery(
    server: DatabaseServer, url: str
) -> None:
    """Housekeeping that finds nothing to remove commits on a full disk as well."""

    async def change_nothing(unit: Repositories) -> None:
        await unit.expired_rows.oldest(Expiring.SESSIONS)

    async with Services(identity_settings(url)) as services:
        database = services.database
        async with (
            connected(server.url, isolation_level="AUTOCOMMIT") as engine,
            engine.connect() as blocking,
        ):
            for statement in no_commits(server):
                await blocking.execute(text(statement))
            event = AuditEvent.without_actor(Action.SIGN_IN_REFUSED, None, "")
            with pytest.raises(DatabaseUnavailableError):
                await database.record(event)
            await database.write(change_nothing)
            fault = await database.write_warning()
            assert fault is not None
            assert fault.endswith("no response in time")
            await blocking.invalidate()
        await database.write(change_nothing)
        assert await database.write_warning() is None


def no_commits(server: DatabaseServer) -> list[str]:
    """Return statements after which no transaction with a change in it ends."""
    if is_mariadb(server):
        return [f"BACKUP STAGE {each}" for each in BACKUP_STAGES]
    return ["FLUSH TABLES WITH READ LOCK"]


BACKUP_STAGES: Final = ("START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT")


@pytest.mark.quiet
async def test_connections_of_a_read_only_time_do_not_outlast_it(
    server: DatabaseServer, url: str
) -> None:
    """Each goes on refusing writes, whatever the server's setting is by then."""
    async with running_identity(identity_settings(url)) as identity:
        pair = await identity.signed_in("alice")
    variable = read_only_variable(server)
    await execute(server, f"SET GLOBAL {variable} = 1")
    async with starting_identity(identity_settings(url)) as (second, readiness):
        try:
            await until_ready(readiness)
            await all_refused_in_time(second, pair["refreshToken"])
            doctor = await Operator(url).run("doctor")
            assert "fault writes: " in doctor.out
        finally:
            await execute(server, f"SET GLOBAL {variable} = 0")
        await recovers_in_time(second)


def read_only_variable(server: DatabaseServer) -> str:
    """Return what new transactions being read-only is called here."""
    return "tx_read_only" if is_mariadb(server) else "transaction_read_only"


def is_mariadb(server: DatabaseServer) -> bool:
    return Path(server.program).name.startswith("mariadb")


@pytest.mark.quiet
async def test_too_many_connections(server: DatabaseServer, url: str) -> None:
    async with running_identity(identity_settings(url)) as identity:
        token = (await identity.signed_in("alice"))["refreshToken"]
        await execute(server, "SET GLOBAL max_connections = 10")
        async with contextlib.AsyncExitStack() as held:
            for _ in range(12):
                holder = await held.enter_async_context(connected(url))
                with contextlib.suppress(OperationalError):
                    _ = await held.enter_async_context(holder.connect())
            async with starting_identity(identity_settings(url)) as (second, _):
                await all_refused_in_time(second, token)
        await execute(server, "SET GLOBAL max_connections = 200")
        await recovers_in_time(identity)


@pytest.mark.quiet
async def test_it_starts_without_a_database_and_is_ready_soon_after_it_is_there(
    server: DatabaseServer, url: str
) -> None:
    async with FaultProxy(server.port) as proxy:
        proxy.set(Fault.REFUSE)
        through = make_url(url).set(port=proxy.port)
        settings = identity_settings(through.render_as_string(hide_password=False))
        await give_signing_keys(identity_settings(url))
        async with starting_identity(settings) as (identity, readiness):
            faults = await readiness.faults()
            assert faults["database"].startswith("no response")
            assert (await identity.sign_up("alice")).status == 503
            proxy.set(Fault.NONE)
            await until_ready(readiness, within=3)
            assert (await identity.sign_up("alice")).status == 200


async def test_it_waits_for_the_schema_that_it_needs(
    server: DatabaseServer,
) -> None:
    async with empty_database(server.url) as without_schema:
        settings = identity_settings(without_schema)
        async with starting_identity(settings) as (identity, readiness):
            faults = await readiness.faults()
            assert faults["database"].startswith("schema none, not ")
            assert (await identity.sign_up("alice")).status == 503
            await migrate(without_schema)
            await until_ready(readiness)
            assert (await identity.sign_up("alice")).status == 200


async def test_a_wrong_password_is_reported_without_the_password(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = make_url(url).set(password="not-the-password")
    settings = identity_settings(wrong.render_as_string(hide_password=False))
    async with starting_identity(settings) as (identity, _):
        assert (await identity.sign_up("alice")).status == 503

    records = [str(record.__dict__) for record in caplog.records]
    assert any("OperationalError 1045" in record for record in records)
    assert not any("not-the-password" in record for record in records)


@pytest.mark.quiet
@pytest.mark.parametrize(
    "seconds",
    [0, pytest.param(60, id="60 seconds", marks=[pytest.mark.faults])],
)
async def test_a_lock_that_another_holds_is_not_waited_for_long(
    url: str, seconds: int
) -> None:
    async with (
        running_identity(identity_settings(url)) as identity,
        connected(url) as engine,
        engine.connect() as other,
    ):
        token = (await identity.signed_in("alice"))["refreshToken"]
        await other.execute(select(tables.sessions).with_for_update())
        await other.execute(select(tables.audit_head).with_for_update())
        locked_at = time.monotonic()
        while True:
            await all_refused_in_time(identity, token)
            if time.monotonic() - locked_at > seconds:
                break
        await other.rollback()
        assert (await identity.refresh(token)).status == 200
        await recovers_in_time(identity)
