import pytest
from tests.support.identity import IdentityClient

ADDRESS = "alice@example.test"


@pytest.mark.parametrize("login", [ADDRESS, "Alice@Example.TEST", f" {ADDRESS} "])
async def test_people_sign_in_by_their_address(
    identity: IdentityClient, login: str
) -> None:
    await identity.sign_up("alice")
    answer = await identity.sign_in(login)
    assert (answer.status, answer.json["username"]) == (200, "alice")
    assert (await identity.sign_in(login, "not the password")).status == 401


async def test_nobody_takes_the_address_of_others_for_a_name(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")
    taken = await identity.sign_up(ADDRESS, email="mallory@example.test")
    assert taken.json["errors"][0]["code"] == "username_is_address"
    mallory = await identity.signed_in("mallory")
    renamed = await identity.call(
        "PATCH",
        "/api/users/me",
        mallory["accessToken"],
        json={"username": ADDRESS},
    )
    assert renamed.json["errors"][0]["code"] == "username_is_address"
    assert (await identity.sign_in(ADDRESS)).json["username"] == "alice"


async def test_ones_own_address_is_a_good_name(identity: IdentityClient) -> None:
    assert (await identity.sign_up(ADDRESS, email=ADDRESS)).status == 200
    assert (await identity.sign_in(ADDRESS)).status == 200


async def test_a_name_that_is_no_address_may_have_an_at_sign(
    identity: IdentityClient,
) -> None:
    assert (await identity.sign_up("a@b", email=ADDRESS)).status == 200
    assert (await identity.sign_in("a@b")).status == 200


async def test_name_that_looks_like_an_address_stands_behind_it(
    identity: IdentityClient,
) -> None:
    look_alike = "\N{CYRILLIC SMALL LETTER A}lice@example.test"
    mallory = await identity.sign_up(look_alike, email=look_alike)
    assert mallory.status == 200
    await identity.sign_up("alice")

    assert (await identity.sign_in(ADDRESS)).json["username"] == "alice"
    assert (await identity.sign_in(look_alike)).json["username"] == look_alike
