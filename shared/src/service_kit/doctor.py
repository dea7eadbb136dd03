"""Report what a service needs, one line for each thing, and whether it is there."""

import sys
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing."""

    name: str
    text: str = ""
    is_good: bool = field(default=True, kw_only=True)
    is_away: bool = field(default=False, kw_only=True)
    """It does not answer, so nothing else can be said of it."""

    def __str__(self) -> str:
        state = "ok   " if self.is_good else "fault"
        return (
            f"{state} {self.name}: {self.text}" if self.text else f"{state} {self.name}"
        )


def fault(name: str, text: str = "") -> Finding:
    """Return a finding of something that is not as the service needs it."""
    return Finding(name, text, is_good=False)


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def report(
    findings: AsyncIterable[Finding], write_line: Callable[[str], None] = _write_line
) -> int:
    """Write a line for each finding as it comes; return the exit code.

    It is 2 if something that is needed is away, else 1 after a fault, else 0.
    """
    exit_code = 0
    async for finding in findings:
        write_line(str(finding))
        if not finding.is_good:
            exit_code = max(exit_code, 2 if finding.is_away else 1)
    return exit_code
