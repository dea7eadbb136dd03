"""The bodies of requests and responses about second factors."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from identity_service.domain.factors import MOST_PASSKEYS, RECOVERY_CODES
from identity_service.domain.fields import InvalidFieldError
from identity_service.handlers.payloads import Payload
from identity_service.handlers.responses import Body
from identity_service.handlers.schemas import (
    Count,
    Moment,
    PasswordText,
    described,
    text,
)
from identity_service.usecases.factors.proofs import UntrustedProof

_MOST_NAME = 64
_NO_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Characters that end a line or change the order in which it is read."""
_NO_SPACES = (
    r"\u0020\u00a0\u00ad\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200d\u202f\u205f-\u2065\u206a-\u206f\u3000\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufff8"
)
"""Characters that show nothing: spaces, joiners, variation selectors (Unicode's
Default_Ignorable_Code_Point)."""
_NAME = f"^[^{_NO_CONTROLS}]*[^{_NO_CONTROLS}{_NO_SPACES}][^{_NO_CONTROLS}]*$"
"""A line that shows something. Classes are spelled out, because not every reader of
the API's document knows them by name."""
_LONGEST_CHALLENGE = 2048
_LONGEST_URI = 2048
"""Characters: each of 64 in a user name takes up to 12, and an issuer's host stands
there twice."""

CodeText = Annotated[str, Field(max_length=64), text(64, "123456")]
"""A code of an authenticator app, or a recovery code."""
ChallengeText = Annotated[
    str,
    Field(max_length=_LONGEST_CHALLENGE),
    text(_LONGEST_CHALLENGE, "AAECAwQFBgcICQoLDA0ODw"),
]
Credential = Annotated[
    dict[str, Any],
    described(
        maxProperties=16, example={"id": "AAEC", "rawId": "AAEC", "response": {}}
    ),
]
"""A PublicKeyCredential as its ``toJSON`` gives it (WebAuthn section 5.1)."""
PasskeyName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=_MOST_NAME, pattern=_NAME
    ),
    text(_MOST_NAME, "Phone", minLength=1),
]
PasskeyId = Annotated[str, text(43, "A" * 43, pattern="^[A-Za-z0-9_-]{43}$")]
RecoveryCodeTexts = Annotated[
    list[Annotated[str, text(19, "abcd-efgh-ijkl-mnop")]],
    described(maxItems=RECOVERY_CODES),
]


class MissingProofError(InvalidFieldError):
    """There is no proof, or more than one."""

    field = "code"

    def __init__(self, message: str) -> None:
        super().__init__("required", message)


class ProofPayload(Payload):
    """A second factor: exactly one of its kinds."""

    code: CodeText | None = Field(default=None, repr=False)
    """Of an authenticator app, or a recovery code."""
    credential: Credential | None = Field(default=None, repr=False)
    """What a passkey responded, as `toJSON` of the browser gives it."""

    @property
    def proof(self) -> UntrustedProof:
        """The factor that was sent; raise `MissingProofError` unless it is one."""
        if (self.code is None) is (self.credential is None):
            raise MissingProofError("Send a code, or the response of a passkey.")
        return UntrustedProof(self.code, self.credential)


class SecondFactorPayload(ProofPayload):
    """POST /api/auth/signin/second-factor."""

    challenge: ChallengeText
    """Of the problem `second_factor_required`."""


class FreshCheckPayload(ProofPayload):
    """POST /api/users/me/fresh."""

    password: PasswordText | None = Field(default=None, repr=False)

    @property
    def only_password(self) -> str | None:
        """The password, None if a factor was sent instead.

        Raise `MissingProofError` unless exactly one proof was sent.
        """
        proofs = (self.password, self.code, self.credential)
        if sum(proof is not None for proof in proofs) != 1:
            raise MissingProofError(
                "Send one of these: the password, a code, or the response of a passkey."
            )
        return self.password


class CodePayload(Payload):
    """POST /api/users/me/totp/confirm."""

    code: CodeText = Field(repr=False)


class CredentialPayload(Payload):
    """POST /api/auth/passkeys."""

    credential: Credential = Field(repr=False)


class NewPasskeyPayload(CredentialPayload):
    """POST /api/users/me/passkeys."""

    name: PasskeyName = "Passkey"


class PasskeyNamePayload(Payload):
    """PATCH /api/users/me/passkeys/{id}."""

    name: PasskeyName


class FactorsBody(Body):
    """Which second factors a user has."""

    totp: bool = Field(validation_alias="has_totp")
    passkeys: Count
    recovery_codes_left: Count = Field(validation_alias="recovery_codes")


class TotpBody(Body):
    """What an authenticator app needs, shown once."""

    secret: Annotated[str, text(64, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    uri: Annotated[
        str, text(_LONGEST_URI, "otpauth://totp/id.example:alice?secret=JBSWY3DP")
    ]
    qr_code: Annotated[
        list[Annotated[str, text(177, "1110111", pattern="^[01]+$")]],
        described(maxItems=177, minItems=21),
    ]
    """The URI as rows of a QR code, 1 for dark; leave four light modules around it."""


class RecoveryCodesBody(Body):
    """Recovery codes, shown once."""

    recovery_codes: RecoveryCodeTexts


class PasskeyBody(Body):
    """A passkey."""

    id: PasskeyId
    # As it was taken: an older version may have had other rules.
    name: Annotated[str, text(_MOST_NAME, "Phone", minLength=1)]
    backed_up: bool = Field(validation_alias="is_backed_up")
    """Whether it is on more devices than one."""
    created_at: Moment
    last_used_at: Moment | None


class NewPasskeyBody(PasskeyBody):
    """A passkey, and recovery codes if it is the first factor: shown once."""

    recovery_codes: RecoveryCodeTexts


class PasskeysBody(Body):
    """The passkeys of a user, the oldest first."""

    passkeys: Annotated[list[PasskeyBody], described(maxItems=MOST_PASSKEYS)]


class OptionsBody(Body):
    """Options of WebAuthn, which a browser reads by ``parse…OptionsFromJSON``."""

    model_config = ConfigDict(extra="allow")

    challenge: ChallengeText
