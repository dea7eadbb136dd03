"""An authenticator of WebAuthn, which does what it should, or what a test wants."""

import json
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from soft_webauthn import SoftWebauthnDevice
from tests.support.identity import ISSUER

from service_kit.tokens import base64url

PRESENT: Final = 0x01
VERIFIED: Final = 0x04
MAY_BE_BACKED_UP: Final = 0x08
BACKED_UP: Final = 0x10
_FLAGS_AT: Final = 32
"""Where the flags stand in authenticator data: after the hash of the RP ID."""


def decoded(text: str) -> bytes:
    """Return what base64url stands for."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """Holds one passkey. ``flags`` are what it says of its user and of the key."""

    def __init__(self, flags: int = PRESENT | VERIFIED) -> None:
        self.device = SoftWebauthnDevice()
        self.flags = flags

    def create(self, options: Any, *, origin: str = ISSUER) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return what a browser brings after it had a passkey made."""
        user = {**options["user"], "id": decoded(options["user"]["id"])}
        challenge = decoded(options["challenge"])
        made = self.device.create(
            {"publicKey": {**options, "user": user, "challenge": challenge}}, origin
        )
        attestation = cbor.decode(made["response"]["attestationObject"])
        data = bytearray(attestation["authData"])
        data[_FLAGS_AT] |= self.flags
        attestation = {**attestation, "authData": bytes(data)}
        return self._credential(
            clientDataJSON=made["response"]["clientDataJSON"],
            attestationObject=cbor.encode(attestation),
        )

    def get(self, options: Any, *, origin: str = ISSUER) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return what a browser brings after it had the passkey used."""
        self.device.sign_count += 1
        client_data = json.dumps(
            {
                "type": "webauthn.get",
                "challenge": options["challenge"],
                "origin": origin,
            }
        ).encode()
        data = (
            sha256(options["rpId"].encode()).digest()
            + bytes([self.flags])
            + int(self.device.sign_count).to_bytes(4)
        )
        signed = data + sha256(client_data).digest()
        return self._credential(
            clientDataJSON=client_data,
            authenticatorData=data,
            signature=self.device.private_key.sign(signed, ECDSA(SHA256())),
            userHandle=self.device.user_handle,
        )

    def _credential(self, **response: bytes) -> dict[str, Any]:
        credential_id = base64url.encode(self.device.credential_id)
        return {
            "id": credential_id,
            "rawId": credential_id,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                name: base64url.encode(value) for name, value in response.items()
            },
        }
