"""Compose the services of sessions, of their tokens and of signing keys."""

from dataclasses import dataclass

from identity_service.composition.core import Core
from identity_service.security.refresh_tokens import RefreshTokens
from identity_service.usecases.keys.rotation import KeyRotation
from identity_service.usecases.keys.signing_keys import SigningKeys
from identity_service.usecases.sessions.access_tokens import AccessTokens, Bearers
from identity_service.usecases.sessions.entries import SessionEntries
from identity_service.usecases.sessions.refresh import Refreshes
from identity_service.usecases.sessions.sessions import Sessions
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.status_entries import StatusEntries
from identity_service.usecases.sessions.token_introspection import TokenIntrospection
from identity_service.usecases.sessions.token_pairs import TokenPairs
from identity_service.usecases.sessions.turns import SessionTurns
from identity_service.usecases.status_lists import StatusLists
from service_kit.tokens import TokenVerifier


@dataclass(frozen=True, kw_only=True)
class SessionServices:
    """The services of sessions, of their tokens and of signing keys."""

    keys: SigningKeys
    key_rotation: KeyRotation
    status_entries: StatusEntries
    status_lists: StatusLists
    starts: SessionStarts
    sessions: Sessions
    refreshes: Refreshes
    bearers: Bearers
    token_introspection: TokenIntrospection


def compose_sessions(core: Core) -> SessionServices:
    """Return the services that the settings describe."""
    settings, database = core.settings, core.database
    audit, clock = core.audit, core.clock
    keys = SigningKeys(database, core.sealer, settings.key_schedule, clock)
    status_entries = StatusEntries(database, clock)
    entries = SessionEntries(database, status_entries, clock)
    refresh_tokens = RefreshTokens(settings.key_encryption_keys)
    access_tokens = AccessTokens(
        keys,
        clock,
        issuer=settings.issuer,
        audience=settings.audience,
        media_type=settings.access_token_type,
        lifetime=settings.access_token_lifetime,
        second_factor_roles=settings.second_factor_roles,
    )
    token_pairs = TokenPairs(access_tokens, refresh_tokens)
    turns = SessionTurns()
    sessions = Sessions(
        database,
        refresh_tokens,
        turns=turns,
        audit=audit,
        clock=clock,
        most=settings.sessions_per_user,
    )
    verifier = TokenVerifier(
        keys,
        issuer=settings.issuer,
        audience=settings.audience,
        media_type=settings.access_token_type,
        clock=clock,
    )
    bearers = Bearers(database, verifier, issuer=settings.issuer)
    return SessionServices(
        keys=keys,
        key_rotation=KeyRotation(
            database,
            audit,
            keys,
            sealer=core.sealer,
            schedule=settings.key_schedule,
            clock=clock,
        ),
        status_entries=status_entries,
        status_lists=StatusLists(
            database,
            keys,
            clock,
            issuer=settings.issuer,
            lifetime=settings.access_token_lifetime,
            ttl=settings.status_list_ttl,
        ),
        starts=SessionStarts(
            database,
            entries=entries,
            token_pairs=token_pairs,
            audit=audit,
            clock=clock,
            rules=settings.session_rules,
        ),
        sessions=sessions,
        refreshes=Refreshes(
            database,
            sessions=sessions,
            turns=turns,
            refresh_tokens=refresh_tokens,
            entries=entries,
            token_pairs=token_pairs,
            throttle=core.throttle,
            clock=clock,
            rules=settings.session_rules,
        ),
        bearers=bearers,
        token_introspection=TokenIntrospection(
            database,
            bearers=bearers,
            refresh_tokens=refresh_tokens,
            sessions=sessions,
            clock=clock,
            issuer=settings.issuer,
            audience=settings.audience,
        ),
    )
