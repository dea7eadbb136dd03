"""What content answers, over HTTP."""

import asyncio
import json
import time
from collections.abc import Mapping

import pytest
from tests.support.content import Answer, Content, content
from tests.support.issuer import Issuer

PROTECTED = ["/api/test/user", "/api/test/mod", "/api/test/admin"]


def check_problem(answer: Answer, status: int, code: str, message: str) -> None:
    body = json.loads(answer.text)
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert (body["status"], body["code"], body["message"]) == (status, code, message)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "roles", "text"),
    [
        ("/api/test/user", [], "User Content."),
        ("/api/test/user", ["user"], "User Content."),
        ("/api/test/mod", ["moderator"], "Moderator Content."),
        ("/api/test/admin", ["user", "admin"], "Admin Content."),
    ],
)
async def test_b7_resource_is_served_to_its_roles_and_stored_by_nobody(
    issuer: Issuer, service: Content, path: str, roles: list[str], text: str
) -> None:
    answer = await service.get(path, issuer.mint(roles=roles))

    assert (answer.status, answer.text) == (200, text)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


@pytest.mark.parametrize(
    ("path", "roles", "message"),
    [
        ("/api/test/mod", ["user"], "Require Moderator Role!"),
        ("/api/test/mod", ["admin"], "Require Moderator Role!"),
        ("/api/test/admin", ["moderator"], "Require Admin Role!"),
        ("/api/test/admin", ["ADMIN"], "Require Admin Role!"),
        ("/api/test/admin", ["ROLE_ADMIN"], "Require Admin Role!"),
        ("/api/test/admin", ["administrator"], "Require Admin Role!"),
    ],
)
async def test_b2_missing_role_is_insufficient_scope(
    issuer: Issuer, service: Content, path: str, roles: list[str], message: str
) -> None:
    answer = await service.get(path, issuer.mint(roles=roles))

    check_problem(answer, 403, "insufficient_scope", message)
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize(
    "headers",
    [{}, {"x-access-token": ""}, {"Authorization": ""}],
    ids=["absent", "empty", "empty-authorization"],
)
async def test_b1_missing_token_is_challenged_without_an_error(
    service: Content, path: str, headers: Mapping[str, str]
) -> None:
    answer = await service.get(path, headers=headers)

    check_problem(answer, 401, "missing_token", "No token provided!")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_tutorial_profile_answers_403_to_a_missing_token(
    issuer: Issuer,
) -> None:
    async with content(issuer, TUTORIAL_COMPAT="true") as service:
        answer = await service.get()

    check_problem(answer, 403, "missing_token", "No token provided!")


async def test_b2_bad_token_is_an_invalid_token(
    issuer: Issuer, service: Content
) -> None:
    for token in ("junk", "not even close!", issuer.mint(exp=1)):
        answer = await service.get(token=token)

        check_problem(answer, 401, "invalid_token", "Unauthorized!")
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_b2_two_tokens_are_an_invalid_request(
    issuer: Issuer, service: Content
) -> None:
    headers = {"Authorization": f"Bearer {issuer.mint(1)}"}
    answer = await service.get(token=issuer.mint(2), headers=headers)

    assert answer.status == 400
    assert json.loads(answer.text)["code"] == "invalid_request"
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_request"'


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "bEaReR"])
async def test_b3_scheme_is_read_in_any_case(
    issuer: Issuer, service: Content, scheme: str
) -> None:
    headers = {"Authorization": f"{scheme} {issuer.mint()}"}

    assert (await service.get(headers=headers)).status == 200


async def test_b5_token_in_the_query_is_none(issuer: Issuer, service: Content) -> None:
    answer = await service.get(f"/api/test/user?access_token={issuer.mint()}")

    check_problem(answer, 401, "missing_token", "No token provided!")


@pytest.mark.parametrize(
    ("name", "status"), [("access_token", 200), ("__Secure-access_token", 401)]
)
async def test_cookie_of_the_profile_is_read(
    issuer: Issuer, service: Content, name: str, status: int
) -> None:
    headers = {"Cookie": f"{name}={issuer.mint()}"}

    assert (await service.get(headers=headers)).status == status


@pytest.mark.parametrize("place", range(3))
async def test_of_several_cookies_of_one_name_the_right_one_counts(
    issuer: Issuer, service: Content, place: int
) -> None:
    tokens = ["abc", issuer.mint(exp=int(time.time()) - 600)]
    tokens.insert(place, issuer.mint())
    cookies = "; ".join(f"access_token={token}" for token in tokens)

    answer = await service.get(headers={"Cookie": cookies})
    without = await service.get(
        headers={"Cookie": cookies.replace(tokens[place], "a.b.c")}
    )

    assert answer.status == 200
    check_problem(without, 401, "invalid_token", "Unauthorized!")


async def test_header_beats_cookie(issuer: Issuer, service: Content) -> None:
    headers = {"Cookie": f"access_token={issuer.mint(roles=['admin'])}"}

    answer = await service.get("/api/test/admin", issuer.mint(), headers=headers)

    assert answer.status == 403


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param("Authorization: Bearer {0}\r\n", 200, id="plain"),
        pytest.param(
            "Authorization: Bearer {0}\r\nAuthorization: Bearer {1}\r\n",
            400,
            id="B4-user-then-admin",
        ),
        pytest.param(
            "Authorization: Bearer {1}\r\nAuthorization: Bearer {0}\r\n",
            400,
            id="B4-admin-then-user",
        ),
        pytest.param("Authorization: Bearer {0}\xff\r\n", 400, id="B6-byte-after"),
        pytest.param("Authorization: Bearer \xff{0}\r\n", 400, id="B6-byte-before"),
        pytest.param("x-access-token: {0}\xff\r\n", 401, id="B6-own-header"),
        pytest.param("x-access-token: \xc3\xa9{0}\r\n", 401, id="B6-own-header-utf-8"),
        pytest.param("Authorization: Bearer {0} junk\r\n", 400, id="B3-junk"),
        pytest.param("Authorization: Bearer\t{0}\r\n", 400, id="B3-tab"),
        pytest.param("Authorization: Bearer {0}, Bearer {1}\r\n", 400, id="B3-list"),
        pytest.param('Authorization: Bearer "{0}"\r\n', 400, id="B3-quoted"),
    ],
)
async def test_header_bytes_are_taken_literally(
    issuer: Issuer, service: Content, lines: str, status: int
) -> None:
    tokens = issuer.mint(1), issuer.mint(2, roles=["admin"])
    head = f"GET /api/test/user HTTP/1.1\r\nHost: x\r\n{lines.format(*tokens)}\r\n"

    assert await raw_status(service.port, head.encode("latin-1")) == status


async def test_public_resource_ignores_whatever_token_comes(
    issuer: Issuer, service: Content
) -> None:
    for token in (None, "junk", issuer.mint(exp=1), issuer.mint()):
        answer = await service.get("/api/test/all", token)
        assert (answer.status, answer.text) == (200, "Public Content.")
        assert answer.headers["Cache-Control"] == "public, max-age=60"

    odd = {"Authorization": "Bearer t junk"}
    assert (await service.get("/api/test/all", headers=odd)).status == 200


async def test_public_resource_is_revalidated(service: Content) -> None:
    etag = (await service.get("/api/test/all")).headers["ETag"]

    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = await service.get("/api/test/all", headers={"If-None-Match": known})
        assert (answer.status, answer.text) == (304, "")
        assert answer.headers["ETag"] == etag
    answer = await service.get("/api/test/all", headers={"If-None-Match": '"other"'})
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/api/test/all", "/api/test/user"])
async def test_head_is_get_without_the_body(
    issuer: Issuer, service: Content, path: str
) -> None:
    answer = await service.get(path, issuer.mint(), method="HEAD")

    assert (answer.status, answer.text) == (200, "")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "method", ["OPTIONS", "POST", "PUT", "DELETE", "PATCH", "QUERY"]
)
async def test_other_methods_are_refused_with_those_allowed(
    service: Content, method: str
) -> None:
    message = "This method is not allowed here."
    answer = await service.get(method=method)

    check_problem(answer, 405, "method_not_allowed", message)
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/api/test", "/api/test/user/", "/metrics"])
async def test_g9_unknown_path_is_a_problem(service: Content, path: str) -> None:
    answer = await service.get(path)

    check_problem(answer, 404, "not_found", "There is nothing here.")


async def test_revoked_token_is_refused_within_the_ttl(
    issuer: Issuer, service: Content
) -> None:
    token = issuer.mint(7)
    assert (await service.get(token=token)).status == 200
    before = issuer.jwks_requests

    issuer.revoke(7)
    while (await service.get(token=token)).status == 200:
        pass

    check_problem(await service.get(token=token), 401, "invalid_token", "Unauthorized!")
    assert issuer.jwks_requests == before


async def test_protected_request_asks_the_issuer_nothing(
    issuer: Issuer, service: Content
) -> None:
    issuer.ttl = issuer.list_lifetime
    await service.get(token=issuer.mint())
    before = issuer.jwks_requests, issuer.list_requests

    for idx in range(50):
        assert (await service.get(token=issuer.mint(idx))).status == 200

    assert issuer.jwks_requests == before[0]
    assert issuer.list_requests <= before[1] + 1


async def test_t14_subject_is_not_told_to_anybody(
    issuer: Issuer, service: Content
) -> None:
    answer = await service.get(token=issuer.mint(sub="4711"))

    assert "4711" not in answer.text + str(answer.headers)


async def raw_status(port: int, request: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])
