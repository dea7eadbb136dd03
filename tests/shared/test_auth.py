"""What a caller who may not pass is told."""

from http import HTTPStatus

import pytest
from tests.support.tokens import AUDIENCE, ISSUER, mint, public_half

from service_kit.auth import (
    MissingRoleError,
    MissingTokenError,
    auth_problems,
    require_role,
)
from service_kit.credentials import MalformedCredentialsError
from service_kit.problems import Problem
from service_kit.tokens import (
    InvalidTokenError,
    KeysUnavailableError,
    StaticKeySet,
    StatusUnavailableError,
    TokenVerifier,
)


def told(error: Exception, *, compat: bool = False) -> Problem:
    entry = auth_problems(tutorial_compat=compat)[type(error)]
    return entry if isinstance(entry, Problem) else entry(error)


@pytest.mark.parametrize(
    ("error", "status", "challenge"),
    [
        pytest.param(MissingTokenError(), 401, "Bearer", id="B1"),
        pytest.param(
            InvalidTokenError(), 401, 'Bearer error="invalid_token"', id="B2-invalid"
        ),
        pytest.param(
            MalformedCredentialsError(),
            400,
            'Bearer error="invalid_request"',
            id="B2-malformed",
        ),
        pytest.param(
            MissingRoleError("admin"),
            403,
            'Bearer error="insufficient_scope"',
            id="B2-role",
        ),
    ],
)
def test_refusal_has_its_status_and_challenge(
    error: Exception, status: int, challenge: str
) -> None:
    problem = told(error)

    assert problem.status == status
    assert problem.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize("error", [KeysUnavailableError(), StatusUnavailableError()])
def test_what_cannot_be_judged_may_be_tried_again(error: Exception) -> None:
    assert told(error).status == HTTPStatus.SERVICE_UNAVAILABLE
    assert int(told(error).headers["Retry-After"]) > 0


def test_tutorial_profile_changes_the_missing_token_alone() -> None:
    strict, compat = (auth_problems(tutorial_compat=each) for each in (False, True))

    assert told(MissingTokenError(), compat=True).status == HTTPStatus.FORBIDDEN
    assert {each for each in strict if strict[each] != compat[each]} == {
        MissingTokenError
    }


async def test_t13_role_is_compared_whole() -> None:
    verifier = TokenVerifier(
        StaticKeySet([public_half()]), issuer=ISSUER, audience=AUDIENCE
    )
    claims = await verifier.verify(mint(claims={"roles": ["administrator"]}))

    require_role(claims, "administrator")
    with pytest.raises(MissingRoleError):
        require_role(claims, "admin")
