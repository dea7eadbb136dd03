"""Without a mail server, what needs one says so."""

from tests.support.identity import IdentityClient, identity_settings, running_identity


async def test_what_needs_mail_is_not_offered(database_url: str) -> None:
    async with running_identity(identity_settings(database_url)) as identity:
        await identity.sign_up("alice")
        for email in ("alice@example.test", "nobody@example.test"):
            answer = await identity.send(
                "POST", "/api/auth/password-reset", json={"email": email}
            )
            assert (answer.status, answer.json["code"]) == (404, "not_offered")
        await only_the_operator_resets(identity)


async def only_the_operator_resets(identity: IdentityClient) -> None:
    answer = await identity.send(
        "POST",
        "/api/auth/password-reset/confirm",
        json={"token": "A" * 64, "password": "another long enough phrase"},
    )
    assert (answer.status, answer.json["code"]) == (400, "token_refused")
