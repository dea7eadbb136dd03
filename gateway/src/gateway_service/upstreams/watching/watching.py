"""Keep an upstream's replicas up to date: who they are, and who is ready."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from gateway_service.upstreams.discovery.discovery import Discovery
from gateway_service.upstreams.replica import Replica
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.health_checks import HealthCheck, probe
from service_kit.observability.request_id import leave_request

JITTER: Final = 0.1
"""The part by which a wait may be shorter, so that gateways do not probe in step."""

_logger: Final = logging.getLogger(__name__)


class Watch(Protocol):
    """Keeps an upstream's replicas up to date, from wherever it knows of them."""

    upstream: Upstream

    @property
    def faults(self) -> Mapping[str, str]:
        """The names that cannot be resolved at present, and why."""

    async def start(self) -> None:
        """Return when every replica found has been judged once, or soon after."""

    async def stop(self) -> None:
        """Stop watching; replicas end when nothing is in flight on them."""


class UpstreamWatch:
    """Runs discovery and probes of one upstream until it is stopped.

    ``on_change`` is called after what it found has changed.
    """

    def __init__(
        self,
        upstream: Upstream,
        discovery: Discovery | None = None,
        on_change: Callable[[Watch], None] = lambda _: None,
    ) -> None:
        config = upstream.config
        self.upstream = upstream
        self._discovery = discovery or Discovery(config.addresses, config.health.port)
        self._on_change = on_change
        self._discovering: asyncio.Task[None] | None = None
        self._probing: dict[Replica, asyncio.Task[None]] = {}
        self._unprobed: set[Replica] = set()
        self._discovered = asyncio.Event()
        """Set after the first look for replicas."""
        self._all_probed = asyncio.Event()

    @property
    def faults(self) -> Mapping[str, str]:
        """The names that cannot be resolved at present, and why."""
        return self._discovery.faults

    async def start(self) -> None:
        """Return when every replica found has been probed once, or soon after.

        `stop` ends it earlier.
        """
        config = self.upstream.config
        self._discovering = asyncio.create_task(
            repeat(self._discover, config.resolve_interval)
        )
        await self._discovered.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(config.health.timeout):
                if self._unprobed:
                    await self._all_probed.wait()

    async def stop(self) -> None:
        """Stop watching; replicas end when nothing is in flight on them."""
        tasks = [*self._probing.values()]
        if self._discovering is not None:
            tasks.append(self._discovering)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._discovery.close()
        self.upstream.close()
        self._discovered.set()
        self._all_probed.set()

    async def _discover(self) -> None:
        try:
            await self._look_for_replicas()
        finally:
            self._discovered.set()

    async def _look_for_replicas(self) -> None:
        before, faults = set(self.upstream.replicas), dict(self.faults)
        self.upstream.assign(await self._discovery.endpoints())
        after = set(self.upstream.replicas)
        for replica in before - after:
            self._log("replica_left", replica)
            if replica in self._probing:
                self._probing.pop(replica).cancel()
                self._unprobed.discard(replica)
        for replica in after - before:
            self._log("replica_joined", replica)
            if self.upstream.config.health.path:
                self._unprobed.add(replica)
                self._probing[replica] = asyncio.create_task(self._watch(replica))
        if after != before or self.faults != faults:
            self._on_change(self)

    async def _watch(self, replica: Replica) -> None:
        config = self.upstream.config.health
        check = HealthCheck(config)

        async def step() -> None:
            found = await probe(replica.endpoint, config)
            self.upstream.probes[found.result] += 1
            health = check.health_after(found.result)
            if health is not replica.health:
                self.upstream.report(replica, health)
                self._on_change(self)
                self._log("replica_readiness", replica, found.detail)
            elif check.should_warn:
                self._log("replica_never_answered_probes", replica, found.detail)
            self._unprobed.discard(replica)
            if not self._unprobed:
                self._all_probed.set()

        await repeat(step, config.interval)

    def _log(self, event: str, replica: Replica, detail: str = "") -> None:
        _logger.log(
            logging.WARNING if detail else logging.INFO,
            event,
            extra={
                "upstream": self.upstream.name,
                "replica": str(replica.endpoint),
                "readiness": replica.health.value,
                **({"detail": detail} if detail else {}),
            },
        )


async def repeat(
    step: Callable[[], Awaitable[None]], interval: float, *, at_once: bool = True
) -> None:
    """Run a step again and again, an interval apart, whether it fails or not."""
    leave_request()
    if not at_once:
        await asyncio.sleep(_jittered(interval))
    while True:
        started_at = time.monotonic()
        try:
            await step()
        except Exception:
            _logger.exception("periodic_step_failed")
        spent = time.monotonic() - started_at
        await asyncio.sleep(max(0.0, _jittered(interval) - spent))


def _jittered(interval: float) -> float:
    return interval * (1 - JITTER * random.random())  # noqa: S311 - not for secrets
