"""A sign-out reaches every replica of content, and no request asks identity (S6)."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.faults.figures import tell
from tests.support.cluster import Cluster
from tests.support.load import Plan, running_load
from tests.support.requests import send

from identity_service.handlers.waiting import LONGEST_WAIT

KEPT_FRESH = ("jwks", "statuslists")
"""What content fetches in the background."""


class Bound(NamedTuple):
    ttl: int
    seconds: float
    """From the answer to the sign-out to the last replica's refusal."""


class Asked(NamedTuple):
    """How many requests identity has answered so far."""

    documents: float
    others: float


@pytest.fixture(
    params=[
        pytest.param(Bound(1, 3), id="ttl 1"),
        pytest.param(Bound(15, 20), id="ttl 15", marks=pytest.mark.faults),
    ]
)
def bound(request: pytest.FixtureRequest) -> Bound:
    chosen: Bound = request.param
    return chosen


@pytest.fixture
def revoking(bound: Bound, tmp_path: Path) -> Iterator[Cluster]:
    """Three replicas of content, and lists that live so long."""
    overrides = {"IDENTITY_STATUS_LIST_TTL": str(bound.ttl)}
    with Cluster(tmp_path, overrides=overrides) as cluster:
        yield cluster


def asked(cluster: Cluster) -> Asked:
    documents = others = 0.0
    for line in cluster.identity.internal("/metrics").splitlines():
        if found := re.fullmatch(
            r'identity_requests_total\{.*route="(.*?)".*\} (.+)', line
        ):
            if any(name in found[1] for name in KEPT_FRESH):
                documents += float(found[2])
            else:
                others += float(found[2])
    return Asked(documents, others)


def test_s6_a_sign_out_is_refused_by_every_replica_within_its_bound(
    revoking: Cluster, bound: Bound
) -> None:
    name, password = revoking.new_user()
    other_token = revoking.new_token()
    pair = revoking.post("/api/auth/signin", username=name, password=password)
    token, members = pair["accessToken"], {"refreshToken": pair["refreshToken"]}
    path = "/api/test/user"
    for replica in revoking.content:
        assert send(replica.port, "GET", path, token=token).status == 200

    left = send(revoking.gateway.port, "POST", "/api/auth/signout", members)
    signed_out_at = time.monotonic()
    assert left.status == 200
    accepting = list(revoking.content)
    while accepting:
        assert time.monotonic() - signed_out_at < bound.seconds, len(accepting)
        accepting = [
            replica
            for replica in accepting
            if send(replica.port, "GET", path, token=token).status != 401
        ]
        time.sleep(0.02)

    tell(f"refused everywhere after {time.monotonic() - signed_out_at:.1f} s")
    for replica in revoking.content:
        assert send(replica.port, "GET", path, token=other_token).status == 200


def test_s6_s8_identity_is_asked_by_the_clock_and_not_by_requests(
    revoking: Cluster, bound: Bound
) -> None:
    plan = Plan(
        ports=[revoking.gateway.port],
        token=revoking.new_token(),
        gets=[("/api/test/user", "User Content.")],
        rate=200,
    )
    seconds = 2 + 2 * bound.ttl
    before = asked(revoking)
    began_at = time.monotonic()
    with running_load(plan) as load:
        time.sleep(seconds)
        report = load.report()
    after, lasted = asked(revoking), time.monotonic() - began_at

    documents = after.documents - before.documents
    tell(report, f"{documents:.0f} documents fetched in {lasted:.1f} s")
    assert not report.failed, report
    assert report.ok > 100 * seconds
    assert after.others == before.others
    lists, jwks = lasted / bound.ttl + 1, lasted / LONGEST_WAIT + 1
    assert documents <= len(revoking.content) * (lists + jwks)
