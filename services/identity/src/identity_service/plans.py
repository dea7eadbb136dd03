"""Compare roles, clients and settings with a file, and bring the roles to it.

Roles live in the database and are changed. Clients and settings live in the environment
of the processes, and are not: the plan says what differs, for the deployment.
"""

import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

from identity_service.domain.accounts.roles import Role, RoleName
from identity_service.domain.errors import InvalidFieldsError, UnusableFileError
from identity_service.security.client_secrets import ClientSecrets
from identity_service.settings import Settings
from identity_service.usecases.roles import Roles
from service_kit.files import PIPE_SECONDS, read_file
from service_kit.settings import SettingSpec, specs

CLIENTS: Final = "IDENTITY_INTROSPECTION_CLIENTS"

_TABLES: Final = ("roles", "clients", "settings")
_KEYS: Final = frozenset({*_TABLES, "remove_other_roles"})


class PlanFileError(UnusableFileError):
    """The file cannot be used; its text has a line for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file says there should be."""

    roles: list[Role]
    removes_other_roles: bool
    clients: ClientSecrets | None
    """None if the file does not speak of them."""
    settings: dict[str, str] = field(default_factory=dict)
    """Text by variable, as the environment would have it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One difference."""

    text: str
    work: Callable[[], Awaitable[None]] | None = None
    """Settles it; None if only a deployment can."""


def read_wanted(path: Path) -> Wanted:
    """Return what a TOML file says, or raise `PlanFileError`."""
    try:
        text = read_file(path, pipe_seconds=PIPE_SECONDS)
        content = tomllib.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise PlanFileError([f"{path}: is not UTF-8"]) from None
    except OSError as error:
        raise PlanFileError([f"{path}: {error.strerror}"]) from None
    except ValueError as error:  # no TOML, or a number that is too long
        raise PlanFileError([f"{path}: {error}"]) from None
    except RecursionError:
        raise PlanFileError([f"{path}: has values nested too deeply"]) from None
    faults = [f"{each} is no key" for each in content.keys() - _KEYS]
    tables = {name: _table(content, name, faults) for name in _TABLES}
    roles = [*_roles(tables["roles"], faults)]
    clients = _clients(tables["clients"], faults) if "clients" in content else None
    settings = dict(_settings(tables["settings"], faults))
    removes = content.get("remove_other_roles", False)
    if not isinstance(removes, bool):
        faults.append("remove_other_roles is neither true nor false")
    if faults:
        raise PlanFileError([f"{path}: {each}" for each in sorted(faults)])
    return Wanted(roles, removes, clients, settings)


def _table(content: Mapping[str, Any], name: str, faults: list[str]) -> dict[str, Any]:
    table = content.get(name, {})
    if isinstance(table, dict):
        return table
    faults.append(f"{name} is no table")
    return {}


def _roles(table: Mapping[str, Any], faults: list[str]) -> Iterator[Role]:
    for name, description in table.items():
        try:
            if not isinstance(description, str):
                faults.append(f"roles.{name}: its description is no text")
                continue
            yield Role.parse(name, description)
        except InvalidFieldsError as error:
            faults += [f"roles.{name}: {each}" for each in error.faults]


def _clients(table: Mapping[str, Any], faults: list[str]) -> ClientSecrets | None:
    try:
        return ClientSecrets.parse(f"{name}:{each}" for name, each in table.items())
    except ValueError as error:
        faults.append(f"clients {error}")
        return None


def _settings(table: Mapping[str, Any], faults: list[str]) -> Iterator[tuple[str, str]]:
    known = {spec.name: spec for spec in specs(Settings)}
    for name, value in table.items():
        spec = known.get(name)
        if spec is None:
            faults.append(f"settings.{name} is no setting of identity")
        elif spec.secret:
            faults.append(f"settings.{name} is a secret, which belongs in no such file")
        elif fault := _fault(spec, _text(value)):
            faults.append(f"settings.{name} {fault}")
        else:
            yield name, _text(value)


def _fault(spec: SettingSpec, text: str) -> str | None:
    try:
        spec.parse(text)
    except ValueError as error:
        return str(error)
    return None


def _text(value: object) -> str:
    """Return a value of TOML as the environment spells it."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ",".join(map(str, value))
        case _:
            return str(value)


async def plan(
    wanted: Wanted, roles: Roles, settings: Settings, environ: Mapping[str, str]
) -> list[Step]:
    """Return how what is there differs from what is wanted."""
    present = {role.name: role for role in await roles.all()}
    return [
        *_role_steps(wanted, present, roles),
        *_client_steps(wanted, settings),
        *_setting_steps(wanted, settings, environ),
    ]


def _role_steps(
    wanted: Wanted, present: Mapping[RoleName, Role], roles: Roles
) -> Iterator[Step]:
    for role in wanted.roles:
        now = present.get(role.name)
        if now is None:
            text = f"+ role {role.name}: {role.description}"
            yield Step(text, partial(roles.add, role))
        elif now.description != role.description:
            text = f"~ role {role.name}: {now.description} -> {role.description}"
            yield Step(text, partial(roles.describe, role))
    others = present.keys() - {role.name for role in wanted.roles} - roles.needed
    if wanted.removes_other_roles:
        for name in sorted(others):
            yield Step(f"- role {name}", partial(roles.remove, name))


def _client_steps(wanted: Wanted, settings: Settings) -> Iterator[Step]:
    if wanted.clients is not None:
        for sign, name in settings.introspection_clients.changes(wanted.clients):
            yield Step(f"! client {name}: {sign} in {CLIENTS}")


def _setting_steps(
    wanted: Wanted, settings: Settings, environ: Mapping[str, str]
) -> Iterator[Step]:
    names = {
        spec.name: (spec, each.name)
        for spec, each in zip(specs(Settings), fields(Settings), strict=True)
    }
    for name, text in wanted.settings.items():
        spec, attribute = names[name]
        if spec.parse(text) != getattr(settings, attribute):
            now = environ.get(name) or spec.default or "not set"
            yield Step(f"! setting {name}: {now} -> {text}")
