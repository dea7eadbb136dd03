"""The tables of the tutorial's own database, as Sequelize made them. Only read."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
    func,
    inspect,
    select,
    true,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from identity_service.domain.accounts.foreign_users import ForeignUser, read_moment
from identity_service.domain.errors import DatabaseUnavailableError, IdentityError
from identity_service.storage.database_url import DatabaseUrl
from identity_service.storage.faults import reason

BATCH_SIZE: Final = 500
"""Users read at a time, each batch on its own: the tutorial may go on serving."""

TIMEOUT: Final = 10
"""Seconds for the server to accept a connection, and to respond."""

_ZONE: Final = re.compile(r" (?=[+-][0-9]{2}:)")


class _Cell(TypeDecorator[str]):
    """Text, or a moment as text, read as bytes: one bad cell must not end a batch.

    A driver that decodes refuses the whole batch for one cell that is not UTF-8, or
    that is a date which Python does not have.
    """

    impl = LargeBinary
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return what is selected in place of the column."""
        return _AsBytes(column, type_=self)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ANN401 - a cell
        """Return the text of a cell, None for NULL and for what is no text."""
        del dialect
        try:
            return bytes(value).decode() if isinstance(value, bytes) else None
        except UnicodeDecodeError:
            return None


class _AsBytes(GenericFunction[bytes]):
    """A cell's bytes, in UTF-8 where the server knows in what they are."""

    inherit_cache = True


@compiles(_AsBytes)
def _compile(element: _AsBytes, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    cell = compiler.process(element.clauses, **options)
    if compiler.dialect.name == "sqlite":
        return f"CAST({cell} AS BLOB)"
    converted = f"CAST(CONVERT({cell} USING utf8mb4) AS BINARY)"
    return f"IF(CHARSET({cell}) = 'binary', CAST({cell} AS BINARY), {converted})"


_metadata: Final = MetaData()

_users: Final = Table(
    "users",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("username", _Cell),
    Column("email", _Cell),
    Column("password", _Cell),
    Column("createdAt", _Cell),
)

_roles: Final = Table(
    "roles", _metadata, Column("id", Integer, primary_key=True), Column("name", _Cell)
)

_user_roles: Final = Table(
    "user_roles", _metadata, Column("roleId", Integer), Column("userId", Integer)
)


class NotTutorialDatabaseError(IdentityError):
    """A table or a column of the tutorial is missing; the text names it."""


def create_tutorial_engine(url: str) -> AsyncEngine:
    """Return an engine for the tutorial's database. Nothing is connected yet.

    Raises `ValueError`: the URL is not usable.
    """
    where = DatabaseUrl.parse(url)
    is_sqlite = where.url.get_backend_name() == "sqlite"
    return create_async_engine(
        where.url,
        hide_parameters=True,
        connect_args={"timeout": TIMEOUT}
        if is_sqlite
        else {
            "charset": "utf8mb4",
            "connect_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
            "ssl": where.tls,
        },
    )


class TutorialTables:
    """Reads the tutorial's users.

    Each method raises `DatabaseUnavailableError` when the database does not respond.
    """

    def __init__(self, engine: AsyncEngine, *, batch_size: int = BATCH_SIZE) -> None:
        self._engine = engine
        self._batch_size = batch_size

    async def count(self, *, after_id: int | None) -> int:
        """Return how many users have a greater id, or any.

        Raises `NotTutorialDatabaseError`: the tables are not the tutorial's.
        """
        counting = select(func.count()).select_from(_users).where(_after(after_id))
        async with self._connected() as connection:
            await _check_tables(connection)
            return (await connection.execute(counting)).scalar_one()

    async def batches(
        self, *, after_id: int | None
    ) -> AsyncIterator[Sequence[ForeignUser]]:
        """Yield users with a greater id, a batch at a time, in order of their ids."""
        while batch := await self._batch(after_id):
            yield batch
            after_id = batch[-1].id

    async def _batch(self, after_id: int | None) -> Sequence[ForeignUser]:
        reading = (
            select(_users)
            .where(_after(after_id))
            .order_by(_users.c.id)
            .limit(self._batch_size)
        )
        async with self._connected() as connection:
            rows = (await connection.execute(reading)).all()
            roles = await _roles_of(connection, [row.id for row in rows])
        return [
            ForeignUser(
                id=row.id,
                username=row.username,
                email=row.email,
                password_hash=row.password,
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
            why = f"the tutorial's: {reason(error)}"
            raise DatabaseUnavailableError(why) from None


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
        roles[user_id].add(name or "")
    return roles


def _after(user_id: int | None) -> ColumnElement[bool]:
    return true() if user_id is None else _users.c.id > user_id


def _moment(cell: str | None) -> datetime | None:
    """Return the moment that Sequelize wrote, in UTC; None for what cannot be one."""
    return read_moment(_ZONE.sub("", cell or ""))
