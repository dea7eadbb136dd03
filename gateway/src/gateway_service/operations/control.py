"""What the configuration sets up, and its exchange while requests run."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic

from gateway_service.config.faults import ConfigError
from gateway_service.config.model import Config, TlsConfig, UpstreamConfig
from gateway_service.operations.tls import Certificate
from gateway_service.proxy.client_addresses import TrustedProxies
from gateway_service.proxy.messages import Hop
from gateway_service.proxy.rate_limits import RateLimits
from gateway_service.proxy.routing import Routes
from gateway_service.upstreams.replica import Endpoint, PoolT
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching import UpstreamWatch, repeat

TICK_SECONDS: Final = 0.25
"""How coarse back-off, slow start and the retry budget are."""

TIDY_SECONDS: Final = 10.0
"""How often certificate files are looked at and quiet clients forgotten."""

START_SECONDS: Final = 10.0
"""How long a new gateway waits for its upstreams before it is ready without them."""

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State(Generic[PoolT]):
    """One configuration at work; a request takes it once and keeps it to its end."""

    config: Config
    routes: Routes
    proxies: TrustedProxies
    hop: Hop
    hsts: bytes
    """The line that keeps browsers to TLS, on answers over TLS."""
    rate_limits: RateLimits
    watches: Mapping[str, UpstreamWatch[PoolT]]
    upstreams: Mapping[str, Upstream[PoolT]]


class ControlPlane(Generic[PoolT]):
    """Holds the present state, keeps it up to date, and exchanges it on reload."""

    def __init__(
        self,
        config: Config,
        read_again: Callable[[], Config],
        make_pool: Callable[[Endpoint, UpstreamConfig], PoolT],
    ) -> None:
        self._read_again = read_again
        self._make_pool = make_pool
        self._reloading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.certificate = Certificate(config.tls) if config.tls else None
        """Made once, when the listener is: turning TLS on or off asks for a restart."""
        self.state = self._compile(config, {}, RateLimits(config.rate_limit_store))
        self.reloads_refused = 0
        self._is_starting = True

    async def start(self) -> None:
        """Return when the replicas that exist have been found and asked."""
        await self.state.rate_limits.start()
        await _start(self.state.watches.values())
        asyncio.get_running_loop().call_later(START_SECONDS, self._has_started)
        for step, interval in ((self._tick, TICK_SECONDS), (self._tidy, TIDY_SECONDS)):
            self._tasks.append(asyncio.create_task(repeat(step, interval)))

    def _has_started(self) -> None:
        self._is_starting = False

    async def starting_fault(self) -> str | None:
        """Name the upstreams that a new gateway still waits for.

        Once it has started, an upstream that is away is told by its routes, which
        answer 503, and not by the readiness of the whole gateway.
        """
        if not self._is_starting:
            return None
        waiting = [
            name
            for name, upstream in self.state.upstreams.items()
            if not upstream.is_ready
        ]
        self._is_starting = bool(waiting)
        return f"no ready replica yet: {', '.join(waiting)}" if waiting else None

    async def close(self) -> None:
        """Stop every task; replicas end with their last request."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _stop(self.state.watches.values())
        await self.state.rate_limits.close()

    async def reload(self) -> bool:
        """Read the configuration again and put it to work, or keep the present one.

        Upstreams whose definition has not changed keep replicas, connections and
        health. The others are made anew, and take over only when their replicas have
        been asked; requests in flight end where they are.
        """
        async with self._reloading:
            try:
                config = await asyncio.to_thread(self._read_again)
            except ConfigError as error:
                self.reloads_refused += 1
                _logger.error("configuration_refused", extra={"faults": error.faults})  # noqa: TRY400
                return False
            await self._exchange(config)
            _logger.info("configuration_reloaded")
            return True

    async def _exchange(self, config: Config) -> None:
        if self.certificate is not None:
            await asyncio.to_thread(self.certificate.reload_if_changed)
        if config.tls != self.state.config.tls:
            _logger.warning("tls_change_needs_a_restart")
        before = self.state
        unchanged = {
            name: watch
            for name, watch in before.watches.items()
            if watch.upstream.config in config.upstreams
        }
        limits = before.rate_limits
        if limits.store != config.rate_limit_store:
            limits = RateLimits(config.rate_limit_store)
            await limits.start()
        after = self._compile(config, unchanged, limits)
        await _start(set(after.watches.values()) - set(unchanged.values()))
        self.state = after
        await _stop(set(before.watches.values()) - set(unchanged.values()))
        if limits is not before.rate_limits:
            await before.rate_limits.close()

    def _compile(
        self,
        config: Config,
        unchanged: Mapping[str, UpstreamWatch[PoolT]],
        rate_limits: RateLimits,
    ) -> State[PoolT]:
        watches = {
            upstream.name: unchanged.get(upstream.name)
            or UpstreamWatch(Upstream(upstream, self._make_pool))
            for upstream in config.upstreams
        }
        proxies = TrustedProxies(config.trusted_proxies, config.trusted_header)
        return State(
            config=config,
            routes=Routes(config),
            proxies=proxies,
            hop=Hop(config.pseudonym.encode("ascii"), proxies),
            hsts=_hsts_line(config.tls),
            rate_limits=rate_limits,
            watches=watches,
            upstreams={name: watch.upstream for name, watch in watches.items()},
        )

    async def _tick(self) -> None:
        for upstream in self.state.upstreams.values():
            upstream.tick()

    async def _tidy(self) -> None:
        self.state.rate_limits.tidy()
        if self.certificate is not None:
            await asyncio.to_thread(self.certificate.reload_if_changed)


def _hsts_line(tls: TlsConfig | None) -> bytes:
    if tls is None or not tls.hsts:
        return b""
    return b"Strict-Transport-Security: max-age=%d\r\n" % tls.hsts


async def _start(watches: Iterable[UpstreamWatch[PoolT]]) -> None:
    await asyncio.gather(*(watch.start() for watch in watches))


async def _stop(watches: Iterable[UpstreamWatch[PoolT]]) -> None:
    await asyncio.gather(*(watch.stop() for watch in watches))
