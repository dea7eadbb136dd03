"""Types of columns, and options of tables, as all migrations have them.

They stay as they are, whatever `storage.tables` becomes: a new database must be what
those that were migrated are.
"""

from typing import Any, Final

import sqlalchemy as sa

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT: Final = sa.BigInteger()
"""Microseconds since the epoch."""
KEYLESS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_bin"),
    )
}
"""Options of tables without an integer key."""
OPTIONS: Final = KEYLESS | {"sqlite_autoincrement": True}
"""Options of the others."""
