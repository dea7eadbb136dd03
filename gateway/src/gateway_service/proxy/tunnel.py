"""Bytes of another protocol, both ways between a client and a replica."""

import asyncio

from gateway_service.http1.exchange import Exchange
from gateway_service.http1.streams import Stream
from gateway_service.upstreams.connection import UpstreamConnection


async def tunnel(
    exchange: Exchange, connection: UpstreamConnection, from_upstream: Stream
) -> None:
    """Pass bytes both ways until one side ends."""
    from_client = exchange.client.open_tunnel()

    async def up() -> None:
        while data := await from_client.read():
            await connection.send(data)

    async def down() -> None:
        while data := await from_upstream.read():
            await exchange.send(data)

    ways = {asyncio.ensure_future(way) for way in (up(), down())}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
