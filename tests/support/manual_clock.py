"""Time that passes when the test says so."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock, wall and monotonic, that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()

    def advance(self, duration: timedelta) -> None:
        self.now += duration
