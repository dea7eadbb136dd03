"""Signing keys rotate every few seconds, through two replicas of each service."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, DummyCookieJar
from tests.faults.figures import LONG, SHORT, Figures, tell
from tests.support.cluster import Cluster, check_logs, two_of_each
from tests.support.database import SERVERS, server_url
from tests.support.identity import IdentityClient
from tests.support.load import Plan, running_load
from tests.support.requests import send
from tests.support.rotation import rotate_under_load

TOKEN_LIFETIME = 8
MOST_SKEW = 60
"""Seconds by which a verifier's clock may be late."""

CONTENT_LOOKS_EVERY = 5
"""Seconds, if `max-age` says less: docs/content.md."""

JWKS_FETCHES = re.compile(r"identity_requests_total\{.*jwks\.json.*\} (?P<number>\d+)")


@pytest.fixture(params=SERVERS)
def rotating(
    request: pytest.FixtureRequest, tmp_path: Path, lifetime: int
) -> Iterator[Cluster]:
    """Two replicas of each service, with keys that sign for so many seconds."""
    overrides = {
        "IDENTITY_ACCESS_TOKEN_LIFETIME": str(TOKEN_LIFETIME),
        "IDENTITY_JWKS_MAX_AGE": "2",
        "IDENTITY_SIGNING_KEY_PREPUBLICATION": "5",
        "IDENTITY_SIGNING_KEY_LIFETIME": str(lifetime),
    }
    with two_of_each(
        server_url(request, request.param), tmp_path, overrides
    ) as cluster:
        yield cluster
    check_logs(tmp_path, cluster.secrets)


@pytest.mark.parametrize(
    ("figures", "lifetime", "seconds", "kids"),
    [
        pytest.param(SHORT, 5, 7, 2, id="short"),
        pytest.param(
            LONG,
            10,
            120,
            12,
            id="long",
            marks=[pytest.mark.faults, pytest.mark.timeout(300)],
        ),
    ],
)
async def test_k4_rotations_refuse_no_valid_token(
    rotating: Cluster, figures: Figures, seconds: int, kids: int
) -> None:
    port = rotating.gateway.port
    users = [rotating.new_user() for _ in range(8)]
    plan = Plan(ports=[port], users=users, rate=figures.rate, reads=True)
    before, began_at = fetches(rotating), time.monotonic()
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        gateway = IdentityClient(f"http://127.0.0.1:{port}", session)
        with running_load(plan) as load:
            outcome = await rotate_under_load(
                [gateway],
                seconds,
                kids=kids,
                token_lifetime=TOKEN_LIFETIME,
                issuer=rotating.issuer,
            )
            report = await asyncio.to_thread(load.report)
    ticks = (time.monotonic() - began_at) / CONTENT_LOOKS_EVERY + 1
    fetched = fetches(rotating) - before - outcome.fetches

    tell(report, outcome, f"{fetched} fetches by content, {ticks:.0f} ticks")
    assert not report.failed, report
    assert report.ok > seconds * figures.rate / 2
    assert len(outcome.kids) >= kids
    assert outcome.judged > len(outcome.tokens) > 5 * seconds
    assert fetched <= (len(outcome.kids) + ticks) * len(rotating.content)
    first = send(port, "GET", "/api/test/user", token=outcome.tokens[0])
    assert first.status == (401 if seconds > TOKEN_LIFETIME + MOST_SKEW else 200)


def fetches(cluster: Cluster) -> int:
    """Return how often the JWKS was asked for, of both identities together."""
    texts = [each.internal("/metrics") for each in cluster.identities]
    return sum(int(float(n)) for text in texts for n in JWKS_FETCHES.findall(text))
