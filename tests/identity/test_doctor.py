"""The doctor of identity names what is wrong, and what to do about it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import insert, make_url, select, text, update
from tests.support.database import SERVERS, connected
from tests.support.identity import (
    PASSWORD,
    give_signing_keys,
    identity_settings,
    random_key,
)
from tests.support.mail_server import running_mail_server
from tests.support.ports import free_ports

from identity_service.composition import Services
from identity_service.diagnosis.database import examine_database, privileges
from identity_service.diagnosis.doctor import diagnose, examine_secrets
from identity_service.diagnosis.issuer import examine_issuer
from identity_service.diagnosis.keys import examine_keys
from identity_service.diagnosis.outside import examine_outside
from identity_service.domain.mail import MailKind, StoredLetter
from identity_service.domain.sessions.sessions import Device
from identity_service.security.recovery_codes import RecoveryCodes
from identity_service.settings import Settings
from identity_service.storage.engines import opened_engine
from identity_service.storage.tables import recovery_codes, users
from identity_service.usecases.sign_up import SignUp
from service_kit.running.doctor import Finding, Severity

HERE = Device(name="test", address="127.0.0.1")


async def lines(findings: AsyncIterator[Finding]) -> list[str]:
    return [str(finding) async for finding in findings]


async def test_every_fault_comes_with_advice(tmp_path: Path) -> None:
    settings = identity_settings(
        f"sqlite+aiosqlite:///{tmp_path}/none.sqlite",
        IDENTITY_THROTTLE="off",
        IDENTITY_INTERNAL_PORT="1",
    )
    async with Services(settings) as services:
        mistyped = {"IDENTITY_BCRYPT_COSTS": "13", "IDENTITY_MAIL_URL_FILE": ""}
        findings = [each async for each in diagnose(settings, services, mistyped)]

    [found] = [str(each) for each in findings if each.name.startswith("setting ")]
    assert found.startswith("note  setting IDENTITY_BCRYPT_COSTS: there is none of")
    assert found.endswith("-> say IDENTITY_BCRYPT_COST, or remove it")
    faults = [each for each in findings if each.severity is Severity.FAULT]
    assert {each.name for each in faults} >= {"database", "signing keys", "throttle"}
    assert all(each.advice for each in faults), faults
    advice = {each.name: each.advice for each in findings}
    assert advice["roles"] == "check the database"
    [peppers] = [each for each in findings if each.name == "password peppers"]
    assert peppers.text.startswith("not checked: OperationalError")


def test_secrets_in_the_environment_are_named() -> None:
    exposed = examine_secrets({"IDENTITY_PASSWORD_PEPPERS": "hidden"})
    kept = examine_secrets({"IDENTITY_PASSWORD_PEPPERS_FILE": "/run/secrets/x"})

    assert (exposed.severity, kept.severity) == (Severity.NOTE, Severity.GOOD)
    assert "IDENTITY_PASSWORD_PEPPERS" in exposed.text
    assert "hidden" not in str(exposed)


async def test_a_pepper_that_is_gone_or_still_needed_is_reported(
    database_url: str,
) -> None:
    first, second = random_key(), random_key()
    settings = identity_settings(database_url, IDENTITY_PASSWORD_PEPPERS=first)
    await give_signing_keys(settings)
    async with Services(settings) as services:
        alice = SignUp(username="alice", email="alice@example.test", password=PASSWORD)
        await services.sign_ups.sign_up(alice, HERE)
        well = await lines(examine_keys(settings, services))
        rotated = identity_settings(
            database_url, IDENTITY_PASSWORD_PEPPERS=f"{second},{first}"
        )
        needed = await lines(examine_keys(rotated, services))
        lost = identity_settings(database_url, IDENTITY_PASSWORD_PEPPERS=second)
        gone = await lines(examine_keys(lost, services))
        async with services.engine.begin() as connection:
            await connection.execute(update(users).values(password_hash="x"))
        other = await lines(examine_keys(lost, services))

    assert well[1] == other[1] == "ok    password peppers: one made all hashes"
    assert needed[1].startswith("note  password peppers: 1 users' hashes still need")
    assert gone[1].startswith("fault password peppers: 1 users have a hash made")
    assert well[0] == "ok    signing keys: 2 published, one signs"


async def test_recovery_codes_need_their_pepper_as_passwords_do(
    database_url: str,
) -> None:
    first, second = random_key(), random_key()
    settings = identity_settings(database_url, IDENTITY_PASSWORD_PEPPERS=first)
    rotated, lost = (
        identity_settings(database_url, IDENTITY_PASSWORD_PEPPERS=peppers)
        for peppers in (f"{second},{first}", second)
    )
    codes = RecoveryCodes(settings.password_peppers)
    async with Services(settings) as services:
        alice = SignUp(username="alice", email="alice@example.test", password=PASSWORD)
        await services.sign_ups.sign_up(alice, HERE)
        async with services.engine.begin() as connection:
            [user_id] = (await connection.scalars(select(users.c.id))).all()
            await connection.execute(update(users).values(password_hash="x"))
            for stored in codes.hashes(user_id, codes.make()[0]):
                row = {"user_id": user_id, "code_hash": stored}
                await connection.execute(insert(recovery_codes).values(row))
        well = await lines(examine_keys(settings, services))
        needed = await lines(examine_keys(rotated, services))
        gone = await lines(examine_keys(lost, services))

    assert well[1] == "ok    password peppers: one made all hashes"
    assert needed[1].startswith("note  password peppers: ")
    assert gone[1].startswith("fault password peppers: 1 users have a hash made")


async def test_secrets_that_need_a_later_key_or_do_not_open_are_reported(
    database_url: str,
) -> None:
    name, old, new = "IDENTITY_KEY_ENCRYPTION_KEYS", random_key(), random_key()
    settings = identity_settings(database_url, **{name: old})
    both, lost = (
        identity_settings(database_url, **{name: keys})
        for keys in (f"{new},{old}", new)
    )
    async with Services(settings) as services:
        letter = StoredLetter(
            id="0" * 32,
            kind=MailKind.SIGN_UP,
            user_id=None,
            sealed=services.sealer.seal(b"Hello", b"here"),
            created_at=services.clock(),
            due_at=None,
            dead_at=services.clock(),
        )
        await services.database.write(lambda unit: unit.outbox.add(letter))
        well = await lines(examine_keys(settings, services))
        needed = await lines(examine_keys(both, services))
        gone = await lines(examine_keys(lost, services))

    assert well[2] == "ok    sealed secrets: the first key opens all"
    assert needed[2].startswith("note  sealed secrets: 1 apps' secrets and letters")
    assert needed[2].endswith("-> identity-service reseal-signing-keys")
    assert gone[2].startswith("fault sealed secrets: 1 apps' secrets and letters do")


async def test_privileges_and_encryption_of_a_server_are_reported(
    database_url: str,
) -> None:
    settings = identity_settings(database_url)
    async with opened_engine(database_url, pool_size=1) as engine:
        found = await lines(examine_database(settings, engine))

    assert found[0].startswith("ok    database: ")
    names = [line[6:].partition(":")[0] for line in found[1:]]
    is_server = database_url.startswith("mysql")
    of_servers = ["tables", "grants", "connection to the database"]
    assert names == (of_servers if is_server else [])
    assert not [line for line in found if line.startswith("fault")]


async def test_what_identity_uses_outside_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    async with running_mail_server(folder) as server, TestServer(mirror()) as leaks:
        well = {
            "IDENTITY_MAIL_URL": server.url,
            "IDENTITY_BREACHED_PASSWORDS_URL": str(leaks.make_url("/range")),
        }
        wrong = {
            "IDENTITY_MAIL_URL": server.url.replace("mail%20password", "another"),
            "IDENTITY_BREACHED_PASSWORDS_URL": str(leaks.make_url("/nothing")),
            "IDENTITY_GATEWAY_STATUS_URLS": str(leaks.make_url("/status")),
        }
        found = [await outside(tmp_path, **each) for each in (well, wrong)]

    assert found[0] == [
        "ok    mail: goes to 127.0.0.1",
        "ok    leaked passwords: their mirror responds",
    ]
    mail, leaked, gateway = found[1]
    assert mail.startswith("fault mail: 127.0.0.1 takes none: SMTPAuthentication")
    assert leaked.startswith("fault leaked passwords: none is refused, ")
    assert " of no use: status 404 -> " in leaked
    assert gateway.startswith("note  gateway http://127.0.0.1")
    assert all(" -> " in line for line in found[1])
    assert not server.received


async def test_a_mail_server_that_is_away_is_said_so_in_words(tmp_path: Path) -> None:
    [port] = free_ports(1)
    [found] = await outside(tmp_path, IDENTITY_MAIL_URL=f"smtps://127.0.0.1:{port}")
    assert found.startswith("fault mail: 127.0.0.1 takes none: connection refused -> ")


async def test_a_folder_for_mails_is_looked_at_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    file = tmp_path / "file"
    file.touch()

    found = await outside(tmp_path, IDENTITY_MAIL_URL=f"file://{folder}")
    assert found == [f"ok    mail: goes to {folder}"]
    assert not folder.parent.exists()

    [refused] = await outside(tmp_path, IDENTITY_MAIL_URL=f"file://{file}/mails")
    assert refused.startswith(f"fault mail: {file}/mails takes none: {file} is not ")

    long = tmp_path / ("x" * 300)  # cannot be looked for, as in a folder of others
    assert len(await outside(tmp_path, IDENTITY_MAIL_URL=f"file://{long}")) == 1


def mirror() -> web.Application:
    async def known(_: web.Request) -> web.Response:
        return web.Response(text=f"{'0' * 35}:1")

    app = web.Application()
    app.router.add_get("/range/{prefix}", known)
    return app


async def outside(folder: Path, **settings: str) -> list[str]:
    url = f"sqlite+aiosqlite:///{folder}/none.sqlite"
    described = identity_settings(url, **settings)
    async with Services(described) as services:
        return await lines(examine_outside(described, services))


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
async def test_privileges_that_a_role_of_the_server_gives_are_seen(
    database_url: str,
) -> None:
    url = make_url(database_url)
    name = f"r{secrets.token_hex(4)}"
    async with connected(database_url) as engine, engine.begin() as connection:
        is_mariadb = getattr(connection.dialect, "is_mariadb", False)
        to = "FOR" if is_mariadb else "TO"
        for statement in (
            f"CREATE ROLE {name}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {url.database}.* TO {name}",
            f"CREATE USER {name}_user IDENTIFIED BY 'word'",
            f"GRANT {name} TO {name}_user",
            f"SET DEFAULT ROLE {name} {to} {name}_user",
        ):
            await connection.execute(text(statement))
    theirs = url.set(username=f"{name}_user", password="word")
    as_text = theirs.render_as_string(hide_password=False)
    try:
        async with connected(as_text) as engine:
            found = await lines(examine_database(identity_settings(as_text), engine))
    finally:
        async with connected(database_url) as engine, engine.begin() as connection:
            await connection.execute(text(f"DROP USER {name}_user"))
            await connection.execute(text(f"DROP ROLE {name}"))

    assert "ok    grants: DELETE, INSERT, SELECT, UPDATE" in found


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ("GRANT USAGE ON *.* TO `x`@`%`", ""),
        ("GRANT SELECT, INSERT ON `identity`.* TO `x`@`%`", "INSERT SELECT"),
        ("GRANT DELETE ON `other`.* TO `x`@`%`", ""),
        ("GRANT ALL PRIVILEGES ON *.* TO `x`@`%`", "ALL-PRIVILEGES"),
        ("GRANT UPDATE (`a`) ON `identity`.`users` TO `x`@`%`", "UPDATE"),
        ("GRANT `role`@`%` TO `x`@`%`", ""),
    ],
)
def test_privileges_on_our_database_are_read(grant: str, expected: str) -> None:
    found = {name.replace(" ", "-") for name in privileges(iter([grant]), "identity")}
    assert found - {"USAGE"} == set(expected.split())


@asynccontextmanager
async def public_side(
    kids: list[str], *, issuer: str | None = None, cors: dict[str, str] | None = None
) -> AsyncIterator[str]:
    """What clients see of an issuer: its two documents, and a gateway's preflight."""

    async def metadata(request: web.Request) -> web.Response:
        own = f"http://{request.host}"
        return web.json_response(
            {"issuer": issuer or own, "jwks_uri": f"{own}/.well-known/jwks.json"}
        )

    async def jwks(_: web.Request) -> web.Response:
        return web.json_response({"keys": [{"kid": kid} for kid in kids]})

    async def preflight(_: web.Request) -> web.Response:
        return web.Response(status=204, headers=cors or {})

    app = web.Application()
    app.router.add_get("/.well-known/oauth-authorization-server", metadata)
    app.router.add_get("/.well-known/jwks.json", jwks)
    app.router.add_route("OPTIONS", "/api/auth/refreshtoken", preflight)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


def settings_for(issuer: str, **more: str) -> Settings:
    return identity_settings(
        "sqlite+aiosqlite:///none.db", **{"IDENTITY_ISSUER": issuer, **more}
    )


async def test_documents_that_clients_get_are_compared_with_our_own() -> None:
    async with public_side(["a", "b"]) as issuer:
        settings = settings_for(issuer)
        well = await lines(examine_issuer(settings, ["b", "a"]))
        other = await lines(examine_issuer(settings, ["c"]))

    assert [line.split(":")[0] for line in well] == [
        "ok    cookies",
        "ok    discovery",
        "ok    JWKS",
    ]
    assert other[-1].startswith("fault JWKS: ")
    assert "has other keys than the database -> route" in other[-1]


async def test_another_issuers_name_is_a_fault() -> None:
    async with public_side(["a"], issuer="https://elsewhere.example") as issuer:
        found = await lines(examine_issuer(settings_for(issuer), ["a"]))

    assert found[-1].startswith("fault discovery: ")
    assert "names https://elsewhere.example" in found[-1]


async def test_an_issuer_that_cannot_be_reached_from_here_is_no_fault() -> None:
    found = await lines(examine_issuer(settings_for("http://127.0.0.1:1"), []))

    assert found[-1].startswith("note  issuer: http://127.0.0.1:1 is not reachable")
    assert "curl" in found[-1]


ORIGIN = "https://shop.example"
ALLOWED = {"Access-Control-Allow-Origin": ORIGIN}
WITH_CREDENTIALS = {**ALLOWED, "Access-Control-Allow-Credentials": "true"}


@pytest.mark.parametrize(
    ("cors", "transport", "begin", "end"),
    [
        ({}, "body", "fault", f"-> GATEWAY_ALLOWED_ORIGINS={ORIGIN}"),
        (ALLOWED, "cookie", "fault", "-> GATEWAY_ALLOW_CREDENTIALS=true"),
        (ALLOWED, "body", "note ", "-> GATEWAY_ALLOW_CREDENTIALS=true"),
        (WITH_CREDENTIALS, "cookie", "ok   ", "here and at the gateway"),
    ],
    ids=["refused", "without credentials", "without need of them", "allowed"],
)
async def test_the_gateways_cors_is_compared_with_the_origins_that_use_cookies(
    cors: dict[str, str], transport: str, begin: str, end: str
) -> None:
    async with public_side(["a"], cors=cors) as issuer:
        more = {"IDENTITY_TOKEN_TRANSPORT": transport}
        settings = settings_for(issuer, IDENTITY_ALLOWED_ORIGINS=ORIGIN, **more)
        found = await lines(examine_issuer(settings, ["a"]))

    assert found[-1].startswith(f"{begin} origin {ORIGIN}: ")
    assert found[-1].endswith(end)


@pytest.mark.parametrize(
    ("issuer", "secure", "transport", "expected"),
    [
        ("https://id.invalid", "true", "cookie", "ok    cookies: Secure"),
        ("https://id.invalid", "false", "cookie", "fault cookies: lack Secure"),
        ("http://id.invalid", "true", "cookie", "fault cookies: are Secure"),
        ("http://id.invalid", "false", "body", "note  tokens: and passwords"),
        ("http://localhost:1", "false", "both", "ok    cookies: for this machine"),
    ],
)
async def test_the_issuers_scheme_is_compared_with_the_cookies(
    issuer: str, secure: str, transport: str, expected: str
) -> None:
    settings = settings_for(
        issuer, IDENTITY_COOKIE_SECURE=secure, IDENTITY_TOKEN_TRANSPORT=transport
    )

    found = await lines(examine_issuer(settings, []))

    assert found[0].startswith(expected)
