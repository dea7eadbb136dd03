"""How soon the containers of a fresh clone serve, their images being there."""

import contextlib
import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support.containers import Containers, docker, engine_answers
from tests.support.missing import skip_missing
from tests.support.processor import cpu_seconds

from service_kit.healthcheck import answers_ok

pytestmark = [pytest.mark.compose, pytest.mark.faults, pytest.mark.timeout(1200)]

LONGEST_SECONDS: Final = 60.0
"""From `docker compose up` to the first sign-in."""

READY_SECONDS: Final = 1.5
"""From the moment when a service's process and all that it needs is there."""

NEEDS: Final = {
    "identity": {"migrations", "valkey"},
    "content": {"identity"},
    "gateway": {"edge", "identity", "content"},
    "gateway-2": {"edge", "identity", "content"},
}

PORTS: Final = {"identity": 9001, "content": 9002, "gateway": 9080, "gateway-2": 9081}
"""Where each says whether it is ready. The engine would look every two seconds only."""


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
    with followed(containers) as (started_at, ready_at, processor):
        began_at = time.time()
        containers.compose("up", "--no-build", "--detach")
        seconds = signed_in(containers.base_url) - began_at
        containers.compose("up", "--no-build", "--no-recreate", "--detach", "--wait")
    waited = {
        name: ready_at[name]
        - max(started_at[name], *(ready_at[each] for each in needs))
        for name, needs in NEEDS.items()
    }
    print(f"\nfirst sign-in after {seconds:.1f} s")  # noqa: T201 - asked for
    for name, at in sorted(ready_at.items(), key=lambda each: each[1]):
        after = ""
        if name in waited:
            after = f", {waited[name]:.2f} s after what it needs"
            after += f", with {processor[name]:.2f} s of the processor"
        print(  # noqa: T201 - asked for
            f"{name:10} started after {started_at[name] - began_at:5.2f} s,"
            f" ready after {at - began_at:5.2f} s{after}"
        )

    assert seconds <= LONGEST_SECONDS
    assert max(waited.values()) <= READY_SECONDS


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
def followed(
    containers: Containers,
) -> Iterator[tuple[dict[str, float], dict[str, float], dict[str, float]]]:
    """Yield when each service was started, and ready or done with its work.

    And the seconds of the processor that those of `PORTS` took for it. The events are
    followed from the start on: the engine keeps only its last 256.
    """
    command = [
        *("docker", "events", "--format", "{{json .}}", "--filter", "event=die"),
        *("--filter", f"label=com.docker.compose.project={containers.project}"),
        *("--filter", "event=start", "--filter", "event=health_status"),
    ]
    started_at: dict[str, float] = {}
    ready_at: dict[str, float] = {}
    processor: dict[str, float] = {}
    asking: list[threading.Thread] = []

    def follow() -> None:
        for line in following.stdout or ():
            event: dict[str, Any] = json.loads(line)
            service = event["Actor"]["Attributes"]["com.docker.compose.service"]
            at = event["timeNano"] / 1e9
            if event["Action"] == "start":
                started_at.setdefault(service, at)
                if service in PORTS:
                    ask = threading.Thread(target=note_when_ready, args=(service,))
                    ask.start()
                    asking.append(ask)
            elif service not in PORTS and event["Action"] in SERVED:
                ready_at.setdefault(service, at)

    def note_when_ready(service: str) -> None:
        holder = "edge" if service.startswith("gateway") else service
        url = f"http://{address(containers, holder)}:{PORTS[service]}/readyz"
        deadline = time.monotonic() + LONGEST_SECONDS
        while not answers_ok(url) and time.monotonic() < deadline:
            time.sleep(0.02)
        ready_at.setdefault(service, time.time())
        processor.setdefault(service, seconds_of_processor(containers, service))

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        reader = threading.Thread(target=follow)
        reader.start()
        try:
            yield started_at, ready_at, processor
        finally:
            following.terminate()
            reader.join()
            for each in asking:
                each.join()


SERVED: Final = {"health_status: healthy", "die"}


def seconds_of_processor(containers: Containers, service: str) -> float:
    """Return what the process of a service's only container has taken."""
    [container, *_] = containers.ids(service)
    pid = docker("inspect", "--format", "{{.State.Pid}}", container)
    return cpu_seconds(int(pid))


def address(containers: Containers, service: str) -> str:
    """Return where a service's only container is, as its host reaches it."""
    [container, *_] = containers.ids(service)
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    return docker("inspect", "--format", form, container).split()[0]
