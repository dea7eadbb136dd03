"""Who may try how often."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from identity_service.domain.factors import CHALLENGE_LIFETIME

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``amount`` in a ``period`` that starts with the first of them."""

    amount: int
    period: timedelta


SIGN_INS_OF_USER: Final = (
    Limit(10, MINUTE),
    Limit(20, 15 * MINUTE),
    Limit(30, HOUR),
    Limit(50, DAY),
    Limit(90, 30 * DAY),
)
"""A streak of failures on one user, from all unknown sites together and from each
known one by itself: the wait grows from a minute to weeks. A success ends it."""

LONGEST_WAIT_OF_NEWCOMERS: Final = MINUTE
"""A user who would wait longer for others' failures may try as a newcomer."""

SIGN_INS_OF_NEWCOMER: Final = (Limit(3, DAY), Limit(10, 30 * DAY))
"""Failures on one user of a network whose others keep it from trying: an IPv4 /24,
an IPv6 /48. With those of the user, a guesser with one network has 100 in a month
(NIST SP 800-63B-4 section 3.2.2)."""

NEWCOMERS_TO_USER: Final = (Limit(1, MINUTE),)
"""Newcomers' failures on one user, from all networks together."""

SECOND_STEPS_OF_NEWCOMER: Final = (Limit(1, CHALLENGE_LIFETIME),)
"""Second steps for each first one that take none of the user's newcomers' places: a
sign-in with two factors is one newcomer."""

SIGN_INS_OF_USER_AT_SITE: Final = (Limit(120, MINUTE), Limit(1200, HOUR))
"""Attempts on one user from one site, right ones too: each costs a hash."""

SIGN_INS_OF_SOURCE: Final = (
    Limit(60, MINUTE),
    Limit(300, HOUR),
    Limit(1000, DAY),
)
"""Failures from one address, for any user; offices share an address."""

SIGN_UPS_OF_SOURCE: Final = (
    Limit(60, MINUTE),
    Limit(300, HOUR),
    Limit(1000, DAY),
)
"""Sign-ups from one address, refused ones too: each reveals whether a name is taken."""

MAILS_TO_ADDRESS: Final = (Limit(6, 15 * MINUTE), Limit(50, DAY))
"""Mails of one kind that strangers have sent to one address, whether anybody has it or
not. Each kind counts by itself: who asks for another keeps nobody from a new password.
"""

MAILS_TO_ADDRESS_OF_NETWORK: Final = (Limit(3, 15 * MINUTE), Limit(10, DAY))
"""Those that one network, an IPv4 /24 or an IPv6 /48, has sent there."""

MAILS_OF_SOURCE: Final = (Limit(20, HOUR), Limit(100, DAY))
"""Mails that one source has sent, to any address."""

MAILS_OF_NETWORK: Final = (Limit(30, MINUTE), Limit(250, HOUR))
"""Mails that a network of several sources has sent: far less than all may."""

MAILS_OF_ALL: Final = (Limit(300, MINUTE), Limit(5000, HOUR))
"""Mails that are sent for strangers in all: what a mail server takes without offence.
Requests beyond wait until there is room."""

CHANGES_OF_USER: Final = (Limit(20, MINUTE), Limit(60, HOUR), Limit(100, DAY))
"""Changes of one's own name, address and second factors: each is audited and most are
mailed, so many would hide the one that matters."""

EXPORTS_OF_USER: Final = (Limit(5, MINUTE), Limit(20, HOUR))
"""Exports of one's own data: thousands of rows each."""

REFRESHES_OF_SOURCE: Final = (Limit(1200, MINUTE),)
"""Refreshes from one address: far above what an office of thousands needs."""

REFRESHES_OF_SESSION: Final = (Limit(120, MINUTE), Limit(1200, HOUR))
"""Refreshes of one session that reach the database: those at once count as one, so a
browser with a hundred tabs stays below. A token lives for minutes."""
