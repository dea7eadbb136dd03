"""What repositories have in common."""

from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Executable, Row
from sqlalchemy.ext.asyncio import AsyncConnection

from service_kit.clock import Clock

T = TypeVar("T")


class Repository:
    """Reads and writes some tables within one transaction."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        self._connection = connection
        self._now = clock

    async def _row(self, statement: Executable, **values: object) -> Row[Any] | None:
        """Return the one row that is selected, None if there is none."""
        found = await self._connection.execute(statement, values or None)
        return found.one_or_none()

    async def _affected(self, statement: Executable, **values: object) -> int:
        """Return how many rows the statement has changed or removed."""
        return (await self._connection.execute(statement, values or None)).rowcount

    async def _affects(self, statement: Executable, **values: object) -> bool:
        """Return whether the statement has changed or removed its one row."""
        return await self._affected(statement, **values) == 1


def columns_of(record: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Return the columns of a dataclass whose fields are called like them."""
    return {each.name: getattr(record, each.name) for each in fields(record)}


def record_of(kind: type[T], row: Row[Any]) -> T:
    """Return the dataclass whose fields are the columns of a row."""
    return kind(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for it
