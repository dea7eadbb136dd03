"""The tables of the tutorial's own database, as Sequelize made them. Only read."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    func,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import NullType

from identity_service.domain.errors import DatabaseUnavailableError, IdentityError
from identity_service.domain.tutorial import TutorialUser

BATCH_SIZE: Final = 500
"""Users read at a time, each batch on its own: the tutorial may go on serving."""

TIMEOUT: Final = 10
"""Seconds for the server to accept a connection, and to answer."""

_metadata: Final = MetaData()

_users: Final = Table(
    "users",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("username", String),
    Column("email", String),
    Column("password", String),
    # DATETIME on MySQL, text on SQLite, and UTC on both: taken as it comes.
    Column("createdAt", NullType),
)

_roles: Final = Table(
    "roles", _metadata, Column("id", Integer, primary_key=True), Column("name", String)
)

_user_roles: Final = Table(
    "user_roles", _metadata, Column("roleId", Integer), Column("userId", Integer)
)


class NotTutorialDatabaseError(IdentityError):
    """A table or a column of the tutorial is missing; the text names it."""


def create_tutorial_engine(url: str) -> AsyncEngine:
    """Return an engine for the tutorial's database. Nothing is connected yet."""
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    return create_async_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": TIMEOUT}
        if is_sqlite
        else {
            "charset": "utf8mb4",
            "connect_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
        },
    )


class TutorialTables:
    """Reads the tutorial's users.

    Each method raises `DatabaseUnavailableError` when the database does not answer.
    """

    def __init__(self, engine: AsyncEngine, *, batch_size: int = BATCH_SIZE) -> None:
        self._engine = engine
        self._batch_size = batch_size

    async def count(self, *, after_id: int) -> int:
        """Return how many users have a greater id.

        Raises
        ------
        NotTutorialDatabaseError
            The tables are not the tutorial's.
        """
        counting = select(func.count()).where(_users.c.id > after_id)
        async with self._connected() as connection:
            await _check_tables(connection)
            return (await connection.execute(counting)).scalar_one()

    async def batches(self, *, after_id: int) -> AsyncIterator[Sequence[TutorialUser]]:
        """Yield users with a greater id, a batch at a time, in order of their ids."""
        while batch := await self._batch(after_id):
            yield batch
            after_id = batch[-1].id

    async def _batch(self, after_id: int) -> Sequence[TutorialUser]:
        reading = (
            select(_users)
            .where(_users.c.id > after_id)
            .order_by(_users.c.id)
            .limit(self._batch_size)
        )
        async with self._connected() as connection:
            rows = (await connection.execute(reading)).all()
            roles = await _roles_of(connection, [row.id for row in rows])
        return [
            TutorialUser(
                id=row.id,
                username=_text(row.username),
                email=_text(row.email),
                password=_text(row.password),
                created_at=_moment(row.createdAt),
                roles=roles.get(row.id, frozenset()),
            )
            for row in rows
        ]

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            # Not its text: it may quote the URL's password or a row.
            raise DatabaseUnavailableError(type(error).__name__) from None


async def _check_tables(connection: AsyncConnection) -> None:
    def missing(synchronous: Connection) -> Iterator[str]:
        inspector = inspect(synchronous)
        present = set(inspector.get_table_names())
        for table in _metadata.sorted_tables:
            if table.name not in present:
                yield table.name
                continue
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            yield from (
                f"{table.name}.{column.name}"
                for column in table.columns
                if column.name not in columns
            )

    if names := await connection.run_sync(lambda sync: sorted(missing(sync))):
        raise NotTutorialDatabaseError(f"missing: {', '.join(names)}")


async def _roles_of(
    connection: AsyncConnection, user_ids: Sequence[int]
) -> Mapping[int, AbstractSet[str]]:
    reading = (
        select(_user_roles.c.userId, _roles.c.name)
        .join(_roles, _roles.c.id == _user_roles.c.roleId)
        .where(_user_roles.c.userId.in_(user_ids))
    )
    roles = defaultdict[int, set[str]](set)
    for user_id, name in await connection.execute(reading):
        roles[user_id].add(name)
    return roles


def _text(value: object) -> str | None:
    """Return the text of a column, None for NULL and for what is no text."""
    return value if isinstance(value, str) else None


def _moment(value: object) -> datetime | None:
    """Return the moment that Sequelize wrote, None for what cannot be read."""
    match value:
        case datetime():
            found = value
        case str():
            try:
                found = datetime.fromisoformat(value.replace(" +", "+"))
            except ValueError:
                return None
        case _:
            return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
