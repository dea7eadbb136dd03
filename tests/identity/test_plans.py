"""A file of roles, clients and settings: what differs, and what is done about it."""

import os
from argparse import Namespace
from pathlib import Path

import pytest
from tests.support.identity import identity_settings
from tests.support.operator import Operator

from identity_service import commands
from identity_service.composition import Services
from identity_service.domain.accounts.roles import Role
from identity_service.domain.errors import RoleNotFoundError
from identity_service.plans import CLIENTS, PlanFileError, read_wanted
from identity_service.settings import Settings

DIGEST = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
ROLES = """
[roles]
user = "Everybody"
moderator = "May moderate"
admin = "May administer"
editor = "May edit"
"""
ONLY_EDITOR = "remove_other_roles = true\n[roles]\neditor = 'May edit'\n"


class Identity:
    """The commands of one identity, in this process."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings = settings
        self.file = file

    def write(self, text: str) -> None:
        self.file.write_text(text)

    async def run(self, command: str) -> tuple[int, list[str]]:
        said: list[str] = []
        run = {"plan": commands.plan_file, "apply": commands.apply_file}[command]
        code = await run(self.settings, Namespace(file=self.file), said.append)
        return code, said

    async def roles(self) -> dict[str, str]:
        async with Services(self.settings) as services:
            return {each.name: each.description for each in await services.roles.all()}


@pytest.fixture
def identity(database_url: str, tmp_path: Path) -> Identity:
    identity = Identity(identity_settings(database_url), tmp_path / "identity.toml")
    identity.write(ROLES)
    return identity


async def test_roles_are_brought_to_the_file_once(identity: Identity) -> None:
    planned = await identity.run("plan")
    before = await identity.roles()
    applied = await identity.run("apply")
    again = await identity.run("apply")
    after = await identity.run("plan")

    assert "editor" not in before
    assert planned[0] == 1
    assert "+ role editor: May edit" in planned[1]
    assert f"~ role user: {before['user']} -> Everybody" in planned[1]
    assert applied == (0, planned[1])
    assert again == after == (0, ["nothing differs"])
    assert (await identity.roles())["user"] == "Everybody"


async def test_other_roles_go_only_if_the_file_says_so_and_never_those_needed(
    identity: Identity,
) -> None:
    await identity.run("apply")
    kept = await identity.roles()
    removed = await _write_and_apply(identity, ONLY_EDITOR)

    assert set(kept) == {"user", "moderator", "admin", "editor"}
    assert removed == (0, ["- role moderator"])
    assert set(await identity.roles()) == {"user", "admin", "editor"}


async def _write_and_apply(identity: Identity, text: str) -> tuple[int, list[str]]:
    identity.write(text)
    return await identity.run("apply")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {},
            [
                "! client reports: to be added in IDENTITY_INTROSPECTION_CLIENTS",
                "! setting IDENTITY_AUDIENCE: content -> billing",
                "! setting IDENTITY_SELF_ASSIGNABLE_ROLES: user -> user,moderator",
                "3 left: change the environment of identity and restart it",
            ],
        ),
        (
            {
                "IDENTITY_AUDIENCE": "billing",
                "IDENTITY_INTROSPECTION_CLIENTS": f"reports:{DIGEST}",
                "IDENTITY_SELF_ASSIGNABLE_ROLES": "moderator,user",
            },
            ["nothing differs"],
        ),
        (
            {
                "IDENTITY_AUDIENCE": "billing",
                "IDENTITY_INTROSPECTION_CLIENTS": f"old:{DIGEST},reports:{'0' * 64}",
                "IDENTITY_SELF_ASSIGNABLE_ROLES": "moderator,user",
            },
            [
                "! client old: to be removed in IDENTITY_INTROSPECTION_CLIENTS",
                f"! client reports: to get another digest in {CLIENTS}",
                "2 left: change the environment of identity and restart it",
            ],
        ),
    ],
    ids=["other", "alike", "other clients"],
)
async def test_settings_and_clients_are_compared_and_left_to_the_deployment(
    identity: Identity,
    environ: dict[str, str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name.startswith("IDENTITY_"):
            monkeypatch.delenv(name)
    identity.settings = identity_settings(identity.settings.database_url, **environ)
    identity.write(
        f"[clients]\nreports = '{DIGEST}'\n"
        "[settings]\nIDENTITY_AUDIENCE = 'billing'\nIDENTITY_THROTTLE = false\n"
        "IDENTITY_SELF_ASSIGNABLE_ROLES = ['user', 'moderator']\n"
    )

    code, said = await identity.run("apply")

    assert said == expected
    assert code == (0 if said == ["nothing differs"] else 1)


FAULTS = [
    ("[roles", "Expected"),
    (f"rules = {'[' * 5_000}", "toml: has values nested too deeply$"),
    (f"rules = {'9' * 5_000}", "Exceeds the limit"),
    ("rules = 1", "rules is no key"),
    ("roles = 1", "roles is no table"),
    ("[roles]\nBoss = 'x'", "roles.Boss: "),
    ("[roles]\neditor = 3", "roles.editor: its description is no text"),
    ("remove_other_roles = 'yes'", "remove_other_roles is neither"),
    ("[clients]\nreports = 'x'", "clients has no client-id:SHA-256"),
    ("[settings]\nIDENTITY_X = 1", "settings.IDENTITY_X is no setting"),
    ("[settings]\nIDENTITY_DATABASE_URL = 'x'", "is a secret"),
    ("[settings]\nIDENTITY_PORT = 'x'", "settings.IDENTITY_PORT "),
]


@pytest.mark.parametrize(("content", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "identity.toml"
    file.write_text(content)

    with pytest.raises(PlanFileError, match=said):
        read_wanted(file)


async def test_an_unusable_file_ends_the_command_with_2(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite")

    ended = await operator.run("plan", str(tmp_path / "absent.toml"))

    assert (ended.code, ended.out) == (2, "")
    assert "absent.toml" in ended.err


async def test_a_role_is_described_again_even_with_the_same_words(
    database_url: str,
) -> None:
    async with Services(identity_settings(database_url)) as services:
        role = Role.parse("moderator", "May moderate")
        for _ in range(2):
            await services.roles.describe(role)
        assert role in await services.roles.all()
        with pytest.raises(RoleNotFoundError):
            await services.roles.describe(Role.parse("nobody", "Is not there"))
