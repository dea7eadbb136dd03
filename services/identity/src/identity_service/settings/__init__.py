"""What the operator decides: this is the package's public face."""

from identity_service.settings.database import DatabaseSettings
from identity_service.settings.service import ImportSettings, Settings
from identity_service.settings.setting_warnings import setting_warnings
from identity_service.settings.values import Transport

__all__ = [
    "DatabaseSettings",
    "ImportSettings",
    "Settings",
    "Transport",
    "setting_warnings",
]
