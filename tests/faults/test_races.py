"""Two processes of identity on one database, and many clients at the same moment."""

import asyncio
import base64
import contextlib
import hashlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import pytest
from aiohttp import ClientSession, DummyCookieJar
from sqlalchemy import select
from tests.support.cluster import Process, check_logs, started
from tests.support.database import (
    BACKENDS,
    SERVERS,
    connected,
    empty_database,
    migrate,
    server_url,
)
from tests.support.identity import (
    KEYS,
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    create_admin,
    give_signing_keys,
    identity_environment,
    identity_settings,
)
from tests.support.tokens import claims_of

from identity_service.storage import tables
from service_kit.tokens import Status, StatusList

AT_ONCE: Final = 50
ROUNDS: Final = [
    pytest.param(3, id="3 rounds"),
    pytest.param(
        100, id="100 rounds", marks=[pytest.mark.faults, pytest.mark.timeout(300)]
    ),
]
LOOK_ALIKES: Final = ["alice", "ALICE", "Álice", "ａlice", "аlice"]  # noqa: RUF001
CLIENT: Final = ("verifier", "the verifier's own secret")

_numbers: Final = itertools.count()


def new_name() -> str:
    """Return a name that nobody has: the tests share a database."""
    return f"alice{next(_numbers)}"


@dataclass
class Replicas:
    """Two processes; a request goes to one or the other."""

    url: str
    """Of their database."""
    both: tuple[IdentityClient, IdentityClient]
    admin: str = field(repr=False, default="")
    """An administrator's access token."""

    def __getitem__(self, turn: int) -> IdentityClient:
        return self.both[turn % 2]

    async def all_refused(self, pairs: Sequence[Any]) -> None:
        """Check that neither process accepts any of these tokens."""
        for one, pair in itertools.product(self.both, pairs):
            access_token, refresh_token = pair["accessToken"], pair["refreshToken"]
            assert (await one.refresh(refresh_token)).status == 403
            assert not await one.is_accepted(access_token)
            for token in (access_token, refresh_token):
                assert await introspected(one, token) == {"active": False}

    async def all_in_lists(self, pairs: Sequence[Any]) -> None:
        """Check that whoever keeps the status lists refuses these access tokens."""
        await asyncio.sleep(1)  # lists that say less may be kept for so long
        for one in self.both:
            lists: dict[str, StatusList] = {}
            for pair in pairs:
                status = claims_of(pair["accessToken"])["status"]["status_list"]
                path = urlsplit(status["uri"]).path
                if path not in lists:
                    published = (await one.send("GET", path)).text
                    claim = claims_of(published)["status_list"]
                    lists[path] = StatusList.from_claim(claim)
                assert lists[path][status["idx"]] == Status.INVALID


async def introspected(one: IdentityClient, token: str) -> Any:  # noqa: ANN401
    basic = base64.b64encode("{}:{}".format(*CLIENT).replace(" ", "+").encode())
    answer = await one.send(
        "POST",
        "/oauth2/introspect",
        data={"token": token},
        headers={"Authorization": f"Basic {basic.decode()}"},
    )
    assert answer.status == 200, answer.text
    return answer.json


@contextlib.contextmanager
def two_processes(url: str, folder: Path, **environ: str) -> Iterator[list[Process]]:
    """Run two processes on a database, whose logs hold nothing unforeseen."""
    processes = [
        Process("identity", folder / f"{n}.log", identity_environment(url, **environ))
        for n in range(2)
    ]
    with started(*processes):
        yield processes
    check_logs(folder, [*KEYS.values(), PASSWORD, OTHER_PASSWORD])


@contextlib.asynccontextmanager
async def replicas_of(
    url: str, processes: Sequence[Process]
) -> AsyncIterator[Replicas]:
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        one, other = (
            IdentityClient(f"http://127.0.0.1:{each.port}", session)
            for each in processes
        )
        yield Replicas(url, (one, other))


@pytest.fixture(scope="module", params=BACKENDS)
def url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database with the schema, signing keys and an administrator."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            path = tmp_path_factory.mktemp("races") / "identity.sqlite"
            created = f"sqlite+aiosqlite:///{path}"
        else:
            database = empty_database(server_url(request, request.param))
            created = runner.run(database.__aenter__())
            stack.callback(lambda: runner.run(database.__aexit__(None, None, None)))
        runner.run(migrate(created))
        runner.run(give_signing_keys(identity_settings(created)))
        runner.run(create_admin(created))
        yield created


@pytest.fixture(scope="module")
def processes(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Process]]:
    client, secret = CLIENT
    with two_processes(
        url,
        tmp_path_factory.mktemp("processes"),
        IDENTITY_STATUS_LIST_TTL="1",
        IDENTITY_INTROSPECTION_CLIENTS=(
            f"{client}:{hashlib.sha256(secret.encode()).hexdigest()}"
        ),
    ) as running:
        yield running


@pytest.fixture
async def replicas(url: str, processes: list[Process]) -> AsyncIterator[Replicas]:
    async with replicas_of(url, processes) as both:
        both.admin = (await both[0].sign_in("boss")).json["accessToken"]
        yield both


async def statuses(answers: Sequence[Awaitable[Answer]]) -> list[int]:
    return sorted(answer.status for answer in await asyncio.gather(*answers))


def same(turn: int, number: int) -> str:
    del turn
    return f"same{number}"


def look_alike(turn: int, number: int) -> str:
    return f"{LOOK_ALIKES[turn % len(LOOK_ALIKES)]}-{number}"


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("name", [same, look_alike])
async def test_p10_simultaneous_sign_ups_of_a_name_make_one_account(
    replicas: Replicas, name: Callable[[int, int], str], rounds: int
) -> None:
    before = await accounts_and_roles(replicas.url)
    for _ in range(rounds):
        number = next(_numbers)
        answers = await asyncio.gather(
            *(
                replicas[turn].sign_up(
                    name(turn, number), email=f"{number}-{turn}@example.test"
                )
                for turn in range(AT_ONCE)
            )
        )
        refusals = [answer for answer in answers if answer.status != 200]
        assert len(refusals) == AT_ONCE - 1
        assert {(answer.status, answer.message) for answer in refusals} == {
            (400, "Failed! Username is already in use!")
        }
    assert await accounts_and_roles(replicas.url) == tuple(n + rounds for n in before)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_simultaneous_sign_ups_with_one_email_make_one_account(
    replicas: Replicas, rounds: int
) -> None:
    before = await accounts_and_roles(replicas.url)
    for _ in range(rounds):
        email = f"{new_name()}@example.test"
        answers = await asyncio.gather(
            *(
                replicas[turn].sign_up(new_name(), email=email)
                for turn in range(AT_ONCE)
            )
        )
        refusals = [answer for answer in answers if answer.status != 200]
        assert len(refusals) == AT_ONCE - 1
        assert {(answer.status, answer.message) for answer in refusals} == {
            (400, "Failed! Email is already in use!")
        }
    assert await accounts_and_roles(replicas.url) == tuple(n + rounds for n in before)


async def accounts_and_roles(url: str) -> tuple[int, ...]:
    """Return how many accounts there are, and how many have the role user."""
    users = select(tables.users.c.id)
    of_role = users.select_from(tables.users.join(tables.user_roles).join(tables.roles))
    counted = (users, of_role.where(tables.roles.c.name == "user"))
    async with connected(url) as engine, engine.connect() as connection:
        return tuple([len((await connection.scalars(each)).all()) for each in counted])


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_r4_simultaneous_uses_of_a_refresh_token_never_fork(
    replicas: Replicas, rounds: int
) -> None:
    name = new_name()
    await replicas[0].sign_up(name)
    for _ in range(rounds):
        token = (await replicas[0].sign_in(name)).json["refreshToken"]
        answers = await asyncio.gather(
            *(replicas[turn].refresh(token) for turn in range(AT_ONCE))
        )

        assert {answer.status for answer in answers} == {200}
        successors = {answer.json["refreshToken"] for answer in answers}
        assert len(successors) == 1
        assert token not in successors


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_r4_without_grace_one_use_alone_succeeds(
    url: str, tmp_path: Path, rounds: int
) -> None:
    name = new_name()
    with two_processes(url, tmp_path, IDENTITY_REFRESH_GRACE="0") as processes:
        async with replicas_of(url, processes) as replicas:
            await replicas[0].sign_up(name)
            for _ in range(rounds):
                token = (await replicas[0].sign_in(name)).json["refreshToken"]
                answers = await asyncio.gather(
                    *(replicas[turn].refresh(token) for turn in range(AT_ONCE))
                )
                codes = Counter(answer.status for answer in answers)
                assert codes == {200: 1, 403: AT_ONCE - 1}
                # The others were reuse, which ends the session.
                (pair,) = (each.json for each in answers if each.status == 200)
                assert (await replicas[1].refresh(pair["refreshToken"])).status == 403
                assert not await replicas[1].is_accepted(pair["accessToken"])


async def test_s5_simultaneous_sign_ins_get_entries_of_their_own(
    replicas: Replicas,
) -> None:
    name = new_name()
    await replicas[0].sign_up(name)

    answers = await asyncio.gather(
        *(replicas[turn].sign_in(name) for turn in range(100))
    )

    assert {answer.status for answer in answers} == {200}
    entries = [
        claims_of(answer.json["accessToken"])["status"]["status_list"].values()
        for answer in answers
    ]
    assert len(set(map(tuple, entries))) == 100


async def end_by_sign_out(replicas: Replicas, pair: Any) -> Answer:  # noqa: ANN401
    return await replicas[1].sign_out(pair["refreshToken"])


async def end_by_disabling(replicas: Replicas, pair: Any) -> Answer:  # noqa: ANN401
    path = f"/api/users/{pair['id']}"
    return await replicas[1].call(
        "PATCH", path, replicas.admin, json={"disabled": True}
    )


async def end_by_password_change(replicas: Replicas, pair: Any) -> Answer:  # noqa: ANN401
    other = (await replicas[1].sign_in(pair["username"])).json["accessToken"]
    return await replicas[1].call(
        "POST",
        "/api/users/me/password",
        other,
        json={"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
    )


async def end_by_deletion(replicas: Replicas, pair: Any) -> Answer:  # noqa: ANN401
    return await replicas[1].call("DELETE", f"/api/users/{pair['id']}", replicas.admin)


End = Callable[[Replicas, Any], Awaitable[Answer]]


@pytest.mark.parametrize(
    "end",
    [end_by_sign_out, end_by_disabling, end_by_password_change, end_by_deletion],
    ids=["R6 sign-out", "R6 disabling", "R6 password change", "R6 deletion"],
)
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_r6_no_token_outlives_a_refresh_that_races_the_end(
    replicas: Replicas, end: End, rounds: int
) -> None:
    all_pairs = []
    for _ in range(rounds):
        pair = await replicas[0].signed_in(new_name())

        ended, *refreshed = await asyncio.gather(
            end(replicas, pair),
            *(replicas[turn].refresh(pair["refreshToken"]) for turn in range(6)),
        )

        assert ended.status == 200
        assert {answer.status for answer in refreshed} <= {200, 403}
        pairs = [pair, *(each.json for each in refreshed if each.status == 200)]
        await replicas.all_refused(pairs)
        all_pairs += pairs
    await replicas.all_in_lists(all_pairs)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_r7_no_token_keeps_a_role_that_was_taken_away(
    replicas: Replicas, rounds: int
) -> None:
    chief = await replicas[0].signed_in(new_name())
    path, token = f"/api/users/{chief['id']}/roles", chief["refreshToken"]
    for turn in range(rounds):
        wanted = ["moderator", "user"] if turn % 2 else ["user"]
        changed, *refreshed = await asyncio.gather(
            replicas[turn].call("PUT", path, replicas.admin, json={"roles": wanted}),
            *(replicas[each].refresh(token) for each in range(6)),
        )
        assert changed.status == 200
        assert {answer.status for answer in refreshed} == {200}
        roles = [claims_of(each.json["accessToken"])["roles"] for each in refreshed]
        assert all(each in (["user"], ["moderator", "user"]) for each in roles)
        for answer, had in zip(refreshed, roles, strict=True):
            access_token = answer.json["accessToken"]
            assert had == wanted or not await replicas[0].is_accepted(access_token)
        token = refreshed[0].json["refreshToken"]


@pytest.mark.parametrize("backend", SERVERS)
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=[pytest.mark.faults])])
async def test_processes_that_start_at_once_on_an_empty_database_share_one_key(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, rounds: int
) -> None:
    for number in range(rounds):
        async with empty_database(server_url(request, backend)) as empty:
            await migrate(empty)
            folder = tmp_path / str(number)
            folder.mkdir()
            with two_processes(empty, folder) as processes:
                async with replicas_of(empty, processes) as replicas:
                    await one_key_signs(replicas)


async def one_key_signs(replicas: Replicas) -> None:
    pairs = [
        await replicas[0].signed_in(new_name()),
        await replicas[1].signed_in(new_name()),
    ]
    kids = {jwt.get_unverified_header(pair["accessToken"])["kid"] for pair in pairs}
    assert len(kids) == 1
    for one, pair in itertools.product(replicas.both, pairs):
        assert await one.is_accepted(pair["accessToken"])
    async with asyncio.timeout(10):  # the next key is made in the background
        while True:
            jwks, others = [
                (await one.send("GET", "/.well-known/jwks.json")).json["keys"]
                for one in replicas.both
            ]
            if jwks == others and len(jwks) == 2:
                break
            await asyncio.sleep(0.05)
    async with connected(replicas.url) as engine, engine.connect() as connection:
        slots = await connection.scalars(select(tables.signing_keys.c.slot))
        assert sorted(map(str, slots)) == ["active", "next"]
