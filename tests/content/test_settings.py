"""Content's settings: their faults, their page, the commands that read them."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from aiohttp import ClientSession, web
from tests.support.content import content
from tests.support.issuer import LISTS_PATH, Issuer, text_answer
from tests.support.waiting import until

from content_service.app import create_app
from content_service.settings import Settings
from service_kit.clock import utc_now
from service_kit.resource_server.issuer_check import examine_issuer, refusals
from service_kit.service import diagnose
from service_kit.settings import SettingsError, read_settings
from service_kit.tokens import RefusalReason

NO_PROCESS = {"CONTENT_INTERNAL_PORT": "1"}
"""Nothing listens there, whatever else runs on this machine."""

GOOD = {
    "CONTENT_ISSUER": "https://id.example",
    "CONTENT_JWKS_URL": "http://identity:8001/.well-known/jwks.json",
    "CONTENT_STATUS_LIST_URLS": "https://id.example/l/=http://identity:8001/l/",
}


def test_defaults_are_those_of_the_contract() -> None:
    settings = read_settings(Settings, GOOD)

    assert (settings.host, settings.port) == ("127.0.0.1", 8002)
    assert settings.internal_port == 9002
    assert settings.audience == "content"
    assert settings.clock_skew.total_seconds() == 30
    assert settings.require_status
    assert not settings.status_list_fail_open
    assert settings.status_list_urls == {
        "https://id.example/l/": "http://identity:8001/l/"
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"CONTENT_ISSUER": ""},
        {"CONTENT_ISSUER": "id.example"},
        {"CONTENT_JWKS_URL": "file:///etc/passwd"},
        {"CONTENT_JWKS_URL": "http://user:secret@identity/"},
        {"CONTENT_STATUS_LIST_URLS": ""},
        {"CONTENT_STATUS_LIST_URLS": "https://id.example/l/"},
        {"CONTENT_STATUS_LIST_URLS": "https://id.example/l/=ftp://x/"},
        {"CONTENT_CLOCK_SKEW": "61"},
        {"CONTENT_CLOCK_SKEW": "-1"},
        {"CONTENT_PORT": "65536"},
        {"CONTENT_REQUIRE_STATUS": "perhaps"},
        {"CONTENT_ACCESS_TOKEN_TYPE": "none"},
    ],
    ids=lambda changes: " ".join(f"{k}={v}" for k, v in changes.items()),
)
def test_bad_setting_is_named(changes: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(changes))):
        read_settings(Settings, {**GOOD, **changes})


def test_no_list_need_be_configured_where_no_status_is_required() -> None:
    environ = {
        **GOOD,
        "CONTENT_STATUS_LIST_URLS": "",
        "CONTENT_REQUIRE_STATUS": "false",
    }

    assert read_settings(Settings, environ).status_list_urls == {}


async def test_doctor_finds_nothing_where_all_is_well() -> None:
    async with Issuer() as issuer:
        settings = read_settings(Settings, {**issuer.settings(), **NO_PROCESS})

        findings = [
            str(finding) async for finding in diagnose("content", settings, create_app)
        ]

    assert not [line for line in findings if line.startswith("fault")]
    assert findings[0] == "ok    settings"
    assert "ok    verification keys and status lists" in findings
    assert f"ok    JWKS at {settings.jwks_url}: 1 keys" in findings
    assert any(line.startswith("ok    clock: ") for line in findings)


async def test_doctor_waits_for_the_whole_of_a_response() -> None:
    async with Issuer() as issuer:
        body = await keys_of(issuer)

        async def in_pieces(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            for piece in (body[:50], body[50:]):
                await response.write(piece)
                await asyncio.sleep(0.1)
            return response

        issuer.answer_jwks = in_pieces
        settings = read_settings(Settings, issuer.settings())
        findings = [str(finding) async for finding in examine_issuer(settings)]

    assert f"ok    JWKS at {settings.jwks_url}: 1 keys" in findings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONTENT_ISSUER", "https://id.example/"),
        ("CONTENT_AUDIENCE", "orders"),
        ("CONTENT_ACCESS_TOKEN_TYPE", "JWT"),
        ("CONTENT_STATUS_LIST_URLS", "https://id.example/other={lists}"),
    ],
)
async def test_the_doctor_tells_wrong_settings_by_the_tokens_that_are_refused(
    issuer: Issuer, name: str, value: str
) -> None:
    lists = {"lists": f"{issuer.url}{LISTS_PATH}/"}
    wrong = {name: value.format_map(lists)}
    async with content(issuer, clock=utc_now, wait=False, **wrong) as service:
        await until(lambda: service.metric("verification_keys"))
        assert (await service.get(token=issuer.mint())).status == 401
        counts = {
            reason.value: service.registry.get_sample_value(
                "content_tokens_refused_total", {"reason": reason.value}
            )
            for reason in RefusalReason
        }

    seen = {reason: int(count) for reason, count in counts.items() if count}
    (finding,) = refusals(seen, prefix="CONTENT_")
    assert finding.advice.startswith(name)


async def test_the_doctor_follows_no_redirection_to_keys() -> None:
    """The service follows none, so the doctor must not say that all is well."""
    async with Issuer() as issuer:
        elsewhere = f"{issuer.jwks_url}?elsewhere"

        async def redirect(request: web.Request) -> web.StreamResponse:
            if request.query_string:
                return web.Response(body=body, content_type="application/json")
            raise web.HTTPFound(elsewhere)

        body = await keys_of(issuer)
        issuer.answer_jwks = redirect
        settings = read_settings(Settings, issuer.settings())
        findings = [str(finding) async for finding in examine_issuer(settings)]

    assert findings[0].startswith(f"fault JWKS at {settings.jwks_url}: no keys there")


async def test_the_doctor_takes_keys_as_large_as_the_service_does() -> None:
    async with Issuer() as issuer:
        keys = json.loads(await keys_of(issuer))
        body = json.dumps({**keys, "note": "x" * 100_000})
        issuer.answer_jwks = text_answer(body)
        async with content(issuer) as service:
            assert (await service.get(token=issuer.mint())).status == 200
        settings = read_settings(Settings, issuer.settings())
        findings = [str(finding) async for finding in examine_issuer(settings)]

    assert f"ok    JWKS at {settings.jwks_url}: 1 keys" in findings


async def keys_of(issuer: Issuer) -> bytes:
    async with ClientSession() as http, http.get(issuer.jwks_url) as response:
        return await response.read()


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "content_service", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_every_bad_setting_is_told_at_once_and_ends_the_process(command: str) -> None:
    ended = run(command, CONTENT_PORT="x", CONTENT_CLOCK_SKEW="x")

    assert ended.returncode == 2
    for name in ("CONTENT_PORT", "CONTENT_CLOCK_SKEW", "CONTENT_ISSUER"):
        assert name in ended.stderr


def test_doctor_names_what_is_missing() -> None:
    away = {**GOOD, **NO_PROCESS, "CONTENT_JWKS_URL": "http://127.0.0.1:9/jwks.json"}
    ended = run("doctor", **away, CONTENT_REQUIRE_STATUS="false", CONTENT_CACHE="1")

    assert ended.returncode == 1
    assert "fault keys" in ended.stdout
    assert "note  setting CONTENT_CACHE: there is none of this name" in ended.stdout
    assert not ended.stderr


def test_a_reader_that_leaves_spoils_no_doctor() -> None:
    """As `head` does, once it has seen enough."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "content_service", "doctor"],
            env={"PATH": os.environ["PATH"], **GOOD, **NO_PROCESS},
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize("arguments", [(), ("start",), ("serve", "now")])
def test_unknown_command_gets_the_usage(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)

    assert ended.returncode == 2
    assert "usage" in ended.stderr
