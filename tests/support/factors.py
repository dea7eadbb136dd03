"""Second factors of tests' users, enrolled as people do it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyotp
from tests.support.authenticators import Authenticator
from tests.support.identity import Answer, IdentityClient, MovableClock

STEP: Final = timedelta(seconds=30)
TOTP: Final = "/api/users/me/totp"
PASSKEYS: Final = "/api/users/me/passkeys"
SECOND: Final = "/api/auth/signin/second-factor"


def code_at(secret: str, at: datetime) -> str:
    """Return what an authenticator app shows then."""
    return pyotp.TOTP(secret).at(at)


@dataclass(frozen=True)
class TotpUser:
    """A user with an authenticator app."""

    name: str
    secret: str
    recovery_codes: list[str]
    first_code: str
    """The one that confirmed the app."""

    def next_code(self, clock: MovableClock) -> str:
        """Return a code that was not used: time goes on until there is one."""
        clock.advance(STEP)
        return code_at(self.secret, clock())


async def enrolled(
    identity: IdentityClient, clock: MovableClock, name: str = "alice"
) -> TotpUser:
    """Sign somebody up who then enrols an authenticator app."""
    token = (await identity.signed_in(name))["accessToken"]
    begun = await identity.call("POST", TOTP, token)
    assert begun.status == 200, begun.text
    secret = begun.json["secret"]
    code = code_at(secret, clock())
    confirmed = await identity.call(
        "POST", f"{TOTP}/confirm", token, json={"code": code}
    )
    assert confirmed.status == 200, confirmed.text
    return TotpUser(name, secret, confirmed.json["recoveryCodes"], code)


async def challenge_of(
    identity: IdentityClient,
    name: str,
    **options: Any,  # noqa: ANN401
) -> str:
    """Do the first step of a sign-in, and return the challenge."""
    answer = await identity.sign_in(name, **options)
    assert answer.json["code"] == "second_factor_required", answer.text
    return str(answer.json["challenge"])


async def second_step(
    identity: IdentityClient, challenge: str, **proof: object
) -> Answer:
    """Do the second step of a sign-in."""
    return await identity.send("POST", SECOND, json={"challenge": challenge, **proof})


async def use_options(identity: IdentityClient) -> Any:  # noqa: ANN401 - parsed JSON
    """Return what a browser has a passkey sign."""
    answer = await identity.send("POST", "/api/auth/passkeys/options")
    assert answer.status == 200, answer.text
    return answer.json


async def registered(
    identity: IdentityClient,
    token: str,
    device: Authenticator,
    name: str = "Phone",
) -> Answer:
    """Register a passkey for whoever the token speaks for."""
    options = await identity.call("POST", f"{PASSKEYS}/options", token)
    assert options.status == 200, options.text
    body = {"name": name, "credential": device.create(options.json)}
    return await identity.call("POST", PASSKEYS, token, json=body)
