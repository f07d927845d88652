"""Rows over TLS: 1.3, one ECDSA key, both ends in this process and on the loop under test.

What the cipher costs is the same for all: every loop calls the OpenSSL of this Python.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .echo import protocol
from .workload import Batch, Loop, Row

KB = 1024
NAME = "bench.weft.test"
TOGETHER = 20


def _contexts() -> tuple[dict[str, Any], dict[str, Any]]:
    """What create_server and create_connection get; a new authority for each sample."""
    import trustme

    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, key_type=trustme.KeyType.ECDSA).configure_cert(serving)
    connecting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(connecting)
    connecting.minimum_version = ssl.TLSVersion.TLSv1_3
    return {"ssl": serving}, {"ssl": connecting, "server_hostname": NAME}


class _Silent(asyncio.Protocol):
    """Says when it is connected, and when no more."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(None)


@asynccontextmanager
async def _handshakes(loop: Loop) -> AsyncIterator[Batch]:
    """Connect and close, one after the other."""
    serving, connecting = _contexts()
    server = await loop.create_server(_Silent, "127.0.0.1", 0, **serving)
    port = server.sockets[0].getsockname()[1]

    async def batch() -> int:
        for _ in range(TOGETHER):
            transport, silent = await loop.create_connection(
                _Silent, "127.0.0.1", port, **connecting
            )
            transport.close()
            await silent.lost
        return TOGETHER

    yield batch
    server.close()


@asynccontextmanager
async def _idle(loop: Loop) -> AsyncIterator[Batch]:
    """Connect and keep: what an operation leaves behind is a connection with its two ends."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    serving, connecting = _contexts()
    server = await loop.create_server(_Silent, "127.0.0.1", 0, **serving)
    port = server.sockets[0].getsockname()[1]
    kept: list[asyncio.Transport] = []

    async def batch() -> int:
        for _ in range(TOGETHER):
            transport, _ = await loop.create_connection(_Silent, "127.0.0.1", port, **connecting)
            kept.append(transport)
        return TOGETHER

    yield batch
    for transport in kept:
        transport.abort()
    server.close()


def _echo(size: int, **goals: float) -> Row:
    return Row(
        f"tls{size // KB}k",
        f"echo of {size // KB} KB over TLS, Protocol",
        protocol(size, options=_contexts),
        goals,
        syscalls=True,
    )


ROWS = (
    # The larger the message, the more of its time is the cipher's: 65 % at 100 KB.
    _echo(KB, uvloop=1.15),
    _echo(10 * KB, uvloop=1.1),
    _echo(100 * KB, uvloop=1.05),
    Row("handshake", "TLS connect and close, one at a time", _handshakes),
    Row("tlsidle", "TLS connect, and stay connected", _idle, slope=True),
)
