import asyncio
import base64
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from tests.support.corpora import corpus
from tests.support.raw_client import raw_client

from service_kit.requests import bodies
from service_kit.requests.middleware import request_middleware

Client = TestClient[web.Request, web.Application]


def echo_app() -> web.Application:
    async def echo(request: web.Request) -> web.Response:
        members = await bodies.read_members(request, form=True)
        return web.json_response(members)

    app = web.Application(client_max_size=100_000, middlewares=[request_middleware({})])
    app.router.add_post("/", echo)
    return app


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    server = TestServer(echo_app())
    await server.start_server(auto_decompress=False)  # as services are run
    async with TestClient(server) as client:
        yield client


async def post(client: Client, body: bytes, content_type: str) -> tuple[int, object]:
    answer = await client.post("/", data=body, headers={"Content-Type": content_type})
    return answer.status, await answer.json(content_type=None)


async def test_json_and_form_give_the_same_members(client: Client) -> None:
    expected = (200, {"name": "Zoë", "roles": ["a", "b"]})

    as_json = '{"name":"Zoë","roles":["a","b"]}'.encode()
    assert await post(client, as_json, "application/json") == expected
    as_form = b"name=Zo%C3%AB&roles=a&roles=b"
    assert await post(client, as_form, bodies.FORM) == expected


async def test_an_absent_body_is_an_empty_object(client: Client) -> None:
    assert await post(client, b"", "application/json") == (200, {})


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"{}", "text/plain", 415, id="text/plain is no JSON"),
        pytest.param(b"{}", "application/jsonx", 415, id="unknown media type"),
        pytest.param(b'{"a":1,"a":2}', bodies.JSON, 400, id="duplicate member"),
        pytest.param(b'{"a":NaN}', bodies.JSON, 400, id="NaN"),
        pytest.param(b'{"a":-Infinity}', bodies.JSON, 400, id="Infinity"),
        pytest.param(b'{"a":1e999}', bodies.JSON, 400, id="beyond a double"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", bodies.JSON, 400, id="5000 digits"),
        pytest.param(b"[" * 50_000, bodies.JSON, 400, id="deep array"),
        pytest.param(b'{"a":' * 9_000, bodies.JSON, 400, id="deep object"),
        pytest.param(b'{"a":"\\ud800"}', bodies.JSON, 400, id="lone surrogate"),
        pytest.param(b'{"\\udfff":1}', bodies.JSON, 400, id="surrogate as a name"),
        pytest.param(b'{"a":"\xff"}', bodies.JSON, 400, id="invalid UTF-8"),
        pytest.param("\ufeff{}".encode(), bodies.JSON, 400, id="byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), bodies.JSON, 400, id="UTF-16"),
        pytest.param(b'{"a":1}', "application/json; charset=rot13", 200, id="charset"),
        pytest.param(b"[]", bodies.JSON, 400, id="an array"),
        pytest.param(b"a=%FF", bodies.FORM, 400, id="form of invalid UTF-8"),
        pytest.param(b"&a=b" * 101, bodies.FORM, 400, id="101 fields"),
        pytest.param(b"x" * 100_001, bodies.JSON, 413, id="too large"),
    ],
)
async def test_a_bad_body_is_a_problem_and_never_a_500(
    client: Client, body: bytes, content_type: str, status: int
) -> None:
    assert (await post(client, body, content_type))[0] == status


@pytest.mark.parametrize(
    ("content_type", "status"), [(bodies.JSON, 400), (bodies.FORM, 200)]
)
async def test_a_string_without_an_end_does_not_hold_the_loop_up(
    client: Client, content_type: str, status: int
) -> None:
    body = b'{"' + b"[" * 33 + b'":"' + b'\\"' * 49_000
    started_at = time.thread_time()
    assert (await post(client, body, content_type))[0] == status
    assert time.thread_time() - started_at < 0.2


async def test_a_client_that_leaves_in_its_body_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = web.AppRunner(echo_app())  # which cancels no handler, unlike TestServer
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with raw_client(runner.addresses[0][1]) as raw:
        await raw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
        await asyncio.sleep(0.1)
        raw.reset()
        await asyncio.sleep(0.1)
    await runner.cleanup()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "made-up"])
async def test_a_compressed_body_is_refused(client: Client, encoding: str) -> None:
    headers = {"Content-Type": bodies.JSON, "Content-Encoding": encoding}
    answer = await client.post("/", data=b"not compressed", headers=headers)
    assert answer.status == 415
    assert answer.headers["Accept-Encoding"] == "identity"


async def test_parsing_follows_the_json_test_suite(client: Client) -> None:
    for case in corpus("json/parsing.json")["cases"]:
        status, _ = await post(client, corpus_bytes(case), bodies.JSON)
        body = corpus_bytes(case)
        is_object = body.lstrip().startswith(b"{")
        if case["kind"] == "n" and body.strip():
            assert status == 400, case["name"]
        if case["kind"] == "y" and is_object and "duplicated" not in case["name"]:
            assert status == 200, case["name"]
        assert status in {200, 400}, case["name"]


def corpus_bytes(case: dict[str, str]) -> bytes:
    return base64.b64decode(case["body_b64"])
