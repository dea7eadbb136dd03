"""The services of sessions, of their tokens and of signing keys."""

from identity_service.composition.core import Core
from identity_service.domain.sessions.interruptions import Interruptions
from identity_service.security.refresh_tokens import RefreshTokens
from identity_service.usecases.keys.rotation import KeyRotation
from identity_service.usecases.keys.signing_keys import SigningKeys
from identity_service.usecases.sessions.bearers import Bearers
from identity_service.usecases.sessions.refresh import Refreshes
from identity_service.usecases.sessions.sessions import Sessions
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.status_entries import StatusEntries
from identity_service.usecases.sessions.token_introspection import TokenIntrospection
from identity_service.usecases.sessions.token_pairs import TokenPairs
from identity_service.usecases.sessions.turns import SessionTurns
from identity_service.usecases.status_lists import StatusLists
from service_kit.tokens import TokenVerifier


class TokenServices:
    """The services of sessions, of their tokens and of signing keys."""

    def __init__(self, core: Core) -> None:
        settings, database, clock = core.settings, core.database, core.clock
        self.keys = SigningKeys(database, core.sealer, settings.key_schedule, clock)
        self.key_rotation = KeyRotation(
            database,
            self.keys,
            sealer=core.sealer,
            schedule=settings.key_schedule,
            clock=clock,
        )
        self.status_entries = StatusEntries(database, clock)
        self.status_lists = StatusLists(
            database,
            self.keys,
            clock,
            issuer=settings.issuer,
            lifetime=settings.access_token_lifetime,
            ttl=settings.status_list_ttl,
        )
        refresh_tokens = RefreshTokens(settings.key_encryption_keys)
        pairs = TokenPairs(
            self.keys,
            refresh_tokens,
            clock,
            issuer=settings.issuer,
            audience=settings.audience,
            media_type=settings.access_token_type,
            lifetime=settings.access_token_lifetime,
            second_factor_roles=settings.second_factor_roles,
        )
        self.starts = SessionStarts(
            database,
            entries=self.status_entries,
            token_pairs=pairs,
            clock=clock,
            rules=settings.session_rules,
        )
        turns = SessionTurns()
        self.sessions = Sessions(
            database, refresh_tokens, turns=turns, most=settings.sessions_per_user
        )
        self.refreshes = Refreshes(
            database,
            sessions=self.sessions,
            turns=turns,
            refresh_tokens=refresh_tokens,
            entries=self.status_entries,
            token_pairs=pairs,
            throttle=core.throttle,
            rules=settings.session_rules,
            interruptions=Interruptions(clock, settings.refresh_grace),
        )
        verifier = TokenVerifier(
            self.keys,
            issuer=settings.issuer,
            audience=settings.audience,
            media_type=settings.access_token_type,
            clock=clock,
        )
        self.bearers = Bearers(database, verifier, issuer=settings.issuer)
        self.introspection = TokenIntrospection(
            database,
            bearers=self.bearers,
            refresh_tokens=refresh_tokens,
            sessions=self.sessions,
            clock=clock,
            issuer=settings.issuer,
            audience=settings.audience,
        )
