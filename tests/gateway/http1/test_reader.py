"""Bytes in, events out: one reader for both sides, tried without sockets."""

import time

import pytest

from gateway_service.http1.parsing.fields import READ_OF_REQUESTS, FieldPolicy
from gateway_service.http1.parsing.grammar import CHUNKED, UNTIL_CLOSE, MalformedError
from gateway_service.http1.parsing.limits import ChunkLimits, HeadLimits
from gateway_service.http1.parsing.reader import RequestReader, ResponseReader, Signal
from gateway_service.http1.parsing.requests import Request
from gateway_service.http1.parsing.responses import ResponseHead
from gateway_service.proxy.messages import is_loop

LIMITS = HeadLimits(start_line=64, field=64, fields=128, field_count=4)
FIELDS = FieldPolicy(READ_OF_REQUESTS, is_dropped=lambda _: False)
END, NEED_DATA = Signal.END, Signal.NEED_DATA

Seen = tuple[object, int] | bytes | Signal
"""A request's path or a response's status with the body's length; or another event."""

BODILESS: list[Seen] = [(each, 0) for each in ("/a", "/b", 101, 200, 204, 304)]
"""Heads that are a whole message."""

Reader = RequestReader | ResponseReader
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Now\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def request_reader() -> RequestReader:
    return RequestReader(LIMITS, FIELDS)


def response_reader(method: str = "GET", *, is_upgrade: bool = False) -> ResponseReader:
    reader = ResponseReader(LIMITS, FIELDS, interim_limit=2)
    reader.expect(method, is_upgrade=is_upgrade)
    return reader


def events(reader: Reader) -> list[Seen]:
    """Return the events up to the end of a message, or as far as its bytes go."""
    seen: list[Seen] = []
    while True:
        event = reader.next_event()
        if isinstance(event, Request):
            seen.append((event.path, event.length))
        elif isinstance(event, ResponseHead):
            seen.append((event.status, event.length))
        else:
            seen.append(event)
        if isinstance(event, Signal) or seen[-1] in BODILESS:
            return seen


def read(reader: Reader, data: bytes) -> list[Seen]:
    reader.receive(data)
    return events(reader)


REQUESTS: dict[str, tuple[bytes, list[Seen]]] = {
    "nothing": (b"", [NEED_DATA]),
    "an empty line": (b"\r\n", [NEED_DATA]),
    "an empty line before a head": (b"\r\n" + GET, [("/a", 0)]),
    "a part of a head": (GET[:-1], [NEED_DATA]),
    "no body": (GET, [("/a", 0)]),
    "a length of 0": (POST + b"Content-Length: 0\r\n\r\n", [("/a", 0)]),
    "a body": (POST + b"Content-Length: 2\r\n\r\nab", [("/a", 2), b"ab", END]),
    "a part of a body": (
        POST + b"Content-Length: 2\r\n\r\na",
        [("/a", 2), b"a", NEED_DATA],
    ),
    "chunks": (
        POST + CHUNKS + b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\nTrailer: t\r\n\r\n",
        [("/a", CHUNKED), b"abc", END],
    ),
    "a chunk cut in its line end": (
        POST + CHUNKS + b"1\r\na\r",
        [("/a", CHUNKED), b"a", NEED_DATA],
    ),
}


@pytest.mark.parametrize(("data", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_is_read(data: bytes, expected: list[Seen]) -> None:
    assert read(request_reader(), data) == expected


RESPONSES: dict[str, tuple[ResponseReader, bytes, list[Seen]]] = {
    "a body": (
        response_reader(),
        OK + b"Content-Length: 2\r\n\r\nab",
        [(200, 2), b"ab", END],
    ),
    "chunks": (
        response_reader(),
        OK + CHUNKS + b"1\r\na\r\n0\r\n\r\n",
        [(200, CHUNKED), b"a", END],
    ),
    "until close": (
        response_reader(),
        OK + b"\r\na",
        [(200, UNTIL_CLOSE), b"a", NEED_DATA],
    ),
    "HEAD": (
        response_reader("HEAD"),
        OK + b"Content-Length: 2\r\n\r\n",
        [(200, 0)],
    ),
    "204": (response_reader(), b"HTTP/1.1 204 \r\n\r\n", [(204, 0)]),
    "304": (
        response_reader(),
        b"HTTP/1.1 304 \r\nContent-Length: 2\r\n\r\n",
        [(304, 0)],
    ),
    "interim alone": (response_reader(), CONTINUE, [NEED_DATA]),
    "interim and final": (
        response_reader(),
        CONTINUE * 2 + OK + b"Content-Length: 0\r\n\r\n",
        [(200, 0)],
    ),
    "a switch of protocols": (
        response_reader(is_upgrade=True),
        SWITCH + b"not HTTP",
        [(101, 0)],
    ),
}


@pytest.mark.parametrize(
    ("reader", "data", "expected"), RESPONSES.values(), ids=RESPONSES
)
def test_a_response_is_read(
    reader: ResponseReader, data: bytes, expected: list[Seen]
) -> None:
    assert read(reader, data) == expected


WHOLE = {
    "no body": GET,
    "an empty line": b"\r\n" + GET,
    "length": POST + b"Content-Length: 5\r\n\r\nhello",
    "chunks": POST + CHUNKS + b"2\r\nhe\r\n3;x\r\nllo\r\n0\r\nA: b\r\n\r\n",
}


@pytest.mark.parametrize("message", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_make_the_same_message(message: bytes, size: int) -> None:
    reader, whole = request_reader(), read(request_reader(), message)
    seen: list[Seen] = []
    for at in range(0, len(message), size):
        seen += read(reader, message[at : at + size])
    body = b"".join(each for each in seen if isinstance(each, bytes))
    assert [each for each in seen if isinstance(each, tuple)] == whole[:1]
    assert body == b"".join(each for each in whole if isinstance(each, bytes))
    assert seen[-1] == whole[-1]
    assert seen.count(END) == whole.count(END)


def chunked_post(payload: int, size: int, extension: bytes = b"") -> bytes:
    """Return a request whose body has chunks of one size."""
    chunk = b"%x%b\r\n%b\r\n" % (size, extension, bytes(size))
    return POST + CHUNKS + chunk * (payload // size) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [5, 100, 50_000])
def test_chunks_that_are_not_mostly_framing_pass(size: int) -> None:
    seen = read(request_reader(), chunked_post(100_000, size))
    assert len(b"".join(each for each in seen if isinstance(each, bytes))) == 100_000
    assert seen[-1] is END


@pytest.mark.parametrize(
    ("size", "extension"),
    [(1, b""), (2, b""), (4, b""), (10, b";a=0123456789"), (1, b" " * 20)],
)
def test_a_body_that_is_mostly_framing_is_refused(size: int, extension: bytes) -> None:
    with pytest.raises(MalformedError):
        read(request_reader(), chunked_post(200_000, size, extension))


def test_a_replica_may_stream_single_bytes() -> None:
    reader = response_reader()
    assert read(reader, OK + CHUNKS + b"1\r\na\r\n" * 50_000)[1] == b"a" * 50_000


def test_so_many_chunks_are_read_at_once() -> None:
    reader = request_reader()
    at_once = ChunkLimits().at_once
    reader.receive(POST + CHUNKS + b"5\r\nabcde\r\n" * (2 * at_once))
    reader.next_event()
    assert [len(each) for each in events(reader) if isinstance(each, bytes)] == [
        5 * at_once,
        5 * at_once,
    ]


def test_what_follows_a_message_is_held_until_it_is_asked_for() -> None:
    reader = request_reader()
    assert read(reader, GET + GET.replace(b"/a", b"/b")) == [("/a", 0)]
    assert reader.buffer == GET.replace(b"/a", b"/b")
    assert events(reader) == [("/b", 0)]
    assert events(reader) == [NEED_DATA]


def test_what_follows_a_switch_of_protocols_is_handed_over() -> None:
    reader = response_reader(is_upgrade=True)
    read(reader, SWITCH + b"not HTTP")
    assert reader.take_buffer() == b"not HTTP"
    assert reader.buffer == b""


def test_limits_hold_from_the_next_head_on() -> None:
    reader = request_reader()
    read(reader, GET)
    reader.limits = HeadLimits(start_line=8)
    with pytest.raises(MalformedError):
        read(reader, GET)


MALFORMED: dict[str, tuple[Reader, bytes]] = {
    "a long start line": (request_reader(), b"G" * 65),
    "large fields": (request_reader(), b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 50),
    "too many fields": (request_reader(), GET[:-2] + b"x: y\r\n" * 4 + b"\r\n"),
    "two empty lines": (request_reader(), b"\r\n\r\n"),
    "two empty lines before a head": (request_reader(), b"\r\n\r\n" + GET),
    "a long start line after an empty line": (request_reader(), b"\r\n" + b"G" * 67),
    "a bare LF": (request_reader(), b"GET / HTTP/1.1\nHost: h\r\n\r\n"),
    "two lengths": (
        request_reader(),
        POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    ),
    "a chunk without a size": (request_reader(), POST + CHUNKS + b"\r\na"),
    "a chunk longer than its size": (request_reader(), POST + CHUNKS + b"1\r\nab"),
    "a bare LF after a chunk's size": (request_reader(), POST + CHUNKS + b"1\na\n0"),
    "a bare LF after the last chunk": (request_reader(), POST + CHUNKS + b"0\r\n\n"),
    "a bare LF in the trailers": (request_reader(), POST + CHUNKS + b"0\r\nA: b\n\n"),
    "an empty line before a response": (response_reader(), b"\r\n\r\n"),
    "no status": (response_reader(), b"HTTP/1.1 OK\r\n\r\n"),
    "a first line that no head has": (request_reader(), b"SSH-2.0-x\r\n"),
    "HTTP/0.9": (request_reader(), b"\r\nGET /\r\n"),
    "the first line of another protocol": (response_reader(), b"220 smtp.test\r\n"),
    "a flood of interim responses": (response_reader(), CONTINUE * 3),
    "a switch nobody asked for": (response_reader(), SWITCH),
    "a switch to another protocol": (
        response_reader(is_upgrade=True),
        SWITCH.replace(b"websocket", b"h2c"),
    ),
}


@pytest.mark.parametrize(("reader", "data"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_message_is_refused(reader: Reader, data: bytes) -> None:
    with pytest.raises(MalformedError):
        read(reader, data)


def test_a_body_until_close_ends_with_the_bytes() -> None:
    reader = response_reader()
    read(reader, OK + b"\r\na")
    reader.receive_end()
    assert events(reader) == [END]


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 2\r\n\r\na", CHUNKS + b"1\r\na\r\n"],
    ids=["length", "chunks"],
)
def test_a_body_that_ends_early_is_no_end(rest: bytes) -> None:
    reader = response_reader()
    read(reader, OK + rest)
    with pytest.raises(MalformedError):
        reader.receive_end()


@pytest.mark.parametrize("at_once", [1, 1_000])
def test_the_largest_head_is_read_however_it_comes(at_once: int) -> None:
    line = b"GET /%b HTTP/1.1" % (b"a" * (LIMITS.start_line - 14))
    fields = [b"Host: h", *[b"A: %b" % (b"b" * length) for length in (37, 37, 38)]]
    head = b"\r\n".join([line, *fields, b"", b""])
    assert sum(map(len, fields)) == LIMITS.fields
    reader = request_reader()
    for at in range(0, len(head), at_once):
        assert reader.next_event() is NEED_DATA
        reader.receive(head[at : at + at_once])
    assert isinstance(reader.next_event(), Request)


LONG = 8_100
"""Bytes of a field or a target; a head may have four such fields."""


def long_head(unit: bytes, name: bytes = b"") -> bytes:
    """Return a head of which one unit over and over is the target, or four fields."""
    text = unit * (LONG // len(unit))
    if not name:
        return b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n" % text
    return (
        b"GET / HTTP/1.1\r\nHost: h\r\n" + (name + b": " + text + b"\r\n") * 4 + b"\r\n"
    )


def seconds_for(head: bytes) -> float:
    """Return the CPU time of a head, the least of several."""
    fields = FieldPolicy(READ_OF_REQUESTS | {b"via"}, is_dropped=lambda _: False)
    least = 1.0
    for _ in range(5):
        reader = RequestReader(HeadLimits(), fields)
        reader.receive(head)
        started_at = time.thread_time()
        try:
            event = reader.next_event()
        except MalformedError:
            event = END
        if isinstance(event, Request):
            is_loop(event.values.get(b"via", []), b"gateway")
        least = min(least, time.thread_time() - started_at)
    return least


@pytest.mark.parametrize("name", [b"Via", b"Connection", b"Transfer-Encoding", b""])
@pytest.mark.parametrize("unit", [b",", b"a,", b"1.1 gatewa,", b"%41", b"|"])
def test_no_head_is_much_more_work_than_others_of_its_length(
    name: bytes, unit: bytes
) -> None:
    usual = seconds_for(long_head(b"a", b"X-Other"))
    assert seconds_for(long_head(unit, name)) < 30 * usual


def test_a_head_in_single_bytes_is_work_in_proportion_to_its_length() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000
    reader = RequestReader(HeadLimits(fields=100_000), FIELDS)
    started_at = time.thread_time()
    for at in range(len(head)):
        reader.receive(head[at : at + 1])
        assert reader.next_event() is NEED_DATA
    assert time.thread_time() - started_at < 1.5, "0.2 s, or 3.5"
