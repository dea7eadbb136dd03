"""Accounts, as administrators see them."""

from typing import Final

from aiohttp import web

from identity_service.app_keys import ACCOUNTS, USERS
from identity_service.domain.errors import AccountNotFoundError
from identity_service.handlers.accounts import profile_changes
from identity_service.handlers.callers import admin
from identity_service.handlers.payloads import (
    AccountPayload,
    RolesPayload,
    account_members,
    answer,
    invalid_member,
    read_payload,
    told,
)
from service_kit.problems import ProblemError

_DEFAULT_LIMIT: Final = 50
_HIGHEST_LIMIT: Final = 200
_LONGEST_NUMBER: Final = 18
"""Digits: any such number fits every database."""


async def show_page(request: web.Request) -> web.Response:
    """GET /api/users?search=…&limit=…&cursor=…."""
    await admin(request)
    limit = _number(request, "limit", _DEFAULT_LIMIT, least=1, most=_HIGHEST_LIMIT)
    cursor = _number(request, "cursor", 0, least=0, most=10**_LONGEST_NUMBER)
    search = request.query.get("search", "")
    accounts = await request.app[USERS].page(search, cursor, limit + 1)
    shown = accounts[:limit]
    return answer(
        {
            "users": [account_members(account) for account in shown],
            "nextCursor": str(shown[-1].id) if len(accounts) > limit else None,
        }
    )


async def show(request: web.Request) -> web.Response:
    """GET /api/users/{id}."""
    await admin(request)
    return answer(account_members(await request.app[ACCOUNTS].get(_user_id(request))))


async def change(request: web.Request) -> web.Response:
    """PATCH /api/users/{id}."""
    who = await admin(request)
    payload = await read_payload(request, AccountPayload)
    changes = profile_changes(payload, disabled=payload.disabled)
    account = await request.app[USERS].change(_user_id(request), changes, who.actor)
    return answer(account_members(account))


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/users/{id}."""
    who = await admin(request)
    await request.app[USERS].delete(_user_id(request), who.actor)
    return told("Account deleted.")


async def set_roles(request: web.Request) -> web.Response:
    """PUT /api/users/{id}/roles."""
    who = await admin(request)
    payload = await read_payload(request, RolesPayload)
    names = (name.removeprefix("ROLE_").lower() for name in payload.roles)
    account = await request.app[USERS].set_roles(_user_id(request), names, who.actor)
    return answer(account_members(account))


async def end_sessions(request: web.Request) -> web.Response:
    """DELETE /api/users/{id}/sessions."""
    who = await admin(request)
    ended = await request.app[USERS].end_sessions(_user_id(request), who.actor)
    return answer({"message": "Sessions ended.", "ended": ended})


def _user_id(request: web.Request) -> int:
    untrusted_id = request.match_info["user_id"]
    if len(untrusted_id) > _LONGEST_NUMBER:
        raise AccountNotFoundError
    return int(untrusted_id)


def _number(
    request: web.Request, name: str, default: int, *, least: int, most: int
) -> int:
    """Return a whole number of the query string."""
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise ProblemError(invalid_member(name, "This must be a whole number."))
    if not least <= int(text) <= most:
        raise ProblemError(
            invalid_member(name, f"This must be from {least} to {most}.")
        )
    return int(text)
