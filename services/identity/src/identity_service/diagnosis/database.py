"""Check the database: schema, settings, privileges, encryption."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from identity_service.settings import Settings
from identity_service.storage.faults import database_fault, reason, write_fault
from identity_service.storage.tables import metadata
from identity_service.storage.upgrades import schema
from service_kit.running.doctor import Finding, away, fault, good_unless, note

_LONGEST_SECONDS: Final = 5.0

_NEEDED: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_ALL: Final = "ALL PRIVILEGES"
_GRANT: Final = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<place>\S+) TO ")
_TOO_MUCH: Final = frozenset({_ALL, "ALTER", "CREATE", "DROP", "FILE", "SUPER"})
"""Privileges that would let an attacker in identity change the schema, or more."""

_OWN_HOST: Final = frozenset({None, "", "localhost", "127.0.0.1", "::1"})


async def examine_database(
    settings: Settings, engine: AsyncEngine
) -> AsyncIterator[Finding]:
    """Yield whether identity can work with its database, and how safely."""
    dialect = engine.dialect.name
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            present = await schema.present_version(engine)
            if found := await database_fault(engine):
                advice = "identity-service migrate" if "migrate" in found else ""
                yield fault("database", found, advice)
            else:
                yield Finding("database", f"{dialect}, schema {present}")
                if found := await write_fault(engine):
                    advice = "see its log, the room on its disk, and who may write"
                    yield fault("writes", found, advice)
            if dialect != "sqlite":
                async with engine.connect() as connection:
                    yield await _tables(connection)
                    yield await _grants(connection)
                    yield await _encryption(settings, connection)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        found, advice = f"no response: {reason(error)}", "see that it runs, and its URL"
        yield away("database", found, advice)


async def _tables(connection: AsyncConnection) -> Finding:
    found = await connection.scalars(
        text(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND engine <> 'InnoDB'"
        )
    )
    ours = {*metadata.tables, schema.VERSION_TABLE}
    names = ", ".join(sorted(ours.intersection(found)))
    problem = f"{names}: not InnoDB, so without transactions" if names else None
    advice = "ALTER TABLE each of them ENGINE=InnoDB, while identity does not run"
    return good_unless("tables", problem, "all InnoDB", advice)


async def _grants(connection: AsyncConnection) -> Finding:
    database = connection.engine.url.database or ""
    granted = set(privileges(await _granted(connection), database))
    missing = set() if _ALL in granted else _NEEDED - granted
    if missing:
        advice = f"GRANT {', '.join(sorted(missing))} ON {database}.* TO its user"
        return fault("grants", f"lacks {', '.join(sorted(missing))}", advice)
    if extra := granted & _TOO_MUCH:
        return note(
            "grants",
            f"{', '.join(sorted(extra))}, which identity does not need",
            "give migrations an account of their own",
        )
    return Finding("grants", ", ".join(sorted(granted & _NEEDED)))


async def _granted(connection: AsyncConnection) -> list[str]:
    """Return the statements that grant privileges to the user and to their roles.

    MariaDB's SHOW GRANTS includes active roles, MySQL's those that USING names.
    """
    showing = "SHOW GRANTS"
    if not getattr(connection.dialect, "is_mariadb", False):
        roles = await connection.scalar(text("SELECT CURRENT_ROLE()"))
        if roles and roles != "NONE":
            showing = f"SHOW GRANTS FOR CURRENT_USER() USING {roles}"
    return [str(row[0]) for row in await connection.execute(text(showing))]


def privileges(grants: Iterable[str], database: str) -> Iterator[str]:
    """Return the privileges on a database, whatever part of it they are on.

    Patterns in names of databases are taken for the database: MySQL escapes ``_``.
    """
    for grant in grants:
        found = _GRANT.match(grant)
        if found is None:
            continue
        place = found["place"].replace("`", "").replace("\\", "").partition(".")[0]
        if place in {"*", "%", database}:
            for privilege in found["privileges"].split(","):
                yield privilege.partition("(")[0].strip().upper()


async def _encryption(settings: Settings, connection: AsyncConnection) -> Finding:
    row = (await connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'"))).first()
    cipher = "" if row is None else str(row[1])
    if cipher:
        return Finding("connection to the database", f"encrypted, {cipher}")
    url = make_url(settings.database_url)
    if url.host in _OWN_HOST or "unix_socket" in url.query:
        return Finding("connection to the database", "on this host, not encrypted")
    advice = "add ssl-mode=VERIFY_IDENTITY and ssl-ca=FILE to the URL"
    return note("connection to the database", "not encrypted", advice)
