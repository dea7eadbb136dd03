"""The audit log, for administrators."""

import json
from typing import Final

from aiohttp import web

from identity_service.domain.audit import AuditQuery, AuditRecord
from identity_service.handlers.context import RequestContext
from identity_service.handlers.payloads import json_response, moment
from identity_service.handlers.queries import Query

_PARAMETERS: Final = (
    "actor",
    "subject",
    "action",
    "since",
    "until",
    "limit",
    "cursor",
)


async def show_page(request: web.Request) -> web.Response:
    """GET /api/audit?actor=…&subject=…&action=…&since=…&until=…&limit=…&cursor=…."""
    context = RequestContext(request)
    await context.admin()
    query = Query(request, *_PARAMETERS)
    limit = query.limit()
    wanted = AuditQuery(
        limit=limit + 1,
        before_id=query.whole_number("cursor"),
        actor_id=query.whole_number("actor"),
        subject_id=query.whole_number("subject"),
        action=query.text("action"),
        since=query.instant("since"),
        until=query.instant("until"),
    )
    records = await context.services.audit.search(wanted)
    shown = records[:limit]
    return json_response(
        {
            "events": [_members(record) for record in shown],
            "nextCursor": str(shown[-1].id) if len(records) > limit else None,
        }
    )


def _members(record: AuditRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "at": moment(record.at),
        "action": record.action,
        "actor": record.actor_id,
        "subject": record.subject_id,
        "address": record.address,
        "requestId": record.request_id,
        "details": json.loads(record.details),
        "hash": record.hash,
    }
