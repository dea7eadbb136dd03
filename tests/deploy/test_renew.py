"""`deploy/compose/renew` with an engine that only counts containers."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
RENEW: Final = "deploy/compose/renew"

DOCKER: Final = """#!/usr/bin/env bash
pwd >>"$ENGINE/folders"
cd "$ENGINE" && words="$*" last=${!#}
case "$*" in
  "inspect "*Health*) [ ! -s "containers/$last" ] && echo healthy || echo sick ;;
  "inspect "*) wc -l <"containers/$last" ;;
  *" config") printf 'services:\\n  identity:\\n    deploy:\\n      replicas: 2\\n' ;;
  *" rm --force identity") rm -f stopped ;;
  *" --scale identity="*)
    wanted=${words##*--scale identity=}
    for n in $(seq "$(ls containers | wc -w)" $((${wanted%% *} - 1))); do
      cp "${BROKEN:-/dev/null}" "containers/new-$(date +%N)-$n"
    done ;;
  *" up "*" identity") touch containers/new-0 containers/new-1 ;;
  *" up "*" gateway"*) [ -z "${BROKEN:-}" ] && echo "$last" >>gateways ;;
  *" ps --all "*) echo "broken-$last" ;;
  *" ps "*) ls containers ;;
  "logs "*) echo "words of $last" ;;
  "exec "*" doctor") printf 'ok    clock\\nfault database: run migrate\\n' ;;
  "stop "*) if [ -e interrupt ]; then rm interrupt; kill -9 $PPID; fi ;;
  "rm "*) rm "containers/$last" ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """Two replicas that run an old version."""
    for name, text in (("docker", DOCKER), ("sleep", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    (tmp_path / "containers").mkdir()
    # A tree of its own: runs in one tree exclude each other.
    (tmp_path / RENEW).parent.mkdir(parents=True)
    shutil.copy(ROOT / RENEW, tmp_path / RENEW)
    for n in range(2):
        (tmp_path / "containers" / f"old-{n}").touch()
    return tmp_path


def renew(engine: Path, *others: str, **environ: str) -> int:
    return ran(engine, "identity", *others, **environ).returncode


def ran(
    engine: Path, *services: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    environ |= {"PATH": f"{engine}:{os.environ['PATH']}", "ENGINE": str(engine)}
    command = [str(engine / RENEW), *services]
    return subprocess.run(
        command, cwd="/", env=environ, check=False, capture_output=True, text=True
    )


def containers(engine: Path) -> list[str]:
    return sorted(each.name[:3] for each in (engine / "containers").iterdir())


def test_every_replica_is_replaced(engine: Path) -> None:
    assert renew(engine) == 0
    assert containers(engine) == ["new", "new"]


def test_a_mistyped_service_is_noticed_before_any_is_replaced(engine: Path) -> None:
    assert renew(engine, "contnet") == 2
    assert containers(engine) == ["old", "old"]


def test_of_two_at_once_the_second_changes_nothing(engine: Path) -> None:
    tree = os.open(engine, os.O_RDONLY)
    try:
        fcntl.flock(tree, fcntl.LOCK_EX)
        assert renew(engine) == 1
    finally:
        os.close(tree)
    assert containers(engine) == ["old", "old"]


def test_a_stopped_replica_is_not_started_as_it_was(engine: Path) -> None:
    (engine / "stopped").touch()
    assert renew(engine) == 0
    assert not (engine / "stopped").exists()


def test_where_none_runs_all_are_started(engine: Path) -> None:
    for container in (engine / "containers").iterdir():
        container.unlink()
    assert renew(engine) == 0
    assert containers(engine) == ["new", "new"]


def test_compose_runs_where_the_files_of_the_environment_are(engine: Path) -> None:
    assert renew(engine) == 0
    assert set((engine / "folders").read_text().split()) == {str(engine)}


def test_an_interrupted_run_leaves_no_replica_too_many(engine: Path) -> None:
    (engine / "interrupt").touch()
    assert renew(engine) != 0
    assert containers(engine) == ["new", "old", "old"]
    assert renew(engine) == 0
    assert containers(engine) == ["new", "new"]


def test_a_version_that_does_not_start_leaves_the_old_one(engine: Path) -> None:
    (engine / "broken").write_text("it has restarted\n")
    assert renew(engine, BROKEN="broken") != 0
    assert containers(engine) == ["old", "old"]


def test_what_a_failure_left_leaves_before_what_serves(engine: Path) -> None:
    (engine / "containers" / "sick").write_text("it has restarted\n")
    (engine / "interrupt").touch()
    assert renew(engine) != 0
    assert renew(engine) == 0
    assert containers(engine) == ["new", "new"]


def test_a_broken_replica_can_be_replaced(engine: Path) -> None:
    (engine / "containers" / "old-0").write_text("it has restarted\n")
    assert renew(engine) == 0
    assert containers(engine) == ["new", "new"]


def test_a_gateway_that_does_not_start_leaves_the_other_and_says_why(
    engine: Path,
) -> None:
    refused = ran(engine, "gateway", BROKEN="broken")
    assert refused.returncode == 1
    assert "the other gateway stays" in refused.stderr
    assert "words of broken-gateway" in refused.stderr
    assert refused.stderr.endswith("\nfault database: run migrate\n")
    assert "clock" not in refused.stderr
    assert not (engine / "gateways").exists()
    assert ran(engine, "gateway").returncode == 0
    assert len((engine / "gateways").read_text().split()) == 2
