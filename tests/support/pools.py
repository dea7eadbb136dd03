"""Connection pools that open nothing and count how they are ended."""

from gateway_service.config.model import UpstreamConfig
from gateway_service.upstreams.connections.pool import ConnectionPool
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.replica import Replica


class CountingPool(ConnectionPool):
    """A pool without connections."""

    def __init__(self, endpoint: Endpoint, _: UpstreamConfig) -> None:
        self.endpoint = endpoint
        self.times_closed = 0
        self.times_suspected = 0

    def close(self) -> None:
        self.times_closed += 1

    def suspect(self) -> None:
        self.times_suspected += 1


def pool_of(replica: Replica) -> CountingPool:
    """Return the pool that a test gave to a replica."""
    assert isinstance(replica.pool, CountingPool)
    return replica.pool
