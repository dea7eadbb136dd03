"""Rotation every few seconds, seen by a verifier that obeys the cache headers.

Through processes, for minutes: `tests/faults/test_rotation.py`.
"""

from tests.support.identity import identity_settings, running_identity
from tests.support.rotation import rotate_under_load


async def test_k4_no_token_is_refused_while_keys_rotate(
    database_url: str,
) -> None:
    settings = identity_settings(
        database_url,
        IDENTITY_ACCESS_TOKEN_LIFETIME="5",
        IDENTITY_JWKS_MAX_AGE="1",
        IDENTITY_SIGNING_KEY_PREPUBLICATION="5",
        IDENTITY_SIGNING_KEY_LIFETIME="3",
    )
    async with running_identity(settings) as one, running_identity(settings) as other:
        outcome = await rotate_under_load([one, other], 12, kids=3, token_lifetime=5)
    assert len(outcome.kids) >= 3
    assert outcome.judged > len(outcome.tokens) > 50
    assert outcome.fetches < outcome.judged / 3, "the JWKS was not kept"
