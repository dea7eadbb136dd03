"""How many threads of this process can work at once."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_ROOT: Final = Path("/")

_V1: Final = "cpu"
"""The controller that has the quota, where the system has the first kind of groups."""


def usable_cores(root: Path = _ROOT) -> int:
    """Return how many cores this process may use, where the system says so; 1 at least.

    They are those that it may run on, and no more than a container's limit or a unit's
    ``CPUQuota=`` leaves: a process that uses up its quota is stopped for the rest of
    the period, all threads together.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, math.floor(min([cores, *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas, in cores, of our control group and of those around it."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            is_v1 = _V1 in controllers.split(",")
            if not is_v1 and controllers:
                continue
            top = root / "sys/fs/cgroup" / (_V1 if is_v1 else "")
            inner = PurePosixPath(group.strip("/"))
            # In a container the name may be the host's: then its own group is the top.
            for folder in (inner, *inner.parents):
                with contextlib.suppress(OSError, ValueError):
                    yield _quota(top / folder, is_v1=is_v1)


def _quota(folder: Path, *, is_v1: bool) -> float:
    """Return a group's quota, or raise ValueError if it has none."""
    if is_v1:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota, period = ((folder / name).read_text() for name in names)
    else:
        quota, period = (folder / "cpu.max").read_text().split()
    if float(quota) < 0:
        raise ValueError("no quota")
    return float(quota) / float(period)


CORES: Final = usable_cores()
"""As it was when this process began: the event loop reads no files."""
