"""A client that opens and closes connections in every way a real one does.

Most send a request and read its answer; some send nothing, some leave in the middle of a request,
some reset. Closing first leaves the client's port in TIME_WAIT for a minute, so the client takes
its source address in turn from 127.0.0.0/8: 100,000 connections need more ports than one has.
"""

from __future__ import annotations

import socket
import struct

from ..support.errors import SampleError

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
TOGETHER = 100
ADDRESSES = 20
BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT of <linux/in.h>; 3.11 has no name for it
RESET = struct.pack("ii", 1, 0)


def _connect(port: int, number: int) -> socket.socket:
    connection = socket.socket()
    try:
        connection.settimeout(10)
        connection.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        connection.bind((f"127.0.0.{2 + number % ADDRESSES}", 0))
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    return connection


def _together(port: int, first: int) -> None:
    """Open a hundred connections, use them, close them; one in ten each in a rude way."""
    opened = [_connect(port, first + index) for index in range(TOGETHER)]
    for index, connection in enumerate(opened):
        manner = index % 10
        if manner == 1:
            connection.sendall(REQUEST[:20])
        elif manner > 1:
            connection.sendall(REQUEST)
    for index, connection in enumerate(opened):
        manner = index % 10
        if manner > 1:
            answer = connection.recv(4096)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SampleError(f"connection {first + index} was answered {answer[:60]!r}")
        if manner == 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.close()


def churn(port: int, count: int) -> None:
    """Open and close `count` connections, rounded up to hundreds."""
    try:
        for first in range(0, count, TOGETHER):
            _together(port, first)
    except OSError as error:
        raise SampleError(f"connection failed: {error}") from error
