"""The production override brings the operator's own secrets, and none of ours."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from content_service.settings import Settings as ContentSettings
from gateway_service.settings import GatewaySettings
from identity_service.settings import Settings as IdentitySettings
from service_kit.settings import specs

ROOT: Final = Path(__file__).parents[2]


class _ComposeLoader(yaml.SafeLoader):
    """Reads Compose's own tags; `!reset` leaves nothing, `!override` the value."""


def _override(loader: _ComposeLoader, node: yaml.Node) -> Any:  # noqa: ANN401
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    raise AssertionError(node)


_ComposeLoader.add_constructor("!reset", lambda _loader, _node: None)
_ComposeLoader.add_constructor("!override", _override)

PRODUCTION: Final[dict[str, Any]] = yaml.load(
    (ROOT / "deploy" / "compose.production.yml").read_text(),
    _ComposeLoader,  # noqa: S506 - a SafeLoader with two tags more
)
SERVICES: Final[dict[str, Any]] = PRODUCTION["services"]


def test_no_secret_is_generated() -> None:
    assert SERVICES["secrets"] is None
    for name in ("mysql", "valkey"):
        assert SERVICES[name]["depends_on"] is None
    made = {name for name in PRODUCTION["volumes"] if name.endswith("-secrets")}
    assert len(made) == 4
    assert all(PRODUCTION["volumes"][name] is None for name in made)


def test_every_secret_comes_from_the_ignored_folder() -> None:
    for name, source in PRODUCTION["secrets"].items():
        assert source == {"file": f"deploy/secrets/{name}"}
    used = {
        secret if isinstance(secret, str) else secret["source"]
        for service in SERVICES.values()
        for secret in (service or {}).get("secrets", [])
    }
    assert used == set(PRODUCTION["secrets"])


def test_only_the_migrations_get_the_migrating_account() -> None:
    holders = {
        name
        for name, service in SERVICES.items()
        if "migrations-database-url" in str((service or {}).get("secrets"))
    }
    assert holders == {"migrations"}


def test_cookies_are_secure_and_addresses_must_be_named() -> None:
    identity = SERVICES["identity"]["environment"]
    assert identity["IDENTITY_COOKIE_SECURE"] == "true"
    assert SERVICES["content"]["environment"]["CONTENT_COOKIE_SECURE"] == "true"
    assert identity["IDENTITY_ISSUER"].startswith("${PUBLIC_URL:?")
    assert identity["IDENTITY_ALLOWED_ORIGINS"].startswith("${ALLOWED_ORIGINS?")
    gateway = SERVICES["gateway"]["environment"]
    assert gateway["GATEWAY_TRUSTED_PROXIES"].startswith("${GATEWAY_TRUSTED_PROXIES?")


@pytest.mark.parametrize("name", ["mail/production.yml", "observability/traces.yml"])
def test_overrides_for_mail_and_traces_name_settings_that_exist(name: str) -> None:
    override = yaml.safe_load((ROOT / "deploy" / name).read_text())
    known = {
        f"{spec.name}{suffix}"
        for settings in (IdentitySettings, ContentSettings, GatewaySettings)
        for spec in specs(settings)
        for suffix in ("", "_FILE")
    }
    for service in override["services"].values():
        assert service["environment"].keys() <= known
    for network in override.get("networks", {}).values():
        assert not (network or {}).get("internal"), "it leads out"
