"""Apply a configuration, and replace it while requests run."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway_service.config.clients import TlsConfig
from gateway_service.config.faults import ConfigError
from gateway_service.config.model import Config, UpstreamConfig
from gateway_service.operations.tls import Certificate
from gateway_service.proxy.active_config import ActiveConfig, compile_config
from gateway_service.proxy.rate_limits import RateLimits, RowCounter
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.replica import Pool
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.watching import UpstreamWatch, Watch, repeat

TICK_SECONDS: Final = 0.25
"""How coarse back-off, slow start and the retry budget are."""

_STARTING_PAUSE: Final = 0.05

TIDY_SECONDS: Final = 10.0
"""How often certificate files are checked and idle clients forgotten."""

START_SECONDS: Final = 10.0
"""How long a new gateway waits for its upstreams before it is ready without them.

For so long it leaves a port to the others that share it, too.
"""

FIRST_LOOK_SECONDS: Final = 0.5
"""How long it looks for them before it serves. Longer than names and probes take where
all is well, so that the first requests find replicas."""

_NO_LIMITS: Final = (
    "off for every client: GATEWAY_RATE_LIMITS=off, or rate_limits in the file"
)

_logger: Final = logging.getLogger(__name__)


class ControlPlane:
    """Holds the configuration in use, keeps it current, and replaces it on reload."""

    def __init__(
        self,
        config: Config,
        read_again: Callable[[], Config],
        make_pool: Callable[[Endpoint, UpstreamConfig], Pool],
        certificate: Certificate | None = None,
        *,
        watch: Callable[[Upstream], Watch] = UpstreamWatch,
        count_in: Callable[[], RowCounter] | None = None,
    ) -> None:
        self._read_again = read_again
        self._watch = watch
        self._count_in = count_in
        self._make_pool = make_pool
        self._reloading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.certificate = certificate
        """Stays with the listener: turning TLS on or off asks for a restart."""
        self.watches: Mapping[str, Watch] = self._watches(config, {})
        limits = self._limits(config)
        self.active = self._compile(config, limits)
        self.configured_at = time.time()
        """In Unix time: when the configuration in use was read."""
        self.reloads_used = 0
        self.reloads_refused = 0
        self._is_starting = True

    async def start(self) -> None:
        """Return when replicas have been found and probed, or soon after.

        Slower look-ups go on in the background.
        """
        async with self._reloading:  # which starts watches of its own
            await self.active.rate_limits.start()
            looking = asyncio.create_task(_start(self.watches.values()))
        self._tasks.append(looking)
        await asyncio.wait({looking}, timeout=FIRST_LOOK_SECONDS)
        if looking.done():
            looking.result()
        asyncio.get_running_loop().call_later(START_SECONDS, self._has_started)
        for step, interval in ((self._tick, TICK_SECONDS), (self._tidy, TIDY_SECONDS)):
            self._tasks.append(asyncio.create_task(repeat(step, interval)))

    def _has_started(self) -> None:
        self._is_starting = False

    async def starting_fault(self) -> str | None:
        """Name the upstreams that a new gateway still waits for.

        Later an upstream without a ready replica shows in its routes, which respond
        503, and not in the readiness of the whole gateway.
        """
        if not self._is_starting:
            return None
        waiting = [
            name
            for name, upstream in self.active.upstreams.items()
            if not upstream.is_ready
        ]
        self._is_starting = bool(waiting)
        return f"no ready replica yet: {', '.join(waiting)}" if waiting else None

    async def limits_warning(self) -> str | None:
        """Say where no client's rate is limited."""
        return None if self.active.config.rate_limits else _NO_LIMITS

    async def until_started(self) -> None:
        """Wait until every upstream has a ready replica, or for `START_SECONDS`."""
        while await self.starting_fault() is not None:  # noqa: ASYNC110 - asks
            await asyncio.sleep(_STARTING_PAUSE)

    async def close(self) -> None:
        """Stop every task; replicas end with their last request."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _stop(self.watches.values())
        await self.active.rate_limits.close()

    async def reload(self) -> bool:
        """Read the configuration again and use it, or keep the last good one.

        Upstreams whose definition has not changed keep replicas, connections and
        health. The others are recreated, and take over once their replicas have been
        probed; requests in flight end where they are.
        """
        async with self._reloading:
            try:
                config = await asyncio.to_thread(self._read_again)
                limits = await self._limits_after_reload(config)
            except ConfigError as error:
                self.reloads_refused += 1
                _logger.error("configuration_refused", extra={"faults": error.faults})  # noqa: TRY400
                return False
            await self._replace(config, limits)
            self.configured_at = time.time()
            self.reloads_used += 1
            _logger.info("configuration_reloaded")
            return True

    async def _limits_after_reload(self, config: Config) -> RateLimits:
        """Return what counts requests, those in use if the store stays the same."""
        if self.active.rate_limits.store == config.rate_limit_store:
            return self.active.rate_limits
        limits = self._limits(config)
        await limits.start()
        return limits

    async def _replace(self, config: Config, limits: RateLimits) -> None:
        if self.certificate is not None:
            await asyncio.to_thread(self.certificate.reload_if_changed)
        shown = None if self.certificate is None else self.certificate.config
        if _files(config.tls) != _files(shown):
            _logger.warning("tls_change_needs_a_restart")
        before, limits_before = self.watches, self.active.rate_limits
        unchanged = {
            name: watch
            for name, watch in before.items()
            if watch.upstream.config in config.upstreams
        }
        after = self._watches(config, unchanged)
        await _start(set(after.values()) - set(unchanged.values()))
        self.watches = after
        self.active = self._compile(config, limits)
        await _stop(set(before.values()) - set(unchanged.values()))
        if limits is not limits_before:
            await limits_before.close()

    def _watches(
        self, config: Config, unchanged: Mapping[str, Watch]
    ) -> dict[str, Watch]:
        return {
            upstream.name: unchanged.get(upstream.name)
            or self._watch(Upstream(upstream, self._make_pool))
            for upstream in config.upstreams
        }

    def _compile(self, config: Config, limits: RateLimits) -> ActiveConfig:
        if not config.rate_limits:
            _logger.warning("rate_limits_off", extra={"reason": _NO_LIMITS})
        return compile_config(config, _upstreams(self.watches), limits)

    def _limits(self, config: Config) -> RateLimits:
        memory = None if self._count_in is None else self._count_in()
        return RateLimits(config.rate_limit_store, memory=memory)

    async def _tick(self) -> None:
        for upstream in self.active.upstreams.values():
            upstream.tick()

    async def _tidy(self) -> None:
        self.active.rate_limits.tidy()
        if self.certificate is not None:
            await asyncio.to_thread(self.certificate.reload_if_changed)


def _files(tls: TlsConfig | None) -> tuple[str, str] | None:
    return None if tls is None else (tls.certificate, tls.key)


def _upstreams(watches: Mapping[str, Watch]) -> dict[str, Upstream]:
    return {name: watch.upstream for name, watch in watches.items()}


async def _start(watches: Iterable[Watch]) -> None:
    await asyncio.gather(*(watch.start() for watch in watches))


async def _stop(watches: Iterable[Watch]) -> None:
    await asyncio.gather(*(watch.stop() for watch in watches))
