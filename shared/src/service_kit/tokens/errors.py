"""The failures of verification."""

from enum import StrEnum


class RefusalReason(StrEnum):
    """Why a token is not to be trusted, in a word that logs and alerts can rely on."""

    MALFORMED = "malformed"
    SCHEME = "scheme"
    """A scheme stands before the token where the token alone belongs."""
    ALGORITHM = "algorithm"
    TYPE = "type"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    STATUS = "status"
    """No status list that is trusted has an entry for it."""
    REVOKED = "revoked"


class InvalidTokenError(Exception):
    """The token is malformed, forged, expired, revoked, or meant for someone else.

    ``detail`` says more, for logs; it never quotes the token and is not for clients.
    """

    def __init__(
        self, detail: str, reason: RefusalReason = RefusalReason.MALFORMED
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason


class KeysUnavailableError(Exception):
    """No verification keys are available, so tokens cannot be verified."""


class StatusUnavailableError(Exception):
    """No usable status list is available, so revocation cannot be checked."""
