"""How soon the containers of a fresh clone serve, their images being there."""

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support.containers import Containers, engine_answers
from tests.support.missing import skip_missing

pytestmark = [pytest.mark.compose, pytest.mark.faults, pytest.mark.timeout(600)]

LONGEST_SECONDS: Final = 60.0
"""From `docker compose up` to the first sign-in."""

READY_SECONDS: Final = 1.5
"""From the moment when all that a service needs is there."""

LOOK_SECONDS: Final = 2.0
"""How often the engine looks, so that a service may seem ready so much later."""

NEEDS: Final = {
    "identity": {"migrations", "valkey"},
    "content": {"identity"},
    "gateway": {"edge", "identity", "content"},
    "gateway-2": {"edge", "identity", "content"},
}


@pytest.fixture
def containers() -> Iterator[Containers]:
    if not engine_answers():
        skip_missing("no Docker engine with Compose v2 answers here")
    started = Containers()
    started.compose("build", limit=800)
    try:
        yield started
    finally:
        started.down()


def test_somebody_signs_in_within_a_minute(containers: Containers) -> None:
    with events(containers.project) as ready_at:
        began_at = time.time()
        containers.compose("up", "--no-build", "--detach")
        seconds = signed_in(containers.base_url) - began_at
        containers.compose("up", "--no-build", "--no-recreate", "--detach", "--wait")
    waited = {
        name: ready_at[name] - max(ready_at[each] for each in needs)
        for name, needs in NEEDS.items()
    }
    print(f"\nfirst sign-in after {seconds:.1f} s")  # noqa: T201 - asked for
    for name, at in sorted(ready_at.items(), key=lambda each: each[1]):
        after = f", {waited[name]:.1f} s after what it needs" if name in waited else ""
        print(f"{name:10} ready after {at - began_at:4.1f} s{after}")  # noqa: T201

    assert seconds <= LONGEST_SECONDS
    assert max(waited.values()) <= READY_SECONDS + LOOK_SECONDS


def signed_in(base_url: str) -> float:
    """Return when somebody had signed up and in, who tried until they could."""
    body = {"username": "rosa", "password": "a good one 1843"}
    deadline = time.monotonic() + 2 * LONGEST_SECONDS
    for path, extra in (("signup", {"email": "rosa@example.org"}), ("signin", {})):
        request = urllib.request.Request(
            f"{base_url}/api/auth/{path}",
            data=json.dumps({**body, **extra}).encode(),
            headers={"Content-Type": "application/json"},
        )
        while not answers(request):
            assert time.monotonic() < deadline, "nobody can sign in"
            time.sleep(0.1)
    return time.time()


def answers(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def events(project: str) -> Iterator[dict[str, float]]:
    """Yield when each service was healthy first, or had done its work, at the end.

    They are followed from the start on: the engine keeps only its last 256 events.
    """
    command = [
        *("docker", "events", "--format", "{{json .}}", "--filter", "event=die"),
        *("--filter", f"label=com.docker.compose.project={project}"),
        *("--filter", "event=health_status"),
    ]
    found: dict[str, float] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as followed:
        try:
            yield found
        finally:
            followed.terminate()
        for line in followed.stdout or ():
            event: dict[str, Any] = json.loads(line)
            if event["Action"] in {"health_status: healthy", "die"}:
                service = event["Actor"]["Attributes"]["com.docker.compose.service"]
                found.setdefault(service, event["timeNano"] / 1e9)
