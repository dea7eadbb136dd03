"""How many hashes are made at once: what the process may use, not what there is."""

import os
from pathlib import Path

import pytest

from identity_service.security.cores import usable_cores


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = {*range(16)}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores, raising=False)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        pytest.param("0::/", {"cpu.max": "200000 100000\n"}, 2, id="container"),
        pytest.param("0::/", {"cpu.max": "50000 100000\n"}, 1, id="half a core"),
        pytest.param("0::/", {"cpu.max": "max 100000\n"}, 16, id="no limit"),
        pytest.param(
            "0::/system.slice/identity.service",
            {
                "system.slice/cpu.max": "300000 100000\n",
                "system.slice/identity.service/cpu.max": "max 100000\n",
            },
            3,
            id="slice",
        ),
        pytest.param(
            "4:memory:/docker/1f\n3:cpuacct,cpu:/docker/1f\n0::/docker/1f",
            {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"},
            2,
            id="first kind",
        ),
        pytest.param(
            "3:cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            16,
            id="first kind, no limit",
        ),
        pytest.param("0::/", {}, 16, id="the host's own group"),
        pytest.param("", {}, 16, id="no groups"),
    ],
)
def test_a_limit_of_the_control_group_counts(
    tmp_path: Path, groups: str, files: dict[str, str], cores: int
) -> None:
    for name, content in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{name}": content for name, content in files.items()},
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    assert usable_cores(tmp_path) == cores


def test_where_the_system_tells_nothing_its_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 16
