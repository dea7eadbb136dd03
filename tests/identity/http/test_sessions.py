from tests.support.identity import IdentityClient


async def test_walk(identity: IdentityClient) -> None:
    pair = await identity.signed_in("alice")
    assert await identity.is_accepted(pair["accessToken"])
    answer = await identity.refresh(pair["refreshToken"])
    assert answer.status == 200, answer.text
