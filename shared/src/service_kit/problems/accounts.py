"""Problems of users, roles, sessions and their tokens."""

from http import HTTPStatus
from typing import Final

from service_kit.languages.text import Text, duration
from service_kit.problems.problem import Problem

INVALID_FIELDS: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "invalid_fields",
    "{errors}",
    "A member of the body, or a parameter of the URL, is missing, unknown, of "
    "another type or not acceptable.",
    "Correct each field that the member errors names, by its code.",
    parameters={"errors": Text("{name} is required.", {"name": Text("The user name")})},
)
USERNAME_TAKEN: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "username_taken",
    "Failed! Username is already in use!",
    "Somebody has this username, or one that looks like it: case, accents and look-"
    "alike letters do not count.",
    "Choose another username; one that only looks like a taken one is taken too.",
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
    "The request names a role that nobody has made.",
    "List the roles and use the name of one.",
    parameters={"name": "root"},
)
WRONG_PASSWORD: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "wrong_password",
    "This is not your present password.",
    "A change of the password asks for the present one, and another was sent.",
    "Send the user's present password as currentPassword.",
)
WRONG_PROOF: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "wrong_proof",
    "That is not right. Please try again.",
    "The password or code is wrong, was used before, or is too old.",
    "Send the user's password, a new code of their authenticator app, a recovery code"
    " that was not used, or what a passkey of theirs signed.",
)
TOKEN_REFUSED: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "token_refused",
    "This link or code is not valid any more. Please ask for a new one.",
    "The token or the code of a mail is wrong, has been used, or has expired.",
    "Have a new mail sent: a token is good once, and for as long as the mail says.",
)
EMAIL_UNCONFIRMED: Final = Problem(
    HTTPStatus.CONFLICT,
    "email_unconfirmed",
    "A new e-mail address has to be confirmed first.",
    "Here an address is changed by a link that is mailed to the new one.",
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
    "Send one of these; the hint is access_token or refresh_token.",
    members={"error": "unsupported_token_type"},
)
INVALID_CREDENTIALS: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_credentials",
    "Invalid username or password!",
    "The user does not exist, the password is wrong, or the account is disabled: "
    "which of them is not told.",
    "Try again with the right ones. A disabled account gets the same response.",
    members={"accessToken": None},
)
SECOND_FACTOR_REQUIRED: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "second_factor_required",
    "This account signs in with a second factor. Enter its code, or use a passkey.",
    "The account has a second factor. The password may have been right or not.",
    "POST the challenge with a code, or with what a passkey signed, to"
    " /api/auth/signin/second-factor within five minutes. The response does not say"
    " whether the password was right.",
    members={"accessToken": None},
)
INVALID_CLIENT: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_client",
    "This is for clients that authenticate.",
    "Introspection is for services that the operator has named, with their secrets.",
    "Use HTTP Basic with a client that IDENTITY_INTROSPECTION_CLIENTS names.",
    {"WWW-Authenticate": 'Basic realm="introspection", charset="UTF-8"'},
    {"error": "invalid_client"},
)
ROLE_NOT_SELF_ASSIGNABLE: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "role_not_self_assignable",
    "Failed! Role may not be self-assigned = {name}",
    "Only roles that IDENTITY_SELF_ASSIGNABLE_ROLES names can be taken at sign-up.",
    "Sign up without the role; an admin assigns it.",
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
    "The refresh token is malformed, its session has ended, or the token was used "
    "before, which ends its session.",
    "Sign in again: the session has ended, or the token was used before.",
)
REFRESH_TOKEN_EXPIRED: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "refresh_token_expired",
    "Refresh token was expired. Please make a new signin request",
    "The session was idle for too long, or has reached its longest life.",
    "Sign in again.",
)
FRESH_CHECK_REQUIRED: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "fresh_check_required",
    "Please prove again who you are.",
    "The operation asks that the user proved who they are a short while ago.",
    "POST the password or a second factor to /api/users/me/fresh, then try again.",
)
ACCOUNT_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "account_not_found",
    "There is no such account.",
    "No account has this id; it may have been deleted.",
    "List the accounts and use the id of one.",
)
SESSION_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "session_not_found",
    "There is no such session.",
    "The session has ended, or is not one of the caller's.",
    "List the sessions and use the id of a live one.",
)
LAST_ADMIN: Final = Problem(
    HTTPStatus.CONFLICT,
    "last_admin",
    "This is the last administrator: appoint another one first.",
    "Without this account nobody could administer the others any more.",
    "Give another user the role admin, then try again.",
)
FACTOR_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "factor_not_found",
    "There is no such second factor.",
    "The user has no such factor, or has removed it.",
    "GET /api/users/me/factors lists those that there are.",
)
TOTP_PRESENT: Final = Problem(
    HTTPStatus.CONFLICT,
    "totp_present",
    "There is an authenticator app already: remove it first.",
    "A user has one authenticator app at most.",
    "DELETE /api/users/me/totp, then enrol the other app.",
)
TOO_MANY_PASSKEYS: Final = Problem(
    HTTPStatus.CONFLICT,
    "too_many_passkeys",
    "There are {most} passkeys, and there may be no more: remove one first.",
    "The user has as many passkeys as one may have.",
    "Remove a passkey that is not used any more.",
    parameters={"most": 20},
)
ROLE_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "role_not_found",
    "There is no role of this name.",
    "The role has been removed, or never was.",
    "List the roles and use the name of one.",
)
ROLE_EXISTS: Final = Problem(
    HTTPStatus.CONFLICT,
    "role_exists",
    "There is a role of this name already.",
    "Names of roles are unique.",
    "Use the role that is there, or choose another name.",
)
ROLE_IN_USE: Final = Problem(
    HTTPStatus.CONFLICT,
    "role_in_use",
    "Users have this role: take it from them first.",
    "A role that users have cannot be removed.",
    "Take the role from every user who has it, then try again.",
)
ROLE_NEEDED: Final = Problem(
    HTTPStatus.CONFLICT,
    "role_needed",
    "This role cannot be removed: identity or one of its settings names it.",
    "The product itself, or a setting, gives or asks for this role.",
    "Leave the role, or take its name out of the settings first.",
)
TOO_MANY_ROLES: Final = Problem(
    HTTPStatus.CONFLICT,
    "too_many_roles",
    "There are {most} roles, and there may be no more: remove one first.",
    "An access token with every role has to fit into a header, so their number is "
    "bounded.",
    "Remove a role that nobody needs.",
    parameters={"most": 100},
)
TOO_MANY_ATTEMPTS: Final = Problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_attempts",
    "Too many attempts. Please try again in {wait}.",
    "There were more attempts than are allowed from one address, for one account or"
    " for both.",
    "Wait as long as Retry-After says.",
    parameters={"wait": duration(46)},
)
HISTORY_NOT_SUPPORTED: Final = Problem(
    HTTPStatus.NOT_IMPLEMENTED,
    "history_not_supported",
    "Only the present status list can be had, not one of another time.",
    "Status lists are published for now alone; the parameter time asks for another "
    "moment.",
    "Leave out the parameter time.",
)
TEMPORARILY_UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "temporarily_unavailable",
    "The service cannot do this at the moment. Please try again.",
    "The database does not respond, or there is no signing key that may sign now.",
    "Try again after Retry-After. The operator looks at the database.",
)
BUSY: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "busy",
    "Too many people sign in at the moment. Please try again in {wait}.",
    "Hashing passwords takes time on purpose, and the queue for it is full.",
    "Try again after Retry-After. More replicas or cores sign in more people.",
    parameters={"wait": duration(2)},
)
