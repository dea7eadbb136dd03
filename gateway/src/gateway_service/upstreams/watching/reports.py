"""Take the replicas of upstreams, and their health, from another process.

Of several workers none probes or resolves: their supervisor does so for all of them,
and sends its reports to each worker.
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


class UpstreamReport(NamedTuple):
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
class FollowingWatch:
    """Gives an upstream the replicas of the latest report."""

    upstream: Upstream
    counts_probes: bool
    """Whether the probes, which another process sends, are counted here."""
    faults: Mapping[str, str] = field(default_factory=dict)
    _has_report: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Return when there is a report, or after the probes' timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.upstream.config.health.timeout):
                await self._has_report.wait()

    async def stop(self) -> None:
        """Let replicas end when nothing is in flight on them."""
        self.upstream.close()

    def follow(self, report: UpstreamReport) -> None:
        """Apply a report."""
        self.faults = report.faults
        if self.counts_probes:
            self.upstream.probes = Counter(report.probes)
        self.upstream.assign(report.replicas)
        for replica in self.upstream.replicas:
            self.upstream.report(replica, report.replicas[replica.endpoint])
        self._has_report.set()


class UpstreamReports:
    """The latest reports, and the watches that follow them.

    Of several workers one alone counts the probes, or their sum would be wrong.
    """

    def __init__(self, *, counts_probes: bool) -> None:
        self._counts_probes = counts_probes
        self._reports: dict[str, UpstreamReport] = {}
        self._watches: dict[str, FollowingWatch] = {}

    def watch(self, upstream: Upstream) -> FollowingWatch:
        """Return a watch of an upstream, in place of an older one of its name."""
        watch = self._watches[upstream.name] = FollowingWatch(
            upstream, self._counts_probes
        )
        if upstream.name in self._reports:
            watch.follow(self._reports[upstream.name])
        return watch

    def deliver(self, report: UpstreamReport) -> None:
        """Apply a report, now and to later watches of its upstream."""
        self._reports[report.upstream] = report
        if report.upstream in self._watches:
            self._watches[report.upstream].follow(report)
