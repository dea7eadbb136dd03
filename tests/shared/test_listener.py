from dataclasses import dataclass
from typing import ClassVar

from service_kit.running.listener import ListenerSettings, internal_port, public_port
from service_kit.settings import read_settings, specs


@dataclass(frozen=True, kw_only=True)
class Settings(ListenerSettings):
    prefix: ClassVar = "LENDING_"

    port: int = public_port("7000")
    internal_port: int = internal_port("7001")


def test_variables_have_the_services_prefix_and_its_own_ports() -> None:
    defaults = {spec.name: spec.default for spec in specs(Settings)}

    assert set(defaults) == {
        "LENDING_HOST",
        "LENDING_PORT",
        "LENDING_INTERNAL_HOST",
        "LENDING_INTERNAL_PORT",
        "LENDING_LOG_LEVEL",
        "LENDING_LOG_FORMAT",
        "LENDING_OTLP_ENDPOINT",
        "LENDING_DRAIN_DELAY",
        "LENDING_SHUTDOWN_GRACE",
    }
    assert defaults["LENDING_PORT"] == "7000"
    assert read_settings(Settings, {}).internal_port == 7001


def test_a_variable_is_read() -> None:
    settings = read_settings(Settings, {"LENDING_HOST": "0.0.0.0", "HOST": "x"})  # noqa: S104

    assert settings.host == "0.0.0.0"  # noqa: S104
