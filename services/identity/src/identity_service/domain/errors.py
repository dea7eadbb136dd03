"""The errors of the domain. None of them knows HTTP."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from identity_service.domain.factors import Factor
from identity_service.domain.fields import InvalidFieldError


class IdentityError(Exception):
    """An expected failure."""


class UnusableFileError(Exception):
    """A file that the operator names cannot be used; the text says which, and why."""


class RequestTooOldError(IdentityError):
    """The request began so long ago that its client has given up."""


class DatabaseUnavailableError(IdentityError):
    """The database does not respond, refuses to work, or is too busy."""


class InvalidFieldsError(IdentityError):
    """Values of the request cannot be accepted; one error for each field."""

    def __init__(self, faults: Sequence[InvalidFieldError]) -> None:
        super().__init__("; ".join(f"{each.field}: {each}" for each in faults))
        self.faults = faults


@contextlib.contextmanager
def all_faults() -> Iterator[list[InvalidFieldError]]:
    """Raise `InvalidFieldsError` at the end of a block that added faults to the list.

    `fields.noted` adds them.
    """
    faults: list[InvalidFieldError] = []
    yield faults
    if faults:
        raise InvalidFieldsError(faults)


class UsernameTakenError(IdentityError):
    """A user or a pending sign-up has this name, or one that looks like it."""


class EmailTakenError(IdentityError):
    """Another user has this e-mail address."""


class UnknownRoleError(IdentityError):
    """A request names a role that does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no role {name}.")
        self.name = name


class RoleExistsError(IdentityError):
    """There is a role of this name already."""


class RoleNotFoundError(IdentityError):
    """There is no such role."""


class RoleInUseError(IdentityError):
    """Users have this role: take it from them first."""


class RoleNeededError(IdentityError):
    """Identity itself, or one of its settings, names this role: it stays."""


class TooManyRolesError(IdentityError):
    """There are as many roles as are allowed: remove one first."""


class RoleNotSelfAssignableError(IdentityError):
    """The role exists, but users may not assign it to themselves."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class InvalidCredentialsError(IdentityError):
    """Unknown user, wrong password or disabled user: one and the same."""


class NotOfferedError(IdentityError):
    """It needs mail, and no mail server is configured; or a setting turns it off."""


class EmailUnconfirmedError(IdentityError):
    """An address is changed only after a mail to the new one."""


class OneTimeTokenRefusedError(IdentityError):
    """A token from a mail is unknown, used or expired: one and the same."""


class SecondFactorRequiredError(IdentityError):
    """The sign-in goes on with a second factor, the password being right or not."""

    def __init__(self, challenge: str, factors: tuple[Factor, ...]) -> None:
        super().__init__()
        self.challenge = challenge
        self.factors = factors


class FactorNotFoundError(IdentityError):
    """The user has no such second factor."""


class TooManyPasskeysError(IdentityError):
    """The user has as many passkeys as one may have: remove one first."""


class TotpPresentError(IdentityError):
    """The user has an authenticator app already: remove it first."""


class WrongPasswordError(IdentityError):
    """A signed-in user gave another present password than the user has."""


class WrongProofError(IdentityError):
    """A signed-in user gave a wrong password, code or passkey."""


class FreshCheckRequiredError(IdentityError):
    """The user has to prove again who they are before this."""


class UserNotFoundError(IdentityError):
    """There is no such user."""


class SessionNotFoundError(IdentityError):
    """The user has no live session of this id."""


class FormerAdminError(IdentityError):
    """The caller has ceased to be an administrator since the request began."""


class LastAdminError(IdentityError):
    """No administrator would be left."""


class UnknownRefreshTokenError(IdentityError):
    """Malformed, forged, ended, or of no session."""


class RefreshTokenReusedError(UnknownRefreshTokenError):
    """A spent token was presented again; its session has been ended."""


class RefreshTokenExpiredError(IdentityError):
    """The session's idle or absolute life is over."""


class NoRefreshTokenError(IdentityError):
    """Neither body nor cookie holds a refresh token."""


class TooManyAttemptsError(IdentityError):
    """Throttled."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


class LostRaceError(IdentityError):
    """Another process did the same a moment earlier: read again."""


class SigningKeyUnavailableError(IdentityError):
    """There is no key that may sign now."""


class KeysUnopenedError(SigningKeyUnavailableError):
    """Signing keys do not open with the configured key-encryption keys."""

    def __init__(self, kids: Sequence[str]) -> None:
        super().__init__(
            f"signing key {', '.join(kids)} does not open with the configured"
            " key-encryption keys"
        )


class SecretsUnopenedError(IdentityError):
    """Secrets of authenticator apps do not open with the configured keys."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} secrets of authenticator apps do not open with the configured"
            " key-encryption keys"
        )


class StatusListNotFoundError(IdentityError):
    """There is no such status list, or no unexpired token is in it any more."""


class UnsupportedTokenTypeError(IdentityError):
    """Only access tokens and refresh tokens can be revoked."""


class KeyTooNewError(IdentityError):
    """Verifiers may not have the next key yet."""

    def __init__(self, usable_at: datetime) -> None:
        super().__init__(usable_at.isoformat())
        self.usable_at = usable_at
