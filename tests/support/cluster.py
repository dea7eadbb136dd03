"""The real processes in any number, to be killed, frozen and restarted by tests."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, Self
from urllib.error import HTTPError

from sqlalchemy import URL
from tests.support.contract_walk import ORIGIN
from tests.support.database import empty_database

GATEWAY_TOML: Final = Path(__file__).parents[2] / "deploy" / "gateway.toml"
_PATIENCE_SECONDS: Final = 60

_ports: Final = itertools.count(10_000 + os.getpid() * 64 % 20_000)
"""Below those that the kernel gives to connections.

A process that was killed must find its port free again, and no connection of the load
may have taken it meanwhile.
"""
_PASSED_ON: Final = ("PATH", "HOME", "PYTHONPATH")
_EVERYWHERE: Final = {
    name: os.environ[name] for name in _PASSED_ON if name in os.environ
}


def new_key() -> str:
    """Return a 32-byte key as the settings want it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def lasting_port() -> int:
    """Return a port that nobody listens on, and that stays free until it is used."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


class Process:
    """One process of a service; its log is appended to a file over its restarts."""

    def __init__(
        self,
        service: str,
        log: Path,
        environment: Mapping[str, str],
        *,
        command: Sequence[str] = (),
    ) -> None:
        self.log = log
        self.port, self.internal_port = lasting_port(), lasting_port()
        self.host = "127.0.0.1"
        prefix = service.upper()
        self.environment = {
            **_EVERYWHERE,
            f"{prefix}_PORT": str(self.port),
            f"{prefix}_INTERNAL_PORT": str(self.internal_port),
            **environment,
        }
        self._command = [
            *(*command, sys.executable, "-m", f"{service}_service", "serve"),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._prefix = prefix

    def move_to(self, host: str, port: int, internal_port: int) -> None:
        """Have it listen elsewhere when it starts."""
        self.host, self.port, self.internal_port = host, port, internal_port
        self.environment |= {
            f"{self._prefix}_HOST": host,
            f"{self._prefix}_INTERNAL_HOST": host,
            f"{self._prefix}_PORT": str(port),
            f"{self._prefix}_INTERNAL_PORT": str(internal_port),
        }

    @property
    def address(self) -> str:
        """What the gateway is told of it."""
        return f"http://{self.host}:{self.port}?probe={self.internal_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a word to its clients."""
        self.send(signal.SIGKILL)
        self.ended()

    def stop(self) -> int:
        """End it as an operator does and return its exit code."""
        self.send(signal.SIGTERM)
        return self.ended()

    def ended(self, seconds: float = _PATIENCE_SECONDS) -> int:
        """Return the exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(seconds)

    def restart(self) -> None:
        """Stop it, which must go well, start it, and wait until it is ready."""
        assert self.stop() == 0, self.log.read_text()
        self.start()
        self.until_ready()

    def internal(self, path: str, timeout: float = 2) -> str:
        """Return what the internal port answers; OSError if that is no success."""
        url = f"http://{self.host}:{self.internal_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                text: str = answer.read().decode()
                return text
        except HTTPError as error:
            error.close()
            raise

    @property
    def is_ready(self) -> bool:
        try:
            self.internal("/readyz")
        except (OSError, HTTPException):
            return False
        return True

    def until_ready(self) -> None:
        """Wait until it is ready; fail with its log if it never is."""
        limit = time.monotonic() + _PATIENCE_SECONDS
        while not self.is_ready:
            assert self.is_running, self.log.read_text()
            assert time.monotonic() < limit, self.log.read_text()
            time.sleep(0.05)

    def end(self) -> None:
        """Leave nothing of it behind, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def resident(self) -> int:
        """Bytes of memory, as /proc tells."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    @property
    def children(self) -> list[int]:
        """The processes it has started and that run."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(each) for each in listed.split()]


class Gateway(Process):
    """A gateway process, and what it says of its upstreams."""

    def replicas(self, upstream: str) -> list[dict[str, Any]]:
        """Return the replicas of an upstream as /status shows them."""
        status = json.loads(self.internal("/status"))
        replicas: list[dict[str, Any]] = status["upstreams"][upstream]["replicas"]
        return replicas

    def usable(self, upstream: str) -> set[str]:
        """Return the addresses that take requests."""
        return {
            replica["address"]
            for replica in self.replicas(upstream)
            if replica["readiness"] == "ready" and not replica["ejected_for"]
        }


def deployed_gateway(
    folder: Path,
    upstreams: Mapping[str, Sequence[str]],
    toml: str = "",
    *,
    command: Sequence[str] = (),
    **more: str,
) -> Gateway:
    """Return a gateway with the deployed configuration for these upstreams.

    ``toml`` is appended to the configuration, ``command`` is what starts the process in
    place of the test, ``more`` goes to the environment.
    """
    name = f"gateway-{secrets.token_hex(3)}"
    config = folder / f"{name}.toml"
    config.write_text(GATEWAY_TOML.read_text() + toml)
    addresses = {
        f"GATEWAY_UPSTREAM_{upstream.upper()}": ",".join(each)
        for upstream, each in upstreams.items()
    }
    environment = {
        "GATEWAY_CONFIG": str(config),
        "GATEWAY_ALLOWED_ORIGINS": ORIGIN,
        "GATEWAY_RATE_LIMITS": "off",  # all of a test's clients have one address
        **addresses,
        **more,
    }
    return Gateway("gateway", folder / f"{name}.log", environment, command=command)


class Cluster:
    """One identity, several replicas of content, and a gateway before them."""

    def __init__(
        self,
        folder: Path,
        *,
        content: int = 3,
        identities: int = 1,
        database_url: str = "",
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.overrides = overrides or {}
        self.secrets = {new_key(), new_key()}
        """What no log may show."""
        self.issuer = "http://identity.test"
        keys = sorted(self.secrets)
        self.identity_settings = {
            "IDENTITY_DATABASE_URL": database_url
            or f"sqlite+aiosqlite:///{folder / 'identity.db'}",
            "IDENTITY_KEY_ENCRYPTION_KEYS": keys[0],
            "IDENTITY_PASSWORD_PEPPERS": keys[1],
            "IDENTITY_ISSUER": self.issuer,
            "IDENTITY_ALLOWED_ORIGINS": ORIGIN,
            "IDENTITY_COOKIE_SECURE": "false",
            "IDENTITY_STATUS_LIST_TTL": "1",
            "IDENTITY_BCRYPT_COST": "4",
            "IDENTITY_THROTTLE": "off",
            **self.overrides,
        }
        self.identities = [
            Process("identity", folder / f"identity-{n}.log", self.identity_settings)
            for n in range(identities)
        ]
        self.content = [self.new_content() for _ in range(content)]
        """Those that the gateway is told of."""
        self.gateway = self.new_gateway()

    @property
    def identity(self) -> Process:
        return self.identities[0]

    @property
    def processes(self) -> list[Process]:
        return [*self.identities, *self.content, self.gateway]

    def new_content(self) -> Process:
        """Return one more replica of content, not started."""
        identity = f"http://127.0.0.1:{self.identity.port}"
        settings = {
            "CONTENT_ISSUER": self.issuer,
            "CONTENT_JWKS_URL": f"{identity}/.well-known/jwks.json",
            "CONTENT_STATUS_LIST_URLS": f"{self.issuer}/={identity}/",
            "CONTENT_COOKIE_SECURE": "false",
            **self.overrides,
        }
        log = self.folder / f"content-{secrets.token_hex(3)}.log"
        return Process("content", log, settings)

    def new_gateway(
        self, toml: str = "", *, command: Sequence[str] = (), **more: str
    ) -> Gateway:
        """Return one more gateway before the same services, not started."""
        upstreams = {
            "identity": [each.address for each in self.identities],
            "content": [each.address for each in self.content],
        }
        return deployed_gateway(self.folder, upstreams, toml, command=command, **more)

    def __enter__(self) -> Self:
        try:
            subprocess.run(
                [sys.executable, "-m", "identity_service", "migrate"],
                env=_EVERYWHERE | self.identity_settings,
                check=True,
                capture_output=True,
                timeout=_PATIENCE_SECONDS,
            )
            self.heal()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.end()

    def heal(self) -> None:
        """Have every process run, and every replica take requests."""
        for process in self.processes:
            if process.is_running:
                process.send(signal.SIGCONT)
            else:
                process.start()
        for process in self.processes:
            process.until_ready()
        for upstream, replicas in (
            ("identity", self.identities),
            ("content", self.content),
        ):
            self.until_usable(upstream, replicas)

    def until_usable(
        self, upstream: str, replicas: Sequence[Process], seconds: float = 15
    ) -> float:
        """Wait until exactly these take requests; return how long it took."""
        expected = {f"{each.host}:{each.port}" for each in replicas}
        began_at = time.monotonic()
        while self.gateway.usable(upstream) != expected:
            assert time.monotonic() - began_at < seconds, self.gateway.replicas(
                upstream
            )
            time.sleep(0.02)
        return time.monotonic() - began_at

    def post(self, path: str, **members: str) -> Any:  # noqa: ANN401
        """Send JSON to identity itself and return the answer's members."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.identity.port}{path}",
            json.dumps(members).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def new_user(self) -> tuple[str, str]:
        """Sign somebody up; return the name and the password."""
        name, password = f"user-{secrets.token_hex(6)}", secrets.token_urlsafe(18)
        self.secrets.add(password)
        self.post(
            "/api/auth/signup",
            username=name,
            email=f"{name}@example.org",
            password=password,
        )
        return name, password

    def new_token(self) -> str:
        """Return the access token of a new user."""
        name, password = self.new_user()
        pair = self.post("/api/auth/signin", username=name, password=password)
        self.secrets |= {pair["accessToken"], pair["refreshToken"]}
        token: str = pair["accessToken"]
        return token


@contextlib.contextmanager
def two_of_each(
    server: URL, folder: Path, overrides: Mapping[str, str]
) -> Iterator[Cluster]:
    """Run two replicas of each service, and one database that both identities use."""
    with asyncio.Runner() as runner:
        database = empty_database(server)
        url = runner.run(database.__aenter__())
        with Cluster(
            folder, content=2, identities=2, database_url=url, overrides=overrides
        ) as cluster:
            yield cluster
        runner.run(database.__aexit__(None, None, None))


def check_logs(folder: Path, secrets: Collection[str]) -> None:
    """Fail if a log tells of something unforeseen, or a secret."""
    for log in folder.glob("*.log"):
        text = log.read_text()
        assert "Traceback" not in text, text
        assert "never retrieved" not in text, text
        leaked = [each for each in secrets if each in text]
        assert not leaked, f"{log.name} holds {len(leaked)} secrets"


@contextlib.contextmanager
def started(*processes: Process) -> Iterator[None]:
    """Run processes for the length of a block."""
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.until_ready()
        yield
    finally:
        for process in processes:
            process.end()
