"""The locks: whole, hashed, in step with each other and with the pyproject files."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "requirements"
DEPLOYABLES: Final = {
    "identity": ("services/identity", "shared"),
    "content": ("services/content", "shared"),
    "gateway": ("gateway", "shared"),
}
OURS: Final = {
    "service-kit",
    "identity-service",
    "content-service",
    "gateway-service",
}

each_lock = pytest.mark.parametrize("name", ["build", "dev", "mail", *DEPLOYABLES])
each_deployable = pytest.mark.parametrize("name", DEPLOYABLES)


def _entries(name: str) -> list[str]:
    """Return the lock's entries, each with its hashes, on one line."""
    text = (FOLDER / f"{name}.txt").read_text().replace("\\\n", " ")
    return [
        line for line in text.splitlines() if line and not line.lstrip().startswith("#")
    ]


def _pins(name: str) -> dict[str, set[str]]:
    """Return the versions pinned, by name; markers may choose between several."""
    pins: dict[str, set[str]] = {}
    for entry in _entries(name):
        requirement = Requirement(entry.split(" --hash", 1)[0])
        [specifier] = requirement.specifier
        assert specifier.operator == "=="
        pins.setdefault(requirement.name, set()).add(specifier.version)
    return pins


@each_lock
def test_every_entry_has_hashes(name: str) -> None:
    assert _entries(name)
    for entry in _entries(name):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@each_lock
def test_lock_names_no_host_and_no_path(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    assert " @ " not in text


@each_deployable
def test_lock_has_all_that_its_packages_ask_for(name: str) -> None:
    pins = _pins(name)
    extras: set[str] = set()
    for folder in DEPLOYABLES[name]:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())[
            "project"
        ]
        wanted = [Requirement(line) for line in project["dependencies"]]
        for extra in extras:
            lines = project.get("optional-dependencies", {}).get(extra, [])
            wanted += [Requirement(line) for line in lines]
        for requirement in wanted:
            if requirement.name in OURS:
                extras |= requirement.extras
                continue
            versions = pins[requirement.name]
            assert any(requirement.specifier.contains(v) for v in versions), requirement


@pytest.mark.parametrize("name", ["mail", *DEPLOYABLES])
def test_lock_is_in_step_with_development(name: str) -> None:
    development = _pins("dev")
    for package, versions in _pins(name).items():
        assert versions <= development[package], package


def test_database_driver_is_pinned_by_hand() -> None:
    project = tomllib.loads((ROOT / "services/identity/pyproject.toml").read_text())
    assert "asyncmy==0.2.18" in project["project"]["dependencies"]
    assert _pins("identity")["asyncmy"] == {"0.2.18"}


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("gateway", {"cryptography", "pyjwt", "sqlalchemy", "pydantic", "bcrypt"}),
        ("content", {"sqlalchemy", "asyncmy", "pydantic", "bcrypt", "alembic"}),
    ],
)
def test_a_service_does_not_carry_what_another_needs(
    name: str, foreign: set[str]
) -> None:
    assert not foreign & set(_pins(name))
