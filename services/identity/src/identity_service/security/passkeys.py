"""Ceremonies of WebAuthn: what browsers are asked for, and what they bring back.

The rules of the standard (W3C Web Authentication, sections 7.1 and 7.2) are the
`webauthn` package's. Ours are the challenges, and the backup flags.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, parse_attestation_object
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from identity_service.domain.accounts.users import User
from identity_service.domain.factors import CHALLENGE_LIFETIME, Passkey
from identity_service.domain.sessions.sessions import Caller
from identity_service.security.challenges import Challenge, Challenges, Purpose
from service_kit.tokens import base64url

T = TypeVar("T")

LONGEST_CREDENTIAL_ID: Final = 1023
"""Bytes (WebAuthn section 4)."""

_TIMEOUT: Final = int(CHALLENGE_LIFETIME.total_seconds() * 1000)
"""Milliseconds."""

LONGEST_PUBLIC_KEY: Final = 1024
"""Bytes: an RSA key of 4096 bits has about 530, and greater ones cost time."""

_LONGEST_MEMBER: Final = 6_000
"""Characters of base64url in a response. Browsers send 4,200 at most, where id and key
have their greatest length. A number of CBOR that fills a body takes seconds to read."""

_LONGEST_REASON: Final = 200
"""Characters in a log: what a stranger sent may be quoted in it."""

_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
"""Those that the standard names for every relying party (WebAuthn section 5.4)."""

_FORMATS: Final = frozenset({AttestationFormat.NONE, AttestationFormat.PACKED})
"""What browsers send where no attestation is asked for: none, or the key's own."""


class CeremonyRefusedError(Exception):
    """What the browser brought is not to be trusted. The text is for logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """Whom passkeys are for."""

    id: str
    """The host that they belong to, or a parent of it."""
    origins: tuple[str, ...]
    """Where pages may use them."""

    def has_pages_at(self, origin: str) -> bool:
        """Return whether browsers let pages of an origin use its passkeys."""
        host = urlsplit(origin).hostname or ""
        return host == self.id or host.endswith(f".{self.id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A passkey that has been made, and is to be added."""

    passkey: Passkey
    is_user_verified: bool
    challenge: Challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyUse:
    """A passkey that was used."""

    passkey: Passkey
    sign_count: int
    is_backed_up: bool
    is_user_verified: bool
    """Whether the device asked for a PIN, a finger or a face."""
    challenge: Challenge


class PasskeyCeremonies:
    """Begins and judges ceremonies."""

    def __init__(self, party: RelyingParty, challenges: Challenges) -> None:
        self._party = party
        self._challenges = challenges

    def registration_options(
        self, user: User, subject: str, session_id: str, present: Sequence[Passkey]
    ) -> dict[str, Any]:
        """Return what ``navigator.credentials.create`` takes; binary in base64url.

        Only the session that requests them can register the result.
        """
        options = webauthn.generate_registration_options(
            rp_id=self._party.id,
            rp_name=self._party.id,
            user_id=subject.encode(),
            user_name=user.username,
            challenge=self._challenges.make(
                Purpose.PASSKEY_REGISTRATION, session_id.encode()
            ),
            timeout=_TIMEOUT,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
            supported_pub_key_algs=_ALGORITHMS,
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=each.credential_id) for each in present
            ],
        )
        return _members(webauthn.options_to_json(options))

    def use_options(self) -> dict[str, Any]:
        """Return the options for ``navigator.credentials.get``, for any user.

        No credential is named: the device offers those that it has for us.
        """
        options = webauthn.generate_authentication_options(
            rp_id=self._party.id,
            challenge=self._challenges.make(Purpose.PASSKEY_USE),
            timeout=_TIMEOUT,
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        return _members(webauthn.options_to_json(options))

    def judge_registration(
        self, untrusted: Mapping[str, Any], caller: Caller, name: str, now: datetime
    ) -> Registration:
        """Return the passkey that a caller registers in their session.

        Raises `CeremonyRefusedError`.
        """
        encoded, challenge = self._challenge(untrusted, Purpose.PASSKEY_REGISTRATION)
        if challenge.body != caller.session_id.encode():
            raise CeremonyRefusedError("the challenge is another session's")
        _checked(lambda: _require_no_attestation(untrusted))
        verified = _checked(
            lambda: webauthn.verify_registration_response(
                credential=dict(untrusted),
                expected_challenge=encoded,
                expected_rp_id=self._party.id,
                expected_origin=list(self._party.origins),
                supported_pub_key_algs=_ALGORITHMS,
            )
        )
        if (
            len(verified.credential_id) > LONGEST_CREDENTIAL_ID
            or len(verified.credential_public_key) > LONGEST_PUBLIC_KEY
        ):
            raise CeremonyRefusedError("the credential is too long")
        passkey = Passkey(
            id=_passkey_id(verified.credential_id),
            user_id=caller.user_id,
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            may_be_backed_up=_may_be_backed_up(verified.credential_device_type),
            is_backed_up=verified.credential_backed_up,
            name=name,
            created_at=now,
            last_used_at=None,
        )
        return Registration(
            passkey=passkey,
            is_user_verified=verified.user_verified,
            challenge=challenge,
        )

    def judge_use(self, untrusted: Mapping[str, Any], passkey: Passkey) -> PasskeyUse:
        """Return the use that was made of a passkey.

        Raises `CeremonyRefusedError`.
        """
        encoded, challenge = self._challenge(untrusted, Purpose.PASSKEY_USE)
        verified = _checked(
            lambda: webauthn.verify_authentication_response(
                credential=dict(untrusted),
                expected_challenge=encoded,
                expected_rp_id=self._party.id,
                expected_origin=list(self._party.origins),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
            )
        )
        may_be_backed_up = _may_be_backed_up(verified.credential_device_type)
        if may_be_backed_up != passkey.may_be_backed_up:
            raise CeremonyRefusedError("the flag BE has changed")
        return PasskeyUse(
            passkey=passkey,
            sign_count=verified.new_sign_count,
            is_backed_up=verified.credential_backed_up,
            is_user_verified=verified.user_verified,
            challenge=challenge,
        )

    def _challenge(
        self, untrusted: Mapping[str, Any], purpose: Purpose
    ) -> tuple[bytes, Challenge]:
        """Return the challenge that a response says it is to, if it is one of ours."""
        _checked(lambda: _require_short(untrusted["response"]))
        encoded = _checked(lambda: _client_challenge(untrusted))
        challenge = self._challenges.open(purpose, encoded)
        if challenge is None:
            raise CeremonyRefusedError("the challenge is not ours, or has expired")
        return encoded, challenge


def untrusted_passkey_id(untrusted: Mapping[str, Any]) -> str:
    """Return the id of the passkey that a response says was used.

    Raises `CeremonyRefusedError`.
    """
    return _checked(lambda: _passkey_id(base64url_to_bytes(untrusted["rawId"])))


def untrusted_user_handle(untrusted: Mapping[str, Any]) -> str | None:
    """Return the subject that a response names, None if it names none.

    Raises `CeremonyRefusedError`.
    """
    handle = _checked(lambda: untrusted["response"].get("userHandle"))
    if not handle:
        return None
    return _checked(lambda: base64url_to_bytes(handle).decode("ascii"))


def _require_short(response: Mapping[str, Any]) -> None:
    for value in response.values():
        if isinstance(value, str) and len(value) > _LONGEST_MEMBER:
            raise CeremonyRefusedError("a member is too long")


def _client_challenge(untrusted: Mapping[str, Any]) -> bytes:
    client_data = base64url_to_bytes(untrusted["response"]["clientDataJSON"])
    return base64url.decode(json.loads(client_data)["challenge"])


def _require_no_attestation(untrusted: Mapping[str, Any]) -> None:
    encoded = base64url_to_bytes(untrusted["response"]["attestationObject"])
    attestation = parse_attestation_object(encoded)
    if attestation.fmt not in _FORMATS or attestation.att_stmt.x5c:
        raise CeremonyRefusedError("an attestation that nobody asked for")


def _may_be_backed_up(device_type: CredentialDeviceType) -> bool:
    return device_type is CredentialDeviceType.MULTI_DEVICE


def _passkey_id(credential_id: bytes) -> str:
    return base64url.encode(sha256(credential_id).digest())


def _members(options: str) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(options)
    return members


def _checked(judge: Callable[[], T]) -> T:
    """Return the result of ``judge``; refuse the input if it raises any exception.

    Raises `CeremonyRefusedError`.
    """
    try:
        return judge()
    except CeremonyRefusedError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise CeremonyRefusedError(reason[:_LONGEST_REASON]) from error
