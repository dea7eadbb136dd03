"""The settings of tokens, of sessions and of signing keys."""

from dataclasses import dataclass
from datetime import timedelta

from identity_service.domain.sessions.sessions import SessionRules
from identity_service.domain.signing_keys import KeySchedule
from identity_service.security.keyrings import Keyring
from identity_service.settings import values
from identity_service.settings.values import DAY, YEAR
from service_kit import settings as parse
from service_kit.settings import setting


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """How tokens are issued, and how long they, sessions and signing keys live."""

    key_encryption_keys: Keyring = setting(
        values.keyring,
        secret=True,
        description="base64url keys of 32 bytes; the first seals, all open",
    )
    issuer: str = setting(
        values.issuer,
        description="exact iss of every token: the public URL, no trailing slash",
    )
    audience: str = setting(default="content", description="aud of access tokens")
    access_token_type: str = setting(
        parse.one_of("at+jwt", "JWT"),
        default="at+jwt",
        description="typ of access tokens; JWT only for verifiers that insist on it",
    )
    access_token_lifetime: timedelta = setting(
        parse.seconds(1, DAY),
        default="900",
        description="seconds an access token lives",
    )
    session_idle_lifetime: timedelta = setting(
        parse.seconds(1, 10 * YEAR),
        default=str(14 * DAY),
        description="seconds a session lives without a refresh",
    )
    session_lifetime: timedelta = setting(
        parse.seconds(1, 10 * YEAR),
        default=str(90 * DAY),
        description="seconds a session lives at most",
    )
    sessions_per_user: int = setting(
        parse.whole_number(1, 1000),
        default="100",
        description="live sessions; the least recently used ends when one more begins",
    )
    refresh_grace: timedelta = setting(
        parse.seconds(0, 60),
        default="10",
        description="seconds in which a spent token gets the same successor again",
    )
    fresh_check_lifetime: timedelta = setting(
        parse.seconds(1, DAY),
        default="600",
        description="seconds a proof of who one is counts for dangerous actions",
    )
    signing_key_lifetime: timedelta = setting(
        parse.seconds(1, 10 * YEAR),
        default=str(30 * DAY),
        description="seconds a key signs",
    )
    signing_key_prepublication: timedelta = setting(
        parse.seconds(0, 30 * DAY),
        default="3600",
        description="seconds the next key is published before it signs",
    )
    jwks_max_age: timedelta = setting(
        parse.seconds(1, 900),
        default="300",
        description="seconds verifiers may keep the JWKS",
    )
    status_list_ttl: timedelta = setting(
        parse.seconds(1, 3600),
        default="15",
        description="seconds verifiers may keep a status list",
    )
    tutorial_compat: bool = setting(
        parse.boolean,
        default="false",
        description="what only the tutorial's clients need; see docs/tutorial.md",
        variable="TUTORIAL_COMPAT",
    )

    @property
    def key_schedule(self) -> KeySchedule:
        """When signing keys take the steps of their lives."""
        return KeySchedule(
            lifetime=self.signing_key_lifetime,
            prepublication=self.signing_key_prepublication,
            jwks_max_age=self.jwks_max_age,
            access_token_lifetime=self.access_token_lifetime,
        )

    @property
    def session_rules(self) -> SessionRules:
        """How long sessions live, and how many a user may have."""
        return SessionRules(
            idle_lifetime=self.session_idle_lifetime,
            lifetime=self.session_lifetime,
            grace=self.refresh_grace,
            tokens_are_spent=not self.tutorial_compat,
            most=self.sessions_per_user,
        )
