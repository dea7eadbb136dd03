"""Select the replicas in use, and the replica for a request."""

from collections.abc import Callable, Sequence

from gateway_service.config.values import Balance
from gateway_service.upstreams.replica import Replica, ReplicaHealth


class Balancer:
    """Picks one of several replicas, as the configuration says."""

    def __init__(self, balance: Balance, chance: Callable[[], float]) -> None:
        self._is_round_robin = balance is Balance.ROUND_ROBIN
        self._chance = chance
        self._turn = 0

    def pick(self, usable: Sequence[Replica]) -> Replica:
        """Return one of at least two replicas."""
        count = len(usable)
        if self._is_round_robin:
            self._turn = first = (self._turn + 1) % count
            second = (first + 1) % count
        else:
            first = int(self._chance() * count)
            second = int(self._chance() * (count - 1))
            second += second >= first
        chosen, other = usable[first], usable[second]
        if not self._is_round_robin and other.in_flight < chosen.in_flight:
            chosen, other = other, chosen
        share = chosen.share
        if share < 1 and share < other.share and self._chance() > share:
            return other
        return chosen


def usable_of(replicas: Sequence[Replica], panic_share: float) -> list[Replica]:
    """Return the replicas that get requests.

    Prefer those that are ready, then those of which no probe knows anything. Silent
    ones, which a busy machine may have made so, are used when few others are ready; of
    those that hang each gets one request at a time. Where all of these are ejected they
    are used all the same: ready ones beside the others, to which retries can go. Where
    there are none, one that says it is not ready may still do some of its work. One
    that was there and whose port is closed is never used.
    """

    def with_health(health: ReplicaHealth) -> list[Replica]:
        return [each for each in replicas if each.health is health]

    ready = with_health(ReplicaHealth.READY)
    silent = [
        each
        for each in with_health(ReplicaHealth.SILENT)
        if not (each.hangs and each.owes_response)
    ]
    if len(ready) < panic_share * len(replicas):
        ready += silent
    others = with_health(ReplicaHealth.UNKNOWN) + silent
    if ready:
        return _not_ejected(ready) or ready + _not_ejected(others)
    rest = with_health(ReplicaHealth.NOT_READY)
    choices = (_not_ejected(others), others, _not_ejected(rest), rest)
    return next(filter(None, choices), [])


def _not_ejected(replicas: Sequence[Replica]) -> list[Replica]:
    return [each for each in replicas if not each.ejected_until]
