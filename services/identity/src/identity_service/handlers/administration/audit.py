"""The audit log, for administrators."""

from aiohttp import web

from identity_service.domain.audit import AuditQuery
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import ADMINS, operation
from identity_service.handlers.queries import AuditLogQuery, read_query
from identity_service.handlers.responses import AuditEventBody, AuditPage, json_response


@operation("GET", "/api/audit", access=ADMINS, query=AuditLogQuery, returns=AuditPage)
async def list_audit_events(context: RequestContext, _: Caller) -> web.Response:
    """List audit events, newest first."""
    query = read_query(context.request, AuditLogQuery)
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
