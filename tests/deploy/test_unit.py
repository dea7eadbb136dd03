"""`deploy/compose/gatehouse.service`, as systemd understands it."""

import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.missing import skip_missing

ROOT: Final = Path(__file__).parents[2]
UNIT: Final = ROOT / "deploy/compose/gatehouse.service"
INSTALLING: Final = re.findall(
    r"^```\n(unit=.*?)^```$",
    (ROOT / "docs/operations.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        skip_missing("systemd-analyze is not installed")
    engine = "[Service]\nExecStart=/bin/true\n"
    (tmp_path / "docker.service").write_text(engine)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/docker", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


class Machine:
    """A systemd of a user's own, whose engine is a stand-in that records its commands.

    It runs with a /run and mounts of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._notes = folder / "notes"
        self._fault = folder / "fault"
        tree, programs, units = (folder / name for name in (AWKWARD, "bin", "units"))
        unit = tree / UNIT.relative_to(ROOT)
        for each in (unit.parent, programs, units):
            each.mkdir(parents=True)
        self._notes.touch()
        (programs / "docker").write_text(
            f'#!/bin/sh\necho "$PWD $*" >>{self._notes}\n! rm {self._fault} 2>&-\n'
        )
        (programs / "docker").chmod(0o700)
        (units / "docker.service").write_text(ENGINE)
        text = UNIT.read_text().replace("/usr/bin/docker", str(programs / "docker"))
        unit.write_text(text.replace("RestartSec=5", "RestartSec=0.1"))
        self.command = f"{tree} compose up --detach --no-recreate --no-build --wait"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": "/run/user",
            "SYSTEMD_UNIT_PATH": f"{units}:",
        }
        [block] = INSTALLING
        block = block.replace("/etc/systemd/system", str(units))
        self.installing = block.replace("systemctl", "systemctl --user")
        self._shell = subprocess.Popen(
            ["unshare", "--mount", "sh"],
            start_new_session=True,
            cwd=tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def run(self, command: str) -> str:
        """Run a command of the shell, and return what it prints."""
        assert self._shell.stdin
        self._shell.stdin.write(f"{command}\necho {END}\n")
        self._shell.stdin.flush()
        printed = ""
        while (line := self._line()) != f"{END}\n":
            printed += line
        return printed

    def _line(self) -> str:
        line = self._lines.get(timeout=PATIENCE_SECONDS)
        if line is None:
            raise RuntimeError("the shell has ended")
        return line

    def _read(self) -> None:
        assert self._shell.stdout
        for line in self._shell.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def fail_once(self) -> None:
        """Have the engine refuse the next command."""
        self._fault.touch()

    def notes(self) -> list[str]:
        return self._notes.read_text().splitlines()

    def close(self) -> None:
        """End all of it, a systemd that does not listen any more as well."""
        try:
            self.run("systemctl --user exit")
            self.run("wait")
        finally:
            if self._shell.stdin:
                self._shell.stdin.close()
            try:
                self._shell.wait(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._shell.pid, signal.SIGKILL)
                self._shell.wait()
            self._reader.join()
            if self._shell.stdout:
                self._shell.stdout.close()


PATIENCE_SECONDS: Final = 30.0
AWKWARD: Final = "the tree|& 100% of it"
"""A folder's name with what sed and systemd take for their own."""
END: Final = "--- end of what a command prints"

ENGINE: Final = "[Service]\nExecStart=/bin/sleep 1000\n"

BOOT: Final = (
    "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user",
    "/lib/systemd/systemd --user >/dev/null 2>&1 &",
)


BOOTED: Final = {"running\n", "degraded\n"}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if shutil.which("systemctl") is None or not Path("/lib/systemd/systemd").exists():
        skip_missing("systemd is not installed")
    unshared = ["unshare", "--mount", "true"]
    if subprocess.run(unshared, capture_output=True, check=False).returncode:
        pytest.skip("mounts of one's own need CAP_SYS_ADMIN")
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        machine.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_containers_follow_every_start_of_the_engine(machine: Machine) -> None:
    """An upgrade of the engine stops it and starts it, which is no restart."""
    systemctl = "systemctl --user"
    for command in BOOT:
        machine.run(command)
    until(lambda: machine.run(f"{systemctl} is-system-running") in BOOTED)
    machine.run(machine.installing)
    until(lambda: machine.notes() == [machine.command])

    machine.run(f"{systemctl} restart docker")
    until(lambda: machine.notes() == [machine.command] * 2)
    machine.run(f"{systemctl} stop docker")
    machine.run(f"{systemctl} start docker")
    until(lambda: machine.notes() == [machine.command] * 3)
    machine.fail_once()
    machine.run(f"{systemctl} restart docker")
    until(lambda: machine.notes() == [machine.command] * 5)
    until(lambda: machine.run(f"{systemctl} is-active gatehouse") == "active\n")
