"""How and when people proved who they are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self


class Method(StrEnum):
    """One way to prove who one is, as ``amr`` names it (RFC 8176 section 2)."""

    PASSWORD = "pwd"  # noqa: S105 - the name of a method
    ONE_TIME_CODE = "otp"
    """Of an authenticator app, or a recovery code."""
    PASSKEY = "pop"
    """Proof of possession of a key."""
    USER_VERIFICATION = "user"
    """The device that has the key asked for a PIN, a finger or a face."""
    MAILED_CODE = "mail"
    """Sent by e-mail. RFC 8176 has no name for it."""


_SEVERAL: Final = "mfa"
"""What ``amr`` adds for more than one factor."""

_HAVING: Final = frozenset({Method.ONE_TIME_CODE, Method.PASSKEY})
"""Those that prove possession, not knowledge or inherence."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """The methods of an authentication, and its time."""

    at: datetime
    methods: frozenset[Method]

    @property
    def factors(self) -> int:
        """How many factors that was: 1 or 2."""
        return 2 if self.methods & _HAVING and self.methods - _HAVING else 1

    @property
    def amr(self) -> list[str]:
        """The methods as tokens name them."""
        several = {_SEVERAL} if self.factors > 1 else set[str]()
        return sorted({*self.methods} | several)

    def renewed(self, at: datetime, methods: frozenset[Method]) -> Self:
        """Return what it is after one more proof."""
        return type(self)(at, self.methods | methods)

    def without_factors(self) -> Self:
        """Return what it is once the user has given up all that they could have."""
        return type(self)(self.at, self.methods - _HAVING)

    def is_fresh(self, now: datetime, lifetime: timedelta) -> bool:
        """Return whether the last proof still counts for a dangerous action.

        One that is yet to come, because a clock was ahead, counts no longer either.
        """
        return abs(now - self.at) <= lifetime
