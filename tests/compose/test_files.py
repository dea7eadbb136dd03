"""Compose files that are given together with the stack's own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.containers import engine_answers
from tests.support.missing import skip_missing

pytestmark = pytest.mark.compose

ROOT: Final = Path(__file__).parents[2]


def test_compose_takes_the_mail_catchers_file() -> None:
    services = shown("deploy/mail/compose.yml")["services"]
    assert services["identity"]["environment"]["IDENTITY_MAIL_URL"]
    assert set(services["mail"]["networks"]) <= set(services["identity"]["networks"])


@pytest.mark.parametrize("also", [(), ("deploy/mail/production.yml",)])
@pytest.mark.parametrize("comes_last", [True, False])
def test_databases_elsewhere_are_reached_and_waited_for_by_nobody(
    also: tuple[str, ...], *, comes_last: bool
) -> None:
    databases = "deploy/compose.databases.yml"
    files = (*also, databases) if comes_last else (databases, *also)
    configuration = shown("deploy/compose.production.yml", *files)
    services = configuration["services"]
    assert not {"mysql", "valkey"} & services.keys()
    assert "mysql-data" not in configuration.get("volumes", {})
    for name in ("identity", "migrations"):
        assert "data" in services[name]["networks"]
        assert services[name].get("depends_on", {}).keys() <= services.keys()
    assert not configuration["networks"]["data"].get("internal"), "it leads out"
    used = {
        secret["source"]
        for service in services.values()
        for secret in service.get("secrets", ())
    }
    assert {"database-url", "migrations-database-url", "throttle-url"} <= used
    assert not [name for name in used if name.startswith(("mysql", "valkey"))]


def shown(*files: str) -> dict[str, Any]:
    """Return what Compose makes of the stack's file and others."""
    if not engine_answers():
        skip_missing("no Docker engine with Compose answers")
    named = [word for file in ("docker-compose.yml", *files) for word in ("-f", file)]
    demanded = {
        "PUBLIC_URL": "https://accounts.test",
        # No pages elsewhere, and no proxy in front.
        "ALLOWED_ORIGINS": "",
        "GATEWAY_TRUSTED_PROXIES": "",
        "IDENTITY_MAIL_FROM": "no-reply@accounts.test",
    }
    finished = subprocess.run(
        ["docker", "compose", *named, "config", "--format", "json"],
        cwd=ROOT,
        env={**demanded, **{name: os.environ[name] for name in ("PATH", "HOME")}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout)
    return found
