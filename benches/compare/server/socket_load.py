"""Load for the WebSocket rows: a client on its own core that echoes are counted by.

`python -m benches.compare.server.socket_load PORT SECONDS CONNECTIONS IN_FLIGHT` prints its totals
as `load.lua` does. One thread, frames made once: it costs less than any server it is used on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import selectors
import socket
import sys
import time

from ..support.errors import SampleError

PAYLOAD = b"0123456789abcdef" * 2
BINARY = 0x82
MASK = b"\x37\xfa\x21\x3d"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TIMEOUT = 5.0


def frame(payload: bytes) -> bytes:
    """A client's frame of up to 64 KiB."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytes([BINARY]) + length + MASK + masked


def answer(payload: bytes) -> bytes:
    """The frame in which a server sends the payload back."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([BINARY]) + length + payload


def opened(port: int) -> socket.socket:
    """A WebSocket on a new connection, without compression."""
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16))
    fields = [b"Host: 127.0.0.1", b"Connection: Upgrade", b"Upgrade: websocket"]
    fields += [b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + key]
    connection.sendall(b"\r\n".join([b"GET / HTTP/1.1", *fields, b"", b""]))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = connection.recv(1)
        if not part:
            raise SampleError(f"closed during the handshake: {head!r}")
        head += part
    proof = base64.b64encode(hashlib.sha1(key + GUID).digest())
    if not head.startswith(b"HTTP/1.1 101 ") or proof not in head:
        raise SampleError(f"wrong handshake: {head!r}")
    return connection


def verify(port: int) -> int:
    """Check echoes of several sizes, one by one and together; the size of the row's on the wire."""
    payloads = [PAYLOAD, b"", os.urandom(125), os.urandom(126), os.urandom(60_000)]
    with opened(port) as connection:
        for burst in ([PAYLOAD], payloads):
            connection.sendall(b"".join(map(frame, burst)))
            expected = b"".join(map(answer, burst))
            found = b""
            while len(found) < len(expected):
                part = connection.recv(65536)
                if not part:
                    raise SampleError(f"closed after {len(found)} bytes of echoes")
                found += part
            if found != expected:
                raise SampleError("wrong echo")
    return len(answer(PAYLOAD))


class Load:
    """Connections that keep so many messages under way each, until a moment."""

    def __init__(self, port: int, connections: int, in_flight: int) -> None:
        self._size = len(answer(PAYLOAD))
        self._frame = frame(PAYLOAD)
        self._batch = self._frame * in_flight
        self._selector = selectors.EpollSelector()
        self._sockets = [opened(port) for _ in range(connections)]
        self._left = connections * in_flight
        self.received = 0
        self.trips: list[int] = []

    def run(self, seconds: float) -> float:
        """Load, and wait for what is under way at the end; how long it took."""
        begun = time.monotonic()
        deadline = begun + seconds
        sent_at = {}
        for connection in self._sockets:
            self._selector.register(connection, selectors.EVENT_READ, [0])
            sent_at[connection] = time.perf_counter_ns()
            connection.sendall(self._batch)
        while self._left and time.monotonic() < deadline + TIMEOUT:
            for key, _ in self._selector.select(1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                part = connection.recv(65536)
                if not part:
                    raise SampleError("a server closed a WebSocket under load")
                now = time.perf_counter_ns()
                self.trips.append(now - sent_at[connection])
                self.received += len(part)
                whole, key.data[0] = divmod(key.data[0] + len(part), self._size)
                if time.monotonic() < deadline:
                    connection.sendall(self._frame * whole)
                    sent_at[connection] = now
                else:
                    self._left -= whole
        for connection in self._sockets:
            connection.close()
        return time.monotonic() - begun

    def report(self, took: float) -> dict[str, object]:
        """The totals in the form of `load.lua`."""
        trips = sorted(self.trips) or [0]
        return {
            "requests": self.received // self._size,
            "duration_us": took * 1e6,
            "bytes": self.received,
            "connect": 0,
            "read": 0,
            "write": 0,
            "status": 0,
            "timeout": self._left,
            "p50_us": trips[len(trips) // 2] // 1000,
            "p99_us": trips[len(trips) * 99 // 100] // 1000,
            "max_us": trips[-1] // 1000,
        }


def main() -> None:
    """One window."""
    port, seconds, connections, in_flight = map(int, sys.argv[1:5])
    load = Load(port, connections, in_flight)
    took = load.run(seconds)
    print("@@" + json.dumps(load.report(took)))


if __name__ == "__main__":
    main()
