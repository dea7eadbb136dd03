"""Where the database is."""

from dataclasses import dataclass

from identity_service.storage.database_url import checked_url
from service_kit.settings import setting


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """The settings of ``migrate``, which needs no key."""

    database_url: str = setting(
        "IDENTITY_DATABASE_URL",
        checked_url,
        secret=True,
        description="SQLAlchemy URL: mysql+asyncmy://… or sqlite+aiosqlite:///…",
    )
