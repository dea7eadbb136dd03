"""Which origins an operator's list allows."""

import pytest

from service_kit.origins import AllowedOrigins, is_origin


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:1", True),
        ("http://localhost:65535", True),
        ("http://localhost", True),
        ("http://127.0.0.1:5173", True),
        ("https://app.example", True),
        ("http://localhost:*", False),
        ("http://localhost:", False),
        ("http://localhost:0", False),
        ("http://localhost:8081/", False),
        ("http://localhost:8081.evil.test", False),
        ("http://localhost:80 81", False),
        ("http://localhost:\u0661", False),
        ("http://localhost.evil.test:8081", False),
        ("http://evil.test:8081", False),
        ("http://user@localhost:8081", False),
        ("http://localhost:x@localhost:8081", False),
        ("https://localhost:8081", False),
        ("https://app.example:8443", False),
        ("http://[::1]:8081", False),
        ("null", False),
        ("", False),
    ],
)
def test_every_port_of_a_host_is_that_and_no_more(
    origin: str, *, allowed: bool
) -> None:
    listed = ["http://localhost:*", "http://127.0.0.1:*", "https://app.example"]

    assert (origin in AllowedOrigins(listed)) is allowed


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("http://localhost:*", True),
        ("https://127.0.0.1:*", True),
        ("http://[::1]:*", True),
        ("http://app.example:8080", True),
        ("http://app.example:*", False),
        ("http://*.example", False),
        ("http://*:8080", False),
        ("*", False),
        ("http://app.example:80", False),
        ("http://localhost:**", False),
    ],
)
def test_only_this_machine_may_have_every_port(text: str, *, valid: bool) -> None:
    assert is_origin(text) is valid
