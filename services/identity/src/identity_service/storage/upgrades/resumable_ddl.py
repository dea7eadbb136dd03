"""Migrations that go on where they were killed, on MySQL and MariaDB.

Both commit each DDL statement immediately, so a migration that was
killed has been applied in part, and runs again from its start. What is there already
is passed over here. What a migration writes by ``op.execute`` must bear being written
twice.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.ddl.base import AddColumn, DropColumn, RenameTable
from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import schema

from identity_service.domain.errors import IdentityError


class ForeignTableError(IdentityError):
    """A table of this name is there, but it is not ours."""


class _ResumableImpl(MySQLImpl):
    """Alembic takes it for the dialect of this name, in place of its own."""

    __dialect__ = "mysql"

    def _exec(self, construct: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Alembic's own
        if self.connection is not None and _is_applied(self.connection, construct):
            return None
        return super()._exec(construct, *args, **kwargs)

    def bulk_insert(
        self,
        table: sa.TableClause | sa.Table,
        rows: list[dict[str, Any]],
        multiinsert: bool = True,  # noqa: FBT001, FBT002 - Alembic's own
    ) -> None:
        """Insert the rows that are not there yet."""
        absent = [row for row in rows if not self._is_there(table, row)]
        super().bulk_insert(table, absent, multiinsert)

    def _is_there(self, table: sa.TableClause | sa.Table, row: dict[str, Any]) -> bool:
        if self.connection is None:
            return False
        same = sa.and_(*(table.c[name] == value for name, value in row.items()))
        found = self.connection.execute(
            sa.select(sa.literal(1)).select_from(table).where(same)
        )
        return found.first() is not None


class _ResumableMariaDBImpl(_ResumableImpl):
    __dialect__ = "mariadb"


def _is_applied(connection: sa.Connection, construct: object) -> bool:
    """Return whether the schema is as the statement would make it."""
    there, applied = sa.inspect(connection), False
    match construct:
        case schema.CreateTable():
            applied = _is_created(there, construct.element)
        case schema.DropTable():
            applied = not there.has_table(construct.element.name)
        case RenameTable():
            applied = not there.has_table(construct.table_name)
        case schema.CreateIndex() | schema.AddConstraint():
            applied = _is_named(there, construct.element)
        case schema.DropIndex() | schema.DropConstraint():
            applied = not _is_named(there, construct.element)
        case AddColumn():
            columns = _columns(there, construct.table_name)
            applied = construct.column.name in columns
        case DropColumn():
            columns = _columns(there, construct.table_name)
            applied = construct.column.name not in columns
        case _:
            pass
    return applied


def _is_created(there: sa.Inspector, table: sa.Table) -> bool:
    if not there.has_table(table.name):
        return False
    absent = {column.name for column in table.columns} - _columns(there, table.name)
    if absent:
        raise ForeignTableError(
            f"a table {table.name} without {', '.join(sorted(absent))} is in the way"
        )
    return True


def _columns(there: sa.Inspector, table: str) -> set[str]:
    return {column["name"] for column in there.get_columns(table)}


def _is_named(there: sa.Inspector, element: sa.Index | sa.Constraint) -> bool:
    """Return whether the table has an index or a constraint of this name."""
    table = element.table
    if table is None:
        raise TypeError(f"{element.name} is of no table")
    found: list[Iterable[Any]] = [
        there.get_indexes(table.name),
        there.get_foreign_keys(table.name),
        there.get_check_constraints(table.name),
    ]
    return element.name in {each["name"] for group in found for each in group}
