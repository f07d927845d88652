"""A client made of bytes: it sends exactly what it is given and reads responses strictly.

It owns the grammar of responses (RFC 9112) as a test has to see it, without a library's leniency:
what is not to the letter raises `Unexpected`. It must not know any server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import select
import socket
from collections.abc import Iterable

from tests.support import net

LIMIT = 5.0
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9]\d\d) ([\x20-\x7e]*)")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)")
CHUNK_LINE = re.compile(rb"[0-9a-fA-F]{1,16}")

Address = tuple[str, int] | str


class Unexpected(AssertionError):
    """What came is not what a server may send here."""


@dataclasses.dataclass(frozen=True)
class Response:
    status: int
    reason: str
    # Names in lower case; values without the blanks around them; order kept.
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    # As they came, when the body was chunked.
    chunks: tuple[bytes, ...] | None = None

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name]

    def header(self, name: str) -> str | None:
        """The value of a field that may come once."""
        values = self.all(name)
        if len(values) > 1:
            raise Unexpected(f"{name} comes {len(values)} times: {self}")
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        return (self.header("connection") or "").lower() == "close"


class Wire:
    """One connection to a server; use as a context manager."""

    def __init__(self, address: Address, *, receive_buffer: int | None = None) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.settimeout(LIMIT)
        if receive_buffer is not None:
            # Before connect: afterwards the window has been offered.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close so that the server sees a reset."""
        net.reset(self.sock)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    @property
    def name(self) -> str:
        """This end's address, as an access log shows it."""
        host, port = self.sock.getsockname()
        return f"{host}:{port}"

    # sending

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Send each by itself, until the server answers or hangs up: an early answer ends it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                self.sock.sendall(piece)
                if self.is_readable():
                    return

    def is_readable(self, limit: float = 0) -> bool:
        """Whether bytes, or the end, come within the limit."""
        return bool(self._buffer) or bool(select.select([self.sock], [], [], limit)[0])

    # receiving

    def response(self, *, to: str = "GET", interim: bool = False) -> Response:
        """The next response, which answers a request with the method `to`.

        An interim response (1xx) must be announced by `interim`.
        """
        response = self.head()
        status = response.status
        if (status < 200) != interim:
            raise Unexpected(f"{'no' if interim else 'an'} interim response: {response}")
        return self._body(response, none=interim or to == "HEAD" or status in (204, 304))

    def head(self) -> Response:
        """The next response's head alone."""
        line = self._line()
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise Unexpected(f"no status line: {line!r}")
        fields = []
        while line := self._line():
            field = FIELD_LINE.fullmatch(line)
            if not field:
                raise Unexpected(f"no header line: {line!r}")
            fields.append((field[1].decode().lower(), field[2].strip(b" \t").decode("latin-1")))
        return Response(int(match[1]), match[2].decode(), tuple(fields))

    def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty for the last one."""
        line = self._line()
        if not CHUNK_LINE.fullmatch(line):
            raise Unexpected(f"no chunk size: {line!r}")
        data = self.exactly(int(line, 16))
        if self._line():
            raise Unexpected("chunk data goes on behind its end, or there is a trailer")
        return data

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def rest(self) -> bytes:
        """Everything until the server closes in order; a reset raises ConnectionResetError."""
        with contextlib.suppress(EOFError):
            while True:
                self._fill()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def responses(self) -> list[Response]:
        """All responses until the server closes, in order or by a reset."""
        found = []
        while True:
            try:
                found.append(self.response())
            except (EOFError, ConnectionResetError):
                if self._buffer:
                    raise
                return found

    def expect_end(self, *, reset_is_fine: bool = False) -> None:
        """Nothing more comes, and the server closes."""
        try:
            more = self.rest()
        except ConnectionResetError:
            if not reset_is_fine:
                raise
            more = bytes(self._buffer)
        if more:
            raise Unexpected(f"more came before the end: {more!r}")

    def _body(self, head: Response, *, none: bool) -> Response:
        length, coding = head.header("content-length"), head.header("transfer-encoding")
        if length is not None and coding is not None:
            raise Unexpected(f"two framings: {head}")
        if none:
            if coding is not None:
                raise Unexpected(f"a coding of no body: {head}")
            return head
        if coding is not None:
            if coding != "chunked":
                raise Unexpected(f"coded in {coding!r}")
            chunks = tuple(iter(self.chunk, b""))
            return dataclasses.replace(head, body=b"".join(chunks), chunks=chunks)
        if length is not None:
            return dataclasses.replace(head, body=self.exactly(int(length)))
        if not head.closes:
            raise Unexpected(f"a body without an end: {head}")
        return dataclasses.replace(head, body=self.rest())

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._fill()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if not line.endswith(b"\r\n"):
            raise Unexpected(f"the line does not end in CR LF: {line!r}")
        return line[:-2]

    def _fill(self) -> None:
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError(f"the server closed after {bytes(self._buffer)!r}")
        self._buffer += data


def request(
    method: str = "GET",
    target: str = "/",
    *fields: str,
    body: bytes | None = None,
    version: str = "1.1",
    host: bool = True,
) -> bytes:
    """A well-formed request; a body comes with its Content-Length."""
    lines = [f"{method} {target} HTTP/{version}", *(["Host: h"] if host else []), *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
