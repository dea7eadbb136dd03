"""The containers of docker-compose.yml, started for a test."""

import json
import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.support.ports import free_ports

ROOT: Final = Path(__file__).parents[2]

ONE_SHOTS: Final = frozenset({"secrets", "migrations"})
"""Services that do their work, and end."""


class Containers:
    """One start of docker-compose.yml, in a project and on a port of its own."""

    def __init__(self, root: Path = ROOT, **environment: str) -> None:
        [port] = free_ports(1)
        self.root = root
        self.project = f"test-{secrets.token_hex(4)}"
        self.base_url = f"http://localhost:{port}"
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.project,
            "GATEWAY_PORT": str(port),
            **environment,
        }

    def compose(self, *arguments: str, stdin: str = "", limit: float = 300) -> str:
        """Run `docker compose` on this start and return what it printed."""
        finished = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.root,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
        assert finished.returncode == 0, finished.stderr[-4000:]
        return finished.stdout

    def up(self, build: str) -> None:
        """Start all, or what has changed, and wait until all is healthy."""
        self.compose("up", build, "--detach", "--wait", limit=800)

    def run(self, *command: str) -> None:
        """Run a command of deploy/ on this start."""
        finished = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr

    def python(self, service: str, code: str, *, index: int = 1) -> str:
        """Run Python inside a running container."""
        exec_ = ("exec", "-T", "--index", str(index), service)
        return self.compose(*exec_, "python3", "-c", code)

    def states(self) -> list[dict[str, Any]]:
        """Return what the engine knows of each container, ended ones too."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return [json.loads(line) for line in lines]

    def unwell(self) -> list[str]:
        """Return what of each container that neither serves nor has done its work."""
        return [
            f"{each['Service']} is {each['State']} {each['Health']}".rstrip()
            for each in self.states()
            if (each["State"], each["Health"]) != ("running", "healthy")
            and (each["Service"] not in ONE_SHOTS or each["ExitCode"] != 0)
        ]

    def ids(self, service: str) -> list[str]:
        """Return the running containers of a service."""
        return self.compose("ps", "--quiet", service).split()

    def down(self) -> None:
        """Remove everything of it."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def engine_answers() -> bool:
    """Whether there is a Docker engine with Compose v2."""
    try:
        commands = (["docker", "info"], ["docker", "compose", "version"])
        return not any(
            subprocess.run(command, capture_output=True, check=False).returncode
            for command in commands
        )
    except FileNotFoundError:
        return False


def crash(container: str) -> None:
    """End a container as a fault does, so that the engine starts it again."""
    inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", container]
    pid = subprocess.run(inspect, capture_output=True, check=True, text=True).stdout
    os.kill(int(pid), signal.SIGKILL)


def docker(*arguments: str) -> str:
    """Run `docker`, which must succeed, and return what it printed."""
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
