"""Protocols that write down what the loop told them, and let a test wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.support.loops import turns
from tests.support.net import HOST, Peer, tcp_pair


class Log:
    """What every recording protocol keeps: the events in order, and who waits for which."""

    transport: Any = None

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data = bytearray()
        self.lost_with: BaseException | None = None
        self._waiters: list[tuple[Callable[[Any], Any], asyncio.Future[None]]] = []

    def note(self, event: str) -> None:
        self.events.append(event)
        for entry in list(self._waiters):
            predicate, future = entry
            if predicate(self):
                self._waiters.remove(entry)
                if not future.done():
                    future.set_result(None)

    async def until(self, predicate: Callable[[Any], Any]) -> None:
        """Wait until the predicate holds; it is looked at after each event."""
        if not predicate(self):
            future = asyncio.get_running_loop().create_future()
            self._waiters.append((predicate, future))
            await future

    async def received(self, size: int) -> bytes:
        """Wait for so many bytes in total; all of them so far."""
        await self.until(lambda log: len(log.data) >= size)
        return bytes(self.data)

    async def happened(self, event: str, times: int = 1) -> None:
        await self.until(lambda log: log.events.count(event) >= times)

    async def closed(self) -> BaseException | None:
        """Wait for connection_lost; its argument."""
        await self.happened("lost")
        return self.lost_with

    # callbacks common to all protocols

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost_with = exc
        self.note("lost")

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")


class Recorder(Log, asyncio.Protocol):
    """A streaming protocol that records."""

    keep_open_on_eof = False

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.note("data")

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open_on_eof


class HalfOpenRecorder(Recorder):
    """Keeps its writing side after the peer's end of file."""

    keep_open_on_eof = True


class BufferedRecorder(Log, asyncio.BufferedProtocol):
    """A protocol that lends its own buffer."""

    def __init__(self, size: int = 1024) -> None:
        super().__init__()
        self.buffer = bytearray(size)
        self.hints: list[int] = []
        self.updates: list[int] = []

    def get_buffer(self, sizehint: int) -> bytearray:
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.updates.append(nbytes)
        self.data += self.buffer[:nbytes]
        self.note("updated")

    def eof_received(self) -> None:
        self.note("eof")


class Echo(Recorder):
    """Sends back what it gets."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        super().data_received(data)


@contextlib.asynccontextmanager
async def connection(
    protocol: Any = None, pair: tuple[socket.socket, socket.socket] | None = None
) -> AsyncIterator[tuple[Any, Any, Peer]]:
    """A transport over one end of a TCP pair, its protocol, and the peer at the other end."""
    ours, theirs = pair or tcp_pair()
    protocol = Recorder() if protocol is None else protocol
    loop = asyncio.get_running_loop()
    with Peer(theirs) as peer:
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        try:
            yield transport, protocol, peer
        finally:
            if not transport.is_closing() or transport.get_write_buffer_size():
                transport.abort()
            await turns(3)


@contextlib.asynccontextmanager
async def serving(factory: Callable[[], Any], **options: Any) -> AsyncIterator[Any]:
    """A server on a free loopback port; the test closes what it connects before the end."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, HOST, 0, **options)
    try:
        yield server
    except BaseException:
        server.close()
        raise
    server.close()
    await server.wait_closed()


def address_of(server: Any) -> tuple[str, int]:
    """Where a server of one socket listens."""
    return server.sockets[0].getsockname()[:2]
