"""Requests whose end two readers could see at different places, by the hundred."""

from collections.abc import Iterator
from itertools import product
from typing import Final

SMUGGLED: Final = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
"""What would be a request of its own to a reader that sees the end before it."""

_CODINGS: Final = {
    "chunked": [b"Transfer-Encoding: chunked"],
    "tab": [b"Transfer-Encoding:\tchunked"],
    "vtab": [b"Transfer-Encoding:\x0bchunked"],
    "space before colon": [b"Transfer-Encoding : chunked"],
    "leading space": [b" Transfer-Encoding: chunked"],
    "upper": [b"TRANSFER-ENCODING: CHUNKED"],
    "twice": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    "list twice": [b"Transfer-Encoding: chunked, chunked"],
    "identity": [b"Transfer-Encoding: identity"],
    "identity first": [b"Transfer-Encoding: identity, chunked"],
    "gzip": [b"Transfer-Encoding: gzip"],
    "gzip first": [b"Transfer-Encoding: gzip, chunked"],
    "gzip last": [b"Transfer-Encoding: chunked, gzip"],
    "empty": [b"Transfer-Encoding:"],
    "comma": [b"Transfer-Encoding: ,chunked"],
    "quoted": [b'Transfer-Encoding: "chunked"'],
    "xchunked": [b"Transfer-Encoding: xchunked"],
    "parameter": [b"Transfer-Encoding: chunked;q=1"],
    "obs-text": [b"Transfer-Encoding: chunked\xff"],
    "nul": [b"Transfer-Encoding: chunked\x00"],
    "folded": [b"Transfer-Encoding:\r\n chunked"],
    "bare LF": [b"X: a\nTransfer-Encoding: chunked"],
    "bare CR": [b"X: a\rTransfer-Encoding: chunked"],
    "bare CR and LF": [b"X: a\rTransfer-Encoding: chunked\nY: b"],
    "bare CR, LF at the end": [b"X: a\rTransfer-Encoding: chunked\n"],
    "underscore": [b"Transfer_Encoding: chunked"],
    "no colon": [b"Transfer-Encoding chunked"],
    "none": [],
}

_LENGTHS: Final = {
    "none": [],
    "zero": [b"Content-Length: 0"],
    "right": [b"Content-Length: %d"],
    "short": [b"Content-Length: 3"],
    "plus": [b"Content-Length: +%d"],
    "minus": [b"Content-Length: -1"],
    "hex": [b"Content-Length: 0x10"],
    "underscored": [b"Content-Length: 1_0"],
    "decimal": [b"Content-Length: 5.0"],
    "empty": [b"Content-Length:"],
    "inner space": [b"Content-Length: 1 0"],
    "list": [b"Content-Length: 5, 5"],
    "twice": [b"Content-Length: 5", b"Content-Length: 5"],
    "differ": [b"Content-Length: 0", b"Content-Length: %d"],
    "huge": [b"Content-Length: 99999999999999999999"],
    "space before colon": [b"Content-Length : 0"],
}

_BODIES: Final = {
    "ends at once": b"0\r\n\r\n" + SMUGGLED,
    "whole": b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
}

_CHUNKED: Final = {
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size signed": b"+5\r\nhello\r\n0\r\n\r\n",
    "size negative": b"-1\r\nhello\r\n0\r\n\r\n",
    "size huge": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "size overflows": b"100000000000000005\r\nhello\r\n0\r\n\r\n",
    "size with space": b"5 \r\nhello\r\n0\r\n\r\n",
    "size led by space": b" 5\r\nhello\r\n0\r\n\r\n",
    "size empty": b"\r\nhello\r\n0\r\n\r\n",
    "size line LF": b"5\nhello\r\n0\r\n\r\n",
    "data end LF": b"5\r\nhello\n0\r\n\r\n",
    "data end missing": b"5\r\nhello0\r\n\r\n",
    "data too long": b"3\r\nhello\r\n0\r\n\r\n",
    "last LF": b"5\r\nhello\r\n0\n\n",
    "extension with LF": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extension with CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension with NUL": b"5;a\x00\r\nhello\r\n0\r\n\r\n",
    "extension long": b"5;" + b"a" * 5_000 + b"\r\nhello\r\n0\r\n\r\n",
    "trailer folded": b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    "trailer no colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "trailer long": b"5\r\nhello\r\n0\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    "trailer frames": b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
    "trailer CR": b"5\r\nhello\r\n0\r\nX: a\rY: b\r\n\r\n",
    "two CRs": b"5\r\r\nhello\r\n0\r\n\r\n",
    "NUL size": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "arabic digit": "\u0665\r\nhello\r\n0\r\n\r\n".encode(),
}

_HEADS: Final = {
    "bare LFs": b"POST /api/x HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    "LF after line": b"POST /api/x HTTP/1.1\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "LF ends head": b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\n",
    "CR ends head": b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r",
    "field before host": b"POST /api/x HTTP/1.1\r\n Host: a\r\n\r\n",
    "two spaces": b"POST  /api/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in target": b"POST /api/x y HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in line": b"POST\t/api/x\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"POST /api/x\r\nHost: a\r\n\r\n",
    "version 0.9": b"POST /api/x HTTP/0.9\r\nHost: a\r\n\r\n",
    "version 1.1x": b"POST /api/x HTTP/1.1x\r\nHost: a\r\n\r\n",
    "version 01.1": b"POST /api/x HTTP/01.1\r\nHost: a\r\n\r\n",
    "version 2.0": b"POST /api/x HTTP/2.0\r\nHost: a\r\n\r\n",
    "RTSP": b"POST /api/x RTSP/1.0\r\nHost: a\r\n\r\n",
    "ICE": b"POST /api/x ICE/1.0\r\nHost: a\r\n\r\n",
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower version": b"POST /api/x http/1.1\r\nHost: a\r\n\r\n",
    "method with colon": b"PO:ST /api/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "method with quote": b'PO"ST /api/x HTTP/1.1\r\nHost: a\r\n\r\n',
    "NUL in name": b"POST /api/x HTTP/1.1\r\nHost: a\r\nX\x00Y: 1\r\n\r\n",
    "NUL in value": b"POST /api/x HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    "DEL in value": b"POST /api/x HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
    "empty name": b"POST /api/x HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
    "name with brace": b"POST /api/x HTTP/1.1\r\nHost: a\r\nX{: 1\r\n\r\n",
    "name with obs-text": b"POST /api/x HTTP/1.1\r\nHost: a\r\nX\xff: 1\r\n\r\n",
    "CR in target": b"POST /api/\rx HTTP/1.1\r\nHost: a\r\n\r\n",
    "obs-text in target": b"POST /api/\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"POST /api/x#y HTTP/1.1\r\nHost: a\r\n\r\n",
    "line end in target": b"POST /api/%0d%0aX:y HTTP/1.1\r\nHost: a\r\n\r\n",
}


def hostile_framings() -> Iterator[tuple[str, bytes]]:
    """Yield a name and the bytes a client sends on one connection.

    Whether an input is answered or refused is not said: some are harmless once they
    are framed anew. What must hold is that nothing hidden in one becomes a request.
    """
    for version, (te, codings), (cl, lengths), (kind, body) in product(
        ("1.1", "1.0"), _CODINGS.items(), _LENGTHS.items(), _BODIES.items()
    ):
        lines = [line % len(body) if b"%d" in line else line for line in lengths]
        for order, fields in (("cl te", lines + codings), ("te cl", codings + lines)):
            name = f"{version} te={te} cl={cl} {order} body={kind}"
            yield name, _request(version, fields, body)
            if not (lengths and codings):
                break
    for name, body in _CHUNKED.items():
        field = [b"Transfer-Encoding: chunked"]
        yield f"chunked {name}", _request("1.1", field, body + SMUGGLED)
    for name, head in _HEADS.items():
        yield f"head {name}", head + SMUGGLED


def _request(version: str, fields: list[bytes], body: bytes) -> bytes:
    lines = [b"POST /api/x HTTP/" + version.encode(), b"Host: a", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
