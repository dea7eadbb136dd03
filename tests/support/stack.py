"""The three real processes, on free ports, with state in a folder of their own."""

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.support.cluster import GATEWAY_TOML, Process, new_key
from tests.support.contract_walk import ORIGIN
from tests.support.requests import TimedAnswer, send

_COMMAND_SECONDS: Final = 30


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
        self.identity, self.content, self.gateway = (
            Process(name, self.log_path(name), {})
            for name in ("identity", "content", "gateway")
        )
        self.base_url = f"http://{host}:{self.gateway.port}"
        identity = f"http://127.0.0.1:{self.identity.port}"
        gateway = f"http://127.0.0.1:{self.gateway.internal_port}"
        settings = {
            "GATEWAY_CONFIG": str(GATEWAY_TOML),
            "GATEWAY_PUBLIC_URL": self.base_url,
            "GATEWAY_ALLOWED_ORIGINS": ORIGIN,
            "GATEWAY_UPSTREAM_IDENTITY": self.identity.address,
            "GATEWAY_UPSTREAM_CONTENT": self.content.address,
            "IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'identity.db'}",
            "IDENTITY_KEY_ENCRYPTION_KEYS": self.keys[0],
            "IDENTITY_PASSWORD_PEPPERS": self.keys[1],
            "IDENTITY_ISSUER": self.base_url,
            "IDENTITY_ALLOWED_ORIGINS": ORIGIN,
            "IDENTITY_COOKIE_SECURE": "false",
            "IDENTITY_GATEWAY_STATUS_URLS": f"{gateway}/status",
            "IDENTITY_STATUS_LIST_TTL": "1",
            "IDENTITY_BCRYPT_COST": "6",
            "CONTENT_ISSUER": self.base_url,
            "CONTENT_JWKS_URL": f"{identity}/.well-known/jwks.json",
            "CONTENT_STATUS_LIST_URLS": f"{self.base_url}/={identity}/",
            "CONTENT_COOKIE_SECURE": "false",
            **(overrides or {}),
        }
        self.environment = dict(settings)
        for process in self._processes:
            process.environment |= settings
            self.environment |= process.environment

    @property
    def _processes(self) -> list[Process]:
        return [self.identity, self.content, self.gateway]

    def __enter__(self) -> Self:
        try:
            self.command("identity_service", "migrate")
            self.command(
                *("identity_service", "create-admin", "--username", self.admin_name),
                *("--email", "first-admin@example.org", "--password-stdin"),
                stdin=self.admin_password,
            )
            for process in self._processes:
                process.start()
            for process in self._processes:
                process.until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                if process.is_running:
                    process.stop()
            process.end()

    def send(
        self,
        method: str,
        path: str,
        members: Mapping[str, object] | None = None,
        *,
        token: str = "",
    ) -> TimedAnswer:
        """Send the gateway a request; see ``tests.support.requests``."""
        return send(self.gateway.port, method, path, members, token=token)

    def sign_up(self, name: str, password: str) -> None:
        """Register somebody."""
        who = {"username": name, "email": f"{name}@example.org", "password": password}
        assert self.send("POST", "/api/auth/signup", who).status == 200

    def token_of(self, name: str, password: str) -> str:
        """Sign in, and return the access token."""
        who = {"username": name, "password": password}
        signed_in = self.send("POST", "/api/auth/signin", who)
        assert signed_in.status == 200
        token: str = signed_in.json()["accessToken"]
        return token

    def end_sessions(self, name: str, password: str) -> None:
        """End somebody's sessions from another device."""
        path, token = "/api/users/me/sessions", self.token_of(name, password)
        assert self.send("DELETE", path, token=token).status == 200

    def command(self, package: str, *arguments: str, stdin: str = "") -> str:
        """Run a command of a package to its end and return what it printed."""
        finished = subprocess.run(
            [sys.executable, "-m", package, *arguments],
            env=self.environment,
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        with self.log_path("commands").open("ab") as log:
            log.write(finished.stderr)
        assert finished.returncode == 0, finished.stderr.decode()
        return finished.stdout.decode()

    def log_path(self, name: str) -> Path:
        """Return where a process's log stands."""
        return self.folder / f"{name}.log"

    def entries(self, name: str) -> list[dict[str, object]]:
        """Return the lines of a service's log, parsed."""
        lines = self.log_path(name).read_text().splitlines()
        return [json.loads(line) for line in lines]
