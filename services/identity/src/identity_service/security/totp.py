"""Time-based one-time codes of authenticator apps (RFC 6238)."""

import hmac
import re
from datetime import datetime
from typing import Final

import pyotp
import segno

STEP_SECONDS: Final = 30
"""How long a code shows (RFC 6238 section 5.2): every app knows this one."""

DRIFT: Final = 1
"""Steps that a phone's clock may be off, either way."""

_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)


def new_secret() -> str:
    """Return a secret of 160 bits in base32 (RFC 4226 section 4, R6)."""
    return pyotp.random_base32()


def provisioning_uri(secret: str, *, username: str, issuer: str) -> str:
    """Return the URI that apps read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)


def qr_code(uri: str) -> list[str]:
    """Return the rows of a QR code (ISO/IEC 18004): 1 is dark, 0 is light.

    Takes some ten milliseconds. Draw it with four light modules around it.
    """
    made = segno.make(uri, error="m", micro=False)
    return ["".join(map(str, row)) for row in made.matrix]


def is_code(untrusted_text: str) -> bool:
    """Return whether this has the form of a code."""
    return _CODE.fullmatch(untrusted_text) is not None


def step_of(at: datetime) -> int:
    """Return the number of the step that a moment is in."""
    return int(at.timestamp()) // STEP_SECONDS


def matching_step(
    secret: str, untrusted_code: str, now: datetime, *, after: int
) -> int | None:
    """Return the step whose code this is, of those after ``after`` that may be now.

    All are compared, so that the time does not say which one it is.
    """
    otp, present = pyotp.TOTP(secret), step_of(now)
    matching = [
        step
        for step in range(present - DRIFT, present + DRIFT + 1)
        if hmac.compare_digest(
            otp.generate_otp(step), untrusted_code if is_code(untrusted_code) else ""
        )
        and step > after
    ]
    return matching[0] if matching else None
