import base64

import pytest

from identity_service.security.keyrings import (
    Keyring,
    KeyringError,
    SealBrokenError,
    Sealer,
)

OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def test_keys_are_named_by_their_digest_and_kept_in_order() -> None:
    keys = Keyring.parse([NEW, OLD.rstrip("=")])

    # The first 8 hex digits that `sha256sum` prints for 32 bytes of 2, and of 1.
    assert [key.id for key in keys] == ["75877bb4", "72cd6e84"]
    assert keys.first.secret == b"\2" * 32


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param([], id="none"),
        pytest.param([""], id="empty"),
        pytest.param(["A" * 42], id="31 bytes"),
        pytest.param(["A" * 44], id="33 bytes"),
        pytest.param(["A" * 41], id="impossible length"),
        pytest.param(["ä" * 43], id="not ASCII"),
        pytest.param(["+/" + "A" * 41], id="base64, not base64url"),
        pytest.param([f"{OLD} {NEW}"], id="two in one"),
        pytest.param([OLD, OLD], id="listed twice"),
        pytest.param([OLD, OLD.rstrip("=")], id="listed twice, differently"),
    ],
)
def test_bad_list_of_keys_is_refused_without_quoting_it(listed: list[str]) -> None:
    with pytest.raises(KeyringError) as error:
        Keyring.parse(listed)

    assert all(key[:8] not in str(error.value) for key in listed if key)
    assert error.value.__cause__ is None


def test_k8_no_key_shows_in_a_representation() -> None:
    keys = Keyring.parse([OLD])

    assert "\\x01" not in repr(keys.first)
    assert OLD not in f"{keys!r} {keys.first!r} {list(keys)!r}"


def test_keys_of_one_purpose_are_of_no_use_for_another() -> None:
    keys = Keyring.parse([OLD])

    seal, refresh = keys.derive("seal").first, keys.derive("refresh-token").first

    assert len({keys.first.secret, seal.secret, refresh.secret}) == 3
    assert keys.first.id == seal.id == refresh.id
    assert keys.derive("seal").first == seal


def test_k8_sealed_secret_opens_where_it_belongs() -> None:
    sealer = Sealer(Keyring.parse([OLD]))
    sealed = sealer.seal(b"private", b"signing_keys/kid-1")

    assert b"private" not in sealed
    assert sealer.open(sealed, b"signing_keys/kid-1") == b"private"
    assert sealer.seal(b"private", b"signing_keys/kid-1") != sealed


@pytest.mark.parametrize("place", [0, 3, 4, 15, 16, 20, -1], ids="byte {}".format)
def test_k8_a_changed_byte_breaks_the_seal(place: int) -> None:
    sealer = Sealer(Keyring.parse([OLD]))
    sealed = bytearray(sealer.seal(b"private", b"row 1"))
    sealed[place] ^= 1

    with pytest.raises(SealBrokenError):
        sealer.open(bytes(sealed), b"row 1")


@pytest.mark.parametrize("length", [0, 3, 15, 16, 31])
def test_truncated_seal_is_broken(length: int) -> None:
    sealer = Sealer(Keyring.parse([OLD]))

    with pytest.raises(SealBrokenError):
        sealer.open(sealer.seal(b"private", b"row 1")[:length], b"row 1")


def test_k8_moved_to_another_row_it_does_not_open() -> None:
    sealer = Sealer(Keyring.parse([OLD]))

    with pytest.raises(SealBrokenError):
        sealer.open(sealer.seal(b"private", b"row 1"), b"row 2")


def test_k8_keys_are_exchanged_by_listing_sealing_again_and_dropping() -> None:
    before = Sealer(Keyring.parse([OLD]))
    both = Sealer(Keyring.parse([NEW, OLD]))
    after = Sealer(Keyring.parse([NEW]))
    sealed = before.seal(b"private", b"row 1")

    resealed = both.reseal(sealed, b"row 1")

    assert resealed is not None
    assert both.open(sealed, b"row 1") == b"private"
    assert after.open(resealed, b"row 1") == b"private"
    assert both.reseal(resealed, b"row 1") is None
    with pytest.raises(SealBrokenError):
        after.open(sealed, b"row 1")
