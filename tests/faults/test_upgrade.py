"""A version and the one after it serve one database side by side, under traffic."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.faults.figures import tell
from tests.support.cluster import Cluster, check_logs
from tests.support.database import DatabaseServer, empty_database
from tests.support.fault_rows import row, verdict
from tests.support.traffic import Traffic
from tests.support.versions import python_path, sources_at

BEFORE: Final = "125f219"
"""The version before: the last commit whose schema is 0005."""


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(60, id="a minute", marks=pytest.mark.timeout(500)),
        pytest.param(600, id="ten minutes", marks=pytest.mark.timeout(1100)),
    ],
)
@pytest.mark.faults
async def test_two_versions_serve_side_by_side_without_a_failure(
    database_server: DatabaseServer, tmp_path: Path, seconds: float
) -> None:
    old = python_path(sources_at(BEFORE, tmp_path / "before"))
    async with empty_database(database_server.url) as url:
        cluster = Cluster(tmp_path, content=1, identities=2, database_url=url)
        replica, _ = cluster.identities
        replica.environment["PYTHONPATH"] = old
        await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "identity_service", "migrate"],
            env=replica.environment,
            check=True,
            capture_output=True,
            timeout=60,
        )
        with cluster:  # which migrates to the version of now, beside the old replica
            base_url = f"http://127.0.0.1:{cluster.gateway.port}"
            async with Traffic(base_url) as traffic:
                await asyncio.sleep(seconds)
                await traffic.stop()
                losses = await traffic.losses()
            served = [each["requests"] for each in cluster.gateway.replicas("identity")]
    faults = [*losses, *verdict(traffic.requests, {})]
    tell(row("two versions side by side", seconds, traffic.requests, faults), served)
    assert not faults
    assert all(served), "both versions have to serve"
    check_logs(tmp_path, cluster.secrets)
