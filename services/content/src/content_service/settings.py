"""The settings of content."""

from dataclasses import dataclass
from typing import ClassVar

from service_kit.resource_server.verification import VerificationSettings
from service_kit.running.listener import internal_port, public_port


@dataclass(frozen=True, kw_only=True)
class Settings(VerificationSettings):
    """What the operator decides. docs/reference/settings.md lists them."""

    prefix: ClassVar = "CONTENT_"

    port: int = public_port("8002")
    internal_port: int = internal_port("9002")
