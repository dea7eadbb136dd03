"""Counters in the master that Sentinels name, whichever server that is."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from tests.support.sentinels import PASSWORD, SERVICE, watched_valkey

from gateway_service.config.clients import RateLimit
from gateway_service.proxy.rate_limits import RateLimits
from identity_service.domain.limits.throttling import Limit
from identity_service.storage.throttle_counters import ValkeyCounters, open_counters
from service_kit.valkey_pools import is_store_url, sentinels_of

TEN_AN_HOUR: Final = (Limit(10, timedelta(hours=1)),)
FAILOVER_SECONDS: Final = 20.0


async def shared_take(counters: ValkeyCounters, key: str) -> timedelta | None:
    """Count one in Valkey, however often memory counted it instead."""
    limit = time.monotonic() + FAILOVER_SECONDS
    while True:
        before = counters.fallbacks
        wait = await counters.take(key, TEN_AN_HOUR)
        if counters.fallbacks == before:
            return wait
        assert time.monotonic() < limit, "the master is not used"
        await asyncio.sleep(0.2)


async def test_p8_counting_goes_on_at_the_new_master(tmp_path: Path) -> None:
    with watched_valkey(tmp_path) as watched:
        one, other = open_counters(watched.url), open_counters(watched.url)
        assert isinstance(one, ValkeyCounters)
        assert isinstance(other, ValkeyCounters)
        rates = RateLimits(watched.url)
        await rates.start()
        try:
            for _ in range(9):
                assert await shared_take(one, "alice") is None
            await shared_rate(rates)
            await asyncio.sleep(0.5)  # the replica gets what the master has

            watched.servers[0].kill()
            assert await one.take("alice", TEN_AN_HOUR) is None, "memory counts"
            assert one.fault
            taken = [await shared_take(other, "alice") for _ in range(6)]
            assert taken.count(None) < 6, "the new master has what the old one had"
            await shared_take(one, "nobody")
            await shared_rate(rates)
        finally:
            await one.close()
            await other.close()
            await rates.close()


async def shared_rate(rates: RateLimits) -> None:
    """Have one request counted in Valkey."""
    limit = time.monotonic() + FAILOVER_SECONDS
    while True:
        await rates.count("/api", RateLimit(3, 60), "192.0.2.1")
        if not rates.is_alone:
            return
        assert time.monotonic() < limit, "the master is not used"
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        (f"valkey+sentinel://:{PASSWORD}@a:26379,b/{SERVICE}", True),
        (f"redis+sentinel://a/{SERVICE}/3", True),
        ("valkey+sentinel://a:26379", False),
        ("valkey+sentinel://a:x/counters", False),
        ("valkey+sentinel://a,,b/counters", False),
        ("valkey+sentinel:///counters", False),
        ("valkey+sentinel://a/counters/first", False),
        ("valkey+sentinel://a:99999/counters", False),
        ("valkey+sentinel://a/counters?sentinel_password=b", True),
        ("valkey+sentinel://a/counters?sentinel_password=b&sentinel_password=c", False),
    ],
)
def test_what_a_url_of_sentinels_is_like(url: str, *, is_one: bool) -> None:
    assert is_store_url(url) is is_one
    if is_one:
        assert sentinels_of(url)[0] == ("a", 26379)
