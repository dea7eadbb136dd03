"""Responses before the final one, and heads of responses that are large."""

from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import OK, RawUpstream, once

from gateway_service.config.model import ResponseLimits

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nServer: x\r\n\r\n"


async def test_early_hints_are_passed_on_before_the_response(
    upstream: RawUpstream, gateway: RunningGateway
) -> None:
    upstream.script = once(HINTS, b"HTTP/1.1 102 Processing\r\n\r\n", OK, pause=0.05)

    answer = await ask(gateway.port, GET)

    assert (answer.interim, answer.status, answer.body) == ((103, 102), 200, b"ok")


async def test_early_hints_lose_what_only_the_gateway_may_say(
    upstream: RawUpstream, gateway: RunningGateway
) -> None:
    upstream.script = once(HINTS + OK)
    async with raw_client(gateway.port) as client:
        await client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        received = await client.rest()

    hints = received.partition(b"\r\n\r\n")[0]
    assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload"


@pytest.mark.parametrize(
    ("interim", "request_"),
    [
        pytest.param(HINTS, GET.replace(b"1.1", b"1.0"), id="HTTP/1.0 knows none"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\n", GET, id="100 is the gateway's to say"
        ),
    ],
)
async def test_some_interim_responses_end_here(
    interim: bytes, request_: bytes, upstream: RawUpstream, gateway: RunningGateway
) -> None:
    upstream.script = once(interim + OK)

    answer = await ask(gateway.port, request_)

    assert (answer.interim, answer.status) == ((), 200)


async def test_a_flood_of_interim_responses_is_no_response(
    upstream: RawUpstream, gateway: RunningGateway
) -> None:
    upstream.script = once(HINTS * 17 + OK)

    assert (await ask(gateway.port, GET)).status == 502


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"X: 1\r\n" * 400, 200, id="400 fields"),
        pytest.param(b"X: %b\r\n" % (b"x" * 20_000), 200, id="a field of 20 kB"),
        pytest.param(b"X: 1\r\n" * 1_001, 502, id="too many fields"),
        pytest.param(b"X: %b\r\n" % (b"x" * 70_000), 502, id="too long a field"),
    ],
)
async def test_responses_have_wider_limits_of_their_own(
    head: bytes, status: int, upstream: RawUpstream, gateway: RunningGateway
) -> None:
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%b\r\nok" % head

    async with raw_client(gateway.port) as client:
        await client.send(GET)
        assert (await client.reader.readline()).split()[1] == b"%d" % status


@pytest.mark.parametrize(
    "limits",
    [
        ResponseLimits(header_field=300, headers=1_024, header_count=8),
        ResponseLimits(headers=1_024),
    ],
)
async def test_limits_of_responses_can_be_set(
    limits: ResponseLimits, upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, response_limits=limits)
    upstream.answer = OK.replace(b"\r\n\r\n", b"\r\nX: %b\r\n\r\n" % (b"x" * 1_100))
    async with running_gateway(config, tmp_path) as gateway:
        assert (await ask(gateway.port, GET)).status == 502


async def test_a_response_may_have_an_extension_on_each_of_its_chunks(
    upstream: RawUpstream, gateway: RunningGateway
) -> None:
    chunks = b"1;signature=%b\r\nx\r\n" % (b"0" * 64) * 1_000
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    upstream.answer = head + chunks + b"0\r\n\r\n"

    assert (await ask(gateway.port, GET)).body == b"x" * 1_000
