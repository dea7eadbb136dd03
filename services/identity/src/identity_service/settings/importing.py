"""The settings of the command that imports the tutorial's users."""

from dataclasses import dataclass

from identity_service.settings.service import Settings
from identity_service.storage.database_url import checked_url
from service_kit.settings import setting


@dataclass(frozen=True, kw_only=True)
class ImportSettings(Settings):
    """The settings of the service, and those of ``import-users``."""

    tutorial_database_url: str | None = setting(
        checked_url,
        secret=True,
        optional=True,
        description="SQLAlchemy URL of the tutorial's database",
        variable="TUTORIAL_DATABASE_URL",
    )
