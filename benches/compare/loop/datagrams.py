"""Rows over UDP: two endpoints on 127.0.0.1, both in this process and on the loop under test.

An operation is one round trip of two datagrams: the answering end sends to the address that it
heard from, the asking end is connected, as a resolver is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .workload import Batch, Loop, Row, SetUp

TURNS = 2_000


class _Echo(asyncio.DatagramProtocol):
    """Sends each datagram back to where it came from."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "sendto")
        self._sendto = transport.sendto

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._sendto(data, addr)


class _Client(asyncio.DatagramProtocol):
    """Sends the message again as soon as its echo is there."""

    def __init__(self, loop: Loop, message: bytes) -> None:
        self._loop = loop
        self._message = message
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "sendto")
        self._sendto = transport.sendto

    async def run(self, turns: int) -> None:
        self.done = self._loop.create_future()
        self._left = turns
        self._sendto(self._message)
        await self.done

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._left -= 1
        if self._left:
            self._sendto(self._message)
        elif data == self._message:
            self.done.set_result(None)
        else:
            self.done.set_exception(RuntimeError("the echo differs from the message"))

    def error_received(self, exc: Exception) -> None:
        self.done.set_exception(exc)


def _ping_pong(size: int) -> SetUp:
    message = bytes(number % 251 for number in range(size))

    @asynccontextmanager
    async def ready(loop: Loop) -> AsyncIterator[Batch]:
        server, _ = await loop.create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
        transport, client = await loop.create_datagram_endpoint(
            lambda: _Client(loop, message), remote_addr=server.get_extra_info("sockname")
        )

        async def batch() -> int:
            await client.run(TURNS)
            return TURNS

        yield batch
        transport.close()
        server.close()

    return ready


ROWS = (
    Row("udp512", "UDP ping-pong of 512 bytes", _ping_pong(512), {"uvloop": 1.4}, syscalls=True),
)
