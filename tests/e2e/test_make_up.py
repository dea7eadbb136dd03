"""`make up` and `make down`: what they print, keep, refuse and leave behind."""

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.contract_walk import ROWS, Walk, walking
from tests.support.ports import free_ports

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 60.0
PORTS: Final = tuple(
    f"{service}_{kind}"
    for service in ("GATEWAY", "IDENTITY", "CONTENT")
    for kind in ("PORT", "INTERNAL_PORT")
)


class Tree:
    """A copy of what `make up` runs, with state and ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.base_url = f"http://localhost:{self.ports['GATEWAY_PORT']}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "IDENTITY_BCRYPT_COST": "6",
            "IDENTITY_STATUS_LIST_TTL": "1",
            **{name: str(port) for name, port in self.ports.items()},
        }

    @property
    def local(self) -> Path:
        """The folder of all state."""
        return self.folder / ".local"

    @property
    def admin(self) -> dict[str, str]:
        """The first admin's credentials, from their file."""
        read: dict[str, str] = json.loads(
            (self.local / "admin-credentials.json").read_text()
        )
        return read

    def command(self, word: str, **overrides: str) -> subprocess.Popen[str]:
        """Start what the Makefile starts, as a terminal does: in its own group."""
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.dev", word],
            cwd=self.folder,
            env={**self.environment, **overrides},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def refusal(self, **overrides: str) -> str:
        """Return the last line of an `up` that must fail, and has no traceback."""
        process = self.command("up", **overrides)
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1, printed
        assert "Traceback" not in printed
        return printed.splitlines()[-1]

    def down(self) -> str:
        """Return what `make down` prints."""
        process = self.command("down")
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, printed
        return printed

    def someone_listens(self) -> bool:
        """Whether any of the ports is still taken."""
        return any(_accepts(port) for port in self.ports.values())


class Running:
    """An `up` that has said it is ready."""

    def __init__(self, tree: Tree, **overrides: str) -> None:
        self.tree = tree
        self.process = tree.command("up", **overrides)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.printed = self._until("Ctrl-C, or `make down`")

    def stop(self, number: signal.Signals, *, group: bool = False) -> int:
        """Send a signal, to the whole group as a terminal does; return the code."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Return the exit code, once it has ended."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as printed:
            for line in printed:
                self._lines.put(line)

    def _until(self, words: str) -> str:
        printed = ""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in printed:
            try:
                printed += self._lines.get(timeout=deadline - time.monotonic())
            except (queue.Empty, ValueError):
                self.stop(signal.SIGTERM)
                raise AssertionError(printed) from None
        return printed


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _processes_in(folder: Path) -> list[str]:
    """Return the commands that run in a folder, as Linux tells."""
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if cwd.readlink() == folder:
                found.append((cwd.parent / "cmdline").read_text())
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Yield a start that the tests share, because each takes seconds."""
    running = Running(Tree(tmp_path_factory.mktemp("shared") / "tree"))
    yield running
    assert running.stop(signal.SIGTERM) == 0


async def _walk_all(tree: Tree, *, compat: bool) -> None:
    admin = tree.admin
    async with walking(
        tree.base_url, admin["username"], admin["password"], compat=compat
    ) as walk:
        for row in ROWS:
            await row(walk)


async def test_contract_holds(running: Running) -> None:
    await _walk_all(running.tree, compat=False)


async def test_contract_holds_in_the_tutorial_profile(tree: Tree) -> None:
    running = Running(tree, TUTORIAL_COMPAT="true")
    try:
        await _walk_all(tree, compat=True)
    finally:
        assert running.stop(signal.SIGTERM) == 0


def test_the_tour_of_the_readme_runs_as_pasted(running: Running) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"## Try it\n\n```sh\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    tour = found[1].replace("http://localhost:8080", running.tree.base_url)
    printed = subprocess.run(
        ["sh", "-eu"], input=tour, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert printed[0] == "Public Content."
    assert json.loads(printed[1])["message"] == "User registered successfully!"
    assert printed[2:] == ["User Content."]
    assert textwrap.indent(tour, "    ") in running.printed


def test_the_first_admin_is_printed(running: Running) -> None:
    tree = running.tree
    assert f"Ready on {tree.base_url}\n" in running.printed
    assert tree.admin["username"] in running.printed
    assert tree.admin["password"] in running.printed


def test_p13_first_admin_is_random_and_everything_kept_is_private(
    running: Running,
) -> None:
    tree = running.tree
    assert len(tree.admin["password"]) >= 20
    assert stat.S_IMODE(tree.local.stat().st_mode) == 0o700
    private = [tree.local / "admin-credentials.json"]
    private += (tree.local / "secrets").iterdir()
    assert len(private) == 3
    for file in private:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert {path.name for path in tree.folder.iterdir()} == {"deploy", ".local"}


def test_a_tree_runs_once_at_a_time(running: Running) -> None:
    assert "it runs already" in running.tree.refusal()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "terminal closed"]
)
def test_stopping_leaves_nothing_behind(tree: Tree, number: signal.Signals) -> None:
    running = Running(tree)
    assert len(_processes_in(tree.folder)) >= 5 or not Path("/proc").exists()
    assert running.stop(number, group=True) == 0
    assert not tree.someone_listens()
    assert not _processes_in(tree.folder)


def test_a_start_that_is_interrupted_leaves_nothing_behind(tree: Tree) -> None:
    process = tree.command("up")
    while not tree.someone_listens():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    assert not tree.someone_listens()
    assert not _processes_in(tree.folder)


async def test_second_start_keeps_accounts_and_keys(tree: Tree) -> None:
    kept: dict[str, str] = {}

    async def sign_up(walk: Walk) -> None:
        kept["name"], kept["password"], _ = await walk.sign_up()
        members = await walk.sign_in(kept["name"], kept["password"])
        kept["token"] = members["accessToken"]

    async def come_back(walk: Walk) -> None:
        answer = await walk.send("GET", "/api/test/user", token=kept["token"])
        assert answer.status == 200
        await walk.sign_in(kept["name"], kept["password"])
        await walk.admin()

    for visit in (sign_up, come_back):
        running = Running(tree)
        admin = tree.admin
        try:
            async with walking(
                tree.base_url, admin["username"], admin["password"]
            ) as walk:
                await visit(walk)
        finally:
            assert running.stop(signal.SIGTERM) == 0


def test_down_stops_it(tree: Tree) -> None:
    running = Running(tree)
    assert tree.down() == "down: stopped\n"
    assert running.ended() == 0
    assert not tree.someone_listens()
    assert tree.down() == "down: nothing runs from here\n"


def test_down_without_up_says_so(tree: Tree) -> None:
    assert tree.down() == "down: nothing runs from here\n"


@pytest.mark.parametrize("name", PORTS)
def test_busy_port_is_one_line(tree: Tree, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = tree.refusal(**{name: str(port)})
    assert f"port {port} is taken" in said
    assert f"{name}=" in said
    assert not tree.someone_listens()


def test_a_port_that_is_none_is_one_line(tree: Tree) -> None:
    assert "GATEWAY_PORT=eighty is no port" in tree.refusal(GATEWAY_PORT="eighty")


def test_unwritable_folder_is_one_line(tree: Tree) -> None:
    tree.local.write_text("a file where the folder should be")
    assert f"can not write to {tree.local}" in tree.refusal()
