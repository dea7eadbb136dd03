"""The wire contract, row by row, against whatever answers at a base URL.

Each row is a function that raises AssertionError where the product differs from the
contract. The same rows are walked through three processes, through `make up` and
through the containers.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

ORIGIN: Final = "http://localhost:8081"
"""Where the tutorial's front-ends run; allowed in the development profile."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str
    cookies: Mapping[str, str]

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the server sent
        return json.loads(self.text)


@dataclass
class Walk:
    """A client of the product, and what it used that no log may show."""

    base_url: str
    http: aiohttp.ClientSession
    admin_name: str
    admin_password: str
    compat: bool = False
    used_secrets: set[str] = field(default_factory=set)

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send as the tutorial's front-ends do: with an Origin, token or not."""
        sent = {"Origin": ORIGIN, **(headers or {})}
        if token is not None:
            sent["x-access-token"] = token
        if body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(
            method, self.base_url + path, headers=sent, data=raw
        ) as answer:
            cookies = {name: morsel.value for name, morsel in answer.cookies.items()}
            text = await answer.text()
            found = Answer(answer.status, answer.headers, text, cookies)
        assert answer.headers["Access-Control-Allow-Origin"] in {ORIGIN, "*"}, path
        assert "Origin" in ", ".join(answer.headers.getall("Vary")), path
        assert answer.headers["X-Request-Id"], path
        if answer.status >= 400:
            check_problem(found)
        return found

    async def sign_up(self, **members: object) -> tuple[str, str, Answer]:
        """Sign up under a new name; return the name, the password, the answer."""
        name = f"walker-{secrets.token_hex(6)}"
        password = secrets.token_urlsafe(18)
        self.used_secrets.add(password)
        body = {
            "username": name,
            "email": f"{name}@example.org",
            "password": password,
            **members,
        }
        return name, password, await self.send("POST", "/api/auth/signup", body=body)

    async def sign_in(self, name: str, password: str) -> Any:  # noqa: ANN401
        """Sign in and return the answer's members."""
        body = {"username": name, "password": password}
        answer = await self.send("POST", "/api/auth/signin", body=body)
        assert answer.status == 200, answer
        members = answer.json
        self.used_secrets |= {password, members["accessToken"], members["refreshToken"]}
        return members

    async def user(self) -> Any:  # noqa: ANN401
        """Return the sign-in answer of a new user."""
        name, password, answer = await self.sign_up()
        assert answer.status == 200, answer
        return await self.sign_in(name, password)

    async def admin(self) -> Any:  # noqa: ANN401
        """Return the sign-in answer of the first admin."""
        return await self.sign_in(self.admin_name, self.admin_password)

    async def refresh(self, token: object) -> Answer:
        answer = await self.send(
            "POST", "/api/auth/refreshtoken", body={"refreshToken": token}
        )
        if answer.status == 200:
            members = answer.json
            self.used_secrets |= {members["accessToken"], members["refreshToken"]}
        return answer


def check_problem(answer: Answer) -> None:
    """Check the members of RFC 9457 and the tutorial's ``message``."""
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer
    body = answer.json
    assert body["status"] == answer.status
    assert body["type"].endswith(f"/problems/{body['code']}")
    assert body["instance"] == answer.headers["X-Request-Id"]
    assert body["detail"]
    assert body["message"]
    assert body["title"]
    assert body["code"].replace("_", "").isalnum()
    assert "Traceback" not in answer.text


def claims_of(token: str) -> dict[str, Any]:
    """Return a token's claims without verifying it."""
    payload = token.split(".")[1]
    decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    claims: dict[str, Any] = json.loads(decoded)
    return claims


async def sign_up_ok(walk: Walk) -> None:
    _, _, answer = await walk.sign_up()
    assert answer.status == 200, answer
    assert answer.json == {"message": "User registered successfully!"}


async def sign_up_name_taken(walk: Walk) -> None:
    name, _, _ = await walk.sign_up()
    _, _, answer = await walk.sign_up(username=name, email=f"{name}@example.org")
    assert answer.status == 400, answer
    assert answer.json["message"] == "Failed! Username is already in use!"
    _, _, twin = await walk.sign_up(username=name.upper())
    assert twin.json["message"] == "Failed! Username is already in use!"


async def sign_up_email_taken(walk: Walk) -> None:
    name, _, _ = await walk.sign_up()
    _, _, answer = await walk.sign_up(email=f"{name}@EXAMPLE.org")
    assert answer.status == 400, answer
    assert answer.json["message"] == "Failed! Email is already in use!"


async def sign_up_unknown_role(walk: Walk) -> None:
    _, _, answer = await walk.sign_up(roles=["root"])
    assert answer.status == 400, answer
    assert answer.json["message"] == "Failed! Role does not exist = root"


async def sign_up_without_roles(walk: Walk) -> None:
    members: list[dict[str, object]] = [
        {"roles": each} for each in (None, [], ["user"])
    ]
    for roles in [{}, *members]:
        name, password, answer = await walk.sign_up(**roles)
        assert answer.status == 200, answer
        assert (await walk.sign_in(name, password))["roles"] == ["ROLE_USER"]


async def sign_up_as_admin(walk: Walk) -> None:
    for roles in (["admin"], ["moderator"], ["user", "admin"]):
        _, _, answer = await walk.sign_up(roles=roles)
        assert answer.status == 403, answer
        assert answer.json["message"]


async def sign_up_malformed(walk: Walk) -> None:
    answer = await walk.send("POST", "/api/auth/signup", body={"username": ["a", "b"]})
    assert answer.status == 400, answer
    fields = {entry["field"] for entry in answer.json["errors"]}
    assert fields == {"username", "email", "password"}


async def sign_up_form(walk: Walk) -> None:
    name, password = f"walker-{secrets.token_hex(6)}", secrets.token_urlsafe(18)
    walk.used_secrets.add(password)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    raw = f"username={name}&email={name}%40example.org&password={password}".encode()
    answer = await walk.send("POST", "/api/auth/signup", raw=raw, headers=form)
    assert answer.status == 200, answer
    raw = f"username={name}&password={password}".encode()
    answer = await walk.send("POST", "/api/auth/signin", raw=raw, headers=form)
    assert answer.status == 200, answer


async def sign_in_ok(walk: Walk) -> None:
    name, password, _ = await walk.sign_up()
    members = await walk.sign_in(name, password)
    assert members["username"] == name
    assert members["email"] == f"{name}@example.org"
    assert members["roles"] == ["ROLE_USER"]
    assert members["tokenType"] == "Bearer"
    assert members["expiresIn"] > 0
    assert isinstance(members["id"], int)
    assert len(claims_of(members["accessToken"])["sub"]) >= 22


async def sign_in_refused(walk: Walk) -> None:
    name, _, _ = await walk.sign_up()
    wrong = {"username": name, "password": "not this one"}
    unknown = {"username": f"nobody-{name}", "password": "not this one"}
    bodies = []
    for body in (wrong, unknown):
        answer = await walk.send("POST", "/api/auth/signin", body=body)
        assert answer.status == 401, answer
        assert answer.json["message"] == "Invalid username or password!"
        assert answer.json["accessToken"] is None
        bodies.append({**answer.json, "instance": ""})
    assert bodies[0] == bodies[1]


async def access_token_claims(walk: Walk) -> None:
    token = (await walk.user())["accessToken"]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    claims = claims_of(token)
    assert header["alg"] == "RS256"
    assert header["typ"] == "at+jwt"
    assert set(header) == {"alg", "kid", "typ"}
    assert set(claims) == {
        *("iss", "sub", "aud", "client_id", "iat", "exp"),
        *("jti", "sid", "roles", "status"),
        *("auth_time", "amr", "acr"),
    }
    assert claims["client_id"] == "first-party"
    assert claims["roles"] == ["user"]
    assert isinstance(claims["exp"], int)
    assert set(claims["status"]["status_list"]) == {"idx", "uri"}


async def refresh_ok(walk: Walk) -> None:
    first = await walk.user()
    answer = await walk.refresh(first["refreshToken"])
    assert answer.status == 200, answer
    assert set(answer.json) == {
        "accessToken",
        "refreshToken",
        "tokenType",
        "expiresIn",
    }
    assert answer.json["accessToken"] != first["accessToken"]
    used = await walk.send("GET", "/api/test/user", token=answer.json["accessToken"])
    assert used.status == 200, used


async def refresh_none_sent(walk: Walk) -> None:
    for body in ({}, {"refreshToken": None}, {"refreshToken": ""}):
        answer = await walk.send("POST", "/api/auth/refreshtoken", body=body)
        assert answer.status == 403, answer
        assert answer.json["message"] == "Refresh Token is required!"


async def refresh_unknown(walk: Walk) -> None:
    token = (await walk.user())["refreshToken"]
    for unknown in ("x", token[:-4] + "AAAA", 0, True, ["a"], {"$ne": ""}):
        answer = await walk.refresh(unknown)
        assert answer.status == 403, answer
        assert answer.json["message"] == "Refresh token is not in database!"


async def refresh_reused(walk: Walk) -> None:
    first = (await walk.user())["refreshToken"]
    second = (await walk.refresh(first)).json["refreshToken"]
    if walk.compat:
        assert (await walk.refresh(first)).status == 200
        return
    third = (await walk.refresh(second)).json["refreshToken"]
    reused = await walk.refresh(first)
    assert reused.status == 403, reused
    assert reused.json["message"] == "Refresh token is not in database!"
    assert (await walk.refresh(third)).status == 403


async def sign_out(walk: Walk) -> None:
    members = await walk.user()
    answer = await walk.send(
        "POST",
        "/api/auth/signout",
        token=members["accessToken"],
        body={"refreshToken": members["refreshToken"]},
    )
    assert answer.status == 200, answer
    assert answer.json == {"message": "You've been signed out!"}
    assert (await walk.refresh(members["refreshToken"])).status == 403
    without = await walk.send("POST", "/api/auth/signout", body={})
    assert (without.status, without.json) == (200, answer.json)


async def public_resource(walk: Walk) -> None:
    for token in (None, "rubbish", ""):
        answer = await walk.send("GET", "/api/test/all", token=token)
        assert (answer.status, answer.text) == (200, "Public Content.")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def protected_resources(walk: Walk) -> None:
    user = (await walk.user())["accessToken"]
    admin = (await walk.admin())["accessToken"]
    for path, token, status, expected in (
        ("user", user, 200, "User Content."),
        ("user", admin, 200, "User Content."),
        ("mod", user, 403, "Require Moderator Role!"),
        ("mod", admin, 403, "Require Moderator Role!"),
        ("admin", user, 403, "Require Admin Role!"),
        ("admin", admin, 200, "Admin Content."),
    ):
        answer = await walk.send("GET", f"/api/test/{path}", token=token)
        assert answer.status == status, path
        assert answer.headers["Cache-Control"] == "no-store"
        if status == 200:
            assert answer.text == expected
        else:
            assert answer.json["message"] == expected
            challenge = answer.headers["WWW-Authenticate"]
            assert 'error="insufficient_scope"' in challenge


async def moderator_resource(walk: Walk) -> None:
    name, password, _ = await walk.sign_up()
    user = await walk.sign_in(name, password)
    admin = (await walk.admin())["accessToken"]
    answer = await walk.send(
        "PUT",
        f"/api/users/{user['id']}/roles",
        token=admin,
        body={"roles": ["user", "moderator"]},
    )
    assert answer.status == 200, answer
    promoted = await walk.sign_in(name, password)
    assert sorted(promoted["roles"]) == ["ROLE_MODERATOR", "ROLE_USER"]
    answer = await walk.send("GET", "/api/test/mod", token=promoted["accessToken"])
    assert (answer.status, answer.text) == (200, "Moderator Content.")


async def no_token(walk: Walk) -> None:
    for path in ("user", "mod", "admin"):
        for token in (None, ""):
            answer = await walk.send("GET", f"/api/test/{path}", token=token)
            assert answer.status == (403 if walk.compat else 401)
            assert answer.json["message"] == "No token provided!"
            if not walk.compat:
                challenge = answer.headers["WWW-Authenticate"]
                assert challenge.startswith("Bearer")
                assert "error=" not in challenge


async def bad_token(walk: Walk) -> None:
    token = (await walk.user())["accessToken"]
    for bad in ("rubbish", token[:-6] + "AAAAAA", token + "=", "a.b.c"):
        answer = await walk.send("GET", "/api/test/user", token=bad)
        assert answer.status == 401, answer
        assert answer.json["message"] == "Unauthorized!"
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def token_places(walk: Walk) -> None:
    token = (await walk.user())["accessToken"]
    other = (await walk.user())["accessToken"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await walk.send("GET", "/api/test/user", headers=bearer)).status == 200
    same = await walk.send("GET", "/api/test/user", token=token, headers=bearer)
    assert same.status == 200, same
    both = await walk.send("GET", "/api/test/user", token=other, headers=bearer)
    assert both.status == 400, both
    assert 'error="invalid_request"' in both.headers["WWW-Authenticate"]
    query = await walk.send("GET", f"/api/test/user?access_token={token}")
    assert query.status == (403 if walk.compat else 401)


async def preflight(walk: Walk) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-access-token",
    }
    async with walk.http.options(
        walk.base_url + "/api/auth/signin", headers={"Origin": ORIGIN, **asked}
    ) as answer:
        assert answer.status in {200, 204}
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        # Where cookies are in use a page may send credentials, elsewhere it depends.
        credentials = answer.headers.get("Access-Control-Allow-Credentials")
        assert credentials == "true" or (credentials is None and not walk.compat)
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert {"content-type", "x-access-token", "authorization"} <= {
            name.strip() for name in allowed.split(",")
        }
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]


async def published_documents(walk: Walk) -> None:
    jwks = (await walk.send("GET", "/.well-known/jwks.json")).json
    for key in jwks["keys"]:
        assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}
    claims = claims_of((await walk.user())["accessToken"])
    issuer = claims["iss"]
    for path in ("openid-configuration", "oauth-authorization-server"):
        metadata = (await walk.send("GET", f"/.well-known/{path}")).json
        assert metadata["issuer"] == issuer
        assert metadata["jwks_uri"] == f"{issuer}/.well-known/jwks.json"
    uri = claims["status"]["status_list"]["uri"]
    answer = await walk.send("GET", uri.removeprefix(issuer))
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/statuslist+jwt"


async def sign_out_reaches_content(walk: Walk) -> None:
    members = await walk.user()
    token = members["accessToken"]
    assert (await walk.send("GET", "/api/test/user", token=token)).status == 200
    await walk.send("POST", "/api/auth/signout", token=token, body={})
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        answer = await walk.send("GET", "/api/test/user", token=token)
        if answer.status == 401:
            return
        assert answer.status == 200, answer
        await asyncio.sleep(0.2)
    raise AssertionError("a signed-out token was accepted for 20 s")


async def account(walk: Walk) -> None:
    members = await walk.user()
    me = await walk.send("GET", "/api/users/me", token=members["accessToken"])
    assert me.status == 200, me
    assert me.json["username"] == members["username"]
    sessions = await walk.send(
        "GET", "/api/users/me/sessions", token=members["accessToken"]
    )
    assert sessions.status == 200, sessions
    refused = await walk.send("GET", "/api/users", token=members["accessToken"])
    assert refused.status == 403, refused
    admin = (await walk.admin())["accessToken"]
    for path in ("/api/users", "/api/roles", "/api/audit"):
        assert (await walk.send("GET", path, token=admin)).status == 200, path


async def unknown_addresses(walk: Walk) -> None:
    for path in ("/nowhere", "/metrics", "/readyz", "/api/testing", "/internal"):
        assert (await walk.send("GET", path)).status == 404, path
    for path in ("/livez", "/status"):
        assert (await walk.send("GET", path)).status == 404, path


ROWS: Final[tuple[Callable[[Walk], Awaitable[None]], ...]] = (
    sign_up_ok,
    sign_up_name_taken,
    sign_up_email_taken,
    sign_up_unknown_role,
    sign_up_without_roles,
    sign_up_as_admin,
    sign_up_malformed,
    sign_up_form,
    sign_in_ok,
    sign_in_refused,
    access_token_claims,
    refresh_ok,
    refresh_none_sent,
    refresh_unknown,
    refresh_reused,
    sign_out,
    public_resource,
    protected_resources,
    moderator_resource,
    no_token,
    bad_token,
    token_places,
    preflight,
    published_documents,
    sign_out_reaches_content,
    account,
    unknown_addresses,
)


@asynccontextmanager
async def walking(
    base_url: str, admin_name: str, admin_password: str, *, compat: bool = False
) -> AsyncIterator[Walk]:
    """Yield a walk whose client keeps no cookies."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=30),
    ) as http:
        yield Walk(base_url, http, admin_name, admin_password, compat)
