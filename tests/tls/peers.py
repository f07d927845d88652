"""The other end of a connection under test, in the test's own hands."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.support.loops import turns
from tests.support.net import reset, tcp_pair
from tests.support.protocols import Recorder
from tests.support.tls import NAME, client_context, server_context


class TlsPeer:
    """A TLS endpoint over a socket, one step at a time; it sends what it is told and no more."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool, name: str | None
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, server_hostname=name
        )

    async def flush(self) -> None:
        if self.outgoing.pending:
            await asyncio.get_running_loop().sock_sendall(self.sock, self.outgoing.read())

    async def fill(self) -> bool:
        """Read once from the socket; false at its end."""
        data = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)
        self.incoming.write(data)
        return bool(data)

    async def until_done(self, step: Callable[..., Any], *args: Any) -> Any:
        """Repeat a step of the session until it needs nothing from the other side."""
        while True:
            try:
                result = step(*args)
            except ssl.SSLWantReadError:
                await self.flush()
                if not await self.fill():
                    raise ConnectionResetError("the other side is gone") from None
                continue
            except ssl.SSLError:
                await self.flush()
                raise
            await self.flush()
            return result

    async def handshake(self) -> None:
        await self.until_done(self.object.do_handshake)

    async def send(self, data: bytes) -> None:
        await self.until_done(self.object.write, data)

    async def recv(self, size: int = 1 << 14) -> bytes:
        """What has come, at most so much; empty at close_notify."""
        return await self.until_done(self.object.read, size)

    async def recv_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = await self.recv(min(size - len(data), 1 << 18))
            assert chunk, f"close_notify after {len(data)} of {size} bytes"
            data += chunk
        return bytes(data)

    async def recv_all(self) -> bytes:
        """Everything until close_notify or the end of the stream."""
        data = bytearray()
        with contextlib.suppress(ConnectionResetError, ssl.SSLZeroReturnError):
            while chunk := await self.recv():
                data += chunk
        return bytes(data)

    async def notify_closed(self) -> None:
        """Send close_notify, and do not wait for an answer."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.object.unwrap()
        await self.flush()

    def end(self) -> None:
        """End the stream below without a word of TLS."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        reset(self.sock)

    def close(self) -> None:
        self.sock.close()


@contextlib.asynccontextmanager
async def handshaking(
    protocol: Any = None,
    *,
    server_side: bool = False,
    context: ssl.SSLContext | None = None,
    peer_context: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[tuple[asyncio.Task[Any], Any, TlsPeer]]:
    """A transport that begins a handshake, and its peer, who has not; server_side is ours."""
    protocol = Recorder() if protocol is None else protocol
    ours, theirs = tcp_pair()
    loop = asyncio.get_running_loop()
    if server_side:
        peer = TlsPeer(theirs, peer_context or client_context(), server_side=False, name=NAME)
        connecting = loop.connect_accepted_socket(
            lambda: protocol, ours, ssl=context or server_context(), **options
        )
    else:
        peer = TlsPeer(theirs, peer_context or server_context(), server_side=True, name=None)
        connecting = loop.create_connection(
            lambda: protocol,
            sock=ours,
            ssl=context or client_context(),
            server_hostname=options.pop("server_hostname", NAME),
            **options,
        )
    task = asyncio.ensure_future(connecting)
    try:
        yield task, protocol, peer
    finally:
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            transport, _ = await task
            transport.abort()
        peer.close()
        await turns(5)
        ours.close()  # a connection that never became a transport has left it to its caller


@contextlib.asynccontextmanager
async def tls_connection(
    protocol: Any = None, **options: Any
) -> AsyncIterator[tuple[Any, Any, TlsPeer]]:
    """A transport whose handshake is done, its protocol, and its peer."""
    async with handshaking(protocol, **options) as (task, recorder, peer):
        await peer.handshake()
        transport, _ = await task
        yield transport, recorder, peer
