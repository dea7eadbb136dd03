"""Which trace a request is part of, and what says so (W3C Trace Context)."""

import json
import re
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import ask
from tests.support.raw_upstream import RawUpstream, Recorded

from gateway_service.operations.tracing import ExchangeTracing
from service_kit.observability.tracing import ServerSpan, SpanSender

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"
STATE = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"


async def sent_on(
    gateway: RunningGateway, upstream: RawUpstream, *lines: str
) -> Recorded:
    head = "\r\n".join(["GET /api/x HTTP/1.1", "Host: a", *lines])
    answer = await ask(gateway.port, f"{head}\r\n\r\n".encode("latin-1"))
    assert answer.status == 200
    assert answer.value("X-Request-Id") == upstream.requests[-1].value("X-Request-Id")
    return upstream.requests[-1]


def parts(recorded: Recorded) -> list[str]:
    (field,) = recorded.values("traceparent")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", field)
    return field.split("-")


async def test_a_request_without_a_trace_begins_one(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    first = await sent_on(gateway, upstream)
    second = await sent_on(gateway, upstream)

    assert parts(first)[1] == first.value("X-Request-Id")
    assert parts(first)[1:3] != parts(second)[1:3]
    assert parts(first)[3] == "00"


async def test_a_clients_trace_goes_on_with_a_request_id_of_our_own(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(
        gateway, upstream, f"traceparent: {CALLER}", f"tracestate: {STATE}"
    )

    assert parts(recorded)[1] == TRACE
    assert parts(recorded)[2] not in CALLER
    assert recorded.value("tracestate") == STATE
    assert recorded.value("X-Request-Id") != TRACE


@pytest.mark.parametrize(
    "line",
    [
        "",
        "00",
        CALLER.upper(),
        f"{CALLER}-00",
        f"{CALLER.replace('00-', '01-', 1)}-\xe9",
        CALLER.replace("00-", "ff-", 1),
        CALLER.replace(TRACE, "0" * 32),
        CALLER.replace("00f067aa0ba902b7", "0" * 16),
        CALLER.replace("4bf9", "xbf9"),
        f"{CALLER}\r\ntraceparent: {CALLER}",
        "é" * 55,
    ],
    ids=lambda line: repr(line)[:60],
)
async def test_a_malformed_trace_is_replaced_and_its_state_dropped(
    line: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(
        gateway, upstream, f"traceparent: {line}", f"tracestate: {STATE}"
    )

    assert parts(recorded)[1] == recorded.value("X-Request-Id")
    assert recorded.values("tracestate") == []


async def test_a_later_version_of_the_field_is_understood(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    later = f"{CALLER.replace('00-', '01-', 1)}-more"

    recorded = await sent_on(gateway, upstream, f"traceparent: {later}")

    assert parts(recorded)[1] == TRACE


@pytest.mark.parametrize(
    ("proxies", "flags"), [((), "00"), (("127.0.0.1/32",), "01")], ids=["any", "ours"]
)
async def test_only_a_trusted_proxy_decides_that_a_trace_is_recorded(
    proxies: tuple[str, ...], flags: str, upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, trusted_proxies=proxies)
    async with running_gateway(config, tmp_path) as gateway:
        recorded = await sent_on(gateway, upstream, f"traceparent: {CALLER}")

    assert parts(recorded)[3] == flags


class UnsentSpans(SpanSender):
    """Takes spans and sends nothing."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.methods: list[str] = []

    def send(self, span: ServerSpan) -> None:
        self.names.append(span.trace_id)
        self.methods.append(span.method)

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("proxies", "recorded"), [((), {"00"}), (("127.0.0.1/32",), {"01"})]
)
async def test_a_client_cannot_choose_a_trace_id_that_is_recorded(
    proxies: tuple[str, ...], recorded: set[str], upstream: RawUpstream, tmp_path: Path
) -> None:
    """One in a hundred is recorded; this id always was, whoever sent it."""
    caller = f"traceparent: 00-{'1' * 24}{'0' * 8}-00f067aa0ba902b7-00"
    config = config_for(upstream.port, trusted_proxies=proxies)
    async with running_gateway(config, tmp_path) as gateway:
        spans = UnsentSpans()
        gateway.app.server.tracing = ExchangeTracing(spans, percent=1)
        flags = [parts(await sent_on(gateway, upstream, caller))[3] for _ in range(10)]

    assert recorded <= set(flags)
    assert flags.count("01") in {0, 1, 2, 3} or recorded == {"01"}
    assert len(spans.names) == flags.count("01")


async def test_a_span_names_no_method_that_a_client_made_up(
    gateway: RunningGateway,
) -> None:
    spans = UnsentSpans()
    gateway.app.server.tracing = ExchangeTracing(spans, percent=100)
    for method in (b"BREW", b"GET"):
        await ask(gateway.port, method + b" /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert spans.methods == ["other", "GET"]


async def test_the_access_log_names_the_trace(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        await sent_on(gateway, upstream, f"traceparent: {CALLER}")
        own = await sent_on(gateway, upstream)
    lines = [json.loads(each) for each in gateway.access_log.read_text().splitlines()]

    assert [line["trace_id"] for line in lines] == [TRACE, own.value("X-Request-Id")]
    assert lines[0]["request_id"] != TRACE
