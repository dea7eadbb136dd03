import inspect
from urllib.parse import urlsplit

import pytest
from tests.support.identity import IdentityClient
from tests.support.raw_client import ask

from identity_service.domain import errors
from identity_service.handlers.problems import PROBLEMS

EXPECTED = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each)
    and issubclass(each, errors.IdentityError)
    and each is not errors.IdentityError
]


@pytest.mark.parametrize("error", EXPECTED)
def test_every_expected_failure_has_a_problem(error: type[Exception]) -> None:
    assert error in PROBLEMS


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/auth/signin", 405, "method_not_allowed"),
        ("GET", "/api/users/1/../me", 401, "missing_token"),
    ],
)
async def test_what_aiohttp_refuses_is_a_problem_as_well(
    identity: IdentityClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await identity.send(method, path)

    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["instance"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("expectation", "interim"),
    [(b"100-Continue", (100,)), (b"the-worst", ()), (b"\xff", ())],
)
async def test_no_expectation_fails_a_request(
    identity: IdentityClient, expectation: bytes, interim: tuple[int, ...]
) -> None:
    head = b"GET /api/users/me HTTP/1.1\r\nHost: a\r\nExpect: "
    port = urlsplit(identity.base_url).port

    received = await ask(port or 0, head + expectation + b"\r\n\r\n")

    assert (received.status, received.interim) == (401, interim)
    assert received.json()["code"] == "missing_token"
