"""Problems of users, roles, sessions and their tokens."""

from http import HTTPStatus
from typing import Final

from service_kit.languages.text import Text, duration
from service_kit.problems.problem import Problem

INVALID_FIELDS: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "invalid_fields",
    "{errors}",
    "A member of the body, or a parameter of the URL, is missing, unknown, of the"
    " wrong type or not acceptable.",
    "Correct each field that the member errors names; its code says what is wrong.",
    parameters={"errors": Text("{name} is required.", {"name": Text("The user name")})},
)
USERNAME_TAKEN: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "username_taken",
    "Failed! Username is already in use!",
    "Somebody has this username, or one that looks like it: case, accents and"
    " look-alike letters make no difference.",
    "Choose another username; one that merely looks like a taken one counts as taken.",
)
EMAIL_TAKEN: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "email_taken",
    "Failed! Email is already in use!",
    "There is an account with this e-mail address.",
    "Use another e-mail address, or sign in to the account that has it.",
)
UNKNOWN_ROLE: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "unknown_role",
    "Failed! Role does not exist = {name}",
    "The request names a role that does not exist.",
    "Use the name of an existing role.",
    parameters={"name": "root"},
)
WRONG_PASSWORD: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "wrong_password",
    "This is not your current password.",
    "Changing the password requires the current one, and another was sent.",
    "Send the user's current password as currentPassword.",
)
WRONG_PROOF: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "wrong_proof",
    "That is not right. Please try again.",
    "The password or code is wrong, was used before, or is too old.",
    "Send the user's password, a new code from their authenticator app, an unused"
    " recovery code, or the response of one of their passkeys.",
)
TOKEN_REFUSED: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "token_refused",
    "This link or code is no longer valid. Please request a new one.",
    "The token or code from the mail is wrong, has been used, or has expired.",
    "Request a new mail: a token works once, and for as long as the mail says.",
)
EMAIL_UNCONFIRMED: Final = Problem(
    HTTPStatus.CONFLICT,
    "email_unconfirmed",
    "A new e-mail address has to be confirmed first.",
    "An address is changed only by the link that is mailed to the new one.",
    "Use POST /api/users/me/email.",
)
NOT_OFFERED: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "not_offered",
    "This is not offered here.",
    "The operator has configured no mail server (IDENTITY_MAIL_URL), or a setting turns"
    " this off.",
    "Ask the operator for it, or do without.",
)
UNSUPPORTED_TOKEN_TYPE: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "unsupported_token_type",
    "Only access tokens and refresh tokens can be revoked.",
    "The hint token_type_hint names a kind of token that does not exist here.",
    "Set token_type_hint to access_token or refresh_token.",
    members={"error": "unsupported_token_type"},
)
INVALID_CREDENTIALS: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_credentials",
    "Invalid username or password!",
    "The user does not exist, the password is wrong, or the account is disabled. The"
    " response does not say which.",
    "Check the username and the password, and try again.",
    {"WWW-Authenticate": "Bearer"},
    {"accessToken": None},
)
SECOND_FACTOR_REQUIRED: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "second_factor_required",
    "This account signs in with a second factor. Enter its code, or use a passkey.",
    "The account has a second factor. The password may or may not have been right.",
    "POST the challenge with a code, or with the response of a passkey, to"
    " /api/auth/signin/second-factor within five minutes.",
    {"WWW-Authenticate": "Bearer"},
    {"accessToken": None},
)
INVALID_CLIENT: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_client",
    "The client must authenticate.",
    "This endpoint is for services that the operator has registered, each with a"
    " secret.",
    "Use HTTP Basic with a client that IDENTITY_INTROSPECTION_CLIENTS names.",
    {"WWW-Authenticate": 'Basic realm="introspection", charset="UTF-8"'},
    {"error": "invalid_client"},
)
ROLE_NOT_SELF_ASSIGNABLE: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "role_not_self_assignable",
    "Failed! Role may not be self-assigned = {name}",
    "Sign-up can name only the roles in IDENTITY_SELF_ASSIGNABLE_ROLES.",
    "Sign up without the role; an admin can assign it.",
    parameters={"name": "admin"},
)
REFRESH_TOKEN_REQUIRED: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "refresh_token_required",
    "Refresh Token is required!",
    "Neither the body nor a cookie holds a refresh token.",
    "Send the refresh token in the body or in its cookie.",
)
INVALID_GRANT: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "invalid_grant",
    "Refresh token is not in database!",
    "The refresh token is malformed, its session has ended, or it was used before,"
    " which ends the session.",
    "Sign in again.",
)
REFRESH_TOKEN_EXPIRED: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "refresh_token_expired",
    "Refresh token was expired. Please make a new signin request",
    "The session was idle for too long, or has reached its maximum lifetime.",
    "Sign in again.",
)
FRESH_CHECK_REQUIRED: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "fresh_check_required",
    "Please confirm your identity again.",
    "The operation requires that the user has recently confirmed who they are.",
    "POST the password or a second factor to /api/users/me/fresh, then try again.",
)
ACCOUNT_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "account_not_found",
    "There is no such account.",
    "No account has this id; it may have been deleted.",
    "Use the id of an existing account.",
)
SESSION_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "session_not_found",
    "There is no such session.",
    "The session has ended, or belongs to another account.",
    "Use the id of a live session.",
)
LAST_ADMIN: Final = Problem(
    HTTPStatus.CONFLICT,
    "last_admin",
    "This is the last administrator: appoint another one first.",
    "Without this account nobody could administer the others.",
    "Give another user the role admin, then try again.",
)
FACTOR_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "factor_not_found",
    "There is no such second factor.",
    "The user has no such factor, or has removed it.",
    "GET /api/users/me/factors lists the existing ones.",
)
TOTP_PRESENT: Final = Problem(
    HTTPStatus.CONFLICT,
    "totp_present",
    "There already is an authenticator app. Remove it first.",
    "A user has one authenticator app at most.",
    "DELETE /api/users/me/totp, then enrol the other app.",
)
TOO_MANY_PASSKEYS: Final = Problem(
    HTTPStatus.CONFLICT,
    "too_many_passkeys",
    "You have {most} passkeys, which is the maximum. Remove one first.",
    "The user has the maximum number of passkeys.",
    "Remove a passkey that is no longer used.",
    parameters={"most": 20},
)
ROLE_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "role_not_found",
    "There is no role with this name.",
    "The role has been removed, or never existed.",
    "Use the name of an existing role.",
)
ROLE_EXISTS: Final = Problem(
    HTTPStatus.CONFLICT,
    "role_exists",
    "A role with this name already exists.",
    "Role names are unique.",
    "Use the existing role, or choose another name.",
)
ROLE_IN_USE: Final = Problem(
    HTTPStatus.CONFLICT,
    "role_in_use",
    "Users have this role. Take it from them first.",
    "A role that users have cannot be removed.",
    "Take the role from every user who has it, then try again.",
)
ROLE_NEEDED: Final = Problem(
    HTTPStatus.CONFLICT,
    "role_needed",
    "This role cannot be removed: identity or one of its settings uses it.",
    "The product itself, or a setting, depends on this role.",
    "Keep the role, or remove its name from the settings first.",
)
TOO_MANY_ROLES: Final = Problem(
    HTTPStatus.CONFLICT,
    "too_many_roles",
    "There are {most} roles, which is the maximum. Remove one first.",
    "An access token with every role has to fit into a header, so their number is "
    "bounded.",
    "Remove a role that nobody needs.",
    parameters={"most": 100},
)
TOO_MANY_ATTEMPTS: Final = Problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_attempts",
    "Too many attempts. Please try again in {wait}.",
    "There were more attempts than are allowed from one address, for one account, or"
    " both.",
    "Wait as long as Retry-After says.",
    parameters={"wait": duration(46)},
)
HISTORY_NOT_SUPPORTED: Final = Problem(
    HTTPStatus.NOT_IMPLEMENTED,
    "history_not_supported",
    "Only the current status list is available, not one of another time.",
    "Only current status lists are published; the parameter time asks for another"
    " moment.",
    "Leave out the parameter time.",
)
TEMPORARILY_UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "temporarily_unavailable",
    "The service cannot do this at the moment. Please try again.",
    "The database does not respond, or there is no signing key that may sign now.",
    "Try again after Retry-After. If that keeps failing, the operator should check"
    " the database.",
)
BUSY: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "busy",
    "Too many people are signing in at the moment. Please try again in {wait}.",
    "Hashing passwords is slow by design, and its queue is full.",
    "Try again after Retry-After. If that keeps failing, the operator should add"
    " replicas or cores.",
    parameters={"wait": duration(2)},
)
