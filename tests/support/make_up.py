"""A `make up` of a copy of the tree."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.dev import profile
from tests.support.ports import free_ports

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 60.0
AWKWARD: Final = "a tree? 100%"
"""A folder's name with what URLs and templates take for their own."""
PORTS: Final = tuple(profile.PORTS)
"""The variables that name the ports, also those of services that were made here."""


class Tree:
    """A copy of what `make up` runs, with state and ports of its own."""

    patience_seconds = PATIENCE_SECONDS
    """How long a start may take, on a busy machine."""

    _port_names: tuple[str, ...] = PORTS

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._copy_sources()
        self.ports = dict(
            zip(self._port_names, free_ports(len(self._port_names)), strict=True)
        )
        self.base_url = f"http://localhost:{self.ports['GATEWAY_PORT']}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "IDENTITY_BCRYPT_COST": "6",
            "IDENTITY_STATUS_LIST_TTL": "1",
            **{name: str(port) for name, port in self.ports.items()},
        }

    def _copy_sources(self) -> None:
        shutil.copytree(ROOT / "deploy", self.folder / "deploy")

    def _command(self, word: str) -> list[str]:
        return [sys.executable, "-m", "deploy.dev", word]

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

    def command(
        self,
        word: str,
        overrides: Mapping[str, str] | None = None,
        *,
        stdout: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start what the Makefile starts, as a terminal does: in its own group."""
        return subprocess.Popen(
            self._command(word),
            cwd=self.folder,
            env={**self.environment, **(overrides or {})},
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def refusal(self, **overrides: str) -> str:
        """Return the last line of an `up` that must fail, and has no traceback."""
        process = self.command("up", overrides)
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1, printed
        assert "Traceback" not in printed
        return printed.splitlines()[-1]

    def identity(self, *arguments: str) -> None:
        """Run a command of identity on this tree's database."""
        secrets = self.local / "secrets"
        environ = {
            "IDENTITY_DATABASE_URL": "sqlite+aiosqlite:///.local/identity.db",
            "IDENTITY_ISSUER": self.base_url,
            "IDENTITY_KEY_ENCRYPTION_KEYS_FILE": str(secrets / "key-encryption-keys"),
            "IDENTITY_PASSWORD_PEPPERS_FILE": str(secrets / "password-peppers"),
        }
        subprocess.run(
            [sys.executable, "-m", "identity_service", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **environ},
            check=True,
            timeout=PATIENCE_SECONDS,
        )

    def run(self, word: str) -> tuple[int, str]:
        """Return the exit code of a command that ends, and what it prints."""
        process = self.command(word)
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, printed

    def down(self) -> str:
        """Return what `make down` prints."""
        code, printed = self.run("down")
        assert code == 0, printed
        return printed

    def someone_listens(self) -> bool:
        """Whether any of the ports is still taken."""
        return any(_accepts(port) for port in self.ports.values())


class FreshTree(Tree):
    """A copy of the whole tree, as a clone would be, where `make` does everything.

    Its `.venv` finds the libraries of this one, so that `make setup` has nothing to
    download; it installs the tree's own packages as ever.
    """

    patience_seconds = 240.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        del self.environment["IDENTITY_STATUS_LIST_TTL"]  # as newcomers have it
        # As some have them.
        self.environment |= dict.fromkeys(
            ("PIP_USER", "PIP_REQUIRE_HASHES", "PYTHONSAFEPATH"), "1"
        )
        configured = folder.with_suffix(".pip.conf")
        configured.write_text(f"[install]\nuser = true\ntarget = {folder}/elsewhere\n")
        self.environment["PIP_CONFIG_FILE"] = str(configured)

    _port_names = tuple(
        {*PORTS, "NOTES_PORT", "NOTES_INTERNAL_PORT", "HELLO_PORT"},
    )

    def _copy_sources(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)
        venv = self.folder / ".venv"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True
        )
        (site_packages,) = venv.glob("lib/python3*/site-packages")
        (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))

    def _command(self, word: str) -> list[str]:
        return ["make", "--no-print-directory", word]


class Running:
    """An `up` that has said it is ready."""

    def __init__(self, tree: Tree, **overrides: str) -> None:
        self.tree = tree
        self.process = tree.command("up", overrides)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.printed = self.until("Ctrl-C, or `make down`")

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
        self._lines.put(None)  # nothing follows

    def until(self, words: str) -> str:
        """Return what it prints from now until these words."""
        printed = ""
        deadline = time.monotonic() + self.tree.patience_seconds
        while words not in printed:
            try:
                line = self._lines.get(timeout=deadline - time.monotonic())
            except (queue.Empty, ValueError):
                line = None
            if line is None:
                self.stop(signal.SIGTERM)
                raise AssertionError(printed)
            printed += line
        return printed


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
