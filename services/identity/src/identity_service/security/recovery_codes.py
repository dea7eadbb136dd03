"""Recovery codes: made, and hashed under a pepper.

A code has 80 random bits, so that no slow hash is needed. The pepper makes a stolen
table useless all the same. Stored form: the pepper's id, HMAC-SHA-256 in base64url; in
rows of older versions the HMAC alone, in hex, which does not say whose it is.
"""

import hmac
import re
import secrets
from typing import Final

from identity_service.domain.factors import RECOVERY_CODES
from identity_service.security.keyrings import KEY_ID_LENGTH, Keyring, SecretKey
from service_kit.tokens import base64url

HASH_LENGTH: Final = KEY_ID_LENGTH + 43
"""Characters of a stored code that says which pepper it needs."""

_LENGTH: Final = 16
"""Characters, of 5 bits each."""

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_CODE: Final = re.compile(rf"[{_ALPHABET}]{{{_LENGTH}}}", re.ASCII)
_BLANKS: Final = re.compile(r"[\s-]+")


class RecoveryCodes:
    """Makes recovery codes, and hashes them."""

    def __init__(self, peppers: Keyring) -> None:
        self._keys = peppers.derive("recovery-code")

    @staticmethod
    def make() -> list[str]:
        """Return a user's new codes, as they are shown: ``abcd-efgh-ijkl-mnop``."""
        return [_make_one() for _ in range(RECOVERY_CODES)]

    def hash(self, user_id: int, code: str) -> str:
        """Return the form to store of a code that was made here."""
        return _forms(self._keys.first, user_id, _bare(code))[0]

    def hashes(self, user_id: int, untrusted_code: str) -> list[str]:
        """Return the forms in which a code may be stored; none of what is no code."""
        code = _bare(untrusted_code)
        if not _CODE.fullmatch(code):
            return []
        return [form for key in self._keys for form in _forms(key, user_id, code)]


def _make_one() -> str:
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(code[start : start + 4] for start in range(0, _LENGTH, 4))


def _bare(code: str) -> str:
    return _BLANKS.sub("", code).lower()


def _forms(key: SecretKey, user_id: int, code: str) -> tuple[str, str]:
    """Return the stored form under a pepper, and that of older versions."""
    mac = hmac.digest(key.secret, f"{user_id}/{code}".encode(), "sha256")
    return key.id + base64url.encode(mac), mac.hex()
