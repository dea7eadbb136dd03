"""Nothing is smuggled: what reaches an upstream is one message each (G4)."""

import asyncio
import re
from functools import partial
from itertools import product
from pathlib import Path

import h11
import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.hostile_framings import SMUGGLED, hostile_framings
from tests.support.raw_client import ask, raw_client, statuses
from tests.support.raw_upstream import RawUpstream, parsed_requests, raw_upstream

from gateway_service.http1.parsing.fields import FieldPolicy
from gateway_service.http1.parsing.grammar import (
    MalformedError,
    check_line,
    split_lines,
)
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.parsing.requests import read_request
from gateway_service.http1.parsing.responses import read_response
from gateway_service.proxy.headers import request_fields
from gateway_service.upstreams.connections.response_fields import RESPONSE_FIELDS

HOSTILE = dict(hostile_framings())
FAMILIES = 16
AT_ONCE = 20


def test_g4_lines_end_with_cr_and_lf_and_nothing_else_does() -> None:
    data = (b"a", b"\r", b"\n", b"\r\n", b"\t", b"\0", b"\x0b", b"\x1c", b"\x85")
    strict = re.compile(rb"(?:[^\0-\x08\n-\x1f\x7f]|\r\n)*")
    for length in range(6):
        for pieces in product(data, repeat=length):
            head = b"".join(pieces)
            try:
                lines = split_lines(head, HeadLimits())
                for line in lines:
                    check_line(line)
            except MalformedError:
                assert not strict.fullmatch(head), head
            else:
                assert strict.fullmatch(head), head
                assert b"\r\n".join(lines) == head


@pytest.mark.parametrize("bad", [b"\r", b"\n", b"\0", b"\x1c", b"\x7f"])
@pytest.mark.parametrize("line", range(4), ids=["start", "read", "cached", "other"])
def test_g4_no_line_of_a_message_holds_a_control_character(
    line: int, bad: bytes
) -> None:
    fields = request_fields(())
    rest = [b"Host: a", b"Accept: b", b"X-Other: c"]
    for good, read in (
        ([b"GET / HTTP/1.1", *rest], partial(read_request, fields=fields)),
        ([b"HTTP/1.1 200 OK", *rest], partial(_read_response, RESPONSE_FIELDS)),
    ):
        assert read(good, HeadLimits()) is not None  # it is cached now
        for at in range(len(good[line]) + 1):
            lines = [*good]
            lines[line] = good[line][:at] + bad + good[line][at:]
            with pytest.raises(MalformedError):
                read(lines, HeadLimits())


def _read_response(fields: FieldPolicy, head: list[bytes], _: HeadLimits) -> object:
    return read_response(head, fields, "GET", is_upgrade=False)


def test_g4_the_table_is_large() -> None:
    assert len(HOSTILE) > 1_000


async def received_for(port: int, data: bytes) -> bytes:
    async with raw_client(port) as client:
        await client.send(data)
        client.end()
        return await client.rest()


@pytest.mark.parametrize("family", range(FAMILIES))
async def test_g4_no_hostile_framing_becomes_two_requests(
    family: int, tmp_path: Path
) -> None:
    inputs = list(HOSTILE.values())[family::FAMILIES]
    async with (
        raw_upstream() as upstream,
        running_gateway(config_for(upstream.port), tmp_path) as gateway,
    ):
        answers = 0
        for start in range(0, len(inputs), AT_ONCE):
            batch = inputs[start : start + AT_ONCE]
            received = await asyncio.gather(
                *(received_for(gateway.port, data) for data in batch)
            )
            for data in received:
                assert statuses(data), "no answer at all"
            answers += sum(len(statuses(data)) for data in received)
        recorded = upstream.requests  # h11 raises if any of it is malformed
    assert all(request.target == "/api/x" for request in recorded)
    assert len(recorded) <= answers


REFUSED = {
    "te and cl": (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    "cl twice": (b"Content-Length: 5\r\nContent-Length: 5", 400),
    "cl list": (b"Content-Length: 5, 5", 400),
    "cl signed": (b"Content-Length: +5", 400),
    "te twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    "chunked not last": (b"Transfer-Encoding: chunked, gzip", 400),
    "unknown coding": (b"Transfer-Encoding: gzip, chunked", 501),
    "coding only": (b"Transfer-Encoding: gzip", 400),
    "folded": (b"X: a\r\n b", 400),
    "space before colon": (b"Content-Length : 5", 400),
}


@pytest.mark.parametrize(("fields", "status"), REFUSED.values(), ids=REFUSED.keys())
async def test_g4_an_ambiguous_body_is_refused_and_the_connection_closed(
    fields: bytes, status: int, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        head = b"POST /api/x HTTP/1.1\r\nHost: a\r\n" + fields
        await client.send(head + b"\r\n\r\nhello" + SMUGGLED)
        answer = await client.answer()
        assert answer.status == status
        assert answer.value("Content-Type") == "application/problem+json"
        assert answer.value("Connection") == "close"
        assert await client.rest() == b""
    assert upstream.calls == []


@pytest.mark.parametrize("end", [b"\n\n", b"\nHost: a\n\n", b"\r\nHost: a\nX: y"])
async def test_g4_lines_that_end_with_lf_alone_are_refused_at_once(
    end: bytes, gateway: RunningGateway
) -> None:
    async with raw_client(gateway.port) as client:
        await client.send(b"GET /api/x HTTP/1.1" + end)
        assert (await client.answer(within=2)).status == 400


async def test_g4_http_10_with_a_coding_is_refused(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = b"POST /api/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert (await ask(gateway.port, request)).status == 400
    assert upstream.calls == []


async def test_g4_a_chunked_body_is_reframed(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
    assert (await ask(gateway.port, head + body)).status == 200
    request = upstream.requests[0]
    assert request.body == b"hello world"
    assert request.value("Content-Length") == "11"
    assert request.values("Transfer-Encoding") == []
    assert b"X-Trailer" not in upstream.calls[0].received


async def test_g4_a_malformed_chunk_after_a_long_body_reaches_nobody_whole(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"20000\r\n" + b"a" * 0x20000 + b"\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(head + chunk)
        await asyncio.sleep(0.1)
        await client.send(b"5\r\nhelloX")
        assert (await client.answer()).status == 400
    assert upstream.requests == []


async def test_pipelined_requests_are_answered_in_order(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    requests = [
        b"GET /api/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)
    ]
    async with raw_client(gateway.port) as client:
        await client.send(b"".join(requests))
        for _ in requests:
            assert (await client.answer()).status == 200
    assert [r.target for r in upstream.requests] == [f"/api/{n}" for n in range(20)]


async def test_a_request_may_come_byte_by_byte(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = (
        b"\r\nPOST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
    )
    async with raw_client(gateway.port) as client:
        await client.send(*(bytes([byte]) for byte in request), pause=0.0005)
        assert (await client.answer()).status == 200
    assert upstream.requests[0].body == b"abcde"


async def test_a_half_closed_client_gets_its_answer(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        await client.send(b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
        client.end()
        answer = await client.answer()
    assert (answer.status, answer.value("Connection")) == (200, "close")
    assert len(upstream.requests) == 1


async def test_a_body_that_ends_early_is_told_and_reaches_nobody(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        await client.send(
            b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello"
        )
        client.end()
        assert (await client.answer()).status == 400
    assert upstream.calls == []


def test_what_the_test_calls_strict_is() -> None:
    lengths = b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
    with pytest.raises(h11.RemoteProtocolError):
        parsed_requests(b"GET / HTTP/1.1\r\nHost: a\r\n" + lengths)
