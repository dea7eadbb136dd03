import hmac

from tests.support.identity import random_key

from identity_service.security.keyrings import Keyring
from identity_service.security.recovery_codes import HASH_LENGTH, RecoveryCodes

USER = 7


def test_a_stored_code_names_its_pepper_and_is_known_by_any_of_the_list() -> None:
    old, new = random_key(), random_key()
    code = RecoveryCodes.make()[0]
    peppers = Keyring.parse([old])
    stored = RecoveryCodes(peppers).hash(USER, code)

    assert len(stored) == HASH_LENGTH
    assert stored.startswith(peppers.first.id)
    both = RecoveryCodes(Keyring.parse([new, old]))
    assert stored in both.hashes(USER, code.upper().replace("-", " "))
    assert stored not in both.hashes(USER + 1, code)
    assert stored not in RecoveryCodes(Keyring.parse([new])).hashes(USER, code)


def test_a_code_that_an_older_version_stored_is_known() -> None:
    peppers = Keyring.parse([random_key()])
    secret = peppers.derive("recovery-code").first.secret
    older = hmac.digest(secret, b"7/abcdefghijklmnop", "sha256").hex()

    assert older in RecoveryCodes(peppers).hashes(USER, "abcd-efgh-ijkl-mnop")
