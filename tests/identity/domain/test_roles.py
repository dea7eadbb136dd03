import pytest

from identity_service.domain.accounts.roles import (
    ADMIN,
    MOST_DESCRIPTION,
    USER,
    Role,
    RoleName,
    roles_at_sign_up,
)
from identity_service.domain.errors import (
    InvalidFieldsError,
    RoleNotSelfAssignableError,
    UnknownRoleError,
)

EDITOR = RoleName("editor")
EXISTING = frozenset({USER, ADMIN, EDITOR})


def at_sign_up(wanted: list[str] | None, *self_assignable: RoleName) -> set[RoleName]:
    allowed = frozenset(self_assignable)
    return set(roles_at_sign_up(wanted, existing=EXISTING, self_assignable=allowed))


def fields_at_fault(name: str, description: str) -> list[str]:
    with pytest.raises(InvalidFieldsError) as caught:
        Role.parse(name, description)
    return [each.field for each in caught.value.faults]


@pytest.mark.parametrize("wanted", [None, [], ["user"], ["user", "user"]])
def test_naming_none_gives_the_role_user(wanted: list[str] | None) -> None:
    assert at_sign_up(wanted) == {USER}


def test_p12_a_role_that_may_not_be_self_assigned_is_refused() -> None:
    with pytest.raises(RoleNotSelfAssignableError):
        at_sign_up(["user", "admin"], USER)


def test_a_role_that_may_be_self_assigned_is_given() -> None:
    assert at_sign_up(["editor"], USER, EDITOR) == {EDITOR}


@pytest.mark.parametrize("name", ["root", "Admin", "admin ", "", "ROLE_ADMIN"])
def test_an_unknown_role_is_named(name: str) -> None:
    with pytest.raises(UnknownRoleError) as caught:
        at_sign_up([name, "admin"], USER)
    assert caught.value.name == name


@pytest.mark.parametrize("name", ["e", "editor", "co-editor_2", "e" * 32])
def test_a_role_has_a_plain_name(name: str) -> None:
    assert Role.parse(name, " Edits ") == Role(RoleName(name), "Edits")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Editor",
        "2nd",
        "-e",
        "_e",
        "e" * 33,
        "e d",
        "e\n",
        "é",
        "ROLE_EDITOR",
        "e,d",
    ],
)
def test_no_role_has_another_name(name: str) -> None:
    assert fields_at_fault(name, "Edits") == ["name"]


@pytest.mark.parametrize(
    "description", ["", " ", "a\nb", "\0", "\ud800", "x" * (MOST_DESCRIPTION + 1)]
)
def test_a_description_is_one_short_line(description: str) -> None:
    assert fields_at_fault("editor", description) == ["description"]


def test_whatever_is_wrong_with_a_role_is_named_at_once() -> None:
    assert fields_at_fault("Editor", " ") == ["name", "description"]
