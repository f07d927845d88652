"""Sockets for tests: pairs, listeners, ports, and peers that know nothing of event loops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

HOST = "127.0.0.1"
PEER_TIMEOUT = 5.0


def free_port() -> int:
    """A TCP port that was free a moment ago on the loopback address."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


def listener(backlog: int = 16) -> socket.socket:
    """A blocking TCP socket that listens on a free loopback port."""
    sock = socket.socket()
    sock.bind((HOST, 0))
    sock.listen(backlog)
    return sock


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets over the loopback: ours, non-blocking, and the peer's, blocking."""
    with listener() as lsock:
        ours = socket.create_connection(lsock.getsockname())
        peer, _ = lsock.accept()
    ours.setblocking(False)
    peer.settimeout(PEER_TIMEOUT)
    return ours, peer


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """The same over AF_UNIX."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.settimeout(PEER_TIMEOUT)
    return ours, peer


def nonblocking_pair() -> tuple[socket.socket, socket.socket]:
    """An AF_UNIX pair with both ends non-blocking."""
    pair = socket.socketpair()
    for sock in pair:
        sock.setblocking(False)
    return pair


def pair_at(number: int) -> tuple[socket.socket, socket.socket]:
    """A new non-blocking pair whose first end has exactly this descriptor number."""
    ours, theirs = nonblocking_pair()
    if ours.fileno() != number:
        os.dup2(ours.fileno(), number, inheritable=False)
        ours.close()
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=number)
        ours.setblocking(False)
    assert ours.fileno() == number
    return ours, theirs


def reset(sock: socket.socket) -> None:
    """Close a TCP socket so that its peer sees a reset instead of an end of file."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def shrink_buffers(*socks: socket.socket) -> None:
    """Make the kernel hold little, so that flow control starts early."""
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def fill(sock: socket.socket) -> int:
    """Send until the kernel takes no more; the count of bytes it took."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += sock.send(b"\0" * 65536)
    return sent


def has_ipv6() -> bool:
    """Whether the loopback has an IPv6 address."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return True
    return False


class Peer:
    """The other end of a connection: a blocking socket, its calls made in a thread."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PEER_TIMEOUT)
        self.sock = sock

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(self.sock.sendall, data)

    async def recv(self, size: int = 65536) -> bytes:
        return await asyncio.to_thread(self.sock.recv, size)

    async def recv_exactly(self, size: int) -> bytes:
        return await asyncio.to_thread(recv_exactly, self.sock, size)

    async def recv_all(self) -> bytes:
        """Everything up to the end of file."""
        return await asyncio.to_thread(recv_all, self.sock)

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()


def recv_exactly(sock: socket.socket, size: int) -> bytes:
    """Blocking: so many bytes, or EOFError with what came."""
    data = bytearray()
    while len(data) < size:
        chunk = sock.recv(min(65536, size - len(data)))
        if not chunk:
            raise EOFError(f"{len(data)} of {size} bytes came")
        data += chunk
    return bytes(data)


def recv_all(sock: socket.socket) -> bytes:
    """Blocking: everything up to the end of file."""
    data = bytearray()
    while chunk := sock.recv(65536):
        data += chunk
    return bytes(data)


@contextlib.contextmanager
def echo_server() -> Iterator[tuple[str, int]]:
    """An echo server of plain threads, so that a client test depends on no loop's server."""
    lsock = listener()
    threads: list[threading.Thread] = []

    def serve(conn: socket.socket) -> None:
        with conn, contextlib.suppress(ConnectionError, TimeoutError):
            conn.settimeout(PEER_TIMEOUT)
            while data := conn.recv(65536):
                conn.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                conn, _ = lsock.accept()
                threads.append(threading.Thread(target=serve, args=(conn,)))
                threads[-1].start()

    threads.append(threading.Thread(target=accept))
    threads[0].start()
    try:
        yield lsock.getsockname()
    finally:
        lsock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        lsock.close()
