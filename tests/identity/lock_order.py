"""Watch in which order transactions lock tables."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, event

_CHANGES: Final = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) [`\"]?(\w+)")
_LOCKS: Final = re.compile(r"FROM [`\"]?(\w+).* FOR UPDATE", re.DOTALL)
_AUDIT_LOG: Final = frozenset({"audit_head", "audit_events"})
_MIGRATED: Final = "schema_version"
"""Locked by migrations, which run alone."""

_LOCKED: Final = "tables locked in this transaction"


@contextmanager
def watched_transactions() -> Iterator[list[str]]:
    """Collect the statements that lock another table after the audit log.

    Everybody who appends to the log waits for who holds its head, so a transaction that
    still waits for something else then makes all of them wait, and may deadlock.
    """
    faults: list[str] = []

    def begin(connection: Connection) -> None:
        connection.info[_LOCKED] = set()

    def execute(connection: Connection, _: object, statement: str, *__: object) -> None:
        found = _CHANGES.match(statement) or _LOCKS.search(statement)
        if found is None or "writes" not in connection.get_execution_options():
            return  # no unit of work: a test that prepares something
        locked, table = connection.info[_LOCKED], found[1]
        is_late = locked & _AUDIT_LOG and table not in locked | _AUDIT_LOG
        locked.add(table)
        if is_late and _MIGRATED not in locked:
            faults.append(statement)

    listeners = ("begin", begin), ("before_cursor_execute", execute)
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    try:
        yield faults
    finally:
        for name, listener in listeners:
            event.remove(Engine, name, listener)
