"""Types of columns, and options of tables.

What differs between the databases is written down here and in `database`, once:
text is compared byte by byte everywhere (SQLite's BINARY, utf8mb4_bin elsewhere),
moments are integers, because DATETIME loses microseconds on MariaDB and rounds
them on MySQL, and SQLite's row ids are never given twice.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, String, TypeDecorator

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware moment, stored as microseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> int | None:
        """Return the integer that is stored."""
        del dialect
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(
        self, value: int | None, dialect: Dialect
    ) -> datetime | None:
        """Return the moment that was stored."""
        del dialect
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)

Id: Final = BigInteger().with_variant(Integer, "sqlite")
RandomId: Final = String(32)
"""16 random bytes in hex."""

Email: Final = String(254)

ListName: Final = String(22)
"""16 random bytes in base64url, or the number of a list without a name."""

OPTIONS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_bin"),
    )
} | {"sqlite_autoincrement": True}
"""Options of every table with an integer key; SQLite never reuses its ids."""

KEYLESS: Final = {
    name: value for name, value in OPTIONS.items() if not name.startswith("sqlite")
}
"""Options of the other tables."""
