"""The replicas of an upstream, and which of them gets the next request.

`select` and `release` run once for each request, so they read no clock: `tick` runs a
few times a second and moves everything that depends on time.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

from gateway_service.config.model import UpstreamConfig
from gateway_service.upstreams.balancing import Balancer, usable_of
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import FailureKind, ProbeResult
from gateway_service.upstreams.places import Places
from gateway_service.upstreams.replica import Pool, Replica, ReplicaHealth
from gateway_service.upstreams.retry_budget import RetryBudget
from gateway_service.upstreams.speed import SLOW_SHARE, look_at

_logger: Final = logging.getLogger(__name__)

FIRST_SHARE: Final = 0.1
"""The part of its full share of requests that a replica starts with."""


class Upstream(Places):
    """A service behind the gateway: balances, ejects, and bounds what is in flight."""

    def __init__(
        self,
        config: UpstreamConfig,
        make_pool: Callable[[Endpoint, UpstreamConfig], Pool],
        *,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(config, now())
        self.config = config
        self.name = config.name
        self.retry_budget = RetryBudget(config.retries)
        self.hedges = 0
        """Requests sent to another replica because a response took its time."""
        self.hedges_won = 0
        """How often the other replica was quicker."""
        self.retries = 0
        """Requests sent to another replica because one had failed."""
        self.failures: Counter[FailureKind] = Counter()
        """Requests that failed on a replica."""
        self.ejections = 0
        """How often a replica was ejected."""
        self.probes: Counter[ProbeResult] = Counter()
        """What probes of its replicas found."""
        self.replicas: tuple[Replica, ...] = ()
        self._usable: list[Replica] = []
        self._balancer = Balancer(config.balance, chance)
        self._make_pool = make_pool
        self._now = now
        self._ticked_at = now()

    def select(
        self, exclude: Collection[Replica] = (), *, is_urgent: bool = False
    ) -> Replica | None:
        """Return a replica with one more request in flight; `release` ends that.

        None: the upstream is full, or no replica that is not excluded is usable.
        """
        if not self.admits(is_urgent=is_urgent):
            self.shed += 1
            return None
        usable = self._usable
        if exclude:
            usable = [replica for replica in usable if replica not in exclude]
        else:
            self.retry_budget.deposit()
        match len(usable):
            case 0:
                return None
            case 1:
                chosen = usable[0]
            case _:
                chosen = self._balancer.pick(usable)
        chosen.in_flight += 1
        chosen.requests += 1
        self.in_flight += 1
        if chosen.hangs:
            self._choose_usable()  # it gets no other request meanwhile
        return chosen

    @property
    def is_ready(self) -> bool:
        """Whether a replica says that it is ready."""
        return any(r.health is ReplicaHealth.READY for r in self.replicas)

    def has_another(self, exclude: Collection[Replica]) -> bool:
        """Whether `select` would find a replica, were the upstream not full."""
        return any(replica not in exclude for replica in self._usable)

    def release(self, replica: Replica) -> None:
        """End what `select` began, once the exchange is over.

        `admit_next` is to follow, unless a retry takes the place.
        """
        self.in_flight -= 1
        replica.in_flight -= 1
        if replica.retired and not replica.in_flight:
            replica.pool.close()

    def assign(self, endpoints: Iterable[Endpoint]) -> None:
        """Make these the upstream's replicas, keeping those it has already.

        One that is gone gets no new request and ends when its last one has.
        """
        known = {replica.endpoint: replica for replica in self.replicas}
        kept = []
        for endpoint in dict.fromkeys(endpoints):
            replica = known.pop(endpoint, None)
            kept.append(replica or self._join(endpoint))
        for replica in known.values():
            replica.retire()
        self.replicas = tuple(kept)
        self._choose_usable()

    def _join(self, endpoint: Endpoint) -> Replica:
        replica = Replica(
            endpoint,
            self._make_pool(endpoint, self.config),
            self._failing,
            self._now(),
        )
        if not self.config.health.path:
            replica.health = ReplicaHealth.READY
            self._start_slowly(replica)
        return replica

    def report(self, replica: Replica, health: ReplicaHealth) -> None:
        """Record the health that probes found."""
        if health is replica.health:
            return
        replica.health = health
        if health is ReplicaHealth.READY:
            replica.ejected_until = 0.0
            replica.failures = 0
            self._start_slowly(replica)
        self._choose_usable()
        if health in {ReplicaHealth.UNREACHABLE, ReplicaHealth.SILENT}:
            replica.pool.suspect()

    def tick(self) -> None:
        """Let time pass: slow starts, ends of ejections, the retry budget."""
        now = self._now()
        self.retry_budget.refill(now - self._ticked_at)
        self._ticked_at = now
        if self.adaptive is not None:
            self.adaptive.tick(now)
        look_at([replica.speed for replica in self.replicas])
        for replica in self.replicas:
            was_hanging = replica.hangs
            replica.look_at_silence(now)
            if was_hanging or replica.hangs:
                self._choose_usable()
            if replica.ejected_until and now >= replica.ejected_until:
                replica.ejected_until = 0.0
                replica.failures = 0
                self._start_slowly(replica)
                self._choose_usable()
            else:
                replica.share = self._share_of(replica, now)
        self.admit_next()  # the limit may have risen

    def _share_of(self, replica: Replica, now: float) -> float:
        share = SLOW_SHARE if replica.speed.is_slow else 1.0
        if not self.config.slow_start:
            return share
        age = (now - replica.joined_at) / self.config.slow_start
        return min(share, FIRST_SHARE + (1 - FIRST_SHARE) * age)

    def _start_slowly(self, replica: Replica) -> None:
        replica.joined_at = self._now()
        replica.share = FIRST_SHARE if self.config.slow_start else 1.0

    def _failing(self, replica: Replica, kind: FailureKind) -> None:
        """Eject a replica that failed once too often, unless too many are out."""
        self.failures[kind] += 1
        rules = self.config.ejection
        enough = (
            kind is FailureKind.REFUSED or replica.failures >= rules.failures
        ) and not replica.ejected_until
        if not enough or replica.retired or not self._may_eject_another():
            return
        now = self._now()
        if now - replica.joined_at > rules.longest:
            replica.ejections = 0
        replica.ejections += 1
        self.ejections += 1
        time_out = rules.first * 2 ** min(replica.ejections - 1, 16)
        replica.ejected_until = now + min(rules.longest, time_out)
        self._choose_usable()
        _logger.warning(
            "replica_ejected",
            extra={
                "upstream": self.name,
                "replica": str(replica.endpoint),
                "failure": kind.value,
                "ejected_for": self.ejected_for(replica),
            },
        )

    def _may_eject_another(self) -> bool:
        count = len(self.replicas)
        out = sum(1 for replica in self.replicas if replica.ejected_until)
        share = self.config.ejection.share
        allowed = max(1, int(count * share)) if share else 0
        return out < min(allowed, count - 1)

    def _choose_usable(self) -> None:
        self._usable = usable_of(self.replicas, self.config.health.panic_share)

    def ejected_for(self, replica: Replica) -> float:
        """Return for how many seconds more a replica is ejected; 0 if it is not."""
        if not replica.ejected_until:
            return 0.0
        return max(0.0, replica.ejected_until - self._now())

    def close(self) -> None:
        """Retire every replica: the upstream is no longer configured.

        Requests that came before may not have been sent yet; its replicas still take
        them.
        """
        for replica in self.replicas:
            replica.retire()
