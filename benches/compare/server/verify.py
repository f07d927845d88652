"""Is the answer right? Asked of each server before it is timed, over a plain socket.

A server that answers fast and wrong must not get a figure. wrk looks at status codes only, so
the exact size of the right answer, found here, is later compared with the bytes wrk received.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import socket

from ..support.errors import SampleError
from . import socket_load
from .rows import Row

TIMEOUT = 5.0


class _Recorded:
    """The bytes of one answer in the form that http.client reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _expect(condition: bool, problem: str) -> None:
    if not condition:
        raise SampleError(f"wrong answer: {problem}")


def _complete(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    lowered = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lowered:
        return body.endswith(b"0\r\n\r\n")
    _, found, rest = lowered.partition(b"\r\ncontent-length:")
    _expect(bool(found), f"neither Content-Length nor chunks in {head[:200]!r}")
    return len(body) >= int(rest.partition(b"\r\n")[0])


def _exchange(connection: socket.socket, row: Row, path: str, body: bytes) -> bytes:
    """One request on a kept connection; the whole answer as it came over the wire."""
    fields = {"Host": "127.0.0.1", **row.headers}
    if body:
        fields["Content-Length"] = str(len(body))
    head = [f"{row.method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
    data = b""
    while not _complete(data):
        part = connection.recv(65536)
        _expect(bool(part), f"closed after {len(data)} bytes: {data[:200]!r}")
        data += part
    return data


def _check(data: bytes, answer: bytes) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(_Recorded(data))  # type: ignore[arg-type]
    response.begin()
    body = response.read()
    _expect(response.status == 200, f"status {response.status}, body {body[:200]!r}")
    _expect(response.version == 11, f"HTTP version {response.version}")
    _expect(body == answer, f"{body[:100]!r} ({len(body)} bytes)")
    _expect(response.getheader("date") is not None, "no Date field")
    return response


def verify(row: Row, port: int) -> int:
    """Check answers on one kept connection; returns the size of the row's answer on the wire.

    The second request on the same connection proves keep-alive. A row with a body sends random
    bytes of another length too, whose digest only an application that read them can know.
    """
    if row.in_flight:
        return socket_load.verify(port)
    body = b"x" * row.body_size
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        connection.settimeout(TIMEOUT)
        try:
            sizes = set()
            for _ in range(3):
                data = _exchange(connection, row, "/", body)
                response = _check(data, row.answer)
                chunked = response.getheader("transfer-encoding") == "chunked"
                _expect(chunked == bool(row.chunks), f"chunked is {chunked}")
                sizes.add(len(data))
            _expect(len(sizes) == 1, f"answers of different sizes: {sorted(sizes)}")
            if row.body_size:
                other = os.urandom(row.body_size * 3 + 1)
                digest = hashlib.sha256(other).hexdigest().encode()
                _check(_exchange(connection, row, "/digest", other), digest)
        except TimeoutError as error:
            raise SampleError(f"no complete answer in {TIMEOUT:.0f} s") from error
        except OSError as error:
            raise SampleError(f"connection failed: {error}") from error
    return sizes.pop()
