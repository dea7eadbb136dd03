"""`make up` and `make down`: what they print, keep, refuse and leave behind."""

import contextlib
import json
import re
import signal
import socket
import stat
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.reference import metrics
from tests.support.contract_walk import ROWS, Walk, claims_of, walking
from tests.support.make_up import PATIENCE_SECONDS, PORTS, ROOT, Running, Tree


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


async def test_a_role_is_added_by_one_command(running: Running) -> None:
    """No code: the role is in the tokens of who has it, while everything runs."""
    tree = running.tree
    tree.identity("roles", "add", "editor", "--description", "Edits what others wrote")
    admin = tree.admin
    async with walking(tree.base_url, admin["username"], admin["password"]) as walk:
        name, password, _ = await walk.sign_up()
        user = await walk.sign_in(name, password)
        given = await walk.send(
            "PUT",
            f"/api/users/{user['id']}/roles",
            token=(await walk.admin())["accessToken"],
            body={"roles": ["editor", "user"]},
        )
        assert given.status == 200, given
        signed_in = await walk.sign_in(name, password)
    assert set(signed_in["roles"]) == {"ROLE_EDITOR", "ROLE_USER"}
    assert set(claims_of(signed_in["accessToken"])["roles"]) == {"editor", "user"}


def test_metrics_page_is_what_make_docs_writes(running: Running) -> None:
    assert metrics.PAGE.read_text("utf-8") == metrics.page(running.tree)


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
