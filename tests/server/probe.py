"""How a byte-level case is sent and judged: what the probe tests have in common.

A malformed message is sent whole, byte by byte and cut in two, each time with a good request
behind it. The answer is one error response and the end of the connection: after a fault in the
framing nobody knows where the next message begins (RFC 9112 section 11.2), so whoever answers the
request behind it can be made to answer one that a proxy never saw.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest

from tests.server.service import Service
from tests.server.wire import Response, Wire

HEAD = "POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED_HEAD = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
SMUGGLED = "/smuggled-behind-"
_numbers = itertools.count(1)


def cases(*rows: tuple) -> list:
    """Parameters whose first column, a section of an RFC and a name, is the case's id."""
    return [pytest.param(*row, id=name) for name, *row in rows]


def message(line: str = "GET / HTTP/1.1", *fields: str, body: bytes = b"") -> bytes:
    """A head from its lines, in Latin-1, and what follows it."""
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1") + body


def with_fields(*fields: str, body: bytes = b"", version: str = "1.1") -> bytes:
    """A POST with a Host and these fields."""
    return message(f"POST / HTTP/{version}", "Host: h", *fields, body=body)


def assert_refused(service: Service, data: bytes, status: int = 400) -> None:
    """The message is answered with this status and the end of the connection, nothing else."""
    smuggled = f"{SMUGGLED}{next(_numbers)}"
    for way, pieces in ways(data, message(f"GET {smuggled} HTTP/1.1", "Host: h")):
        with service.connect() as wire:
            wire.send_pieces(pieces)
            try:
                judge(wire, status)
            except (AssertionError, OSError, EOFError) as error:
                error.add_note(f"sent {way}: {data[:500]!r}")
                raise
    seen = service.ask_json("/seen")
    assert smuggled not in seen, f"the application has seen what came behind {data[:500]!r}"


def judge(wire: Wire, status: int) -> Response:
    response = wire.response()
    assert response.status == status, response
    assert response.closes, response
    # Bytes that the client sent after the answer was on its way may meet a closed socket.
    wire.expect_end(reset_is_fine=True)
    return response


def ways(data: bytes, behind: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """How to cut the message; what is behind it comes with its last piece."""
    yield "whole", [data + behind]
    if len(data) <= 2000:
        *first, last = (bytes([byte]) for byte in data)
        yield "byte by byte", [*first, last + behind]
    for cut in sorted({1, len(data) // 2, len(data) - 1}):
        if 0 < cut < len(data):
            yield f"cut at {cut}", [data[:cut], data[cut:] + behind]


def assert_accepted(service: Service, data: bytes, **expected: object) -> dict:
    """The message is served, however it is cut, and so is a request behind it.

    The last answer, of which the expected parts were checked.
    """
    answer: dict = {}
    for way, pieces in ways(data, message("GET /behind HTTP/1.1", "Host: h")):
        with service.connect() as wire:
            for piece in pieces:
                wire.send(piece)
            first, second = wire.response(), wire.response()
        assert (first.status, second.status) == (200, 200), f"sent {way}: {first} {second}"
        answer = json.loads(first.body)
        found = {name: answer[name] for name in expected}
        assert found == expected, f"sent {way}"
        assert json.loads(second.body)["path"] == "/behind", f"sent {way}"
    return answer
