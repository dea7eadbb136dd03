"""Clients that mean no good, in a process of their own that gives way to all others.

``python -m tests.support.hostile_clients PORT SEED`` goes on until it is ended. What
each does follows from the seed; when, from what the gateway lets it do.
"""

import asyncio
import contextlib
import os
import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

CLIENTS: Final = 60
ADDRESSES: Final = 4
_LONGEST: Final = 3.0
"""Seconds of one attack."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

GET: Final = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE: Final = b"GET /api/large HTTP/1.1\r\nHost: a\r\n\r\n"
MISSING: Final = b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED: Final = (
    b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Attack:
    """One connection, and the chance that decides what is done with it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        chance: random.Random,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.chance = chance

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes) -> None:
        for at in range(len(data)):
            await self.send(data[at : at + 1])
            await asyncio.sleep(self.chance.random() * 0.01)

    async def read_on(self) -> None:
        while await self.reader.read(65_536):
            pass


async def flood(attack: Attack) -> None:
    request = attack.chance.choice((GET, MISSING, b"\r\n" + GET))
    reading = asyncio.create_task(attack.read_on())
    try:
        while True:
            await attack.send(request * attack.chance.randrange(1, 500))
    finally:
        reading.cancel()


async def flood_unread(attack: Attack) -> None:
    while True:
        await attack.send(attack.chance.choice((GET, LARGE)) * 200)


async def one_after_the_other(attack: Attack) -> None:
    while True:
        await attack.send(GET)
        await attack.reader.read(65_536)


async def drip(attack: Attack) -> None:
    await attack.drip(attack.chance.choice((GET, CHUNKED + b"5;a=b\r\nabcde\r\n")))
    await attack.drip(b"\r\n" * 100)


async def empty_lines(attack: Attack) -> None:
    await attack.send(b"\r\n" * 200_000)


async def endless_head(attack: Attack) -> None:
    start = attack.chance.choice((b"GET /", b"GET /api/x HTTP/1.1\r\nX: "))
    await attack.send(start + b"a" * attack.chance.randrange(300_000))
    await attack.read_on()


async def many_fields(attack: Attack) -> None:
    fields = b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(99))
    await attack.send((GET[:-2] + fields + b"\r\n") * 50)
    await attack.read_on()


async def chunks(attack: Attack) -> None:
    size = attack.chance.randrange(1, 12)
    extension = attack.chance.choice((b"", b"", b";a=b", b";" + b"x" * 200))
    chunk = b"%x%b\r\n%b\r\n" % (size, extension, bytes(size))
    reading = asyncio.create_task(attack.read_on())
    try:
        while True:
            count = attack.chance.randrange(1, 30_000)
            await attack.send(CHUNKED + chunk * count + b"0\r\n\r\n")
    finally:
        reading.cancel()


async def trailers(attack: Attack) -> None:
    count = attack.chance.randrange(2_000)
    await attack.send(CHUNKED + b"1\r\na\r\n0\r\n" + b"X: y\r\n" * count + b"\r\n")
    await attack.read_on()


async def half_close(attack: Attack) -> None:
    await attack.send(GET * attack.chance.randrange(1, 300))
    attack.writer.write_eof()
    await attack.read_on()


async def slow_reads(attack: Attack) -> None:
    await attack.send(LARGE * 20)
    while True:
        await asyncio.sleep(0.02)
        if not await attack.reader.read(attack.chance.randrange(1, 4_096)):
            return


async def silence(attack: Attack) -> None:
    await attack.read_on()


async def another_protocol(attack: Attack) -> None:
    first = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    await attack.send(first + attack.chance.randbytes(attack.chance.randrange(5_000)))
    await attack.read_on()


ATTACKS: Final[tuple[Callable[[Attack], Awaitable[None]], ...]] = (
    flood,
    flood_unread,
    one_after_the_other,
    drip,
    empty_lines,
    endless_head,
    many_fields,
    chunks,
    trailers,
    half_close,
    slow_reads,
    silence,
    another_protocol,
)


async def _attack(port: int, chance: random.Random) -> None:
    sock = socket.socket()
    sock.setblocking(False)  # noqa: FBT003 - the socket's signature
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    if chance.random() < 0.5:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.bind((f"127.0.0.{2 + chance.randrange(ADDRESSES)}", 0))
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock)
    seconds = chance.random() * _LONGEST
    try:
        async with asyncio.timeout(seconds):
            await chance.choice(ATTACKS)(Attack(reader, writer, chance))
    finally:
        writer.transport.abort()


async def _attack_for_ever(port: int, seed: str) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test is to repeat itself
    while True:
        # RuntimeError is uvloop's, where the gateway has closed the connection already.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            await _attack(port, chance)
        await asyncio.sleep(0.001)


async def _main(port: int, seed: str) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(_attack_for_ever(port, f"{seed} {number}"))


if __name__ == "__main__":
    os.nice(19)
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2]))
