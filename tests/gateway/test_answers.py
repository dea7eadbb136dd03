"""Answers of upstreams: what passes, and what is refused (G11, G12, G13, G16)."""

import asyncio
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import (
    IncompleteAnswerError,
    ask,
    raw_client,
    statuses,
)
from tests.support.raw_upstream import OK, Call, RawUpstream, once
from tests.support.waiting import until

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


async def test_g11_interim_answers_are_tolerated(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    upstream.answer = b"HTTP/1.1 100 Continue\r\n\r\n" + interim * 3 + OK
    answer = await ask(gateway.port, POST)
    assert (answer.status, answer.body, answer.interim) == (200, b"ok", (103,) * 3)


async def test_g11_a_flood_of_interim_answers_ends_the_connection(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        while not call.is_over:
            await call.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 10)
            await asyncio.sleep(0)

    upstream.script = script
    assert (await ask(gateway.port, POST)).status == 502


async def test_g11_expect_is_answered_here_and_not_passed_on(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    head, _, body = POST.partition(b"\r\n\r\n")
    async with raw_client(gateway.port) as client:
        await client.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == (
            b"HTTP/1.1 100 Continue\r\n\r\n"
        )
        await client.send(body)
        assert (await client.answer()).status == 200
    assert upstream.requests[0].values("Expect") == []
    assert upstream.requests[0].body == b"hello"


async def test_g11_a_refused_request_is_not_asked_to_continue(
    gateway: RunningGateway,
) -> None:
    head = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(head + b"Expect: 100-continue\r\n\r\n")
        answer = await client.answer()
    assert (answer.status, answer.interim) == (404, ())


async def test_g11_other_expectations_fail(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = b"GET /api/x HTTP/1.1\r\nHost: a\r\nExpect: the-worst\r\n\r\n"
    assert (await ask(gateway.port, request)).status == 417
    assert upstream.calls == []


MALFORMED = {
    "not http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "http 0.9": b"hello\r\n\r\n",
    "version 2": b"HTTP/2.0 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "status word": b"HTTP/1.1 OK\r\n\r\n",
    "status long": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nXa\r\nContent-Length: 0\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 0\r\n\r\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\nContent-Length: 0\r\n\r\n",
    "escape": b"HTTP/1.1 200 OK\r\nX: \x1b[2J\r\nContent-Length: 0\r\n\r\n",
    "control in reason": b"HTTP/1.1 200 O\x08K\r\nContent-Length: 0\r\n\r\n",
    "cl differ": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok",
    "cl twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "cl list": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "cl word": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "cl negative": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "te and cl": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "te unknown": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "te in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "second answer": OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "body too long": OK + b"k",
    "second chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n" + OK,
    "204 with body": b"HTTP/1.1 204 No Content\r\n\r\nbody",
    "304 with body": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody",
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "head too large": b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 300_000,
    "field too large": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    "too many fields": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1_001 + b"\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@pytest.mark.parametrize("answer", MALFORMED.values(), ids=MALFORMED.keys())
async def test_g12_a_malformed_answer_is_502_and_its_connection_is_dropped(
    answer: bytes, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.script = once(answer)
    received = await ask(gateway.port, POST)
    assert received.status == 502
    assert received.value("Content-Type") == "application/problem+json"
    text = received.body.decode()
    assert str(upstream.port) not in text
    assert "Traceback" not in text
    assert len(upstream.calls) == 1
    upstream.script = once(OK)
    assert (await ask(gateway.port, POST)).status == 200
    assert len(upstream.calls) == 2


async def test_g12_a_malformed_answer_is_cut_off_at_the_upstream(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.script = once(OK + b"HTTP/1.1 200 OK\r\n", ends=False)
    assert (await ask(gateway.port, POST)).status == 502
    await asyncio.sleep(0.1)
    assert upstream.calls[0].is_over


async def test_g12_bytes_nobody_asked_for_end_an_idle_connection(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(OK)
        await asyncio.sleep(0.05)
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await call.until_over()

    upstream.script = script
    assert (await ask(gateway.port, POST)).body == b"ok"
    await asyncio.sleep(0.2)
    assert upstream.calls[0].is_over
    assert (await ask(gateway.port, POST)).body == b"ok"


async def test_g12_no_head_in_time_is_504(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.script = once(ends=False)
    answer = await ask(gateway.port, POST)
    assert answer.status == 504
    assert answer.value("Retry-After") == "1"
    assert answer.json()["code"] == "no_answer_in_time"


async def test_g12_no_upstream_is_502_with_retry_after(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    await upstream.stop()
    answer = await ask(gateway.port, GET)
    assert answer.status in {502, 503}
    assert answer.value("Retry-After") == "1"


TRUNCATED = {
    "short of its length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "chunked without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n",
    "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"9\r\nhello",
    "malformed later": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\nxyz\r\n",
}


@pytest.mark.parametrize("answer", TRUNCATED.values(), ids=TRUNCATED.keys())
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_g13_a_truncated_answer_ends_visibly_broken(
    answer: bytes, version: bytes, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    upstream.script = once(head + b"\r\n\r\n", body, pause=0.1)
    async with raw_client(gateway.port) as client:
        await client.send(GET.replace(b"1.1", version))
        with pytest.raises(IncompleteAnswerError):
            await client.answer()


async def test_g13_a_reset_in_the_middle_of_a_body_that_ends_with_the_connection(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await asyncio.sleep(0.1)
        call.reset()

    upstream.script = script
    async with raw_client(gateway.port) as client:
        await client.send(GET)
        with pytest.raises(IncompleteAnswerError):
            await client.answer()


async def test_a_body_that_ends_with_the_connection_is_passed_on_chunked(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.script = once(b"HTTP/1.1 200 OK\r\n\r\nhello ", b"world", pause=0.05)
    answer = await ask(gateway.port, GET)
    assert answer.body == b"hello world"
    assert answer.value("Transfer-Encoding") == "chunked"


async def test_a_chunked_answer_reaches_an_http_10_client_without_chunks(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.script = once(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n",
        pause=0.05,
    )
    async with raw_client(gateway.port) as client:
        await client.send(GET.replace(b"1.1", b"1.0"))
        received = await client.rest()
    head, _, body = received.partition(b"\r\n\r\n")
    assert body == b"hello world"
    assert b"chunked" not in head
    assert b"Connection: close" in head


BODILESS = {
    "HEAD": (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "5"),
    "HEAD chunked": (
        HEAD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    "204": (GET, b"HTTP/1.1 204 No Content\r\n\r\n", None),
    "204 with length": (
        GET,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        None,
    ),
    "304": (GET, b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", None),
    "304 with length": (
        GET,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "5",
    ),
    "empty": (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
}


@pytest.mark.parametrize(
    ("request_", "answer", "length"), BODILESS.values(), ids=BODILESS.keys()
)
async def test_g16_answers_without_a_body_have_none(
    request_: bytes,
    answer: bytes,
    length: str | None,
    gateway: RunningGateway,
    upstream: RawUpstream,
) -> None:
    upstream.answer = answer
    method = request_.split(b" ", 1)[0].decode()
    async with raw_client(gateway.port) as client:
        for _ in range(2):
            await client.send(request_)
            received = await client.answer(method)
            assert received.body == b""
            assert received.value("Content-Length") == length
            assert received.values("Transfer-Encoding") == []
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    "body", [b"hello", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
)
async def test_a_body_in_response_to_head_reaches_nobody(
    body: bytes, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body
    async with raw_client(gateway.port) as client:
        for _ in range(2):
            await client.send(HEAD)
            received = await client.answer("HEAD")
            assert (received.status, received.value("Content-Length")) == (200, "5")
    assert [len(call.requests()) for call in upstream.calls] == [1, 1]
    await until(lambda: all(call.is_over for call in upstream.calls))


async def test_g16_a_head_of_a_refusal_has_no_body(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(b"HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD)
        refused = await client.answer("HEAD")
        assert (refused.status, refused.body) == (404, b"")
        assert (await client.answer("HEAD")).status == 200


async def test_answers_without_a_date_get_one(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    assert (await ask(gateway.port, GET)).value("Date") is not None
    upstream.answer = OK.replace(b"\r\n\r\n", b"\r\nDate: of the upstream\r\n\r\n")
    assert (await ask(gateway.port, GET)).value("Date") == "of the upstream"


async def test_gzip_passes_untouched(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    fields = b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
    upstream.answer = b"HTTP/1.1 200 OK\r\n" + fields + b"\x1f\x8b!"
    answer = await ask(gateway.port, GET)
    assert answer.body == b"\x1f\x8b!"
    assert answer.value("Content-Encoding") == "gzip"


async def test_an_answer_before_the_body_is_sent_is_passed_on(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.head()
        await call.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await call.until_over()

    upstream.script = script
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(head + b"a" * 100_000)
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (403, "close")


async def test_connections_to_an_upstream_are_used_again(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    for _ in range(5):
        assert (await ask(gateway.port, GET)).status == 200
    assert len(upstream.calls) == 1


async def test_idle_connections_are_closed_before_the_upstream_would(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, idle_timeout=0.2)
    async with running_gateway(config, tmp_path) as gateway:
        await ask(gateway.port, GET)
        await asyncio.sleep(0.5)
        assert upstream.calls[0].is_over
        assert (await ask(gateway.port, POST)).status == 200


async def test_no_answer_follows_a_malformed_one_on_the_clients_connection(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.script = once(MALFORMED["second answer"])
    async with raw_client(gateway.port) as client:
        await client.send(POST)
        client.end()
        assert statuses(await client.rest()) == [502]
