"""Who did what, for administrators."""

import json
from typing import Final

from aiohttp import web

from identity_service.app_keys import AUDIT
from identity_service.domain.audit import AuditQuery, AuditRecord
from identity_service.handlers.callers import admin
from identity_service.handlers.payloads import answer, moment
from identity_service.handlers.queries import instant, text, whole_number

_DEFAULT_LIMIT: Final = 50
_HIGHEST_LIMIT: Final = 200


async def show_page(request: web.Request) -> web.Response:
    """GET /api/audit?actor=…&subject=…&action=…&since=…&until=…&limit=…&cursor=…."""
    await admin(request)
    limit = whole_number(request, "limit", least=1, most=_HIGHEST_LIMIT)
    limit = _DEFAULT_LIMIT if limit is None else limit
    query = AuditQuery(
        limit=limit + 1,
        before_id=whole_number(request, "cursor"),
        actor_id=whole_number(request, "actor"),
        subject_id=whole_number(request, "subject"),
        action=text(request, "action"),
        since=instant(request, "since"),
        until=instant(request, "until"),
    )
    records = await request.app[AUDIT].search(query)
    shown = records[:limit]
    return answer(
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
