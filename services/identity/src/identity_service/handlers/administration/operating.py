"""What administrators watch: the audit log, the signing keys and the gateways."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from aiohttp import hdrs, web
from pydantic import Field

from identity_service.domain.audit import AuditQuery
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import ADMINS, operation
from identity_service.handlers.queries import AuditLogQuery
from identity_service.handlers.responses import (
    AuditEventBody,
    AuditPage,
    Body,
    MessageBody,
    json_response,
    message_response,
)
from identity_service.handlers.schemas import Count, Id, Moment, described, text
from service_kit.operations import Reply

_ASK_AGAIN_SECONDS: Final = 2

Kid = Annotated[str, text(43, "0" * 43, pattern="^[A-Za-z0-9_-]{43}$")]
KeyStateText = Annotated[
    str, described(enum=["next", "active", "retiring"], example="active")
]


class AuditChainBody(Body):
    """The result of verifying the audit log."""

    intact: bool = Field(validation_alias="is_intact")
    events: Count = Field(validation_alias="records")
    broken_at: Id | None
    """The first event that is changed, missing or out of place."""
    last_hash: Annotated[str, text(64, "0" * 64, pattern="^[0-9a-f]{64}$")]
    """Keep a copy elsewhere: rewriting the whole chain changes it."""
    verified_at: Moment


class KeyLifeBody(Body):
    """A signing key with the moments of its life, past and planned."""

    kid: Kid
    state: KeyStateText
    published_at: Moment
    signs_from: Moment
    signs_until: Moment
    unpublished_at: Moment


class KeyLivesBody(Body):
    """The published signing keys, in the order in which they were published."""

    now: Moment
    keys: Annotated[list[KeyLifeBody], described(maxItems=100)]


class GatewayBody(Body):
    """A gateway, as it is now."""

    url: Annotated[str, text(2048, "http://10.0.0.7:9080/status", format="uri")]
    reachable: bool = Field(validation_alias="is_reachable")
    reason: Annotated[str, text(200, "connection refused")] | None
    """Why it could not be asked."""
    status: Annotated[dict[str, Any], described(maxProperties=100)] | None
    """What it says on its internal port."""


class GatewaysBody(Body):
    """All gateways that identity knows."""

    gateways: Annotated[list[GatewayBody], described(maxItems=100)]


@operation("GET", "/api/audit", access=ADMINS, query=AuditLogQuery, returns=AuditPage)
async def list_audit_events(context: RequestContext, _: Caller) -> web.Response:
    """List audit events, newest first."""
    query = context.read_query(AuditLogQuery)
    wanted = AuditQuery(
        limit=query.limit + 1,
        before_id=query.cursor,
        actor_id=query.actor,
        subject_id=query.subject,
        action=query.action,
        since=query.since,
        until=query.until,
    )
    records = await context.services.audit.search(wanted)
    shown = records[: query.limit]
    return json_response(
        AuditPage(
            events=[AuditEventBody.model_validate(record) for record in shown],
            next_cursor=str(shown[-1].id) if len(records) > query.limit else None,
        )
    )


@operation(
    "GET",
    "/api/audit/chain",
    access=ADMINS,
    returns=(
        Reply(AuditChainBody),
        Reply(MessageBody, HTTPStatus.ACCEPTED, headers=(hdrs.RETRY_AFTER,)),
    ),
)
async def show_audit_chain(context: RequestContext, _: Caller) -> web.Response:
    """Show whether the audit log is intact.

    The response is 202 while a long log is still being verified.
    """
    verdict = await context.services.audit_chain.verdict()
    if verdict is not None:
        return json_response(AuditChainBody.model_validate(verdict))
    response = message_response(
        "The chain is still being verified. Please ask again.", HTTPStatus.ACCEPTED
    )
    response.headers[hdrs.RETRY_AFTER] = str(_ASK_AGAIN_SECONDS)
    return response


@operation("GET", "/api/signing-keys", access=ADMINS, returns=KeyLivesBody)
async def list_signing_keys(context: RequestContext, _: Caller) -> web.Response:
    """List the signing keys with their schedule."""
    services = context.services
    records, now = await services.tokens.keys.refresh(), services.clock()
    lives = services.settings.key_schedule.lives(records, now)
    return json_response(
        KeyLivesBody(now=now, keys=[KeyLifeBody.model_validate(life) for life in lives])
    )


@operation("GET", "/api/gateway", access=ADMINS, returns=GatewaysBody)
async def list_gateways(context: RequestContext, _: Caller) -> web.Response:
    """List the gateways with their status."""
    statuses = await context.services.gateways.status()
    return json_response(
        GatewaysBody(gateways=[GatewayBody.model_validate(each) for each in statuses])
    )
