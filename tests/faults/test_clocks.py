"""Two replicas of identity whose clocks are five minutes apart, on one database."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.cluster import Cluster
from tests.support.database import DatabaseServer, empty_database
from tests.support.missing import skip_missing
from tests.support.requests import TimedAnswer, send
from tests.support.tokens import claims_of

GRACE_SECONDS: Final = 2


def shifted(by: str) -> dict[str, str]:
    """Return the environment of a process with another wall clock."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        skip_missing("libfaketime is not installed")
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME": by,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.fixture(params=["+300s", "-300s"])
def apart(
    request: pytest.FixtureRequest, tmp_path: Path, database_server: DatabaseServer
) -> Iterator[Cluster]:
    with asyncio.Runner() as runner:
        database = empty_database(database_server.url)
        url = runner.run(database.__aenter__())
        cluster = Cluster(
            tmp_path,
            content=1,
            identities=2,
            database_url=url,
            overrides={"IDENTITY_REFRESH_GRACE": str(GRACE_SECONDS)},
        )
        cluster.identities[1].environment |= shifted(request.param)
        with cluster:
            yield cluster
        runner.run(database.__aexit__(None, None, None))


def test_replicas_with_clocks_apart_work_as_one(apart: Cluster) -> None:
    right, wrong = apart.identities
    ready = wrong.internal("/readyz")
    assert "300 s" in ready, ready

    name, password = apart.new_user()
    signed_in = send(
        wrong.port,
        "POST",
        "/api/auth/signin",
        {"username": name, "password": password},
    )
    pair = signed_in.json()
    claims = claims_of(pair["accessToken"])
    assert abs(claims["iat"] - time.time()) < 5
    for port, path in (
        (apart.content[0].port, "/api/test/user"),
        (right.port, "/api/users/me"),
        (wrong.port, "/api/users/me"),
    ):
        assert send(port, "GET", path, token=pair["accessToken"]).status == 200

    spent = pair["refreshToken"]
    for replica in (wrong, right, wrong, right):
        newer = refresh(replica.port, pair["refreshToken"])
        assert newer.status == 200, newer.body
        spent, pair = pair["refreshToken"], newer.json()
    for replica in (wrong, right):
        assert refresh(replica.port, spent).status == 200, "within the grace"

    for replica in (wrong, right):
        spent = pair["refreshToken"]
        pair = refresh(replica.port, spent).json()
    time.sleep(GRACE_SECONDS + 0.5)
    assert refresh(wrong.port, spent).status == 403, "the grace is over"


@pytest.mark.parametrize("is_shifted", [True, False], ids=["shifted", "right"])
def test_a_key_is_withdrawn_with_clocks_apart(
    apart: Cluster, *, is_shifted: bool
) -> None:
    environment = dict(apart.identities[is_shifted].environment)
    rotated = subprocess.run(
        [sys.executable, "-m", "identity_service", "rotate-signing-key", "--now"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert rotated.returncode == 0, rotated.stderr
    assert "signs now" in rotated.stdout
    token = apart.new_token()
    assert (
        send(apart.content[0].port, "GET", "/api/test/user", token=token).status == 200
    )


def refresh(port: int, token: str) -> TimedAnswer:
    return send(port, "POST", "/api/auth/refreshtoken", {"refreshToken": token})
