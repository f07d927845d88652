"""Rows over TCP: one connection on 127.0.0.1, both ends in this process and on the loop under test.

An operation is one round trip, so it holds two messages: the loop's work at both ends is in the
figure and nothing else is. A client in another process would need another loop or a slower
client, and its speed would hide the difference.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from .workload import Batch, Loop, Row, SetUp

# Above the largest message, so that no stream row measures the flow control's pauses.
LIMIT = 2**18
# What code that reads sockets by hand usually asks for.
READ = 2**16


# Keyword arguments for the listening and for the connecting end.
Options = Callable[[], tuple[dict[str, Any], dict[str, Any]]]


def no_options() -> tuple[dict[str, Any], dict[str, Any]]:
    """Neither end gets any."""
    return {}, {}


def turns(size: int) -> int:
    return 2_000 if size < 10_000 else 500


def message_of(size: int) -> bytes:
    return bytes(number % 251 for number in range(size))


class _Echo(asyncio.Protocol):
    """Sends back what comes; with `split` in two writes, as a server sends head and body."""

    def __init__(self, split: bool) -> None:
        self._split = split

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "write")
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        if self._split:
            half = len(data) // 2
            self._write(data[:half])
            self._write(data[half:])
        else:
            self._write(data)


class _Client(asyncio.Protocol):
    """Sends the message again as soon as its echo is complete."""

    def __init__(self, loop: Loop, message: bytes) -> None:
        self._loop = loop
        self._message = message
        self._left = self._missing = 0
        self._last: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "write")
        self._write = transport.write

    async def run(self, turns: int) -> None:
        self.done = self._loop.create_future()
        self._left, self._missing = turns, len(self._message)
        self._write(self._message)
        await self.done

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._left == 1:
            self._last.append(data)
        if self._missing > 0:
            return
        self._left -= 1
        self._missing = len(self._message)
        if self._left:
            self._write(self._message)
            return
        # The last echo of each batch is compared: a loop must not be fast and wrong.
        same = b"".join(self._last) == self._message
        self._last.clear()
        if same:
            self.done.set_result(None)
        else:
            self.done.set_exception(RuntimeError("the echo differs from the message"))


def protocol(size: int, *, split: bool = False, options: Options = no_options) -> SetUp:
    """Echo between protocols; `options` makes what create_server and create_connection get."""

    @asynccontextmanager
    async def ready(loop: Loop) -> AsyncIterator[Batch]:
        serving, connecting = options()
        server = await loop.create_server(lambda: _Echo(split), "127.0.0.1", 0, **serving)
        port = server.sockets[0].getsockname()[1]
        transport, client = await loop.create_connection(
            lambda: _Client(loop, message_of(size)), "127.0.0.1", port, **connecting
        )

        async def batch() -> int:
            await client.run(turns(size))
            return turns(size)

        yield batch
        transport.close()
        server.close()

    return ready


def _streams(size: int) -> SetUp:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(LIMIT):
            writer.write(data)
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def ready(loop: Loop) -> AsyncIterator[Batch]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=LIMIT)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LIMIT)
        message = message_of(size)

        async def batch() -> int:
            for _ in range(turns(size)):
                writer.write(message)
                await writer.drain()
                data = await reader.readexactly(size)
            if data != message:
                raise RuntimeError("the echo differs from the message")
            return turns(size)

        yield batch
        writer.close()
        server.close()

    return ready


async def _serve_socket(loop: Loop, listener: socket.socket) -> None:
    connection, _ = await loop.sock_accept(listener)
    with connection:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := await loop.sock_recv(connection, READ):
            await loop.sock_sendall(connection, data)


def _sockets(size: int) -> SetUp:
    @asynccontextmanager
    async def ready(loop: Loop) -> AsyncIterator[Batch]:
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serving = asyncio.ensure_future(_serve_socket(loop, listener))
            await loop.sock_connect(client, listener.getsockname())
            message = message_of(size)

            async def turn() -> list[bytes]:
                parts: list[bytes] = []
                missing = size
                await loop.sock_sendall(client, message)
                while missing:
                    parts.append(await loop.sock_recv(client, READ))
                    missing -= len(parts[-1])
                return parts

            async def batch() -> int:
                for _ in range(turns(size)):
                    parts = await turn()
                if b"".join(parts) != message:
                    raise RuntimeError("the echo differs from the message")
                return turns(size)

            yield batch
            client.shutdown(socket.SHUT_WR)
            await serving

    return ready


KB = 1024
ROWS = (
    Row("proto1k", "echo of 1 KB, Protocol", protocol(KB), {"uvloop": 1.15}, syscalls=True),
    Row("proto100k", "echo of 100 KB, Protocol", protocol(100 * KB), syscalls=True),
    Row("split1k", "echo of 1 KB, answered in two writes", protocol(KB, split=True), syscalls=True),
    Row("stream1k", "echo of 1 KB, streams", _streams(KB), syscalls=True),
    Row("stream100k", "echo of 100 KB, streams", _streams(100 * KB), syscalls=True),
    Row(
        "sock1k",
        "echo of 1 KB, sock_recv and sock_sendall",
        _sockets(KB),
        {"uvloop": 1.8},
        syscalls=True,
    ),
    Row(
        "sock100k", "echo of 100 KB, sock_recv and sock_sendall", _sockets(100 * KB), syscalls=True
    ),
)
