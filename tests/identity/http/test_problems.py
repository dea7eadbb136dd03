import inspect

import pytest
from tests.support.identity import IdentityClient

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
