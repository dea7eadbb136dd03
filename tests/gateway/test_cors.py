"""C1 to C5: the lines that browsers read. The wire is tested with the proxy."""

from typing import Final

import pytest

from gateway_service.config.clients import CorsConfig
from gateway_service.config.model import Config
from gateway_service.config.values import CorsAccess
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.parsing.requests import Request, read_request
from gateway_service.proxy.cors import Cors, is_preflight, wanted_by_preflight
from gateway_service.proxy.headers import request_fields
from gateway_service.proxy.routing import Routes
from identity_service.handlers.requests.preferences import PREFERENCE_APPLIED
from identity_service.routes import OPERATIONS as IDENTITY

ORIGIN = b"https://app.test"
VARY = ("Vary", "Origin")


def cors(
    *, credentials: bool = False, access: CorsAccess = CorsAccess.ALLOWED_ORIGINS
) -> Cors:
    origins = frozenset({"https://app.test", "http://localhost:8081"})
    config = CorsConfig(origins=origins, credentials=credentials)
    return Cors(config, access, ["POST", "GET"])


def parsed(lines: bytes) -> list[tuple[str, str]]:
    assert lines.endswith(b"\r\n")
    pairs = [line.split(": ", 1) for line in lines.decode("ascii").split("\r\n")[:-1]]
    return [(name, value) for name, value in pairs]


@pytest.mark.parametrize("origin", [ORIGIN, b"http://localhost:8081"])
def test_c1_allowed_origin_is_named_exactly_once(origin: bytes) -> None:
    for lines in (cors().for_request(origin), cors().for_preflight(origin)):
        named = [v for n, v in parsed(lines) if n == "Access-Control-Allow-Origin"]
        assert named == [origin.decode()]


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"*", id="asterisk"),
        pytest.param(b"https://APP.test", id="other case"),
        pytest.param(b"HTTPS://app.test", id="scheme in capitals"),
        pytest.param(b"http://app.test", id="other scheme"),
        pytest.param(b"https://app.test:443", id="default port"),
        pytest.param(b"https://app.test:8443", id="other port"),
        pytest.param(b"https://app.test/", id="slash"),
        pytest.param(b"https://app.test.evil.example", id="suffix"),
        pytest.param(b"https://evilapp.test", id="prefix"),
        pytest.param(b"https://sub.app.test", id="subdomain"),
        pytest.param(b"https://app.test, https://app.test", id="a list"),
        pytest.param(b" https://app.test", id="space"),
        pytest.param(b"https://app.test\xff", id="a byte more"),
        pytest.param(b"https://user@app.test", id="user"),
    ],
)
def test_c1_any_other_origin_gets_no_permission(origin: bytes | None) -> None:
    assert parsed(cors().for_request(origin)) == [VARY]
    assert parsed(cors().for_preflight(origin)) == [VARY]


@pytest.mark.parametrize("credentials", [True, False])
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (b"http://localhost:5173", True),
        (b"http://localhost:1", True),
        (b"http://localhost", True),
        (b"http://localhost:*", False),
        (b"http://localhost:51\r\nX: 1", False),
        (b"http://localhost.evil.test:80", False),
        (b"http://127.0.0.1:5173", False),
        (b"http://localhost:\xd9\xa1", False),
        (b"https://app.test", True),
        (None, False),
    ],
)
def test_c1_every_port_of_this_machine_may_be_allowed(
    origin: bytes | None, *, allowed: bool, credentials: bool
) -> None:
    origins = frozenset({"https://app.test", "http://localhost:*"})
    config = CorsConfig(origins=origins, credentials=credentials)
    policy = Cors(config, CorsAccess.ALLOWED_ORIGINS, ["GET"])
    with_credentials = ("Access-Control-Allow-Credentials", "true")

    for lines in (policy.for_request(origin), policy.for_preflight(origin)):
        if not allowed or origin is None:
            assert parsed(lines) == [VARY]
            continue
        told = parsed(lines)
        assert told[:2] == [("Access-Control-Allow-Origin", origin.decode()), VARY]
        assert (with_credentials in told) is credentials


@pytest.mark.parametrize("access", CorsAccess)
@pytest.mark.parametrize("origin", [None, b"null", b"https://other.test", ORIGIN])
def test_c2_every_answer_varies_by_origin(
    access: CorsAccess, origin: bytes | None
) -> None:
    policy = cors(access=access)

    for lines in (policy.for_request(origin), policy.for_preflight(origin)):
        assert parsed(lines).count(VARY) == 1


def test_c3_preflight_lists_what_is_offered_and_echoes_nothing() -> None:
    assert dict(parsed(cors().for_preflight(ORIGIN))) == {
        "Access-Control-Allow-Origin": "https://app.test",
        "Vary": "Origin",
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": (
            "content-type, authorization, x-access-token, x-request-id, prefer,"
            " if-none-match"
        ),
        "Access-Control-Max-Age": "600",
    }


def request(method: str, *fields: bytes) -> Request:
    lines = [f"{method} /api HTTP/1.1".encode(), b"Host: a", *fields]
    return read_request(lines, HeadLimits(), request_fields(dropped=()))


FROM_PAGE: Final = b"Origin: " + ORIGIN
WANTED: Final = b"Access-Control-Request-Method: PUT"


@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        pytest.param("OPTIONS", [FROM_PAGE, WANTED], True, id="a preflight"),
        pytest.param("OPTIONS", [WANTED], False, id="no origin"),
        pytest.param("OPTIONS", [FROM_PAGE], False, id="no wanted method"),
        pytest.param("GET", [FROM_PAGE, WANTED], False, id="not OPTIONS"),
    ],
)
def test_c3_only_options_with_origin_and_wanted_method_is_a_preflight(
    method: str,
    fields: list[bytes],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert is_preflight(request(method, *fields)) is expected


@pytest.mark.parametrize(
    ("method", "headers", "lacking"),
    [
        ("POST", ["Content-Type", "prefer"], []),
        ("HEAD", [], []),  # safelisted
        ("patch", [], ["patch"]),  # browsers compare methods as they are
        ("post", [], ["post"]),
        ("prefer", ["post"], ["prefer", "post"]),  # each is one of the others
    ],
)
def test_methods_and_headers_that_are_not_offered_are_named(
    method: str, headers: list[str], lacking: list[str]
) -> None:
    assert cors().not_offered(method, headers) == lacking


@pytest.mark.parametrize("name", [b"x", b"x-long-header"])
def test_of_what_a_preflight_asks_for_no_more_is_read_than_pages_need(
    name: bytes,
) -> None:
    many = b"Access-Control-Request-Headers: content-type, " + (name + b",") * 4_000
    method, headers = wanted_by_preflight(request("OPTIONS", WANTED, many))
    assert method == "PUT"
    assert headers[:2] == ["content-type", name.decode()]
    assert set(headers[1:]) == {name.decode()}, "none is cut"
    assert len(headers) < 600


def test_c4_credentials_only_if_configured_and_only_for_allowed_origins() -> None:
    allowed = ("Access-Control-Allow-Credentials", "true")
    with_credentials = cors(credentials=True)

    assert allowed in parsed(with_credentials.for_request(ORIGIN))
    assert allowed in parsed(with_credentials.for_preflight(ORIGIN))
    assert parsed(with_credentials.for_request(b"https://other.test")) == [VARY]
    assert "Credentials" not in cors().for_request(ORIGIN).decode()


@pytest.mark.parametrize("origin", [None, b"null", b"https://other.test", ORIGIN])
def test_c4_public_resource_is_for_all_and_never_with_credentials(
    origin: bytes | None,
) -> None:
    policy = cors(credentials=True, access=CorsAccess.PUBLIC)

    for lines in (policy.for_request(origin), policy.for_preflight(origin)):
        assert ("Access-Control-Allow-Origin", "*") in parsed(lines)
        assert b"Credentials" not in lines


SAFELISTED: Final = {"cache-control", "content-language", "content-type"}
"""What pages may read anyway (Fetch, 2.2.2), of what our responses have."""


@pytest.mark.parametrize("access", CorsAccess)
def test_c5_answers_expose_what_front_ends_must_read(access: CorsAccess) -> None:
    lines = dict(parsed(cors(access=access).for_request(ORIGIN)))
    exposed = set(lines["Access-Control-Expose-Headers"].lower().split(", "))
    replies = [reply for operation in IDENTITY for reply in operation.replies]
    documented = {name.lower() for reply in replies for name in reply.headers}

    assert documented - SAFELISTED <= exposed
    assert {"retry-after", "www-authenticate", "x-request-id"} <= exposed
    assert PREFERENCE_APPLIED.lower() in exposed


@pytest.mark.parametrize("access", CorsAccess)
def test_c5_pages_may_ask_whether_a_list_has_changed(access: CorsAccess) -> None:
    lines = dict(parsed(cors(access=access).for_preflight(ORIGIN)))

    assert {"if-none-match", "prefer"} <= set(
        lines["Access-Control-Allow-Headers"].split(", ")
    )


def test_c5_answers_to_unknown_paths_have_the_policy_of_all() -> None:
    config = Config(cors=CorsConfig(origins=frozenset({"https://app.test"})))

    lines = Routes(config).default_cors.for_request(ORIGIN)

    assert ("Access-Control-Allow-Origin", "https://app.test") in parsed(lines)
