"""Connection pools that open nothing and count how they are ended."""

from gateway_service.config.model import UpstreamConfig
from gateway_service.upstreams.connections.connection import UpstreamConnection
from gateway_service.upstreams.connections.response import (
    ResponseHandler,
    UpstreamError,
    UpstreamRequest,
)
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.replica import Replica


class CountingPool:
    """A pool without connections."""

    idle = 0
    connections = 0

    def __init__(self, endpoint: Endpoint, _: UpstreamConfig) -> None:
        self.endpoint = endpoint
        self.times_closed = 0
        self.times_suspected = 0

    def take(self, *, is_repeatable: bool) -> None:
        pass

    async def connect(
        self,
        request: UpstreamRequest,  # noqa: ARG002 - the gateway's
        handler: ResponseHandler,  # noqa: ARG002 - the gateway's
    ) -> UpstreamConnection:
        raise UpstreamError(FailureKind.REFUSED, is_unsent=True)

    def give_back(self, connection: UpstreamConnection) -> None:
        pass

    def close(self) -> None:
        self.times_closed += 1

    def suspect(self) -> None:
        self.times_suspected += 1


def pool_of(replica: Replica) -> CountingPool:
    """Return the pool that a test gave to a replica."""
    assert isinstance(replica.pool, CountingPool)
    return replica.pool
