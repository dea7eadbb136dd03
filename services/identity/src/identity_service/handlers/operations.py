"""How identity's handlers are declared as operations."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel

from identity_service.domain.accounts.roles import ADMIN
from identity_service.handlers.context import RequestContext
from identity_service.handlers.payloads import Payload, read_payload
from identity_service.handlers.queries import check_parameters
from service_kit.operations import (
    ANYBODY,
    CLIENTS,
    USERS,
    Access,
    CredentialsKind,
    Operation,
    PathParameter,
    Reply,
    Tag,
    users_with,
)
from service_kit.problems import Problem, accounts
from service_kit.requests.bodies import JSON

_Handler = Callable[..., Awaitable[web.StreamResponse]]
"""Takes a `RequestContext`, and a `Caller` where the access needs one."""

ADMINS: Final = users_with(ADMIN)
_TAGS: Final = {
    ANYBODY: Tag.SIGN_IN,
    USERS: Tag.ACCOUNT,
    CLIENTS: Tag.TOKENS,
    ADMINS: Tag.ADMINISTRATION,
}
"""The groups of operations that name none."""

USER: Final = "/api/users/{user_id:[0-9]+}"
"""The path of a user, for administrators."""

USER_ID: Final = {"user_id": PathParameter("The user's id.", 2)}


def published(
    model: type[BaseModel] | None, *, media_type: str = JSON
) -> tuple[Reply, ...]:
    """Return the replies of a document that is the same for all clients."""
    headers = (hdrs.ETAG, hdrs.CACHE_CONTROL)
    return (
        Reply(model, media_type=media_type, headers=headers),
        Reply(status=HTTPStatus.NOT_MODIFIED, media_type=None, headers=headers),
    )


def operation(
    method: str,
    path: str,
    *,
    access: Access,
    tag: Tag | None = None,
    fresh: bool = False,
    path_parameters: Mapping[str, PathParameter] | None = None,
    query: type[BaseModel] | None = None,
    ignores_unknown_parameters: bool = False,
    body: type[BaseModel] | None = None,
    body_types: tuple[str, ...] = (JSON,),
    returns: type[BaseModel] | Reply | tuple[Reply, ...],
    problems: tuple[Problem, ...] = (),
) -> Callable[[_Handler], Operation]:
    """Return a decorator that makes a handler an operation.

    The handler gets the context of the request and, where ``access`` needs an access
    token, its caller, who has been authenticated and has the role; with ``fresh`` they
    have also authenticated recently. Its name is the operation's; the first line of its
    docstring is the summary, the rest the description. Unknown and repeated parameters
    of the query string are refused, as are members of a body that has no model.
    ``returns`` is the model of a 200, or the replies. ``tag`` is the operation's group
    in the document, by default the one of its access.
    """
    match returns:
        case Reply():
            replies: tuple[Reply, ...] = (returns,)
        case tuple():
            replies = returns
        case _:
            replies = (Reply(returns),)

    async def refuse_members(request: web.Request) -> None:
        if body is None and method != hdrs.METH_GET:
            await read_payload(request, Payload)

    def declare(handler: _Handler) -> Operation:
        @functools.wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not ignores_unknown_parameters:
                check_parameters(request.query, query)
            context = RequestContext(request)
            if access.credentials is not CredentialsKind.ACCESS_TOKEN:
                await refuse_members(request)
                return await handler(context)
            caller = await context.caller(role=access.role)
            if fresh:
                context.require_fresh(caller)
            await refuse_members(request)
            return await handler(context, caller)

        summary, _, description = inspect.cleandoc(handler.__doc__ or "").partition(
            "\n"
        )
        return Operation(
            name=handler.__name__,
            method=method,
            path=path,
            handler=guarded,
            summary=summary.removesuffix("."),
            description=description.strip(),
            tag=tag or _TAGS[access],
            access=access,
            path_parameters=path_parameters or {},
            query=query,
            ignores_unknown_parameters=ignores_unknown_parameters,
            body=body,
            body_types=body_types,
            replies=replies,
            problems=(*problems, accounts.FRESH_CHECK_REQUIRED) if fresh else problems,
        )

    return declare
