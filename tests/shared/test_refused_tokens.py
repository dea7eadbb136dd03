"""Why a token was refused stands in the log, and the token does not."""

import logging
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient
from tests.support.tokens import AUDIENCE, ISSUER, LISTS, OMIT, mint, public_half

from service_kit.auth import AUTHENTICATOR, Authenticator, auth_problems, protected
from service_kit.observability.request_id import request_id
from service_kit.requests.middleware import request_middleware
from service_kit.requests.refused_tokens import RefusedTokens
from service_kit.tokens import StaticKeySet, Status, StatusReference, TokenVerifier

Client = TestClient[web.Request, web.Application]


class Statuses:
    """One list, with one revoked entry."""

    def cached(self, reference: StatusReference, _: object) -> int:
        return int(Status.INVALID if reference.idx == 1 else Status.VALID)

    async def fetch(self, reference: StatusReference, now: object) -> int:
        return self.cached(reference, now)


class Records(logging.Handler):
    """Collects records, each with the id of its request."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.request_id = request_id.get()
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    handler = Records()
    logger = logging.getLogger("service_kit.requests.refused_tokens")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.records
    logger.removeHandler(handler)


@protected()
async def show(_: web.Request) -> web.Response:
    return web.Response()


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Client:
    verifier = TokenVerifier(
        StaticKeySet([public_half()]),
        issuer=ISSUER,
        audience=AUDIENCE,
        statuses=Statuses(),
    )
    problems = auth_problems(tutorial_compat=False)
    app = web.Application(middlewares=[request_middleware(problems)])
    app[AUTHENTICATOR] = Authenticator(verifier, cookie="access_token", own_origins=())
    app.router.add_get("/", show)
    return await aiohttp_client(app)


TOKENS: Final[dict[str, Callable[[], str]]] = {
    "expired": lambda: mint(claims={"exp": 1}),
    "not_yet_valid": lambda: mint(claims={"nbf": 9_999_999_999}),
    "audience": lambda: mint(claims={"aud": "billing"}),
    "issuer": lambda: mint(claims={"iss": f"{ISSUER}/"}),
    "signature": lambda: f"{mint()[:-8]}AAAAAAAA",
    "unknown_key": lambda: mint(header={"kid": "another"}),
    "type": lambda: mint(header={"typ": "JWT"}),
    "algorithm": lambda: mint(header={"alg": "none"}),
    "revoked": lambda: mint(
        claims={"status": {"status_list": {"idx": 1, "uri": f"{LISTS}1"}}}
    ),
    "status": lambda: mint(claims={"status": OMIT}),
    "malformed": lambda: "no-token",
    "scheme": lambda: f"Bearer {mint()}",
}


@pytest.mark.parametrize("reason", TOKENS)
async def test_a_line_has_the_reason_and_the_request_id_and_nothing_of_the_token(
    client: Client, records: list[logging.LogRecord], reason: str
) -> None:
    token = TOKENS[reason]()

    response = await client.get("/", headers={"x-access-token": token})

    assert response.status == 401
    (record,) = records
    fields = record.__dict__
    assert (record.getMessage(), fields["reason"]) == ("token_refused", reason)
    assert fields["request_id"] == response.headers["X-Request-Id"]
    pieces = [each for each in token.split(".") if len(each) > 8]
    assert not [each for each in pieces if each in str(fields)]


async def test_two_tokens_that_differ_are_malformed_credentials(
    client: Client, records: list[logging.LogRecord]
) -> None:
    headers = {"x-access-token": "a.b.c", "Authorization": "Bearer d.e.f"}

    assert (await client.get("/", headers=headers)).status == 400
    assert records[0].__dict__["detail"] == "two headers name different tokens"


async def test_a_token_that_passes_or_is_missing_is_no_refusal(
    client: Client, records: list[logging.LogRecord]
) -> None:
    assert (await client.get("/", headers={"x-access-token": mint()})).status == 200
    assert (await client.get("/")).status == 401
    assert not records


def test_a_flood_of_bad_tokens_fills_no_log(records: list[logging.LogRecord]) -> None:
    now = 0.0
    refused = RefusedTokens(lambda: now)
    for _ in range(1_000):
        refused.note("expired", "expired")
    flooded = len(records)
    now = 60.0
    refused.note("revoked", "revoked")

    assert flooded == 60
    assert len(records) == 61
    assert records[-1].__dict__["left_out_before"] == 940
