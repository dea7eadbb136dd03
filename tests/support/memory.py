"""What a process takes of the machine's memory."""

import re
from pathlib import Path


def pss_mib(pid: int, kind: str = "Pss") -> float:
    """Return its proportional share, or one kind of it, such as ``Pss_Anon``."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{kind}:\s+(\d+)", rollup, re.MULTILINE)
    assert found is not None, rollup
    return int(found[1]) / 1024
