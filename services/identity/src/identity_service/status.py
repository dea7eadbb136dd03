"""The content of `/status` on the internal port."""

from sqlalchemy.exc import SQLAlchemyError

from identity_service.composition import Services
from identity_service.storage.faults import reason
from identity_service.storage.upgrades import schema
from service_kit.clock import rfc3339


async def status_of(services: Services) -> dict[str, object]:
    """Return what this process serves with, without secrets."""
    settings, database = services.settings, services.database
    return {
        "issuer": settings.issuer,
        "audience": settings.audience,
        "clock": {
            "now": rfc3339(services.clock()),
            "host_ahead_seconds": round(
                services.database_clock.ahead().total_seconds(), 3
            ),
        },
        "schema": await _schema(services),
        "database": {
            "dialect": services.engine.dialect.name,
            "connections": database.connections,
            "connections_limit": settings.database_pool_size,
            "work_in_progress": database.in_progress,
            "failures": database.failures,
        },
        "signing_keys": _signing_keys(services),
        "status_lists": _status_lists(services),
        "hashing": {
            "running": services.hasher.turns.running,
            "waiting": services.hasher.turns.waiting,
            "waiting_limit": services.hasher.turns.room,
        },
        "throttle": {
            "on": settings.throttle,
            "store": settings.throttle_url.partition("://")[0],
            "counting_alone": services.counters.fault is not None,
        },
        "housekeeping": {
            name: {
                "done_seconds_ago": round(
                    services.housekeeping.age(name).total_seconds()
                ),
                "backlog_seconds": round(state.backlog.total_seconds()),
            }
            for name, state in services.housekeeping.states.items()
        },
        "waiting_verifiers": len(services.waiters),
    }


async def _schema(services: Services) -> dict[str, object]:
    try:
        present = await schema.present_version(services.engine)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return {"needed": schema.NEEDED, "present": None, "fault": reason(error)}
    return {"needed": schema.NEEDED, "present": present}


def _signing_keys(services: Services) -> dict[str, object] | None:
    report = services.tokens.keys.report()
    if report is None:
        return None
    return {
        "kids": services.tokens.keys.kids(),
        "signs_since": rfc3339(report.activated_at),
        "rotates_at": None if report.rotates_at is None else rfc3339(report.rotates_at),
        "unopened": services.tokens.keys.unopened(),
        "read_seconds_ago": round(report.lag.total_seconds(), 1),
    }


def _status_lists(services: Services) -> dict[str, object]:
    expires_at = services.tokens.status_lists.expires_at()
    return {
        "served_of_late": len(services.tokens.status_lists.sizes()),
        "expires_at": None if expires_at is None else rfc3339(expires_at),
    }
