"""Which JSON is read at all."""

import time

import pytest

from service_kit.strict_json import parse_object


def test_every_kind_of_value_is_read() -> None:
    text = b' {"a":[1,-2,0.5,true,null,{"b":"[[[[[[[[[[[["}],"c":"\\u00e9"} '

    assert parse_object(text) == {
        "a": [1, -2, 0.5, True, None, {"b": "[[[[[[[[[[[["}],
        "c": "\u00e9",
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"a":' + b"9" * 20 + b"}", id="T8-20-digits"),
        pytest.param(b'{"a":1e999}', id="T8-too-large-a-float"),
        pytest.param(b'{"a":-1e999}', id="T8-too-small-a-float"),
        pytest.param(b'{"a":NaN}', id="T8-nan"),
        pytest.param(b'{"a":Infinity}', id="T8-infinity"),
        pytest.param(b'{"a":-Infinity}', id="T8-minus-infinity"),
        pytest.param(b'{"a":1,"a":1}', id="T11-member-twice"),
        pytest.param(b'{"a":{"b":1,"\\u0062":1}}', id="T11-inner-member-twice"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="T9-byte-order-mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="T9-utf-16"),
        pytest.param(b'{"a":"\xff"}', id="T9-not-utf-8"),
        pytest.param(b"[]", id="T9-array"),
        pytest.param(b'{"a":' * 9 + b"1" + b"}" * 9, id="T12-nine-levels"),
        pytest.param(b'{"a":"\\""' + b',"b":[' * 9, id="T12-nesting-after-a-quote"),
        pytest.param(b'{"a":"\\ud800"}', id="T9-lone-surrogate"),
        pytest.param(b"", id="T9-nothing"),
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_object(text)


@pytest.mark.parametrize("end", [b"", b"\\", b"x", b'"', b'\\"}'])
def test_a_string_without_an_end_costs_no_more_than_its_length(end: bytes) -> None:
    text = b'{"' + b"[" * 9 + b'":"' + b'\\"' * 50_000 + end
    started_at = time.thread_time()
    with pytest.raises(ValueError, match=r"."):
        parse_object(text)
    assert time.thread_time() - started_at < 0.1
