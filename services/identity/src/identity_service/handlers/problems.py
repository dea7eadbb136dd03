"""What a client is told about each expected failure."""

import math
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs

from identity_service.domain import errors
from identity_service.domain.fields import InvalidFieldError
from identity_service.domain.roles import MOST_ROLES
from identity_service.handlers.origins import CrossSiteRequestError
from identity_service.handlers.payloads import invalid_fields
from identity_service.handlers.sessions import NoRefreshTokenError
from identity_service.security.password_hashing import HashingBusyError
from identity_service.storage.database import RETRY_AFTER
from service_kit.problems import Problem, ProblemTable


def _retry_after(wait: timedelta) -> dict[str, str]:
    return {hdrs.RETRY_AFTER: str(max(1, math.ceil(wait.total_seconds())))}


_UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "temporarily_unavailable",
    "The service cannot do this at the moment. Please try again.",
    _retry_after(RETRY_AFTER),
)

_UNKNOWN_REFRESH_TOKEN: Final = Problem(
    HTTPStatus.FORBIDDEN, "invalid_grant", "Refresh token is not in database!"
)


def _unknown_role(error: Exception) -> Problem:
    name = error.name if isinstance(error, errors.UnknownRoleError) else ""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "unknown_role",
        f"Failed! Role does not exist = {name[:64]}",
    )


def _role_not_self_assignable(error: Exception) -> Problem:
    name = error.name if isinstance(error, errors.RoleNotSelfAssignableError) else ""
    return Problem(
        HTTPStatus.FORBIDDEN,
        "role_not_self_assignable",
        f"Failed! Role may not be self-assigned = {name}",
    )


def _invalid_field(error: Exception) -> Problem:
    return invalid_fields([error] if isinstance(error, InvalidFieldError) else [])


def _invalid_fields(error: Exception) -> Problem:
    return invalid_fields(
        error.faults if isinstance(error, errors.InvalidFieldsError) else []
    )


def _too_many_attempts(error: Exception) -> Problem:
    wait = RETRY_AFTER
    if isinstance(error, errors.TooManyAttemptsError):
        wait = error.retry_after
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_attempts",
        "Too many attempts. Please try again later.",
        _retry_after(wait),
    )


def _hashing_busy(error: Exception) -> Problem:
    seconds = error.retry_after if isinstance(error, HashingBusyError) else 1
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "Too many people sign in at the moment. Please try again.",
        _retry_after(timedelta(seconds=seconds)),
    )


PROBLEMS: Final[ProblemTable] = {
    errors.DatabaseUnavailableError: _UNAVAILABLE,
    errors.SigningKeyUnavailableError: _UNAVAILABLE,
    errors.LostRaceError: _UNAVAILABLE,
    HashingBusyError: _hashing_busy,
    errors.TooManyAttemptsError: _too_many_attempts,
    InvalidFieldError: _invalid_field,
    errors.InvalidFieldsError: _invalid_fields,
    errors.UsernameTakenError: Problem(
        HTTPStatus.BAD_REQUEST,
        "username_taken",
        "Failed! Username is already in use!",
    ),
    errors.EmailTakenError: Problem(
        HTTPStatus.BAD_REQUEST, "email_taken", "Failed! Email is already in use!"
    ),
    errors.UnknownRoleError: _unknown_role,
    errors.RoleExistsError: Problem(
        HTTPStatus.CONFLICT, "role_exists", "There is a role of this name already."
    ),
    errors.RoleNotFoundError: Problem(
        HTTPStatus.NOT_FOUND, "role_not_found", "There is no role of this name."
    ),
    errors.RoleInUseError: Problem(
        HTTPStatus.CONFLICT,
        "role_in_use",
        "Users have this role: take it from them first.",
    ),
    errors.RoleNeededError: Problem(
        HTTPStatus.CONFLICT,
        "role_needed",
        "This role cannot be removed: identity or one of its settings names it.",
    ),
    errors.TooManyRolesError: Problem(
        HTTPStatus.CONFLICT,
        "too_many_roles",
        f"There are {MOST_ROLES} roles, and there may be no more: remove one first.",
    ),
    errors.RoleNotSelfAssignableError: _role_not_self_assignable,
    errors.InvalidCredentialsError: Problem(
        HTTPStatus.UNAUTHORIZED,
        "invalid_credentials",
        "Invalid username or password!",
        members={"accessToken": None},
    ),
    errors.WrongPasswordError: Problem(
        HTTPStatus.BAD_REQUEST,
        "wrong_password",
        "This is not your present password.",
        members={
            "errors": [
                {
                    "field": "currentPassword",
                    "code": "wrong_password",
                    "message": "This is not your present password.",
                }
            ]
        },
    ),
    errors.AccountNotFoundError: Problem(
        HTTPStatus.NOT_FOUND, "account_not_found", "There is no such account."
    ),
    errors.SessionNotFoundError: Problem(
        HTTPStatus.NOT_FOUND, "session_not_found", "There is no such session."
    ),
    errors.LastAdminError: Problem(
        HTTPStatus.CONFLICT,
        "last_admin",
        "This is the last administrator: appoint another one first.",
    ),
    NoRefreshTokenError: Problem(
        HTTPStatus.FORBIDDEN, "refresh_token_required", "Refresh Token is required!"
    ),
    errors.UnknownRefreshTokenError: _UNKNOWN_REFRESH_TOKEN,
    errors.RefreshTokenReusedError: _UNKNOWN_REFRESH_TOKEN,
    errors.RefreshTokenExpiredError: Problem(
        HTTPStatus.FORBIDDEN,
        "refresh_token_expired",
        "Refresh token was expired. Please make a new signin request",
    ),
    CrossSiteRequestError: Problem(
        HTTPStatus.FORBIDDEN,
        "cross_site_request",
        "A request by cookie must come from a page of this site.",
    ),
    errors.StatusListNotFoundError: Problem(
        HTTPStatus.NOT_FOUND, "not_found", "There is no such status list."
    ),
    errors.KeyTooNewError: _UNAVAILABLE,
    errors.UnsupportedTokenTypeError: Problem(
        HTTPStatus.BAD_REQUEST,
        "unsupported_token_type",
        "Only access tokens and refresh tokens can be revoked.",
        members={"error": "unsupported_token_type"},
    ),
}
