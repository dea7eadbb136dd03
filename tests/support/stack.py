"""The three real processes, on free ports, with state in a folder of their own."""

import base64
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.support.contract_walk import ORIGIN
from tests.support.ports import free_ports

_ROOT: Final = Path(__file__).parents[2]
_LONGEST_START_SECONDS: Final = 30
_LONGEST_STOP_SECONDS: Final = 30


def new_key() -> str:
    """Return a 32-byte key as the settings want it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


class Stack:
    """Identity, content and the gateway as processes; a context manager."""

    def __init__(
        self,
        folder: Path,
        overrides: Mapping[str, str] | None = None,
        *,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.admin_name = "first-admin"
        self.admin_password = secrets.token_urlsafe(18)
        self.keys = [new_key(), new_key()]
        ports = free_ports(6)
        self.base_url = f"http://{host}:{ports[0]}"
        self.internal_urls = {
            name: f"http://127.0.0.1:{port}"
            for name, port in zip(
                ("gateway", "identity", "content"), ports[3:], strict=True
            )
        }
        identity, content = (f"http://127.0.0.1:{port}" for port in ports[1:3])
        self.environment = {
            **{
                name: os.environ[name]
                for name in ("PATH", "HOME")
                if name in os.environ
            },
            "GATEWAY_PORT": str(ports[0]),
            "GATEWAY_INTERNAL_PORT": str(ports[3]),
            "GATEWAY_CONFIG": str(_ROOT / "deploy" / "gateway.toml"),
            "GATEWAY_PUBLIC_URL": self.base_url,
            "GATEWAY_ALLOWED_ORIGINS": ORIGIN,
            "GATEWAY_UPSTREAM_IDENTITY": f"{identity}?probe={ports[4]}",
            "GATEWAY_UPSTREAM_CONTENT": f"{content}?probe={ports[5]}",
            "IDENTITY_PORT": str(ports[1]),
            "IDENTITY_INTERNAL_PORT": str(ports[4]),
            "IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'identity.db'}",
            "IDENTITY_KEY_ENCRYPTION_KEYS": self.keys[0],
            "IDENTITY_PASSWORD_PEPPERS": self.keys[1],
            "IDENTITY_ISSUER": self.base_url,
            "IDENTITY_ALLOWED_ORIGINS": ORIGIN,
            "IDENTITY_COOKIE_SECURE": "false",
            "IDENTITY_GATEWAY_STATUS_URLS": f"http://127.0.0.1:{ports[3]}/status",
            "IDENTITY_STATUS_LIST_TTL": "1",
            "IDENTITY_BCRYPT_COST": "6",
            "CONTENT_PORT": str(ports[2]),
            "CONTENT_INTERNAL_PORT": str(ports[5]),
            "CONTENT_ISSUER": self.base_url,
            "CONTENT_JWKS_URL": f"{identity}/.well-known/jwks.json",
            "CONTENT_STATUS_LIST_URLS": f"{self.base_url}/={identity}/",
            "CONTENT_COOKIE_SECURE": "false",
            **(overrides or {}),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self.command("identity_service", "migrate")
            self.command(
                *("identity_service", "create-admin", "--username", self.admin_name),
                *("--email", "first-admin@example.org", "--password-stdin"),
                stdin=self.admin_password,
            )
            for name in ("identity", "content", "gateway"):
                self.start(name)
            for name in ("identity", "content", "gateway"):
                self.wait_until_ready(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("gateway", "content", "identity"):
            self.stop(name)

    def command(self, package: str, *arguments: str, stdin: str = "") -> str:
        """Run a command of a package to its end and return what it printed."""
        finished = subprocess.run(
            [sys.executable, "-m", package, *arguments],
            env=self.environment,
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=_LONGEST_START_SECONDS,
        )
        with self.log_path("commands").open("ab") as log:
            log.write(finished.stderr)
        assert finished.returncode == 0, finished.stderr.decode()
        return finished.stdout.decode()

    def log_path(self, name: str) -> Path:
        """Return where a process's log stands."""
        return self.folder / f"{name}.log"

    def start(self, name: str) -> None:
        """Start one service; its log is appended to a file."""
        with self.log_path(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"{name}_service", "serve"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self, name: str) -> int | None:
        """End one service as an operator does and return its exit code."""
        process = self._processes.pop(name, None)
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(_LONGEST_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def pid(self, name: str) -> int:
        """Return the process id of a service."""
        return self._processes[name].pid

    def is_ready(self, name: str) -> bool:
        """Ask a service whether it is ready."""
        try:
            url = f"{self.internal_urls[name]}/readyz"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    def wait_until_ready(self, name: str) -> None:
        """Wait until a service is ready; fail with its log if it never is."""
        limit = time.monotonic() + _LONGEST_START_SECONDS
        while not self.is_ready(name):
            ended = self._processes[name].poll() is not None
            if ended or time.monotonic() > limit:
                raise AssertionError(self.log_path(name).read_text())
            time.sleep(0.05)

    def entries(self, name: str) -> list[dict[str, object]]:
        """Return the lines of a service's log, parsed."""
        lines = self.log_path(name).read_text().splitlines()
        return [json.loads(line) for line in lines]
