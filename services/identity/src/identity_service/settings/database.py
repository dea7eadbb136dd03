"""Where the database is."""

from dataclasses import dataclass
from typing import ClassVar

from identity_service.storage.database_url import checked_url
from service_kit.settings import setting


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """The settings of ``migrate``, which needs no key."""

    prefix: ClassVar = "IDENTITY_"

    database_url: str = setting(
        checked_url,
        secret=True,
        description="SQLAlchemy URL: mysql+asyncmy://… or sqlite+aiosqlite:///…",
    )
