"""From tables as Sequelize makes them, on each kind of server, to a port."""

import asyncio
import copy
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import bcrypt
import pytest
from sqlalchemy import text
from tests.support.database import BACKENDS, connected, empty_database
from tests.support.identity import KEYS

from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.users import NewUser
from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.security.keyrings import Keyring
from identity_service.security.password_hashing import is_readable_hash
from identity_service.storage.tutorial_tables import (
    NotTutorialDatabaseError,
    TutorialTables,
    create_tutorial_engine,
)
from identity_service.usecases.importing.import_users import (
    ImportReport,
    ImportRules,
    Outcome,
    Refusal,
    import_tutorial_users,
)

PEPPERS = Keyring.parse([KEYS["IDENTITY_PASSWORD_PEPPERS"]])
HASH = bcrypt.hashpw(b"vexing quilt", bcrypt.gensalt(4)).decode()
ROLES = {RoleName(name) for name in ("user", "moderator", "admin", "author")}
"""Those that exist here: the tutorial's, and one that the operator made."""

USERS: Final = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, username VARCHAR(255),"
    " email VARCHAR(255), password VARCHAR(255),"
    " createdAt DATETIME, updatedAt DATETIME)"
)
USER_ROLES: Final = (
    "CREATE TABLE user_roles (createdAt DATETIME, updatedAt DATETIME,"
    " roleId INTEGER, userId INTEGER, PRIMARY KEY (roleId, userId))"
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = ImportRules(
    roles=ROLES,
    is_password_hash=partial(is_readable_hash, peppers=PEPPERS),
    clock=lambda: NOW,
)
SIGNED_UP_AT = datetime(2021, 5, 1, 12, 30, 15, tzinfo=UTC)


class Accounts:
    """Accounts in memory, unique as the database has them."""

    def __init__(self) -> None:
        self.users: dict[int, NewUser] = {}
        self.batches: list[int] = []
        self.fails_after: int | None = None

    async def add(self, users: Sequence[NewUser | Outcome]) -> Sequence[Outcome]:
        if self.fails_after is not None and len(self.batches) >= self.fails_after:
            raise DatabaseUnavailableError
        self.batches.append(len(users))
        return [self._add(user) for user in users]

    def _add(self, user: NewUser | Outcome) -> Outcome:
        if isinstance(user, Outcome):
            return user
        assert user.id is not None
        if user.id in self.users:
            same = self.users[user.id].username == user.username
            return Outcome.ALREADY_HERE if same else Outcome.ID_TAKEN
        for other in self.users.values():
            if other.username.key == user.username.key:
                return Outcome.USERNAME_TAKEN
            if other.email.key == user.email.key:
                return Outcome.EMAIL_TAKEN
        self.users[user.id] = user
        return Outcome.IMPORTED


class Tutorial:
    """The tutorial's database, as its ORM creates and fills it."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def create(self) -> None:
        await self.run(
            USERS,
            "CREATE TABLE roles (id INTEGER PRIMARY KEY, name VARCHAR(255),"
            " createdAt DATETIME, updatedAt DATETIME)",
            USER_ROLES,
            "INSERT INTO roles (id, name) VALUES"
            " (1, 'user'), (2, 'moderator'), (3, 'admin'), (4, 'root'), (5, 'author')",
        )

    async def add(self, id_: int, *, roles: Sequence[int] = (1,), **row: Any) -> None:  # noqa: ANN401 - a cell
        moment = "2021-05-01 12:30:15"
        if self.url.startswith("sqlite"):
            moment += ".000 +00:00"
        cells: Mapping[str, Any] = {
            "id": id_,
            "username": f"user{id_}",
            "email": f"user{id_}@example.org",
            "password": HASH,
            "createdAt": moment,
            **row,
        }
        names = ", ".join(cells)
        places = ", ".join(f":{name}" for name in cells)
        await self.run(f"INSERT INTO users ({names}) VALUES ({places})", **cells)  # noqa: S608 - the test's own names
        for role in roles:
            await self.run(
                "INSERT INTO user_roles (roleId, userId) VALUES (:role, :user)",
                role=role,
                user=id_,
            )

    async def run(self, *statements: str, **parameters: Any) -> None:  # noqa: ANN401 - a cell
        async with connected(self.url) as engine, engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement), parameters)


@pytest.fixture(params=BACKENDS[:2])
async def tutorial(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Tutorial]:
    if request.param == "sqlite":
        found = Tutorial(f"sqlite+aiosqlite:///{tmp_path}/tutorial.sqlite")
        await found.create()
        yield found
        return
    server = request.getfixturevalue("database_server").url
    async with empty_database(server) as url:
        found = Tutorial(url)
        await found.create()
        yield found


async def imported(
    tutorial: Tutorial, accounts: Accounts, *, batch_size: int = 500, after_id: int = 0
) -> tuple[ImportReport, list[ImportReport]]:
    """Import, and return the report and what it said on the way."""
    progress: list[ImportReport] = []
    engine = create_tutorial_engine(tutorial.url)
    try:
        report = await import_tutorial_users(
            TutorialTables(engine, batch_size=batch_size),
            accounts.add,
            rules=RULES,
            progress=lambda so_far: progress.append(copy.deepcopy(so_far)),
            after_id=after_id,
        )
    finally:
        await engine.dispose()
    return report, progress


async def test_ids_hashes_roles_and_times_are_kept(tutorial: Tutorial) -> None:
    await tutorial.add(7, username="Alice", roles=[1, 2, 5])
    await tutorial.add(4711, username="José", roles=[3])
    await tutorial.add(9, username="nobody", roles=[])
    accounts = Accounts()

    report, _ = await imported(tutorial, accounts)

    assert report.outcomes == Counter({Outcome.IMPORTED: 3})
    alice = accounts.users[7]
    assert (alice.username.text, alice.email.text) == ("Alice", "user7@example.org")
    assert alice.password_hash == HASH
    assert alice.created_at == SIGNED_UP_AT
    assert alice.roles == {"user", "moderator", "author"}
    assert accounts.users[4711].username.text == "José"
    assert accounts.users[4711].roles == {"admin"}
    assert accounts.users[9].roles == {"user"}


async def test_ones_own_address_is_a_good_name(tutorial: Tutorial) -> None:
    await tutorial.add(1, username="User1@example.org")
    accounts = Accounts()

    await imported(tutorial, accounts)

    assert accounts.users[1].username.text == "User1@example.org"


async def test_spaces_around_names_and_addresses_stay_behind(
    tutorial: Tutorial,
) -> None:
    await tutorial.add(1, username=" Rosa ", email="\trosa@example.org ")
    accounts = Accounts()

    await imported(tutorial, accounts)

    rosa = accounts.users[1]
    assert (rosa.username.text, rosa.email.text) == ("Rosa", "rosa@example.org")


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        pytest.param({"username": None}, Outcome.BAD_USERNAME, id="no user name"),
        pytest.param({"username": "a\tb"}, Outcome.BAD_USERNAME, id="tab in the name"),
        pytest.param({"email": None}, Outcome.BAD_EMAIL, id="no e-mail address"),
        pytest.param({"email": "nowhere"}, Outcome.BAD_EMAIL, id="no domain"),
        pytest.param({"password": None}, Outcome.BAD_PASSWORD_HASH, id="no hash"),
        pytest.param({"password": "secret"}, Outcome.BAD_PASSWORD_HASH, id="in clear"),
        pytest.param({"roles": [1, 4]}, Outcome.UNKNOWN_ROLE, id="a role of its own"),
        pytest.param({"username": "ÜSER1"}, Outcome.USERNAME_TAKEN, id="look-alike"),
        pytest.param({"email": "USER1@example.org"}, Outcome.EMAIL_TAKEN, id="e-mail"),
    ],
)
async def test_a_bad_row_is_reported_and_the_rest_goes_on(
    tutorial: Tutorial, row: Mapping[str, Any], outcome: Outcome
) -> None:
    await tutorial.add(1)
    await tutorial.add(2, **row)
    await tutorial.add(3)
    accounts = Accounts()

    report, _ = await imported(tutorial, accounts)

    assert report.refusals == [Refusal(2, outcome)]
    assert sorted(accounts.users) == [1, 3]


@pytest.mark.parametrize(
    ("id_", "outcome"),
    [
        pytest.param(0, Outcome.BAD_ID, id="0"),
        pytest.param(-5, Outcome.BAD_ID, id="negative"),
        pytest.param(2**52, Outcome.IMPORTED, id="greatest"),
        pytest.param(2**52 + 1, Outcome.BAD_ID, id="leaves too few"),
        pytest.param(2**63 - 1, Outcome.BAD_ID, id="leaves none"),
    ],
)
async def test_ids_that_cannot_be_kept_are_reported(
    tutorial: Tutorial, id_: int, outcome: Outcome
) -> None:
    await tutorial.run("DROP TABLE users", USERS.replace("INTEGER", "BIGINT", 1))
    await tutorial.run("DROP TABLE user_roles", USER_ROLES.replace("INTEGER", "BIGINT"))
    await tutorial.add(7)
    await tutorial.add(id_)
    accounts = Accounts()

    report, _ = await imported(tutorial, accounts, batch_size=1)

    assert report.outcomes == Counter({Outcome.IMPORTED: 1}) + Counter([outcome])
    assert report.total == 2
    assert (id_ in accounts.users) == (outcome is Outcome.IMPORTED)
    assert [each.id for each in report.refusals] == sorted({7, id_} - {*accounts.users})


@pytest.mark.parametrize(
    ("column", "outcome"),
    [
        pytest.param("username", Outcome.BAD_USERNAME, id="username"),
        pytest.param("email", Outcome.BAD_EMAIL, id="email"),
        pytest.param("password", Outcome.BAD_PASSWORD_HASH, id="password"),
    ],
)
@pytest.mark.parametrize(
    "bad", [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80"], ids=["ff", "latin1", "surrogate"]
)
async def test_bytes_that_are_not_utf_8_are_reported_and_the_rest_goes_on(
    tutorial: Tutorial, column: str, outcome: Outcome, bad: bytes
) -> None:
    is_sqlite = tutorial.url.startswith("sqlite")
    if not is_sqlite:
        await tutorial.run(f"ALTER TABLE users MODIFY {column} VARBINARY(255)")
    for number in (1, 2, 3):
        await tutorial.add(number)
    value = "CAST(:bad AS TEXT)" if is_sqlite else ":bad"
    await tutorial.run(f"UPDATE users SET {column} = {value} WHERE id = 2", bad=bad)  # noqa: S608 - the test's own names
    accounts = Accounts()

    report, _ = await imported(tutorial, accounts)

    assert report.refusals == [Refusal(2, outcome)]
    assert sorted(accounts.users) == [1, 3]


async def test_text_is_read_in_the_characters_of_its_column(tutorial: Tutorial) -> None:
    if tutorial.url.startswith("sqlite"):
        pytest.skip("has one encoding for all text")
    await tutorial.run(
        "ALTER TABLE users MODIFY username VARCHAR(255) CHARACTER SET latin1"
    )
    await tutorial.add(1, username="José")
    accounts = Accounts()

    await imported(tutorial, accounts)

    assert accounts.users[1].username.text == "José"


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("9999-12-31 23:59:59.000 -14:00", id="after the last year"),
        pytest.param("0001-01-01 00:00:00.000 +14:00", id="before the first year"),
        pytest.param("9999-12-31 23:59:59", id="far away"),
        pytest.param("0000-00-00 00:00:00", id="zero"),
    ],
)
async def test_a_time_out_of_range_is_left_away(
    tutorial: Tutorial, moment: str
) -> None:
    if not tutorial.url.startswith("sqlite"):
        await tutorial.run("ALTER TABLE users MODIFY createdAt VARCHAR(40)")
    await tutorial.add(1, createdAt=moment)
    await tutorial.add(2)
    accounts = Accounts()

    await imported(tutorial, accounts)

    assert accounts.users[1].created_at == NOW
    assert accounts.users[2].created_at == SIGNED_UP_AT


async def test_the_zero_date_of_mysql_is_left_away(tutorial: Tutorial) -> None:
    if tutorial.url.startswith("sqlite"):
        pytest.skip("has no dates")
    await tutorial.add(1)
    async with connected(tutorial.url) as engine, engine.begin() as connection:
        await connection.execute(text("SET SESSION sql_mode = ''"))
        await connection.execute(
            text("UPDATE users SET createdAt = '0000-00-00 00:00:00'")
        )
    accounts = Accounts()

    await imported(tutorial, accounts)

    assert accounts.users[1].created_at == NOW


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(None, id="none"),
        pytest.param("2021-02-30 25:61:00", id="none such"),
        pytest.param(17, id="number"),
    ],
)
async def test_an_unreadable_time_is_no_reason(tmp_path: Path, moment: object) -> None:
    tutorial = Tutorial(f"sqlite+aiosqlite:///{tmp_path}/tutorial.sqlite")
    await tutorial.create()
    await tutorial.add(1, createdAt=moment)
    accounts = Accounts()

    await imported(tutorial, accounts)

    assert accounts.users[1].created_at == NOW


async def test_cells_of_another_type_are_bad_rows(tmp_path: Path) -> None:
    tutorial = Tutorial(f"sqlite+aiosqlite:///{tmp_path}/tutorial.sqlite")
    await tutorial.create()
    await tutorial.add(1, username=b"\xff\xfe")
    await tutorial.add(2, password=b"\xff\xfe")

    report, _ = await imported(tutorial, Accounts())

    assert report.refusals == [
        Refusal(1, Outcome.BAD_USERNAME),
        Refusal(2, Outcome.BAD_PASSWORD_HASH),
    ]


async def test_comes_in_batches_and_shows_how_far_it_is(tutorial: Tutorial) -> None:
    for number in range(1, 8):
        await tutorial.add(number * 10)
    accounts = Accounts()

    report, progress = await imported(tutorial, accounts, batch_size=3)

    assert accounts.batches == [3, 3, 1]
    assert [(each.done, each.total, each.last_id) for each in progress] == [
        (3, 7, 30),
        (6, 7, 60),
        (7, 7, 70),
    ]
    assert report == progress[-1]


async def test_an_interrupted_import_goes_on_without_doing_anything_twice(
    tutorial: Tutorial,
) -> None:
    for number in range(1, 8):
        await tutorial.add(number)
    accounts = Accounts()
    accounts.fails_after = 2
    with pytest.raises(DatabaseUnavailableError):
        await imported(tutorial, accounts, batch_size=2)
    assert sorted(accounts.users) == [1, 2, 3, 4]
    accounts.fails_after = None

    resumed, _ = await imported(tutorial, accounts, after_id=4)
    again, _ = await imported(tutorial, accounts)

    assert resumed.outcomes == Counter({Outcome.IMPORTED: 3})
    assert again.outcomes == Counter({Outcome.ALREADY_HERE: 7})
    assert again.refusals == []
    assert sorted(accounts.users) == [1, 2, 3, 4, 5, 6, 7]


async def test_an_account_made_here_keeps_its_id(tutorial: Tutorial) -> None:
    await tutorial.add(1, username="somebody", email="somebody@example.org")
    accounts = Accounts()
    await imported(tutorial, accounts)
    await tutorial.run("UPDATE users SET username = 'another' WHERE id = 1")

    report, _ = await imported(tutorial, accounts)

    assert report.refusals == [Refusal(1, Outcome.ID_TAKEN)]


async def test_another_database_is_not_taken_for_the_tutorials(
    tutorial: Tutorial,
) -> None:
    await tutorial.run("DROP TABLE user_roles", "ALTER TABLE users DROP COLUMN email")

    with pytest.raises(NotTutorialDatabaseError, match=r"user_roles, users\.email"):
        await imported(tutorial, Accounts())


async def test_a_database_that_is_away_is_named_without_its_password(
    unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    away = Tutorial(f"mysql+asyncmy://root:hunter2@127.0.0.1:{unused_tcp_port}/testdb")

    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailableError) as error:
            await imported(away, Accounts())

    assert "hunter2" not in f"{error.value!r} {error.value.__cause__!r}"
    assert "hunter2" not in caplog.text


async def test_the_tutorials_database_is_only_read(tmp_path: Path) -> None:
    file = tmp_path / "tutorial.sqlite"
    tutorial = Tutorial(f"sqlite+aiosqlite:///{file}")
    await tutorial.create()
    await tutorial.add(1)
    before = await asyncio.to_thread(file.read_bytes)

    await imported(tutorial, Accounts())

    assert await asyncio.to_thread(file.read_bytes) == before
    assert await asyncio.to_thread(os.listdir, tmp_path) == [file.name]
