import pytest
from tests.support.identity import Answer, IdentityClient

REVOKE = "/oauth2/revoke"


async def revoke(identity: IdentityClient, token: str, **form: str) -> Answer:
    answer = await identity.send("POST", REVOKE, data={"token": token, **form})
    assert answer.headers["Cache-Control"] == "no-store"
    return answer


@pytest.mark.parametrize("kind", ["accessToken", "refreshToken"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token"])
async def test_k7_revoking_either_token_ends_the_session_of_both(
    identity: IdentityClient, kind: str, hint: str | None
) -> None:
    pair = await identity.signed_in("alice")
    other = (await identity.sign_in("alice")).json
    form = {} if hint is None else {"token_type_hint": hint}

    assert (await revoke(identity, pair[kind], **form)).status == 200

    assert not await identity.is_accepted(pair["accessToken"])
    assert (await identity.refresh(pair["refreshToken"])).status == 403
    assert await identity.is_accepted(other["accessToken"])


async def test_k7_revoking_again_or_something_unknown_changes_nothing(
    identity: IdentityClient,
) -> None:
    pair = await identity.signed_in("alice")
    for token in (pair["refreshToken"], pair["refreshToken"], "x", "a.b.c", "A" * 72):
        assert (await revoke(identity, token)).status == 200


async def test_k7_spent_refresh_token_revokes_too(identity: IdentityClient) -> None:
    pair = await identity.signed_in("alice")
    successor = (await identity.refresh(pair["refreshToken"])).json

    await revoke(identity, pair["refreshToken"])

    assert not await identity.is_accepted(successor["accessToken"])
    assert (await identity.refresh(successor["refreshToken"])).status == 403


async def test_k7_unsupported_token_type(identity: IdentityClient) -> None:
    pair = await identity.signed_in("alice")
    answer = await revoke(identity, pair["accessToken"], token_type_hint="id_token")

    assert answer.status == 400
    assert answer.json["error"] == "unsupported_token_type"
    assert await identity.is_accepted(pair["accessToken"])


@pytest.mark.parametrize("body", ["", "token=", "token=a&token=b"])
async def test_k7_ambiguous_requests_are_refused(
    identity: IdentityClient, body: str
) -> None:
    answer = await identity.send(
        "POST",
        REVOKE,
        data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 400
    assert answer.json["error"] == "invalid_request"


async def test_k7_only_a_posted_form_is_taken(identity: IdentityClient) -> None:
    assert (await identity.send("GET", REVOKE)).status == 405
    assert (await identity.send("POST", REVOKE, json={"token": "x"})).status == 415
