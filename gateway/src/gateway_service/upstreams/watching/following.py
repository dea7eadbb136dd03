"""Take the replicas of upstreams, and their health, from another process.

Of several workers none probes or resolves: their supervisor does so for all of them,
and sends its findings to each worker.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import ProbeResult
from gateway_service.upstreams.replica import ReplicaHealth
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.watching import Watch


class Finding(NamedTuple):
    """The replicas of one upstream."""

    upstream: str
    replicas: Mapping[Endpoint, ReplicaHealth]
    faults: Mapping[str, str]
    """The names that cannot be resolved, and why."""
    probes: Mapping[ProbeResult, int]
    """The results of the probes so far."""

    @classmethod
    def of(cls, watch: Watch) -> Self:
        """Return what a watch has found."""
        upstream = watch.upstream
        replicas = {each.endpoint: each.health for each in upstream.replicas}
        return cls(upstream.name, replicas, dict(watch.faults), upstream.probes)


@dataclass(eq=False)
class FollowedWatch:
    """Gives an upstream the replicas of the latest finding."""

    upstream: Upstream
    counts_probes: bool
    """Whether the probes, which another process sends, are counted here."""
    faults: Mapping[str, str] = field(default_factory=dict)
    _has_findings: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Return when there is a finding, or after the probes' timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.upstream.config.health.timeout):
                await self._has_findings.wait()

    async def stop(self) -> None:
        """Let replicas end when nothing is in flight on them."""
        self.upstream.close()

    def follow(self, finding: Finding) -> None:
        """Apply a finding."""
        self.faults = finding.faults
        if self.counts_probes:
            self.upstream.probes = Counter(finding.probes)
        self.upstream.assign(finding.replicas)
        for replica in self.upstream.replicas:
            self.upstream.report(replica, finding.replicas[replica.endpoint])
        self._has_findings.set()


class Followed:
    """The latest findings, and the watches that follow them.

    Of several workers one alone counts the probes, or their sum would be wrong.
    """

    def __init__(self, *, counts_probes: bool) -> None:
        self._counts_probes = counts_probes
        self._findings: dict[str, Finding] = {}
        self._watches: dict[str, FollowedWatch] = {}

    def watch(self, upstream: Upstream) -> FollowedWatch:
        """Return a watch of an upstream, in place of an older one of its name."""
        watch = self._watches[upstream.name] = FollowedWatch(
            upstream, self._counts_probes
        )
        if upstream.name in self._findings:
            watch.follow(self._findings[upstream.name])
        return watch

    def deliver(self, finding: Finding) -> None:
        """Apply a finding, now and to later watches of its upstream."""
        self._findings[finding.upstream] = finding
        if finding.upstream in self._watches:
            self._watches[finding.upstream].follow(finding)
