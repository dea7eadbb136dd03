"""Which callers a protected handler lets in, and the problems of the others."""

import time
from http import HTTPStatus
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from prometheus_client import CollectorRegistry
from pytest_aiohttp import AiohttpClient
from tests.support.tokens import AUDIENCE, ISSUER, OMIT, mint, public_half

from service_kit.auth import (
    AUTHENTICATOR,
    Authenticator,
    MissingRoleError,
    MissingTokenError,
    auth_problems,
    caller,
    protected,
    require_role,
)
from service_kit.observability.metrics import RequestMetrics
from service_kit.problems import Problem
from service_kit.requests.credentials import MalformedCredentialsError
from service_kit.requests.middleware import request_middleware
from service_kit.tokens import (
    InvalidTokenError,
    KeysUnavailableError,
    StaticKeySet,
    StatusUnavailableError,
    TokenVerifier,
)

OWN_ORIGIN: Final = "https://app.example"


def told(error: Exception, *, compat: bool = False) -> Problem:
    entry = auth_problems(tutorial_compat=compat)[type(error)]
    return entry if isinstance(entry, Problem) else entry(error)


@pytest.mark.parametrize(
    ("error", "status", "challenge"),
    [
        pytest.param(MissingTokenError(), 401, "Bearer", id="B1"),
        pytest.param(
            InvalidTokenError("expired"),
            401,
            'Bearer error="invalid_token"',
            id="B2-invalid",
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
    errors = [MissingTokenError(), InvalidTokenError("x"), MalformedCredentialsError()]
    errors += [MissingRoleError("admin"), KeysUnavailableError()]

    assert told(errors[0], compat=True).status == HTTPStatus.FORBIDDEN
    for error in errors[1:]:
        assert told(error, compat=True) == told(error)


async def test_t13_role_is_compared_whole() -> None:
    verifier = TokenVerifier(
        StaticKeySet([public_half()]), issuer=ISSUER, audience=AUDIENCE
    )
    claims = await verifier.verify(mint(claims={"roles": ["administrator"]}))

    require_role(claims, "administrator")
    with pytest.raises(MissingRoleError):
        require_role(claims, "admin")


@protected(role="editor")
async def rename(request: web.Request) -> web.Response:
    """Return who renames what."""
    return web.json_response([caller(request).subject, request.match_info["name"]])


@protected(role="editor", fresh=600, factors=2)
async def publish(request: web.Request) -> web.Response:
    return web.json_response(caller(request).subject)


@protected()
async def cached_by_browsers(_: web.Request) -> web.Response:
    return web.Response(headers={"Cache-Control": "private"})


async def broken(_: web.Request) -> web.Response:
    raise RuntimeError("a detail")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def client(
    aiohttp_client: AiohttpClient, registry: CollectorRegistry
) -> TestClient[web.Request, web.Application]:
    verifier = TokenVerifier(
        StaticKeySet([public_half()]), issuer=ISSUER, audience=AUDIENCE
    )
    metrics = RequestMetrics("example")
    registry.register(metrics)
    problems = auth_problems(tutorial_compat=False)
    app = web.Application(middlewares=[request_middleware(problems, metrics)])
    app[AUTHENTICATOR] = Authenticator(
        verifier, cookie="access_token", own_origins=[OWN_ORIGIN]
    )
    app.router.add_put("/things/{name}", rename)
    app.router.add_post("/things", publish)
    app.router.add_get("/cached", cached_by_browsers)
    app.router.add_get("/broken", broken)
    return await aiohttp_client(app)


def bearer(*roles: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint(claims={'roles': list(roles)})}"}


async def test_protected_handler_knows_its_caller(
    client: TestClient[web.Request, web.Application],
) -> None:
    response = await client.put("/things/a", headers=bearer("editor"))

    assert (response.status, await response.json()) == (200, ["42", "a"])
    assert response.headers["Cache-Control"] == "no-store"
    cached = await client.get("/cached", headers=bearer())
    assert cached.headers["Cache-Control"] == "private"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        pytest.param({}, 401, "missing_token", id="B1-none"),
        pytest.param({"x-access-token": "junk"}, 401, "invalid_token", id="B2-invalid"),
        pytest.param(None, 403, "insufficient_scope", id="B2-role"),
    ],
)
async def test_protected_handler_is_not_called_for_others(
    client: TestClient[web.Request, web.Application],
    headers: dict[str, str] | None,
    status: int,
    code: str,
) -> None:
    if headers is None:  # made now: a token of when tests were collected may expire
        headers = bearer("user")
    response = await client.put("/things/a", headers=headers)

    assert (response.status, (await response.json())["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/absent", 404, id="unknown-path"),
        pytest.param("GET", "/things/a", 405, id="other-method"),
        pytest.param("GET", "/broken", 500, id="unexpected-error"),
        pytest.param("GET", "/cached", 401, id="refused"),
    ],
)
async def test_every_failure_is_a_problem_with_the_common_headers(
    client: TestClient[web.Request, web.Application],
    method: str,
    path: str,
    status: int,
) -> None:
    response = await client.request(method, path, headers={"X-Request-Id": "given-1"})
    body = await response.text()

    assert (response.status, response.content_type) == (
        status,
        "application/problem+json",
    )
    assert "a detail" not in body
    assert response.headers["X-Request-Id"] == "given-1"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Server"] == "gatehouse"


async def test_requests_are_counted_by_the_pattern_of_their_route(
    client: TestClient[web.Request, web.Application], registry: CollectorRegistry
) -> None:
    for name in ("a", "b"):
        await client.put(f"/things/{name}", headers=bearer("editor"))
    await client.get("/absent")

    def count(method: str, route: str, status: str) -> float | None:
        labels = {"method": method, "route": route, "status": status}
        return registry.get_sample_value("example_requests_total", labels)

    assert count("PUT", "/things/{name}", "200") == 2
    assert count("other", "none", "404") == 1


PROVED = {"roles": ["editor"], "acr": "aal2", "amr": ["mfa", "otp", "pwd"]}
STEP_UP = (
    'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="600"'
)


@pytest.mark.parametrize(
    ("change", "age", "status", "challenge"),
    [
        pytest.param({}, 10, 200, None, id="fresh-with-two-factors"),
        pytest.param({}, 700, 401, STEP_UP, id="long-ago"),
        pytest.param({}, -20, 200, None, id="by-a-clock-that-is-ahead"),
        pytest.param({}, -700, 401, STEP_UP, id="yet-to-come"),
        pytest.param({"acr": "aal1"}, 10, 401, STEP_UP, id="one-factor"),
        pytest.param({"acr": OMIT}, 10, 401, STEP_UP, id="nobody-says-how-many"),
        pytest.param({"acr": "aal3"}, 10, 401, STEP_UP, id="unknown-assurance"),
        pytest.param({}, None, 401, STEP_UP, id="nobody-says-when"),
        pytest.param(
            {"roles": ["user"]},
            10,
            403,
            'Bearer error="insufficient_scope"',
            id="no-step-helps-without-the-role",
        ),
    ],
)
async def test_step_up_is_asked_of_callers_who_proved_too_little(
    client: TestClient[web.Request, web.Application],
    change: dict[str, object],
    age: int | None,
    status: int,
    challenge: str | None,
) -> None:
    auth_time = OMIT if age is None else int(time.time()) - age
    token = mint(claims={**PROVED, "auth_time": auth_time, **change})

    response = await client.post("/things", headers={"x-access-token": token})

    assert response.status == status
    assert response.headers.get("WWW-Authenticate") == challenge
    if status == HTTPStatus.UNAUTHORIZED:
        code = (await response.json())["code"]
        assert code == "insufficient_user_authentication"


@pytest.mark.parametrize(
    "change",
    [{"auth_time": "now"}, {"auth_time": None}, {"amr": "pwd"}, {"acr": 2}],
    ids=["text-for-a-time", "no-time", "text-for-a-list", "number-for-a-name"],
)
async def test_odd_word_of_a_sign_in_is_no_token(change: dict[str, object]) -> None:
    verifier = TokenVerifier(
        StaticKeySet([public_half()]), issuer=ISSUER, audience=AUDIENCE
    )
    with pytest.raises(InvalidTokenError):
        await verifier.verify(mint(claims=change))


def test_nobody_can_ask_for_three_factors() -> None:
    with pytest.raises(ValueError, match="factors"):
        protected(factors=3)


COOKIE: Final = "Cookie"
HEADER: Final = "x-access-token"


@pytest.mark.parametrize(
    ("carrier", "page", "status"),
    [
        pytest.param(COOKIE, {"Sec-Fetch-Site": "cross-site"}, 403, id="C7-foreign"),
        pytest.param(COOKIE, {"Origin": "https://evil.example"}, 403, id="C7-origin"),
        pytest.param(COOKIE, {"Sec-Fetch-Site": "none"}, 403, id="C7-no-page"),
        pytest.param(COOKIE, {}, 403, id="C7-nobody-says"),
        pytest.param(COOKIE, {"Sec-Fetch-Site": "same-origin"}, 200, id="C7-ours"),
        pytest.param(COOKIE, {"Origin": OWN_ORIGIN}, 200, id="C7-allowed-origin"),
        pytest.param(HEADER, {"Origin": "https://evil.example"}, 200, id="C7-header"),
        pytest.param(HEADER, {}, 200, id="C7-no-browser"),
    ],
)
async def test_a_cookie_counts_for_unsafe_methods_from_our_own_pages_alone(
    client: TestClient[web.Request, web.Application],
    carrier: str,
    page: dict[str, str],
    status: int,
) -> None:
    token = mint(claims={"roles": ["editor"]})
    value = f"access_token={token}" if carrier == COOKIE else token

    response = await client.put("/things/a", headers={carrier: value, **page})

    assert response.status == status
    if status == HTTPStatus.FORBIDDEN:
        assert (await response.json())["code"] == "cross_site_request"


async def test_c7_a_cookie_reads_from_any_page(
    client: TestClient[web.Request, web.Application],
) -> None:
    headers = {"Cookie": f"access_token={mint()}", "Sec-Fetch-Site": "cross-site"}

    assert (await client.get("/cached", headers=headers)).status == 200
