"""The connections to one replica."""

import asyncio
from contextvars import Context
from typing import cast

from gateway_service.config.model import UpstreamConfig
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.descriptors import Descriptors
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.problems import TOO_MANY_CONNECTIONS
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.upstreams.connections.connection import UpstreamConnection
from gateway_service.upstreams.connections.response import (
    ResponseHandler,
    UpstreamError,
    UpstreamRequest,
)
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import FailureKind
from service_kit.problems import ProblemError


class ConnectionPool:
    """Keeps connections open for the next request, the last used on top.

    The pool sets no bound to those in use: that is the upstream's bulkhead.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: UpstreamConfig,
        deadlines: Deadlines,
        batch: WriteBatch,
        loop: asyncio.AbstractEventLoop,
        *,
        descriptors: Descriptors,
    ) -> None:
        self._endpoint = endpoint
        self._config = config
        limits = config.response_limits
        self._limits = HeadLimits(
            field=limits.header_field,
            fields=limits.headers,
            field_count=limits.header_count,
        )
        self._deadlines = deadlines
        self._batch = batch
        self._descriptors = descriptors
        self._loop = loop
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._is_closed = False

    @property
    def idle(self) -> int:
        """How many open connections have nothing to do."""
        return len(self._idle)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def take(self, *, is_repeatable: bool) -> UpstreamConnection | None:
        """Return an open connection that has nothing to do, if there is one.

        For a request that may not be repeated it is one that is open at this moment.
        """
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_usable:
                continue
            if is_repeatable or not connection.has_ended():
                return connection
            connection.abort()
        return None

    async def connect(
        self, request: UpstreamRequest, handler: ResponseHandler
    ) -> UpstreamConnection:
        """Open a new connection for a request; ``handler`` learns if that is slow.

        Raises `UpstreamError`: `REFUSED` or, where it takes too long, `TIMEOUT`;
        nothing was sent. A proxy may accept for a replica that is gone, and close
        immediately. Raises `ProblemError`: there is no descriptor, which is no failure
        of the replica's.
        """
        opening = self._loop.create_task(
            self._connect(request, handler), context=Context()
        )
        try:
            await asyncio.wait((opening,))
        except asyncio.CancelledError:
            _close_unwanted(opening)
            raise
        try:
            connection = opening.result()
        except asyncio.CancelledError:  # at its deadline
            raise UpstreamError(
                FailureKind.TIMEOUT, is_late=True, is_unsent=True
            ) from None
        except OSError as error:
            if self._descriptors.ran_out(error, self._endpoint.host):
                raise ProblemError(TOO_MANY_CONNECTIONS) from None
            raise UpstreamError(FailureKind.REFUSED, is_unsent=True) from None
        if not connection.is_usable:
            raise UpstreamError(FailureKind.REFUSED, is_unsent=True)
        self._open.add(connection)
        return connection

    async def _connect(
        self, request: UpstreamRequest, handler: ResponseHandler
    ) -> UpstreamConnection:
        """Open it outside of the request's context: it will serve others, too."""
        connection = self._new_connection()
        connection.begin_opening(request, handler)
        self._deadlines.add(connection)
        try:
            await self._loop.create_connection(
                lambda: cast("asyncio.Protocol", connection),
                self._endpoint.host,
                self._endpoint.port,
            )
        except BaseException:
            self._deadlines.discard(connection)
            raise
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Make a connection idle again, or close it if it cannot be used.

        Closing it ends an exchange that is not complete, on the replica's side too.
        """
        if not connection.is_usable:
            connection.abort()
        elif self._is_closed or len(self._idle) >= self._config.idle_connections:
            connection.close()
        else:
            connection.deadline = self._loop.time() + self._config.idle_timeout
            self._idle.append(connection)

    def _new_connection(self) -> UpstreamConnection:
        return UpstreamConnection(self._loop, self._batch, self._limits, self._lost)

    def _lost(self, connection: UpstreamConnection) -> None:
        self._deadlines.discard(connection)
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def suspect(self) -> None:
        """Notify all pending requests that the replica seems to be gone."""
        for connection in list(self._open):
            connection.suspect()

    def close(self) -> None:
        """Close every connection that is idle, and the others once they are."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _close_unwanted(opening: asyncio.Task[UpstreamConnection]) -> None:
    """Open it no further, or close it if it was opened just now."""
    if opening.cancel() or opening.cancelled() or opening.exception() is not None:
        return
    opening.result().close()
