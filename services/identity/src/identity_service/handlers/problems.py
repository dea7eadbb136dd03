"""Map each expected failure to its problem."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Final

from aiohttp import hdrs

from identity_service.domain import errors
from identity_service.domain.accounts.roles import ADMIN, MOST_ROLES
from identity_service.domain.factors import MOST_PASSKEYS
from identity_service.domain.fields import InvalidFieldError
from identity_service.handlers.field_errors import invalid_fields
from identity_service.security.password_hashing import HashingBusyError
from identity_service.storage.database import RETRY_AFTER
from service_kit.problems import Problem, ProblemTable, accounts, common, retry_in


def _seconds(wait: timedelta) -> int:
    """Return a wait as Retry-After has it: no shorter, and not none."""
    return max(1, math.ceil(wait.total_seconds()))


_UNAVAILABLE: Final = replace(
    accounts.TEMPORARILY_UNAVAILABLE,
    headers={hdrs.RETRY_AFTER: str(_seconds(RETRY_AFTER))},
)


def _second_factor_required(error: errors.SecondFactorRequiredError) -> Problem:
    found = {"challenge": error.challenge, "factors": list(error.factors)}
    members = {**accounts.SECOND_FACTOR_REQUIRED.members, **found}
    return replace(accounts.SECOND_FACTOR_REQUIRED, members=members)


def _unknown_role(error: errors.UnknownRoleError) -> Problem:
    return accounts.UNKNOWN_ROLE.with_parameters(name=error.name[:64]).at("roles")


def _role_not_self_assignable(error: errors.RoleNotSelfAssignableError) -> Problem:
    problem = accounts.ROLE_NOT_SELF_ASSIGNABLE.with_parameters(name=error.name)
    return problem.at("roles")


def _too_many_attempts(error: errors.TooManyAttemptsError) -> Problem:
    return retry_in(accounts.TOO_MANY_ATTEMPTS, _seconds(error.retry_after))


def _hashing_busy(error: HashingBusyError) -> Problem:
    return retry_in(accounts.BUSY, error.retry_after)


PROBLEMS: Final[ProblemTable] = {
    errors.DatabaseUnavailableError: _UNAVAILABLE,
    errors.SigningKeyUnavailableError: _UNAVAILABLE,
    errors.KeysUnopenedError: _UNAVAILABLE,
    errors.LostRaceError: _UNAVAILABLE,
    errors.RequestTooOldError: _UNAVAILABLE,
    HashingBusyError: _hashing_busy,
    errors.TooManyAttemptsError: _too_many_attempts,
    InvalidFieldError: lambda error: invalid_fields([error]),
    errors.InvalidFieldsError: lambda error: invalid_fields(error.faults),
    errors.UsernameTakenError: accounts.USERNAME_TAKEN.at("username"),
    errors.EmailTakenError: accounts.EMAIL_TAKEN.at("email"),
    errors.UnknownRoleError: _unknown_role,
    errors.RoleExistsError: accounts.ROLE_EXISTS.at("name"),
    errors.RoleNotFoundError: accounts.ROLE_NOT_FOUND,
    errors.RoleInUseError: accounts.ROLE_IN_USE,
    errors.RoleNeededError: accounts.ROLE_NEEDED,
    errors.TooManyRolesError: accounts.TOO_MANY_ROLES.with_parameters(most=MOST_ROLES),
    errors.RoleNotSelfAssignableError: _role_not_self_assignable,
    errors.InvalidCredentialsError: accounts.INVALID_CREDENTIALS,
    errors.OneTimeTokenRefusedError: accounts.TOKEN_REFUSED,
    errors.SecondFactorRequiredError: _second_factor_required,
    errors.FactorNotFoundError: accounts.FACTOR_NOT_FOUND,
    errors.TotpPresentError: accounts.TOTP_PRESENT,
    errors.TooManyPasskeysError: accounts.TOO_MANY_PASSKEYS.with_parameters(
        most=MOST_PASSKEYS
    ),
    errors.SecretsUnopenedError: _UNAVAILABLE,
    errors.NotOfferedError: accounts.NOT_OFFERED,
    errors.EmailUnconfirmedError: accounts.EMAIL_UNCONFIRMED,
    errors.WrongPasswordError: accounts.WRONG_PASSWORD.at("currentPassword"),
    errors.WrongProofError: accounts.WRONG_PROOF,
    errors.FreshCheckRequiredError: accounts.FRESH_CHECK_REQUIRED,
    errors.UserNotFoundError: accounts.ACCOUNT_NOT_FOUND,
    errors.SessionNotFoundError: accounts.SESSION_NOT_FOUND,
    errors.FormerAdminError: common.INSUFFICIENT_SCOPE.with_parameters(
        role=ADMIN.title()
    ),
    errors.LastAdminError: accounts.LAST_ADMIN,
    errors.NoRefreshTokenError: accounts.REFRESH_TOKEN_REQUIRED,
    errors.UnknownRefreshTokenError: accounts.INVALID_GRANT,
    errors.RefreshTokenReusedError: accounts.INVALID_GRANT,
    errors.RefreshTokenExpiredError: accounts.REFRESH_TOKEN_EXPIRED,
    errors.StatusListNotFoundError: common.NOT_FOUND,
    errors.KeyTooNewError: _UNAVAILABLE,
    errors.UnsupportedTokenTypeError: accounts.UNSUPPORTED_TOKEN_TYPE,
}
