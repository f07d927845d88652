"""Datagram endpoints for tests, and the plain sockets at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

from tests.support.loops import turns
from tests.support.net import HOST, PEER_TIMEOUT
from tests.support.protocols import Log

HOST6 = "::1"


class Datagrams(Log, asyncio.DatagramProtocol):
    """Records datagrams with their senders, and errors."""

    def __init__(self) -> None:
        super().__init__()
        self.datagrams: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.datagrams.append((data, addr))
        self.note("datagram")

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)
        self.note("error")

    async def arrived(self, count: int) -> list[bytes]:
        """Wait for so many datagrams in all; the bytes of all so far."""
        await self.until(lambda log: len(log.datagrams) >= count)
        return [data for data, _ in self.datagrams]


def bound(family: int = socket.AF_INET, address: Any = (HOST, 0)) -> socket.socket:
    """A blocking datagram socket with a limit, bound to a free port."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(PEER_TIMEOUT)
    sock.bind(address)
    return sock


@contextlib.asynccontextmanager
async def endpoint(protocol: Any = None, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """A datagram transport and its protocol; by default on a free IPv4 port of the loopback."""
    protocol = Datagrams() if protocol is None else protocol
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: protocol, **(options or {"local_addr": (HOST, 0)})
    )
    try:
        yield transport, protocol
    finally:
        # asyncio's transports take a second end for a first one.
        if "lost" not in protocol.events:
            transport.abort()
        await turns(3)


def connected_to(
    sock: socket.socket, protocol: Any = None
) -> contextlib.AbstractAsyncContextManager[tuple[Any, Any]]:
    """An endpoint that is connected to a plain Unix socket."""
    return endpoint(protocol, remote_addr=sock.getsockname(), family=socket.AF_UNIX)


def forgets_headers(transport: Any) -> bool:
    """The first asyncio of 3.13 counts headers in, and never counts them out."""
    kind = type(transport)
    counts = sys.version_info >= (3, 13) and kind.__module__.startswith("asyncio")
    return counts and not hasattr(kind, "_header_size")


def address_of(transport: Any) -> Any:
    """Where a transport is bound."""
    return transport.get_extra_info("sockname")


def fill(sock: socket.socket, address: Any) -> int:
    """Send until the receiver takes no more; the count of datagrams it took."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.sendto(b"filler", address)
            count += 1
    return count


async def drain(sock: socket.socket, count: int) -> list[bytes]:
    """So many datagrams from a plain socket; the loop runs while they are missing."""
    sock.setblocking(False)
    found: list[bytes] = []
    while len(found) < count:
        try:
            found.append(sock.recv(65536))
        except BlockingIOError:
            await turns(1)
    return found
