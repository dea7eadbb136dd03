"""A target has one spelling, whatever a browser sends."""

import pytest

from gateway_service.http1.parsing.grammar import MalformedError
from gateway_service.http1.parsing.targets import parse_target

LONGEST = 8_192

SPELLINGS = {
    "brackets": (b"/a[1]", b"/a%5B1%5D"),
    "a bar": (b"/a|b", b"/a%7Cb"),
    "braces, a caret, a backtick": (b"/{a}^`", b"/%7Ba%7D%5E%60"),
    "quotes": (b"/\"a'", b"/%22a'"),
    "angles": (b"/<a>", b"/%3Ca%3E"),
    "UTF-8": ("/ü".encode(), b"/%C3%BC"),
    "UTF-8 in the query": ("/a?b=ü".encode(), b"/a?b=%C3%BC"),
    "what browsers leave in a query": (b"/a?[b]|{c}'\"\\^`", b"/a?[b]|{c}'\"\\^`"),
    "a tilde that was escaped": (b"/%7Ea%7e", b"/~a~"),
    "letters that were escaped": (b"/%61%50%5A%7a%4f", b"/aPZzO"),
    "digits and marks that were escaped": (b"/%30%39%2D%2e%5F", b"/09-._"),
    "an escape that is needed": (b"/%5b%C3%bc[", b"/%5b%C3%bc%5B"),
    "an escaped percent sign": (b"/%2541", b"/%2541"),
    "escapes in a query stay": (b"/[?%7E%61%2F", b"/%5B?%7E%61%2F"),
    "absolute form": (b"http://h/a[1]", b"/a%5B1%5D"),
}


@pytest.mark.parametrize(("sent", "spelt"), SPELLINGS.values(), ids=SPELLINGS)
def test_what_browsers_send_has_one_spelling(sent: bytes, spelt: bytes) -> None:
    found = parse_target(b"GET", sent, LONGEST)
    assert found.target == spelt
    assert found.path == spelt.partition(b"?")[0].decode()
    assert parse_target(b"GET", spelt, LONGEST).target == spelt


REFUSED = {
    "a broken escape": b"/%zz",
    "half an escape": b"/a%4",
    "an escape made of an escape": b"/%4%31",
    "a percent sign made of an escape": b"/%2%35",
    "an escape cut by a raw byte": b"/%5[",
    "a control character": b"/%0a",
    "a deleted character": b"/%7F",
    "bytes that are not UTF-8": b"/\xff",
    "a slash in overlong UTF-8": b"/..\xc0\xafadmin",
    "NUL": b"/[%00",
    "a backslash": b"/[\\",
    "a fragment": b"/[#",
    "a fragment in the query": "/a?ü#".encode(),
    "the server, but for OPTIONS": b"*",
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_what_has_two_readings_is_refused(sent: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_target(b"GET", sent, LONGEST)


def test_a_target_is_not_longer_than_its_limit_when_it_is_escaped() -> None:
    with pytest.raises(MalformedError):
        parse_target(b"GET", b"/" + b"|" * 3_000, LONGEST)
