"""How identity's cost grows, drawn: ``python -m tests.bench.identity_curves``.

How long requests take over the number of users and sessions, and what status lists take
over the number of revoked entries. On MariaDB, whose sequences make the rows; one
request at a time. It takes some ten minutes; the pictures are in docs/figures.
"""

import asyncio
import random
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Table,
    column,
    func,
    insert,
    literal,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.bench.charts import show
from tests.bench.gateway_bench import say
from tests.bench.identity_bench import new_folder
from tests.support.database import connected, create_database, running_server
from tests.support.stack import Stack
from tests.support.tokens import claims_of

from identity_service.domain.sessions.status_entries import LIST_SIZE
from identity_service.storage import tables
from service_kit.clock import utc_now
from service_kit.tokens import StatusList

_ACCOUNTS: Final = (10_000, 100_000, 1_000_000)
"""Users, each with a session."""

_REVOKED: Final = (10_000, 100_000, 1_000_000)
"""Entries in all, in eight lists that hold 131,072 each."""

_LISTS: Final = 8
_BATCH: Final = 5_000
_TIMES: Final = 100
_LIST_TIMES: Final = 20
_STALE: Final = 1.1
"""Seconds after which a list is read again from the database."""

_Y: Final = "ms, median"
_DAY: Final = timedelta(days=1)

Rows = Mapping[str, ColumnElement[Any]]


def _numbers(first: int, last: int) -> tuple[FromClause, ColumnElement[int]]:
    """Return MariaDB's own table of these numbers, and its column."""
    seq: ColumnElement[int] = column("seq", BigInteger)
    return table(f"seq_{first}_to_{last}", column("seq")), seq


def _moment(value: datetime) -> ColumnElement[datetime]:
    return literal(value, tables.Moment)


async def _fill(
    connection: AsyncConnection, into: Table, rows: Rows, numbers: FromClause
) -> None:
    chosen = select(*rows.values()).select_from(numbers)
    await connection.execute(insert(into).from_select([*rows], chosen))


async def _add_accounts(connection: AsyncConnection, first: int, last: int) -> None:
    """Add users with these numbers, each with a role, a word and a session."""
    numbers, number = _numbers(first, last)
    now = utc_now()
    name = func.concat("person", number)
    email = func.concat(name, "@example.test")
    users: Rows = {
        "id": number,
        "username": name,
        "username_key": name,
        "email": email,
        "email_key": email,
        "password_hash": literal("none"),
        "password_is_temporary": literal(value=False),
        "password_changed_at": _moment(now),
        "created_at": _moment(now),
        "updated_at": _moment(now),
        "subject": func.left(func.sha2(number, 256), 22),
    }
    sessions: Rows = {
        "id": func.md5(number),
        "user_id": number,
        "client_id": literal("first-party"),
        "generation": literal(1),
        "device": literal("bench"),
        "address": literal("192.0.2.1"),
        "created_at": _moment(now),
        "rotated_at": _moment(now),
        "idle_expires_at": _moment(now + _DAY),
        "expires_at": _moment(now + _DAY),
    }
    await _fill(connection, tables.users, users, numbers)
    words: Rows = {"user_id": number, "word": name}
    await _fill(connection, tables.user_search_words, words, numbers)
    roles: Rows = {"user_id": number, "role_id": literal(1)}
    await _fill(connection, tables.user_roles, roles, numbers)
    await _fill(connection, tables.sessions, sessions, numbers)
    for each in ("users", "user_search_words", "user_roles", "sessions"):
        await connection.execute(text(f"ANALYZE TABLE {each}"))


async def _median(call: Callable[[], Awaitable[object]], times: int = _TIMES) -> float:
    """Return how many milliseconds a call takes."""
    took = []
    for _ in range(times):
        started_at = time.perf_counter()
        await call()
        took.append(time.perf_counter() - started_at)
    return statistics.median(took) * 1000


class _Caller:
    """Calls identity as an administrator, and as somebody who stays signed in."""

    def __init__(self, http: aiohttp.ClientSession, stack: Stack) -> None:
        self._http = http
        self._url = f"http://127.0.0.1:{stack.identity.port}"
        self._account = {
            "username": stack.admin_name,
            "password": stack.admin_password,
        }
        self._refresh_token = self._access_token = ""

    async def sign_in(self) -> None:
        answer = await self._send("POST", "/api/auth/signin", self._account)
        self._access_token = answer["accessToken"]
        self._refresh_token = answer["refreshToken"]

    async def refresh(self) -> None:
        body = {"refreshToken": self._refresh_token}
        answer = await self._send("POST", "/api/auth/refreshtoken", body)
        self._refresh_token = answer["refreshToken"]

    async def search(self) -> None:
        await self._list("search=person99")

    async def read_page(self) -> None:
        await self._list("limit=100")

    async def _list(self, query: str) -> None:
        headers = {"Authorization": f"Bearer {self._access_token}"}
        await self._send("GET", f"/api/users?{query}", headers=headers)

    async def status_list(self, name: str) -> str:
        """Return a list as content gets it."""
        url = f"{self._url}/api/auth/statuslists/{name}"
        async with self._http.get(url) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        async with self._http.request(
            method, self._url + path, json=body, headers=headers
        ) as answer:
            answer.raise_for_status()
            parsed: dict[str, str] = await answer.json()
            return parsed


async def accounts(caller: _Caller, connection: AsyncConnection) -> None:
    """Draw what requests take over the number of users and sessions."""
    calls = {
        "refresh": caller.refresh,
        "sign-in, bcrypt cost 4": caller.sign_in,
        "search of an administrator": caller.search,
        "page of 100 users": caller.read_page,
    }
    lines: dict[str, list[float | None]] = {name: [] for name in calls}
    there = 1_000
    for number in _ACCOUNTS:
        await _add_accounts(connection, there + 1, number)
        there = number
        await caller.sign_in()
        for name, call in calls.items():
            lines[name].append(await _median(call))
    show(
        "identity-accounts",
        "Cost by users and sessions",
        ("users", _ACCOUNTS),
        _Y,
        lines,
    )


async def revoked(caller: _Caller, connection: AsyncConnection) -> None:
    """Draw what status lists take over the number of revoked entries."""
    lists = {f"{number:022}": _shuffled() for number in range(_LISTS)}
    rows = [
        {
            "id": 1_000 + number,
            "name": name,
            "leased": LIST_SIZE,
            "permutation_key": bytes(32),
            "created_at": utc_now() + _DAY,
        }
        for number, name in enumerate(lists)
    ]
    await connection.execute(insert(tables.status_lists), rows)
    first = next(iter(lists))
    making, unpacking, sizes, there = [], [], [], 0
    for number in _REVOKED:
        for name, unused in lists.items():
            await _revoke(connection, name, unused, (number - there) // _LISTS)
        there = number
        making.append(await _made(caller, connection, first, lists[first]))
        token = await caller.status_list(first)
        claim = claims_of(token)["status_list"]
        unpacking.append(await _median(_unpacking(claim), _LIST_TIMES))
        sizes.append(len(token) / 1024)
    lines = {"changed, made and sent": making, "unpacked by content": unpacking}
    x = f"revoked entries in {_LISTS} lists of {LIST_SIZE:,}", _REVOKED
    show("identity-status-lists", "Cost of one status list", x, _Y, lines)
    say(f"{'KiB of a list':28} " + " ".join(f"{size:9.1f}" for size in sizes))


def _shuffled() -> list[int]:
    entries = list(range(LIST_SIZE))
    random.shuffle(entries)
    return entries


async def _revoke(
    connection: AsyncConnection, name: str, unused: list[int], number: int
) -> None:
    """Revoke so many entries of a list, taken from those that are unused."""
    until = utc_now() + _DAY
    for start in range(0, number, _BATCH):
        rows = [
            {"status_list": name, "idx": unused.pop(), "until": until}
            for _ in range(min(_BATCH, number - start))
        ]
        await connection.execute(insert(tables.revoked_entries), rows)


async def _made(
    caller: _Caller, connection: AsyncConnection, name: str, unused: list[int]
) -> float:
    """Return how many milliseconds a list takes of which one entry has changed."""
    took = []
    for _ in range(_LIST_TIMES):
        await asyncio.sleep(_STALE)
        await _revoke(connection, name, unused, 1)
        started_at = time.perf_counter()
        await caller.status_list(name)
        took.append(time.perf_counter() - started_at)
    return statistics.median(took) * 1000


def _unpacking(claim: object) -> Callable[[], Awaitable[object]]:
    async def unpack() -> object:
        return StatusList.from_claim(claim)

    return unpack


async def _measure(stack: Stack, url: str) -> None:
    async with aiohttp.ClientSession() as http, connected(url) as engine:
        caller = _Caller(http, stack)
        async with engine.connect() as connection:
            automatic = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await accounts(caller, automatic)
            await revoked(caller, automatic)


def main() -> None:
    """Measure and draw."""
    if not shutil.which("mariadbd"):
        say("identity's curves: left out, no mariadbd is installed")
        return
    with (
        new_folder() as parent,
        new_folder() as folder,
        running_server(parent) as server,
    ):
        url = asyncio.run(create_database(server.url))
        settings = {
            "IDENTITY_THROTTLE": "off",
            "IDENTITY_BCRYPT_COST": "4",
            "IDENTITY_DATABASE_URL": url,
        }
        with Stack(folder, settings) as stack:
            asyncio.run(_measure(stack, url))


if __name__ == "__main__":
    main()
