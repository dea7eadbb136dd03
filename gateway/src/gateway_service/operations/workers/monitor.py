"""One process watches the upstreams for all workers, so each is probed once."""

import asyncio
from collections.abc import Callable

from gateway_service.config.model import Config, UpstreamConfig
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.descriptors import Descriptors
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.operations.workers.messages import to_line
from gateway_service.upstreams.connections.pool import ConnectionPool
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.reports import UpstreamReport
from gateway_service.upstreams.watching.watching import UpstreamWatch, Watch


class UpstreamMonitor:
    """Resolves and probes, and delivers each report as a line for the workers."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[bytes], None]
    ) -> None:
        self._deliver = deliver
        self._watches: dict[str, UpstreamWatch] = {}
        """Whose reports are delivered, by upstream."""
        self._running: set[UpstreamWatch] = set()
        """All that are to be stopped some time, also where `adopt` was cancelled."""
        self._adopting = asyncio.Lock()
        deadlines, batch = Deadlines(loop), WriteBatch(loop)
        deadlines.close()  # no request is ever sent from here
        descriptors = Descriptors(loop)

        def make_pool(endpoint: Endpoint, config: UpstreamConfig) -> ConnectionPool:
            return ConnectionPool(
                endpoint, config, deadlines, batch, loop, descriptors=descriptors
            )

        self._make_pool = make_pool

    @property
    def lines(self) -> bytes:
        """All that was found, for a worker that starts."""
        return b"".join(_line(watch) for watch in self._watches.values())

    async def adopt(self, config: Config) -> None:
        """Watch what a configuration names; return when it was judged, or soon after.

        Upstreams whose definition has not changed are watched on. Of others the present
        watch delivers until its successor has judged the replicas.
        """
        async with self._adopting:
            before = self._watches
            kept = {
                name: watch
                for name, watch in before.items()
                if watch.upstream.config in config.upstreams
            }
            after = {
                each.name: kept.get(each.name) or self._watch(each)
                for each in config.upstreams
            }
            new = set(after.values()) - self._running
            self._running |= new
            self._watches = {**after, **before}
            await asyncio.gather(*(watch.start() for watch in new))
            self._watches = after
            for watch in new:
                self._on_change(watch)
            gone = self._running - set(after.values())
            await asyncio.gather(*(watch.stop() for watch in gone))
            self._running -= gone

    def _watch(self, config: UpstreamConfig) -> UpstreamWatch:
        upstream = Upstream(config, self._make_pool)
        return UpstreamWatch(upstream, on_change=self._on_change)

    async def stop(self) -> None:
        """Stop watching."""
        await asyncio.gather(*(watch.stop() for watch in self._running))

    def deliver_all(self) -> None:
        """Deliver all reports again, for workers that missed some."""
        self._deliver(self.lines)

    def _on_change(self, watch: Watch) -> None:
        if self._watches.get(watch.upstream.name) is watch:
            self._deliver(_line(watch))


def _line(watch: Watch) -> bytes:
    return to_line(UpstreamReport.of(watch))
