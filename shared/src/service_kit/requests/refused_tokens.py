"""Log why tokens were refused; clients learn only that they were."""

import logging
import time
from collections.abc import Callable
from typing import Final

_MOST: Final = 60
"""Lines in one period, so that a flood of bad tokens does not fill the log."""
_PERIOD: Final = 60.0

_logger: Final = logging.getLogger(__name__)


class RefusedTokens:
    """Logs a line for each refused token, at most 60 a minute, and counts the others.

    A line has the reason and the request id, and nothing of the token.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._logged = 0
        self._left_out = 0
        self._ends_at = 0.0

    def note(self, reason: str, detail: str) -> None:
        """Log a refusal, unless the period's lines are used up."""
        now = self._now()
        if now >= self._ends_at:
            self._ends_at = now + _PERIOD
            self._logged = 0
        if self._logged >= _MOST:
            self._left_out += 1
            return
        self._logged += 1
        fields: dict[str, object] = {"reason": reason, "detail": detail}
        if self._left_out:
            fields["left_out_before"] = self._left_out
            self._left_out = 0
        _logger.info("token_refused", extra=fields)
