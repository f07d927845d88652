"""`weft.EventLoop`: the native loop with the interpreter's own `BaseEventLoop` behind it.

What runs for every callback, timer and event is native (`weft._core.EventLoop`, first in the
method order). What runs once a connection or once a program is CPython's: argument policy,
address resolution, executors, asynchronous generators, exception handlers. This module holds
the seams between the two: the hooks that `BaseEventLoop` leaves to its subclasses.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import weakref
from asyncio import base_events
from collections.abc import Callable
from typing import Any, NoReturn

from weft import _core, forks, tls
from weft.base import BaseEventLoop
from weft.handover import Handover
from weft.names import Names
from weft.sendfile import Sendfile
from weft.signals import SignalHandlers
from weft.subprocesses import Subprocesses

__all__ = ["EventLoop"]


class EventLoop(
    _core.EventLoop, SignalHandlers, Subprocesses, Names, Sendfile, Handover, BaseEventLoop
):
    """An `asyncio.AbstractEventLoop` whose engine is written in Rust."""

    def __init__(self) -> None:
        super().__init__()
        self._listeners: dict[int, _core.Listener] = {}
        # create_unix_server(cleanup_socket=True) notes the inodes of its files here (3.13).
        self._unix_server_sockets: dict[socket.socket, int] = {}
        # Sockets that create_connection has connected and no transport has taken yet.
        self._connected: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._init_signals()
        self._init_subprocesses()
        forks.watch(self)

    # -- running -------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until `stop()` is called."""
        # First of all, so that a refusal changes nothing.
        self._check_closed()
        self._check_running()
        with self._signals_wake_loop():
            super().run_forever()

    def close(self) -> None:
        """Close the loop: scheduled callbacks are dropped, kernel objects released.

        Closing twice does nothing. A running loop cannot be closed (`RuntimeError`).
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        self._close_signals()
        self._close_subprocesses()
        super().close()
        self._release()

    def _leave_parent(self, listed: str) -> None:
        """In a child of fork(2): the parent's loop must not notice what happens here."""
        self._after_fork(listed)
        self._drop_wakeup_pair()
        self._close_subprocesses()

    # -- sockets -------------------------------------------------------------------------

    def _check_socket(self, sock: socket.socket) -> None:
        if isinstance(sock, ssl.SSLSocket):
            raise TypeError("Socket cannot be of type SSLSocket")
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accept a connection: the new non-blocking socket and the peer's address."""
        self._check_socket(sock)
        while True:
            try:
                connection, address = sock.accept()
            except (BlockingIOError, InterruptedError):
                await self._wait_readable(sock)
            else:
                connection.setblocking(False)
                return connection, address

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a non-blocking socket. Host names are resolved first."""
        self._check_socket(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            resolved = await self._ensure_resolved(
                address, family=sock.family, type=sock.type, proto=sock.proto, loop=self
            )
            _, _, _, _, address = resolved[0]
        try:
            sock.connect(address)
        except (BlockingIOError, InterruptedError):
            await self._wait_writable(sock)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, f"Connect call failed {address}") from None

    # -- what BaseEventLoop asks of its subclasses ----------------------------------------

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: base_events.Server | None = None,
    ) -> _core.SocketTransport:
        self._connected.discard(sock)
        return _core.SocketTransport(self, sock, protocol, waiter, extra, server)

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext | None,
        waiter: asyncio.Future[Any] | None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: base_events.Server | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport:
        tls_protocol = tls.make_protocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        self._connected.discard(rawsock)
        transport: asyncio.Transport = tls_protocol._app_transport
        _core.SocketTransport(self, rawsock, tls_protocol, None, extra, server)
        return transport

    async def start_tls(
        self,
        transport: Any,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport:
        """Upgrade a transport to TLS; `protocol` goes on over the transport returned.

        Times are in seconds. A transport that cannot be upgraded is a `TypeError`. A handshake
        that fails raises what `ssl` raises, and closes the connection.
        """
        return await tls.upgrade(
            self,
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> _core.DatagramTransport:
        return _core.DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_read_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> _core.ReadPipeTransport:
        return _core.ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> _core.WritePipeTransport:
        return _core.WritePipeTransport(self, pipe, protocol, waiter, extra)

    def _start_serving(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: ssl.SSLContext | None = None,
        server: base_events.Server | None = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        accepted: Callable[[socket.socket], object] | None = None
        if sslcontext is not None:

            def accepted(connection: socket.socket) -> object:
                # A handshake that fails concerns nobody but its peer: the waiter takes the
                # error, and the loop's exception handler hears it in debug mode only.
                waiter = self.create_future()
                waiter.add_done_callback(self._handshake_done)
                return self._make_ssl_transport(
                    connection,
                    protocol_factory(),
                    sslcontext,
                    waiter,
                    server_side=True,
                    server=server,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                )

        self._listeners[sock.fileno()] = _core.Listener(
            self, sock, protocol_factory, server, backlog, accepted
        )

    def _handshake_done(self, waiter: asyncio.Future[None]) -> None:
        if waiter.cancelled():
            return
        error = waiter.exception()
        if error is not None and self._debug:
            self.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": error,
                }
            )

    def _stop_serving(self, sock: socket.socket) -> None:
        listener = self._listeners.pop(sock.fileno(), None)
        if listener is not None:
            listener.stop()
        inode = self._unix_server_sockets.pop(sock, None)
        path = sock.getsockname() if inode is not None else None
        sock.close()
        if path is not None:
            # Since 3.13 a server removes its socket file, unless another has taken its place.
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)

    # -- Unix sockets: the interpreter's own argument policy, which needs only the hooks above --

    create_unix_connection = asyncio.SelectorEventLoop.create_unix_connection

    # -- refused -------------------------------------------------------------------------

    @property
    def _nest_patched(self) -> NoReturn:
        # nest_asyncio asks for this name before it puts a Python `_run_once` into the loop's
        # class, and every loop of the process would fail from then on.
        raise RuntimeError(
            "nest_asyncio cannot patch weft's event loop, which has no Python queues to run "
            "from; await the coroutine instead, or use asyncio's own loop"
        )

    def __dir__(self) -> list[str]:
        # Whoever reads every attribute (a mock's spec, inspect.getmembers) does not ask for that.
        return [name for name in super().__dir__() if name != "_nest_patched"]
