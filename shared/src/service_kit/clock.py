"""Where the time comes from."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

Clock = Callable[[], datetime]
"""Returns the present moment, aware and in UTC."""

utc_now: Final[Clock] = partial(datetime.now, UTC)
"""Returns the present moment. Each request asks, so no function of ours wraps it."""
