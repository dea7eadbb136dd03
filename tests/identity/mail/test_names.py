"""What mails call whoever they are for: strangers choose names."""

from typing import Any, Final

from tests.support.factors import TOTP, code_at
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
)
from tests.support.mail_server import MailServer

VICTIM: Final = "victim@example.test"
STRANGERS_NAME: Final = "You have won: call 555 0100"


async def signed_in(identity: IdentityClient, password: str = PASSWORD) -> Any:  # noqa: ANN401 - parsed JSON
    answer = await identity.sign_in(STRANGERS_NAME, password)
    assert answer.status == 200, answer.text
    return answer.json


async def ask_for_reset(identity: IdentityClient) -> Answer:
    body = {"email": VICTIM}
    return await identity.send("POST", "/api/auth/password-reset", json=body)


async def test_no_mail_to_an_unconfirmed_address_has_a_strangers_words(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    await identity.sign_up(STRANGERS_NAME, email=VICTIM)
    token = (await signed_in(identity))["accessToken"]
    await ask_for_reset(identity)
    mails = [await mail_server.next_to(VICTIM)]
    begun = await identity.call("POST", TOTP, token)
    body = {"code": code_at(begun.json["secret"], clock())}
    await identity.call("POST", f"{TOTP}/confirm", token, json=body)
    await identity.call("DELETE", TOTP, token)
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    await identity.call("POST", "/api/users/me/password", token, json=body)
    body = {"email": "elsewhere@example.test"}
    await identity.call("PATCH", "/api/users/me", token, json=body)
    await identity.call("PATCH", "/api/users/me", token, json={"email": VICTIM})
    await identity.call("DELETE", "/api/users/me", token)
    mails += [await mail_server.next_to(VICTIM) for _ in range(5)]

    assert sorted(mail.subject for mail in mails) == [
        "An authenticator app was added to your account",
        "Choose a new password",
        "Your account will be deleted",
        "Your authenticator app was removed",
        "Your e-mail address was changed",
        "Your password was changed",
    ]
    for mail in mails:
        assert STRANGERS_NAME not in mail.text + mail.html
        assert f"Hello {VICTIM},\n" in mail.text


async def test_whoever_confirmed_an_address_is_called_by_name(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice", email=VICTIM)
    await ask_for_reset(identity)
    body = {
        "token": (await mail_server.next_to(VICTIM)).token,
        "password": OTHER_PASSWORD,
    }
    await identity.send("POST", "/api/auth/password-reset/confirm", json=body)
    await mail_server.next_to(VICTIM)

    await ask_for_reset(identity)

    assert "Hello alice,\n" in (await mail_server.next_to(VICTIM)).text
