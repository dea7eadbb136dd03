"""Accepts the connections of a listening socket."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, cast
from weakref import WeakValueDictionary

from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.descriptors import Descriptors
from gateway_service.http1.server import EdgeServer
from service_kit.running.sockets import BACKLOG

_AT_ONCE: Final = 16
"""Connections taken over in one turn of the loop, so that others have theirs."""

_PAUSE: Final = 0.05
"""Seconds until it is tried again when there was no descriptor."""

_LAST_HANDSHAKES: Final = 1.0
"""Seconds for TLS handshakes when the server stops."""

_HANDSHAKES: Final = 16
"""TLS handshakes of one client that are worked on at once; each takes 1 ms.

Those of all its connections together would take the loop from others for a second.
"""


class Acceptor:
    """Has each connection counted before anything is spent on it.

    ``context`` returns the TLS context, None without TLS. It is called for each
    connection, because a new certificate comes with a new context.

    A TLS handshake takes the place of a connection from its beginning, and ends when
    the first request's head would have to. Of one client only a few go on at once.
    """

    def __init__(
        self,
        server: EdgeServer,
        listener: socket.socket,
        context: Callable[[], ssl.SSLContext | None],
        descriptors: Descriptors,
    ) -> None:
        self._server = server
        self._loop = server.loop
        self._listener = listener
        self._context = context
        self._descriptors = descriptors
        self._opening: set[asyncio.Task[None]] = set()
        self._handshakes: WeakValueDictionary[str, asyncio.Semaphore]
        self._handshakes = WeakValueDictionary()
        """By client: which of its handshakes may go on."""
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)  # noqa: FBT003 - the socket's signature
        self._loop.add_reader(listener, self._accept)

    async def close(self) -> None:
        """Accept every connection in the queue, then close the socket.

        The system resets connections that it has accepted and the process has not.
        """
        self._loop.remove_reader(self._listener)
        for _ in range(BACKLOG + 1):  # one more than it says wait on Linux
            if not self._accept_one():
                break
        if self._pause is not None:
            self._pause.cancel()
        self._listener.close()
        if self._opening:
            await asyncio.wait(self._opening, timeout=_LAST_HANDSHAKES)
        for task in self._opening:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Take a connection over; return whether there may be another."""
        try:
            sock, peer = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if not self._descriptors.ran_out(error):
                return True  # this one's client has left
            self._wait()
            return False
        address = peer[0] if isinstance(peer, tuple) else ""
        connection = ClientConnection(self._loop, self._server, address)
        context = self._context()
        if not self._server.admit(connection) and context is not None:
            # Nothing can be said before the handshake, which is what would cost.
            sock.close()
            self._server.leave(connection)
            return True
        sock.setblocking(False)  # noqa: FBT003 - the socket's signature
        task = self._loop.create_task(self._open(sock, connection, context))
        connection.opening = task
        self._opening.add(task)
        task.add_done_callback(partial(self._opened, sock, connection))
        return True

    async def _open(
        self,
        sock: socket.socket,
        connection: ClientConnection,
        context: ssl.SSLContext | None,
    ) -> None:
        with contextlib.suppress(OSError):
            if context is None:
                await self._connect(sock, connection)
                return
            async with asyncio.timeout(self._server.timeouts.head):
                await _first_byte(self._loop, sock)  # one that is silent takes no turn
                async with self._handshakes_with(connection):
                    await self._connect(sock, connection, context)

    def _handshakes_with(self, connection: ClientConnection) -> asyncio.Semaphore:
        """Return what the handshakes of one client have in common."""
        if self._server.trusts(connection):
            return asyncio.Semaphore()  # each connection is another client's
        few = asyncio.Semaphore(_HANDSHAKES)
        return self._handshakes.setdefault(connection.network, few)

    async def _connect(
        self,
        sock: socket.socket,
        connection: ClientConnection,
        context: ssl.SSLContext | None = None,
    ) -> None:
        head = self._server.timeouts.head
        await self._loop.connect_accepted_socket(
            lambda: cast("asyncio.Protocol", connection),
            sock,
            ssl=context,
            ssl_handshake_timeout=None if context is None else head,
        )

    def _opened(
        self,
        sock: socket.socket,
        connection: ClientConnection,
        task: asyncio.Task[None],
    ) -> None:
        """Forget a connection that could not be opened, or had to give way."""
        self._opening.discard(task)
        connection.opening = None  # it would take memory as long as the connection
        if connection.is_opening:
            sock.close()
            self._server.leave(connection)

    def _wait(self) -> None:
        """Pause accepting: connections stay in the system's queue."""
        if self._pause is None:
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)


async def _first_byte(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Wait until something, which is left there, can be read."""
    received = loop.create_future()
    loop.add_reader(
        sock, lambda: None if received.done() else received.set_result(None)
    )
    try:
        await received
    finally:
        loop.remove_reader(sock)
