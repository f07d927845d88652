"""Who closes a socket when a coroutine ends between making it and handing it over.

`BaseEventLoop`'s coroutines leave gaps: a connection that was made while create_connection()
was being cancelled, one whose protocol factory failed, a server that listens and was never
returned. Each would stay open with no owner. Nothing here knows what a transport does with a
socket once it has it.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import weakref
from typing import Any

from weft.base import BaseEventLoop

__all__ = ["Handover"]

# The sockets that the running create_connection() has connected. Happy Eyeballs connects in
# tasks of its own, which inherit the variable and so the list.
_connected_here: contextvars.ContextVar[list[socket.socket] | None] = contextvars.ContextVar(
    "weft_connected_here", default=None
)

# asyncio's Unix loops have it, and it needs only hooks that BaseEventLoop declares. Looked up
# once: a program may put weft's loop in SelectorEventLoop's place.
_create_unix_server: Any = asyncio.SelectorEventLoop.create_unix_server


class Handover(BaseEventLoop):
    """`create_connection`, `create_server` and `create_unix_server` without gaps."""

    # Sockets that create_connection has connected and no transport has taken yet.
    _connected: weakref.WeakSet[socket.socket]

    async def create_connection(self, *args: Any, **kwargs: Any) -> tuple[asyncio.Transport, Any]:
        """Connect to a host and port, as `asyncio.loop.create_connection` does."""
        connected: list[socket.socket] = []
        _connected_here.set(connected)
        try:
            pair: tuple[asyncio.Transport, Any]
            pair = await super().create_connection(*args, **kwargs)
            return pair
        finally:
            # Not reset with a token: a coroutine may be closed in another context.
            _connected_here.set(None)
            while connected:
                self._close_unclaimed(connected.pop())

    async def _connect_sock(self, *args: Any, **kwargs: Any) -> socket.socket:
        try:
            sock: socket.socket = await super()._connect_sock(*args, **kwargs)
        finally:
            # They hold the list of errors, whose tracebacks hold this frame: a cycle.
            del args, kwargs
        self._connected.add(sock)
        connected = _connected_here.get()
        if connected is not None:
            connected.append(sock)
        return sock

    async def _create_connection_transport(
        self, sock: socket.socket, *args: Any, **kwargs: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        try:
            pair: tuple[asyncio.Transport, asyncio.BaseProtocol]
            pair = await super()._create_connection_transport(sock, *args, **kwargs)
            return pair
        finally:
            # Still here: the protocol's factory failed.
            self._close_unclaimed(sock)

    def _close_unclaimed(self, sock: socket.socket) -> None:
        if sock in self._connected:
            self._connected.discard(sock)
            sock.close()

    async def create_server(
        self, *args: Any, start_serving: bool = True, **kwargs: Any
    ) -> asyncio.Server:
        """Listen on a host and port, as `asyncio.loop.create_server` does."""
        server = await super().create_server(*args, start_serving=False, **kwargs)
        return await _started(server) if start_serving else server

    async def create_unix_server(
        self, *args: Any, start_serving: bool = True, **kwargs: Any
    ) -> asyncio.Server:
        """Listen on a path, as `asyncio.loop.create_unix_server` does on Unix."""
        server = await _create_unix_server(self, *args, start_serving=False, **kwargs)
        return await _started(server) if start_serving else server


async def _started(server: asyncio.Server) -> asyncio.Server:
    """Start it; if that is cancelled, nobody will ever hold the server, so it is closed."""
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise
    return server
