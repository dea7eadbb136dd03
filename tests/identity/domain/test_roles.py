import pytest

from identity_service.domain.errors import RoleNotSelfAssignableError, UnknownRoleError
from identity_service.domain.roles import Role, roles_at_sign_up

ONLY_USER = frozenset({Role.USER})


@pytest.mark.parametrize("wanted", [None, [], ["user"], ["user", "user"]])
def test_naming_none_gives_the_role_user(wanted: list[str] | None) -> None:
    assert roles_at_sign_up(wanted, ONLY_USER) == ONLY_USER


def test_p12_a_role_that_may_not_be_self_assigned_is_refused() -> None:
    with pytest.raises(RoleNotSelfAssignableError):
        roles_at_sign_up(["user", "admin"], ONLY_USER)


def test_a_role_that_may_be_self_assigned_is_given() -> None:
    allowed = frozenset({Role.USER, Role.MODERATOR})

    assert roles_at_sign_up(["moderator"], allowed) == {Role.MODERATOR}


@pytest.mark.parametrize("name", ["root", "Admin", "admin ", "", "ROLE_ADMIN"])
def test_an_unknown_role_is_named(name: str) -> None:
    with pytest.raises(UnknownRoleError) as caught:
        roles_at_sign_up([name, "admin"], ONLY_USER)
    assert caught.value.name == name
