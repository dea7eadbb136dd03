import logging
from http import HTTPStatus

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDictProxy

from service_kit.problems import (
    Problem,
    ProblemError,
    accounts,
    common,
    phrase_of,
    retry_in,
)
from service_kit.requests.middleware import request_middleware

TEAPOT = Problem(
    HTTPStatus.IM_A_TEAPOT,
    "teapot",
    "Short and stout.",
    "It is one.",
    "Tip it.",
    {"X-Spout": "1"},
)


class LostError(Exception):
    pass


class VeryLostError(LostError):
    pass


async def here(_: web.Request) -> web.Response:
    return web.Response()


async def answer_of(
    error: Exception, **headers: str
) -> tuple[int, dict[str, object], CIMultiDictProxy[str]]:
    async def fail(_: web.Request) -> web.Response:
        raise error

    app = web.Application(
        middlewares=[
            request_middleware(
                {
                    LostError: Problem(
                        HTTPStatus.GONE, "lost", "It is lost.", "So.", "Look."
                    )
                }
            )
        ]
    )
    app.router.add_get("/", fail)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/", headers=headers)
        assert answer.content_type == "application/problem+json"
        return answer.status, await answer.json(), answer.headers


async def test_a_problem_has_the_members_of_rfc_9457_and_a_message() -> None:
    status, body, headers = await answer_of(
        ProblemError(TEAPOT), **{"X-Request-Id": "given-1"}
    )

    assert status == 418
    assert body == {
        "type": "about:blank",  # no page explains it
        "title": "Teapot",
        "status": 418,
        "detail": "Short and stout.",
        "instance": "given-1",
        "code": "teapot",
        "message": "Short and stout.",
    }
    assert headers["X-Spout"] == "1"
    assert headers["X-Request-Id"] == "given-1"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("untrusted", ["a b", "x" * 65, "", "ü", '"'])
async def test_a_request_id_that_is_none_is_replaced(untrusted: str) -> None:
    _, body, _ = await answer_of(ProblemError(TEAPOT), **{"X-Request-Id": untrusted})

    assert body["instance"] != untrusted
    assert len(str(body["instance"])) == 32


async def test_an_error_is_mapped_as_its_nearest_class_in_the_table() -> None:
    status, body, _ = await answer_of(VeryLostError())

    assert (status, body["code"]) == (410, "lost")


async def test_an_unexpected_error_tells_nothing_of_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        status, body, _ = await answer_of(RuntimeError("secret detail"))

    assert status == 500
    assert "secret" not in str(body)
    assert [record.message for record in caplog.records] == ["unexpected_error"]


async def test_what_aiohttp_refuses_is_a_problem_too() -> None:
    app = web.Application(middlewares=[request_middleware({})])
    app.router.add_get("/here", here)
    async with TestClient(TestServer(app)) as client:
        absent = await client.get("/absent")
        method = await client.delete("/here")

        assert (absent.status, (await absent.json())["code"]) == (404, "not_found")
        assert (await method.json())["code"] == "method_not_allowed"
        assert method.headers["Allow"] == "GET, HEAD"


async def test_what_a_handler_says_by_an_error_of_aiohttp_is_kept() -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    async def guarded(_: web.Request) -> web.Response:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"})

    app = web.Application(middlewares=[request_middleware({})])
    app.router.add_get("/moved", moved)
    app.router.add_get("/guarded", guarded)
    async with TestClient(TestServer(app)) as client:
        found = await client.get("/moved", allow_redirects=False)
        refused = await client.get("/guarded")

        assert (found.status, found.headers["Location"]) == (302, "/elsewhere")
        assert found.headers["X-Request-Id"]
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Basic")
        assert refused.content_type == "application/problem+json"
        assert (await refused.json())["status"] == 401


@pytest.mark.parametrize(
    "problem", [accounts.TOO_MANY_ATTEMPTS, common.TOO_MANY_REQUESTS]
)
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (46, "46 seconds"),
        (119, "119 seconds"),
        (121, "3 minutes"),
        (3 * 3600, "3 hours"),
        (2_505_600, "29 days"),
    ],
)
def test_clients_that_come_too_often_read_when_to_come_again(
    problem: Problem, seconds: int, words: str
) -> None:
    refusal = retry_in(problem, seconds)

    assert str(refusal.text).endswith(f"Please try again in {words}.")
    assert refusal.headers["Retry-After"] == str(seconds)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (404, "Not Found"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (422, "Unprocessable Content"),
    ],
)
def test_a_status_has_one_name_on_every_python(status: int, name: str) -> None:
    assert phrase_of(HTTPStatus(status)) == name
