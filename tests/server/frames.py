"""A WebSocket client made of bytes: it sends exactly what it is given, right or wrong.

It owns the frames of RFC 6455 as a test has to see them: what a server may not send raises
`Unexpected`. It must not know any server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.server.wire import Response, Unexpected, Wire, request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
CONTINUES, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
MASK = b"\x37\xfa\x21\x3d"


def handshake(target: str = "/", *fields: str) -> bytes:
    return request("GET", target, *HANDSHAKE, *fields)


def frame(first: int, payload: bytes = b"", *, mask: bytes | None = MASK) -> bytes:
    """A frame with this first byte, the length in its shortest form."""
    masked = 0x80 if mask is not None else 0
    length = len(payload)
    if length < 126:
        head = bytes([first, masked | length])
    elif length < 1 << 16:
        head = bytes([first, masked | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, masked | 127]) + length.to_bytes(8, "big")
    if mask is None:
        return head + payload
    key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    data = (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")
    return head + mask + data


def text(data: str) -> bytes:
    return frame(FIN | TEXT, data.encode())


def close(code: int | None = 1000, reason: str = "") -> bytes:
    payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
    return frame(FIN | CLOSE, payload)


class Socket:
    """An opened WebSocket on a wire."""

    def __init__(self, wire: Wire, answer: Response) -> None:
        self.wire = wire
        self.answer = answer

    def send(self, *frames: bytes) -> None:
        self.wire.send(b"".join(frames))

    def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload."""
        first, second = self.wire.exactly(2)
        if second & 0x80:
            raise Unexpected("a server masks nothing")
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self.wire.exactly(2 if length == 126 else 8), "big")
        return first, self.wire.exactly(length)

    def text(self) -> str:
        first, payload = self.frame()
        if first != FIN | TEXT:
            raise Unexpected(f"no text: {first:#x} {payload!r}")
        return payload.decode()

    def close_code(self, reason: str | None = None) -> int | None:
        """The code of the close frame that comes next."""
        first, payload = self.frame()
        if first != FIN | CLOSE:
            raise Unexpected(f"no close frame: {first:#x} {payload!r}")
        if reason is not None and payload[2:].decode() != reason:
            raise Unexpected(f"closed because of {payload[2:]!r}")
        return int.from_bytes(payload[:2], "big") if payload else None

    def finish(self, code: int = 1000) -> None:
        """Close from this side, and wait for the server's answer and end."""
        self.send(close(code))
        if (answer := self.close_code()) != code:
            raise Unexpected(f"answered with {answer}")
        self.wire.expect_end()


@contextlib.contextmanager
def opened(service, target: str = "/echo", *fields: str, **options) -> Iterator[Socket]:
    """A WebSocket on a connection of its own."""
    with service.connect(**options) as wire:
        wire.send(handshake(target, *fields))
        answer = wire.response(interim=True)
        assert answer.status == 101, answer
        yield Socket(wire, answer)
