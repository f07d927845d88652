"""A minute of garbage: the server answers strictly or hangs up, and is there at the end."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.server.service import Service, serving
from tests.server.wire import Unexpected, Wire, chunked, request

pytestmark = [pytest.mark.stress, pytest.mark.limit(180)]

SECONDS = float(os.environ.get("WEFT_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("WEFT_FUZZ_SEED", str(time.time_ns() % 2**32)))
STATUSES = {200, 400, 408, 413, 414, 417, 431, 501, 505}

WORDS = [
    *(b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"get", b"*", b"/", b"/ignore"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.", b" ", b"  ", b"\t", b"\r\n", b"\n"),
    *(b"\r", b"\r\n\r\n", b"\0", b"\xff", b"\x1b", b":", b": ", b",", b";", b"=", b'"', b"#", b"%"),
    *(b"Host", b"Host: h", b"Content-Length", b"Content-Length: 3", b"Content-Length: -1"),
    *(b"Transfer-Encoding", b"Transfer-Encoding: chunked", b"chunked", b"gzip", b"Connection"),
    *(b"Connection: close", b"Connection: keep-alive", b"Upgrade: websocket", b"Expect"),
    *(b"Expect: 100-continue", b"0\r\n\r\n", b"3\r\nabc\r\n", b"ffffffffffffffff", b"0x3"),
    *(b"18446744073709551615", b"18446744073709551616", b"http://h/", b"A" * 300, b"A" * 70_000),
]
SEEDS = [
    request("GET", "/"),
    request("GET", "/a?b=c", "Accept: */*", "Cookie: d=e", "Connection: keep-alive"),
    request("POST", "/", body=b"some body"),
    request("POST", "/ignore", body=b"some body"),
    request("POST", "/", "Transfer-Encoding: chunked") + chunked(b"some", b"body"),
    request("POST", "/", "Expect: 100-continue", "Content-Length: 4"),
    request("HEAD", "/"),
    request("OPTIONS", "*"),
    request("GET", "http://other/a", version="1.0"),
]


def mutated(rng: random.Random) -> bytes:
    """Some requests, spoilt in some places."""
    data = bytearray(b"".join(rng.choices(SEEDS, k=rng.randint(1, 4))))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 10])):
        at = rng.randint(0, len(data))
        match rng.randint(0, 5):
            case 0:
                data[at:at] = rng.choice(WORDS)
            case 1:
                data[at : at + rng.randint(1, 20)] = b""
            case 2:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 3:
                data[at : at + rng.randint(0, 20)] = rng.choice(WORDS)
            case 4:
                data[at:at] = data[at : at + rng.randint(1, 200)]
            case 5:
                data[at:at] = rng.randbytes(rng.randint(1, 50))
    return bytes(data)


def pieces(rng: random.Random, data: bytes):
    """The data, cut in a few places or none."""
    cuts = sorted(rng.choices(range(len(data) + 1), k=rng.choice([0, 0, 1, 3])))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        if start < end:
            yield data[start:end]


def converse(rng: random.Random, wire: Wire, data: bytes) -> None:
    """Send, and read what comes: responses to the letter, or the end."""
    wire.send_pieces(pieces(rng, data))
    match rng.randint(0, 4):
        case 0:
            wire.reset()
            return
        case 1:
            return
    try:
        wire.half_close()
        rest = wire.rest()
    except OSError:
        return  # reset: the server did not want what was still on its way
    check(rest, data)


class Replay(Wire):
    """Reads what has been received already."""

    def __init__(self, data: bytes) -> None:
        self._buffer = bytearray(data)

    def _fill(self) -> None:
        raise EOFError(f"it ends inside a response: {bytes(self._buffer)!r}")

    @property
    def is_at_end(self) -> bool:
        return not self._buffer

    def begins_with(self, data: bytes) -> bool:
        return self._buffer.startswith(data)


def check(received: bytes, sent: bytes) -> None:
    """Only what parses as a sequence of whole responses may come, and nothing behind a refusal."""
    wire = Replay(received)
    while not wire.is_at_end:
        head = wire.head()
        if head.status == 100:
            continue
        if head.status not in STATUSES:
            raise Unexpected(f"status {head.status}")
        # Which one answers a HEAD is not known here, but no body begins like a response.
        if b"HEAD" in sent and (wire.is_at_end or wire.begins_with(b"HTTP/1.1 ")):
            continue
        wire.exactly(int(head.header("content-length") or 0))
        if head.closes and not wire.is_at_end:
            raise Unexpected(f"there is more behind the last response: {received!r}")


def converse_until(end: float, rng: random.Random, service: Service) -> int:
    """The number of conversations until then."""
    count = 0
    while time.monotonic() < end:
        for _ in range(100):
            data = mutated(rng)
            with service.connect() as wire:
                try:
                    converse(rng, wire, data)
                except (AssertionError, EOFError) as error:
                    error.add_note(f"WEFT_FUZZ_SEED={SEED}, sent {data!r}")
                    raise
        count += 100
        assert service.ask("/").status == 200, f"WEFT_FUZZ_SEED={SEED}"
    return count


def test_a_minute_of_garbage_harms_nobody(tmp_path):
    rng = random.Random(SEED)
    print(f"\nWEFT_FUZZ_SEED={SEED}")
    with serving("probe:app", "--no-access-log", directory=tmp_path) as service:
        start = time.monotonic()
        count = converse_until(start + SECONDS / 4, rng, service)
        before = service.memory()
        count += converse_until(start + SECONDS, rng, service)
        print(f"{count} conversations, memory {before} → {service.memory()}")
        assert service.memory() <= before * 1.02
