import pytest
from tests.support.identity import ISSUER, IdentityClient
from tests.support.tokens import claims_of

DOCUMENTS = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
]


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_k5_issuer_is_exactly_that_of_the_tokens_and_all_is_under_it(
    identity: IdentityClient, path: str
) -> None:
    pair = await identity.signed_in("alice")
    answer = await identity.send("GET", path)

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json
    assert document["issuer"] == ISSUER == claims_of(pair["accessToken"])["iss"]
    assert document["response_types_supported"]
    for name, path_of in {
        "jwks_uri": "/.well-known/jwks.json",
        "introspection_endpoint": "/oauth2/introspect",
        "revocation_endpoint": "/oauth2/revoke",
        "status_list_aggregation_endpoint": "/api/auth/statuslists",
    }.items():
        assert document[name] == f"{ISSUER}{path_of}"
        assert (await identity.send("GET", path_of)).status in {200, 405}
    assert [] not in document.values()
    # Left out, it would say authorization_code and implicit (RFC 8414 section 2).
    assert document["grant_types_supported"] == ["refresh_token"]


@pytest.mark.parametrize("path", [f"{path}/" for path in DOCUMENTS])
async def test_k5_a_slash_at_the_end_is_another_address(
    identity: IdentityClient, path: str
) -> None:
    assert (await identity.send("GET", path)).status == 404
