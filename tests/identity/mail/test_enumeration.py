"""Nobody learns from what mails are asked for who has an account."""

from typing import Final

import pytest
from tests.support.identity import IdentityClient, identity_settings, running_identity
from tests.support.mail_server import MailServer
from tests.support.timing import assert_alike

TRIES: Final = 100


@pytest.mark.quiet
@pytest.mark.timeout(400)
async def test_asking_for_a_reset_takes_the_same_time(
    database_url: str, mail_server: MailServer
) -> None:
    settings = identity_settings(database_url, IDENTITY_MAIL_URL=mail_server.url)
    async with running_identity(settings) as identity:
        await identity.sign_up("alice")
        await assert_alike(
            {
                "known": lambda: asking(identity, "alice@example.test"),
                "unknown": lambda: asking(identity, "nobody@example.test"),
            },
            tries=TRIES,
        )


async def asking(identity: IdentityClient, email: str) -> None:
    answer = await identity.send(
        "POST", "/api/auth/password-reset", json={"email": email}
    )
    assert answer.status == 202
