"""`make up` and `make down`: what they print, keep, refuse and leave behind."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.dev.profile import address, development_environment
from tests.reference import metrics
from tests.reference.pages import SERVICES
from tests.support.contract_walk import ROWS, Walk, claims_of, walking
from tests.support.make_up import AWKWARD, PATIENCE_SECONDS, PORTS, ROOT, Running, Tree
from tests.support.missing import skip_missing


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
    running = Running(Tree(tmp_path_factory.mktemp("shared") / AWKWARD))
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


def test_a_start_is_a_line_for_each_step_and_service_and_then_the_welcome(
    running: Running,
) -> None:
    tree = running.tree
    lines = running.printed.splitlines()
    starts = [line.split()[1] for line in lines if line.startswith("up: ")]
    assert starts == ["database", "identity", "content", "gateway"]
    assert f"Gatehouse is ready: {tree.base_url}" in lines
    assert len(lines) <= 15


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        *(("::1", "[::1]"), ("127.0.0.2", "127.0.0.2")),
        *(("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1")),  # noqa: S104 - asked, not bound
    ],
)
def test_a_service_is_asked_where_it_listens(host: str, asked: str) -> None:
    hosts = ("IDENTITY_HOST", "CONTENT_HOST", "GATEWAY_INTERNAL_HOST")
    secrets = {"IDENTITY_KEY_ENCRYPTION_KEYS": "x", "IDENTITY_PASSWORD_PEPPERS": "x"}
    environ = development_environment({**secrets, **dict.fromkeys(hosts, host)})

    assert environ["GATEWAY_UPSTREAM_IDENTITY"] == f"http://{asked}:8001?probe=9001"
    assert environ["GATEWAY_UPSTREAM_CONTENT"] == f"http://{asked}:8002?probe=9002"
    assert environ["CONTENT_JWKS_URL"].startswith(f"http://{asked}:8001/")
    assert environ["IDENTITY_GATEWAY_STATUS_URLS"] == f"http://{asked}:9080/status"
    assert address("GATEWAY_INTERNAL", environ) == f"http://{asked}:9080"


def test_verifiers_are_told_what_identity_is_told_of_its_tokens() -> None:
    secrets = {"IDENTITY_KEY_ENCRYPTION_KEYS": "x", "IDENTITY_PASSWORD_PEPPERS": "x"}
    told = {
        "AUDIENCE": "shop",
        "ACCESS_TOKEN_TYPE": "JWT",
        "COOKIE_SECURE": "true",
        "ALLOWED_ORIGINS": "https://app.example",
    }
    environ = {**secrets, **{f"IDENTITY_{name}": told[name] for name in told}}

    content = development_environment(environ)
    own = development_environment({**environ, "CONTENT_AUDIENCE": "own"})

    assert {name: content[f"CONTENT_{name}"] for name in told} == told
    assert own["CONTENT_AUDIENCE"] == "own"


def test_a_start_warns_of_nothing_and_polls_silently(running: Running) -> None:
    entries = [
        json.loads(line)
        for line in (running.tree.local / "start.log").read_text().splitlines()
    ]
    assert {entry["service"] for entry in entries} == {"identity", "content", "gateway"}
    assert {entry["level"] for entry in entries} == {"INFO"}
    assert not [entry for entry in entries if entry["event"] == "request"]


async def test_the_first_password_is_shown_once(tree: Tree) -> None:
    first = Running(tree)
    assert first.stop(signal.SIGTERM) == 0
    admin = tree.admin
    assert f"admin, password {admin['password']} (also in .local/" in first.printed

    again = Running(tree)
    try:
        async with walking(tree.base_url, admin["username"], admin["password"]) as walk:
            changed = await walk.send(
                "POST",
                "/api/users/me/password",
                token=(await walk.admin())["accessToken"],
                body={
                    "currentPassword": admin["password"],
                    "newPassword": "quite another phrase",
                },
            )
        assert changed.status < 300, changed
    finally:
        assert again.stop(signal.SIGTERM) == 0
    assert "with the password in .local/admin-credentials.json" in again.printed

    third = Running(tree)
    assert third.stop(signal.SIGTERM) == 0
    assert "the password in .local/admin-credentials.json was changed" in third.printed
    assert admin["password"] not in again.printed + third.printed


@pytest.mark.quiet
def test_a_made_tree_is_ready_soon(tree: Tree) -> None:
    took = []
    for _ in range(3):  # the quickest: others may use the machine
        started_at = time.monotonic()
        running = Running(tree)
        took.append(time.monotonic() - started_at)
        assert running.stop(signal.SIGTERM) == 0
    assert min(took) < 10, took  # five on a quick machine


def test_a_terminal_gets_lines_for_people(tree: Tree) -> None:
    ours, theirs = os.openpty()
    process = tree.command("up", stdout=theirs)
    os.close(theirs)
    try:
        printed = _read_until(ours, "make down")
        urllib.request.urlopen(f"{tree.base_url}/api/test/all", timeout=10).close()
        printed = _read_until(ours, "/api/test/all")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        os.close(ours)
    assert "\x1b[32mINFO" in printed
    assert "GET /api/test/all" in printed
    assert "{" not in printed


def test_a_terminal_that_is_gone_ends_everything(tree: Tree) -> None:
    ours, theirs = os.openpty()
    process = tree.command("up", stdout=theirs)
    os.close(theirs)
    _read_until(ours, "make down")
    os.close(ours)
    urllib.request.urlopen(f"{tree.base_url}/api/test/all", timeout=10).close()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert not tree.someone_listens()


def _read_until(descriptor: int, words: str) -> str:
    printed = ""
    while words not in printed:
        printed += os.read(descriptor, 4096).decode()
    return printed


def test_a_system_without_what_linux_alone_has_runs_it(
    tree: Tree, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, select, socket\n"
        "for module, names in {\n"
        "    os: ('sched_getaffinity', 'setpriority', 'getpriority', 'memfd_create'),\n"
        "    select: ('epoll',),\n"
        "    socket: ('TCP_INFO', 'SO_INCOMING_CPU', 'TCP_DEFER_ACCEPT'),\n"
        "}.items():\n"
        "    for name in names:\n"
        "        if hasattr(module, name):\n"
        "            delattr(module, name)\n"
    )
    running = Running(tree, PYTHONPATH=str(tmp_path))
    url = f"{tree.base_url}/api/auth/signin"
    body = json.dumps(tree.admin).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 200
    finally:
        assert running.stop(signal.SIGTERM) == 0


async def test_a_reload_takes_the_gateways_configuration_over(tree: Tree) -> None:
    running = Running(tree)
    config = tree.folder / "deploy" / "gateway.toml"
    text = config.read_text("utf-8")
    try:
        config.write_text(f'{text}\nsurprise = "of nobody"\n')
        code, printed = tree.run("reload")
        assert code == 1
        assert "surprise" in printed

        config.write_text(f'pseudonym = "another"\n{text}')
        code, printed = tree.run("reload")
        assert (code, "reads its configuration again" in printed) == (0, True)
        running.until("configuration_reloaded")
    finally:
        assert running.stop(signal.SIGTERM) == 0
    assert tree.run("reload")[0] == 1


def text_once_usable(url: str, seconds: float = 10) -> str:
    """Return a response's text, once the gateway has noticed that its service is back.

    Until its next probe it responds 503.
    """
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        with (
            contextlib.suppress(urllib.error.HTTPError),
            urllib.request.urlopen(url) as response,
        ):
            return str(response.read(), "utf-8")
        time.sleep(0.1)
    raise AssertionError


def test_a_changed_source_starts_its_service_again(tree: Tree) -> None:
    sources = tree.folder / "services" / "content" / "src"
    shutil.copytree(ROOT / "services" / "content" / "src", sources)
    running = Running(tree, PYTHONPATH=str(sources), RELOAD="1")
    module = sources / "content_service" / "domain" / "resources.py"
    text = module.read_text("utf-8")
    try:
        module.write_text(text.replace("Public Content.", "Changed Content."))
        printed = running.until("content is ready again")
        assert "content starts again: resources.py changed" in printed
        assert "identity starts again" not in printed
        assert text_once_usable(f"{tree.base_url}/api/test/all") == "Changed Content."

        module.write_text("no Python")
        assert "SyntaxError" in running.until("the next change starts it again")
        module.write_text(text)
        running.until("content is ready again")
    finally:
        assert running.stop(signal.SIGTERM) == 0


def test_down_ends_what_a_killed_runner_left(tree: Tree) -> None:
    running = Running(tree)
    running.process.kill()
    running.process.wait()
    assert tree.someone_listens()
    assert "`make down` stops them" in tree.refusal()

    assert tree.down() == "down: stopped\n"

    assert not tree.someone_listens()
    running.ended()


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


@pytest.mark.parametrize("service", SERVICES)
def test_promtool_finds_nothing_to_mend_in_the_metrics(
    running: Running, service: str
) -> None:
    if shutil.which("promtool") is None:
        skip_missing("promtool is not installed")
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=metrics.exported(running.tree, service),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_p13_first_admin_is_random_and_everything_kept_is_private(
    running: Running,
) -> None:
    tree = running.tree
    assert len(tree.admin["password"]) >= 20
    assert stat.S_IMODE(tree.local.stat().st_mode) == 0o700
    private = [tree.local / "admin-credentials.json"]
    private += (tree.local / "secrets").iterdir()
    assert len(private) == 3
    private += [tree.local / "start.log", *tree.local.glob("*.pid")]
    for file in private:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert {path.name for path in tree.folder.iterdir()} == {"deploy", ".local"}


def test_a_tree_runs_once_at_a_time(running: Running) -> None:
    assert "already running" in running.tree.refusal()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "terminal closed"]
)
def test_stopping_leaves_nothing_behind(tree: Tree, number: signal.Signals) -> None:
    running = Running(tree)
    assert len(_processes_in(tree.folder)) >= 4 or not Path("/proc").exists()
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
    assert tree.down() == "down: nothing is running from this folder\n"


def test_down_without_up_says_so(tree: Tree) -> None:
    assert tree.down() == "down: nothing is running from this folder\n"


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
    assert "GATEWAY_PORT=eighty is not a port" in tree.refusal(GATEWAY_PORT="eighty")


def test_unwritable_folder_is_one_line(tree: Tree) -> None:
    tree.local.write_text("a file where the folder should be")
    assert f"cannot write to {tree.local}" in tree.refusal()


def test_an_address_that_is_not_of_this_machine_is_one_line(tree: Tree) -> None:
    """Nobody has taken the port: the address cannot be had."""
    said = tree.refusal(GATEWAY_HOST="192.0.2.1")
    assert "cannot listen on 192.0.2.1 (GATEWAY_HOST)" in said
    assert "is taken" not in said


@pytest.mark.parametrize("name", ["start.log", "secrets", "identity.pid"])
def test_state_that_cannot_be_written_is_one_line(tree: Tree, name: str) -> None:
    """As after `sudo make up`, or on a disk that is full."""
    tree.local.mkdir()
    blocked = tree.local / name
    if name == "secrets":
        blocked.write_text("a file where the folder should be")
    else:
        blocked.mkdir()
    assert f"up: {tree.local}/{name}" in tree.refusal()
    assert not tree.someone_listens()
