"""Report whether a service has what it needs, one line for each dependency."""

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from enum import Enum

from service_kit.running.output import write_line


class Severity(Enum):
    """The severity of a finding: the beginning of its line, and the exit code."""

    GOOD = ("ok", 0)
    NOTE = ("note", 0)
    """The service works, but the operator should know."""
    FAULT = ("fault", 1)
    AWAY = ("fault", 2)
    """It does not respond, so it cannot be examined."""

    def __init__(self, label: str, exit_code: int) -> None:
        self.label = label
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one dependency, and what the operator should do."""

    name: str
    text: str = ""
    severity: Severity = Severity.GOOD
    advice: str = ""

    def __str__(self) -> str:
        line = f"{self.severity.label:5} {self.name}"
        if self.text:
            line += f": {self.text}"
        return f"{line} -> {self.advice}" if self.advice else line


def note(name: str, text: str, advice: str = "") -> Finding:
    """Return a finding that the operator should know of."""
    return Finding(name, text, Severity.NOTE, advice)


def fault(name: str, text: str = "", advice: str = "") -> Finding:
    """Return a finding about something that the service cannot work with."""
    return Finding(name, text, Severity.FAULT, advice)


def away(name: str, text: str, advice: str = "") -> Finding:
    """Return a finding about something that is needed and does not respond."""
    return Finding(name, text, Severity.AWAY, advice)


def good_unless(name: str, problem: str | None, text: str, advice: str = "") -> Finding:
    """Return a finding with a problem and what to do about it, or what is well."""
    return Finding(name, text) if problem is None else fault(name, problem, advice)


async def report(
    findings: AsyncIterable[Finding], write: Callable[[str], None] = write_line
) -> int:
    """Write a line for each finding as soon as it is made; return the exit code.

    It is 2 if something that is needed is away, else 1 after a fault, else 0.
    """
    exit_code = 0
    async for finding in findings:
        write(str(finding))
        exit_code = max(exit_code, finding.severity.exit_code)
    return exit_code
