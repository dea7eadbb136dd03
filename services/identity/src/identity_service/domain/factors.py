"""Second factors: what users prove besides their password."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

RECOVERY_CODES: Final = 10
"""Recovery codes of a user, until some are used."""

MOST_PASSKEYS: Final = 20
"""Passkeys of a user: a few for each device that people have."""

CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
"""How long a user may take for one step of a sign-in."""


class Factor(StrEnum):
    """What a user may be asked for after the password."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"


APP: Final = Factor.TOTP.value
"""What a token is about that undoes the enrolment of an app: no passkey's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpSecret:
    """What the authenticator app of a user makes its codes of."""

    user_id: int
    sealed_secret: bytes = field(repr=False)
    last_step: int
    """The latest of which a code was accepted: it and those before it are spent."""
    created_at: datetime
    confirmed_at: datetime | None
    """When the first code was entered; until then no code is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A credential of WebAuthn, as the standard has it recorded (section 4)."""

    id: str
    """What the API calls it."""
    user_id: int
    credential_id: bytes
    public_key: bytes
    sign_count: int
    may_be_backed_up: bool
    is_backed_up: bool
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """The second factors that a user has."""

    has_totp: bool
    passkeys: int
    recovery_codes: int
    """Those that are left."""

    @property
    def kinds(self) -> tuple[Factor, ...]:
        """What the user may be asked for; nothing if recovery codes alone are left."""
        if not self.has_totp and not self.passkeys:
            return ()
        has = {
            Factor.TOTP: self.has_totp,
            Factor.RECOVERY_CODE: self.recovery_codes > 0,
            Factor.PASSKEY: self.passkeys > 0,
        }
        return tuple(factor for factor in Factor if has[factor])


NO_FACTORS: Final = Factors(has_totp=False, passkeys=0, recovery_codes=0)
