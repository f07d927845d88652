"""Load from plain sockets: many requests on few connections, few requests on many."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable

from tests.server.service import Service
from tests.server.wire import Wire, request

LIMIT = 10.0


def pipelined(service: Service, data: bytes, total: int, *, batch: int = 100) -> None:
    """So many requests on one connection, a batch of them at a time; every answer is alike."""
    with Wire(service.address) as wire:
        # A Date may change between two answers, its length may not.
        wire.send(data)
        first = wire.response()
        assert first.status == 200, first
        wire.send(data * batch)
        size = len(peek(wire, first.body))
        exactly(wire.sock, size * batch)
        for _ in range(total // batch):
            wire.send(data * batch)
            exactly(wire.sock, size * batch)


def peek(wire: Wire, body: bytes) -> bytes:
    """One answer from the socket, still in it."""
    seen = b""
    while (end := seen.find(b"\r\n\r\n")) < 0 or len(seen) < end + 4 + len(body):
        seen = wire.sock.recv(65536, socket.MSG_PEEK)
    return seen[: end + 4 + len(body)]


def exactly(sock: socket.socket, size: int) -> None:
    while size:
        size -= len(sock.recv(min(size, 1 << 20)))


def connections(service: Service, total: int) -> None:
    """So many connections one after the other, ended in each of the ways there are."""
    keep, close = request("GET", "/length"), request("GET", "/length", "Connection: close")
    ways = itertools.cycle(["server closes", "client closes", "client resets", "no request"])
    # Each address has ports of its own: those of one would be used up by TIME-WAIT.
    sources = itertools.cycle([f"127.0.1.{number}" for number in range(1, 200)])
    for way, source in itertools.islice(zip(ways, sources, strict=False), total):
        with socket.socket() as sock:
            sock.settimeout(LIMIT)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((source, 0))
            sock.connect(service.address)
            if way != "no request":
                sock.sendall(close if way == "server closes" else keep)
                assert sock.recv(65536).endswith(b"five!")
            if way == "server closes":
                assert sock.recv(1) == b""
            if way == "client resets":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextlib.contextmanager
def in_threads(count: int, work: Callable[[threading.Event], None]):
    """Run `work` in so many threads until the block ends; what one raises is raised."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work(stop)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads), "a client hangs"
    if errors:
        raise errors[0]
