"""WebSocket frames, both ways between a client and a replica (RFC 6455)."""

import asyncio
from typing import Final

from gateway_service.http1.exchange import Exchange
from gateway_service.http1.streams import Stream
from gateway_service.upstreams.connection import UpstreamConnection

_GOING_AWAY: Final = (1001).to_bytes(2, "big")
_CLOSE: Final = b"\x88\x02" + _GOING_AWAY
"""What a server sends when it ends a connection (7.4.1)."""

_MASKED_CLOSE: Final = b"\x88\x82\0\0\0\0" + _GOING_AWAY
"""The same as a client sends it; nobody else's bytes are in it to be hidden."""

_LONGEST_HEAD: Final = 14
_EXTENSIONS: Final = {126: 2, 127: 8}
"""Bytes of a longer length, by what stands in place of a short one (5.2)."""


class Frames:
    """Knows whether a stream is between two frames."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    @property
    def is_between(self) -> bool:
        """Whether a frame of our own may be sent now."""
        return not self._head and not self._left

    def feed(self, data: bytes) -> None:
        """Take note of bytes that were passed on."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            known = len(self._head)
            self._head += data[at : at + _LONGEST_HEAD - known]
            size = _head_size(self._head)
            if len(self._head) < size:
                return
            self._left = _payload_size(self._head)
            self._head = b""
            at += size - known


def _head_size(head: bytes) -> int:
    if len(head) < 2:  # noqa: PLR2004 - the bytes that say it
        return 2
    return 2 + _EXTENSIONS.get(head[1] & 0x7F, 0) + 4 * (head[1] >> 7)


def _payload_size(head: bytes) -> int:
    short = head[1] & 0x7F
    extension = _EXTENSIONS.get(short)
    return (
        short if extension is None else int.from_bytes(head[2 : 2 + extension], "big")
    )


async def tunnel(
    exchange: Exchange, connection: UpstreamConnection, from_upstream: Stream
) -> None:
    """Pass frames both ways until one side ends, or the gateway does.

    In that case both sides get a Close frame with 1001, unless one would stand within
    a frame of theirs.
    """
    client = exchange.client
    from_client = client.open_tunnel()
    up_frames, down_frames = Frames(), Frames()
    draining = asyncio.Event()
    client.on_drain = draining.set

    async def up() -> None:
        while data := await from_client.read():
            up_frames.feed(data)
            await connection.send(data)

    async def down() -> None:
        while data := await from_upstream.read():
            down_frames.feed(data)
            await exchange.send(data)

    ways = {asyncio.ensure_future(way) for way in (up(), down(), draining.wait())}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if draining.is_set():
            if down_frames.is_between:
                await exchange.send(_CLOSE)
            if up_frames.is_between:
                await connection.send(_MASKED_CLOSE)
                await asyncio.sleep(0.1)  # its transport is cut hereafter
    finally:
        client.on_drain = None
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
