"""The table of the fault experiments, at the end of a run."""

import pytest
from tests.support.fault_rows import HEADS, TABLE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what came of each experiment that was run."""
    if TABLE:
        terminalreporter.section("faults")
        for line in (HEADS, *TABLE):
            terminalreporter.write_line(line)
