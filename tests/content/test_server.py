"""What content sends, byte by byte, and how long it keeps a connection."""

import asyncio
import json

import pytest
from aiohttp import web
from tests.support.content import Content
from tests.support.issuer import Issuer
from tests.support.raw_client import raw_client
from tests.support.waiting import until

Head = dict[str, str]


async def answers(
    service: Content, request: str, *, until_closed: bool = False
) -> tuple[str, Head, str]:
    """Send bytes; return the status line, the header fields, and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        size = -1 if until_closed else int(fields["Content-Length"])
        body = (await reader.read(size)).decode()
    finally:
        writer.close()
    return first, fields, body


def get(path: str, token: str, *, method: str = "GET", version: str = "1.1") -> str:
    return (
        f"{method} {path} HTTP/{version}\r\nHost: content\r\n"
        f"X-Request-Id: request-1\r\nx-access-token: {token}\r\n"
    )


@pytest.mark.parametrize("path", ["/api/test/all", "/api/test/user"])
async def test_head_has_the_fields_of_get_and_no_body(
    issuer: Issuer, service: Content, path: str
) -> None:
    token = issuer.mint()
    first, fields, body = await answers(service, get(path, token) + "\r\n")
    head = get(path, token, method="HEAD") + "Connection: close\r\n\r\n"

    first_of_head, others, nothing = await answers(service, head, until_closed=True)

    assert first == first_of_head == "HTTP/1.1 200 OK"
    assert body.endswith("Content.")
    assert nothing == ""
    assert others.pop("Connection") == "close"
    del fields["Date"], others["Date"]
    assert fields == others
    assert fields["X-Request-Id"] == "request-1"


async def test_connection_that_is_to_close_is_closed(
    issuer: Issuer, service: Content
) -> None:
    asked = get("/api/test/user", issuer.mint())

    _, fields, body = await answers(
        service, asked + "Connection: close\r\n\r\n", until_closed=True
    )
    assert (fields["Connection"], body) == ("close", "User Content.")


async def test_draining_closes_connections(issuer: Issuer, service: Content) -> None:
    service.readiness.draining = True

    _, fields, body = await answers(
        service, get("/api/test/user", issuer.mint()) + "\r\n", until_closed=True
    )
    assert (fields["Connection"], body) == ("close", "User Content.")


async def test_http_1_0_is_answered_and_closed(
    issuer: Issuer, service: Content
) -> None:
    asked = get("/api/test/user", issuer.mint(), version="1.0")

    first, _, body = await answers(service, asked + "\r\n", until_closed=True)

    assert first == "HTTP/1.0 200 OK"
    assert body == "User Content."


async def test_other_version_of_http_is_refused(service: Content) -> None:
    asked = get("/api/test/all", "", version="2.0") + "\r\n"

    first, _, body = await answers(service, asked)

    assert first.split()[1] == "505"
    assert json.loads(body)["code"] == "http_version_not_supported"


async def test_pipelined_requests_are_answered_in_their_order(
    issuer: Issuer, service: Content
) -> None:
    paths = ["/api/test/user", "/api/test/all", "/api/test/mod", "/api/test/user"] * 5
    token = issuer.mint()
    asked = "".join(get(path, token) + "\r\n" for path in paths)
    last = get("/api/test/all", token) + "Connection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)

    writer.write((asked + last).encode())
    received = (await reader.read()).decode()
    writer.close()

    assert [int(each[:3]) for each in received.split("HTTP/1.1 ")[1:]] == [
        *[200, 200, 403, 200] * 5,
        200,
    ]


async def test_client_that_reads_nothing_holds_no_more_than_a_few_answers(
    issuer: Issuer, service: Content
) -> None:
    asked = (get("/api/test/user", issuer.mint()) + "\r\n").encode() * 40
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        for _ in range(2000):
            writer.write(asked)
            try:
                async with asyncio.timeout(0.2):
                    await writer.drain()
            except TimeoutError:
                break
        else:
            pytest.fail("80000 requests were taken from a client that reads nothing")
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("framing", "body", "stays_open"),
    [
        ("Content-Length: 4", "body", True),
        ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n", True),
        ("Content-Length: 5", "body", False),
    ],
    ids=["told", "chunked", "unfinished"],
)
async def test_body_that_nobody_wants_is_not_taken_for_a_request(
    issuer: Issuer, service: Content, framing: str, body: str, *, stays_open: bool
) -> None:
    asked = get("/api/test/user", issuer.mint()) + f"{framing}\r\n\r\n{body}"
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)

    writer.write(asked.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert await reader.readexactly(len("User Content.")) == b"User Content."

    assert head.startswith("HTTP/1.1 200 OK")
    if stays_open:
        writer.write((get("/api/test/all", "") + "\r\n").encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    else:
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        "GET /api/test/all HTTP/1.1\r\n\r\n",
        "GET /api/test/all HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /api/test/all HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        f"GET /{'a' * 17_000} HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\nX: {'a' * 17_000}\r\n\r\n",
    ],
    ids=["no-host", "two-hosts", "nul", "long-target", "long-field"],
)
async def test_what_cannot_be_understood_is_refused(
    service: Content, head: str
) -> None:
    first, _, _ = await answers(service, head, until_closed=True)

    assert first == "HTTP/1.0 400 Bad Request"


async def test_client_that_leaves_while_its_token_waits_is_forgotten(
    issuer: Issuer, service: Content
) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    def left() -> float | None:
        labels = {"method": "GET", "route": "/api/test/user", "status": "499"}
        return service.registry.get_sample_value("content_requests_total", labels)

    issuer.answer_jwks, before = never, issuer.jwks_requests
    asked = get("/api/test/user", issuer.mint(key="second")) + "\r\n"
    async with raw_client(service.port) as client:
        await client.send(asked.encode())
        await until(lambda: issuer.jwks_requests > before)
        client.reset()  # merely closing could mean that only the answer is awaited
    await until(left)

    assert (await service.get(token=issuer.mint())).status == 200


async def test_more_fields_are_taken_than_a_gateway_lets_through(
    service: Content,
) -> None:
    fields = "".join(f"X-{number}: a\r\n" for number in range(120))

    first, _, _ = await answers(service, get("/api/test/all", "") + fields + "\r\n")

    assert first == "HTTP/1.1 200 OK"
