import hashlib

import pytest

from identity_service.security.client_secrets import ClientSecrets

DIGEST = hashlib.sha256(b"secret").hexdigest()


def test_k6_client_is_known_by_its_own_secret_alone() -> None:
    clients = ClientSecrets.parse([f"one:{DIGEST}", f"other:{'0' * 64}"])

    assert clients.match("one", "secret")
    assert not clients.match("one", "Secret")
    assert not clients.match("other", "secret")
    assert not clients.match("nobody", "secret")
    assert not clients.match("one", "\ud800")


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(["one"], id="no digest"),
        pytest.param([f":{DIGEST}"], id="no name"),
        pytest.param([f"one:{DIGEST[:-1]}"], id="short digest"),
        pytest.param([f"one:{DIGEST.upper()}"], id="upper case"),
        pytest.param(["one:secret"], id="the secret itself"),
        pytest.param([f"a b:{DIGEST}"], id="space"),
        pytest.param([f"one:{DIGEST}", f"one:{DIGEST}"], id="twice"),
    ],
)
def test_k6_malformed_clients_are_refused_without_being_quoted(
    entries: list[str],
) -> None:
    with pytest.raises(ValueError, match="entry") as refusal:
        ClientSecrets.parse(entries)
    assert "secret" not in str(refusal.value).replace("client-id", "")
