"""What ends a token reaches every replica of content within a second (S6)."""

import concurrent.futures
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from tests.faults.figures import BOTH, SHORT, Figures, tell
from tests.support.cluster import Cluster
from tests.support.requests import send

PATH: Final = "/api/test/user"
TTL_SECONDS: Final = 15
PUSHED_SECONDS: Final = 1.0

Pair = dict[str, Any]


@pytest.fixture
def pushing(tmp_path: Path) -> Iterator[Cluster]:
    """Three replicas of content that would learn nothing in time by polling."""
    overrides = {"IDENTITY_STATUS_LIST_TTL": str(TTL_SECONDS)}
    with Cluster(tmp_path, overrides=overrides) as cluster:
        yield cluster


def sign_in(cluster: Cluster, user: tuple[str, str]) -> Pair:
    name, password = user
    pair: Pair = cluster.post("/api/auth/signin", username=name, password=password)
    return pair


def signed_in(cluster: Cluster) -> Pair:
    return sign_in(cluster, cluster.new_user())


def until_accepted(port: int, token: str) -> None:
    """Wait until content has fetched the list that the token names."""
    limit = time.monotonic() + TTL_SECONDS
    while send(port, "GET", PATH, token=token).status != 200:
        assert time.monotonic() < limit
        time.sleep(0.05)


def refused_after(cluster: Cluster, token: str, end: Callable[[], object]) -> float:
    """End a token; return when the last replica refuses it, after the response."""
    for replica in cluster.content:
        until_accepted(replica.port, token)
    end()
    ended_at = time.monotonic()
    for replica in cluster.content:
        while send(replica.port, "GET", PATH, token=token).status != 401:
            assert time.monotonic() - ended_at < TTL_SECONDS + 5
            time.sleep(0.02)
    return time.monotonic() - ended_at


@pytest.mark.parametrize("figures", BOTH)
def test_s6_sign_outs_are_refused_everywhere_within_a_second(
    pushing: Cluster, figures: Figures
) -> None:
    times = []
    for _ in range(5 if figures is SHORT else 100):
        pair = signed_in(pushing)
        members = {"refreshToken": pair["refreshToken"]}
        times.append(
            refused_after(
                pushing,
                pair["accessToken"],
                partial(
                    send, pushing.identity.port, "POST", "/api/auth/signout", members
                ),
            )
        )
    times.sort()
    tell(f"median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s")
    assert times[int((len(times) - 1) * 0.99)] < PUSHED_SECONDS


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("figures", BOTH)
def test_s6_a_crowd_of_sign_outs_loses_none(pushing: Cluster, figures: Figures) -> None:
    users = [pushing.new_user() for _ in range(2 if figures is SHORT else 100)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        each = 10 if figures is SHORT else 100
        pairs = list(pool.map(partial(sign_in, pushing), users * each))
    for replica in pushing.content:
        until_accepted(replica.port, pairs[0]["accessToken"])

    def sign_out(pair: Pair) -> int:
        members = {"refreshToken": pair["refreshToken"]}
        port = pushing.identity.port
        return send(port, "POST", "/api/auth/signout", members).status

    began_at = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(sign_out, pairs)) == {200}
    tell(f"{len(pairs)} sign-outs in {time.monotonic() - began_at:.1f} s")
    time.sleep(2 * PUSHED_SECONDS)
    for replica in pushing.content:
        for pair in pairs:
            token = pair["accessToken"]
            assert send(replica.port, "GET", PATH, token=token).status == 401
