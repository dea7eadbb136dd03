"""A TCP proxy before a replica that makes its answers late, slow, or never come."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class SlowProxy:
    """Passes bytes on; `delay` and `bytes_a_second` hold for what comes back."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.delay = 0.0
        """Seconds that each piece of an answer waits."""
        self.bytes_a_second = 0.0
        """How fast answers come; 0 for as fast as can be."""
        self._target_port = target_port

    async def serve(self, stop: asyncio.Event, started: threading.Event) -> None:
        """Listen until it is told to stop."""
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connect(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            with contextlib.suppress(OSError):
                theirs, ours = await asyncio.open_connection(
                    "127.0.0.1", self._target_port
                )
                try:
                    ways = (self._pass_on(reader, ours), self._hold(theirs, writer))
                    await asyncio.gather(*ways)
                finally:
                    ours.transport.abort()
        finally:
            writer.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _hold(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            await asyncio.sleep(self.delay)
            size = 1 if self.bytes_a_second else len(data)
            for start in range(0, len(data), size):
                writer.write(data[start : start + size])
                await writer.drain()
                if self.bytes_a_second:
                    await asyncio.sleep(1 / self.bytes_a_second)
        raise ConnectionResetError


@contextlib.contextmanager
def slow_proxy(target_port: int) -> Iterator[SlowProxy]:
    """Run a proxy in a thread for the length of a block."""
    proxy = SlowProxy(target_port)
    loop = asyncio.new_event_loop()
    stop, started = asyncio.Event(), threading.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(proxy.serve(stop, started))

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(5)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
