"""Request bodies: whole, in pieces, unread, and larger than memory should ever hold."""

from __future__ import annotations

import hashlib
import json
import socket

import pytest

from tests.server.service import MIB, wait_until
from tests.server.wire import chunked, request

# Buffers of both sockets and of the server, and what Python allocates on the way.
GROWTH = 12 * MIB


@pytest.fixture(scope="module")
def server(serve):
    return serve("bodies:app")


def test_a_body_with_a_length_arrives(server):
    assert server.ask("/echo", method="POST", body=b"some bytes").body == b"some bytes"


def test_a_body_in_chunks_arrives(server):
    with server.connect() as wire:
        head = request("POST", "/echo", "Transfer-Encoding: chunked")
        wire.send(head + chunked(b"some", b" ", b"bytes"))
        assert wire.response().body == b"some bytes"


def test_every_byte_value_arrives(server):
    every = bytes(range(256)) * 5
    assert server.ask("/echo", method="POST", body=every).body == every


def test_the_messages_of_a_body_end_with_one_that_has_no_more(server):
    for body in (b"", b"x", b"x" * 200_000):
        pieces = server.ask_json("/pieces", method="POST", body=body)
        assert [more for _, more in pieces] == [True] * (len(pieces) - 1) + [False]
        assert sum(length for length, _ in pieces) == len(body)


def test_a_request_without_a_body_is_one_empty_message(server):
    assert server.ask_json("/pieces") == [[0, False]]


def test_a_small_body_is_one_message(server):
    """Frameworks await each message: a second one that is empty would cost them time."""
    assert server.ask_json("/pieces", method="POST", body=b"x" * 10_000) == [[10_000, False]]


def test_a_piece_reaches_the_application_when_it_comes(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("POST", "/each", "Transfer-Encoding: chunked"))
        for piece in ("one", "two", "three"):
            wire.send(b"%x\r\n%b\r\n" % (len(piece), piece.encode()))
            server.said(f"piece {piece}", since)
        wire.send(b"0\r\n\r\n")
        assert wire.response().status == 200


def test_a_response_can_begin_before_the_body_has_come(server):
    with server.connect() as wire:
        wire.send(request("POST", "/promise", "Transfer-Encoding: chunked"))
        assert wire.head().status == 200
        assert wire.chunk() == b"first "
        wire.send(chunked(b"second"))
        assert wire.chunk() == b"second"
        assert wire.chunk() == b""


@pytest.mark.limit(30)
def test_50_mb_arrive_unharmed_in_bounded_memory(server):
    block = bytes(range(256)) * 4096
    before = server.memory()
    highest = before
    with server.connect() as wire:
        wire.send(request("POST", "/hash", f"Content-Length: {50 * len(block)}"))
        for _ in range(50):
            wire.send(block)
            highest = max(highest, server.memory())
        told = json.loads(wire.response().body)
    assert told["size"] == 50 * MIB
    assert told["sha256"] == hashlib.sha256(block * 50).hexdigest()
    assert told["largest"] <= 2 * MIB
    assert highest - before < GROWTH


def test_a_client_that_is_faster_than_the_application_has_to_wait(server):
    """What the application has not asked for stays with the client."""
    block, size = b"a" * MIB, 64 * MIB
    before = server.memory()
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("POST", "/late?slow-reader", f"Content-Length: {size}"))
        server.said("late waits", since)
        sent = send_until_full(wire.sock, block, size)
        assert sent < size, "nothing held the client back"
        assert server.memory() - before < GROWTH
        server.open("slow-reader")
        for at in range(sent, size, MIB):
            wire.send(block[: min(MIB, size - at)])
        assert json.loads(wire.response().body)["size"] == size


def send_until_full(sock: socket.socket, block: bytes, most: int) -> int:
    """Send until the kernel has taken nothing for a while; how much it took."""
    sent = 0
    sock.settimeout(0.5)
    try:
        while sent < most:
            sent += sock.send(block[: most - sent])
    except TimeoutError:
        pass
    sock.settimeout(10)
    return sent


# bodies that nobody reads


SMUGGLED = request("GET", "/echo", body=b"smuggled")
LAST = request("GET", "/pieces", "Connection: close")


@pytest.mark.parametrize("path", ["/ignore", "/first"])
def test_an_unread_body_is_not_taken_for_a_request(server, path):
    """The rest is passed over, or the connection ends; both keep requests apart."""
    with server.connect() as wire:
        wire.send(request("POST", path, body=SMUGGLED * 3) + LAST)
        first, *rest = wire.responses()
    assert first.status == 200
    assert [response.body for response in rest] in ([], [b"[[0, false]]"])


def test_an_unread_body_in_chunks_is_not_taken_for_a_request(server):
    head = request("POST", "/ignore", "Transfer-Encoding: chunked")
    with server.connect() as wire:
        wire.send(head + chunked(SMUGGLED, SMUGGLED) + LAST)
        first, *rest = wire.responses()
    assert first.body == b"ignored"
    assert [response.body for response in rest] in ([], [b"[[0, false]]"])


def test_a_small_unread_body_does_not_cost_the_connection(server):
    """A 401 to a POST must not mean a new connection for the next try."""
    with server.connect() as wire:
        for _ in range(3):
            wire.send(request("POST", "/ignore", body=b"unread" * 100))
            assert wire.response().body == b"ignored"
        wire.send(request("POST", "/ignore", "Content-Length: 4"))
        assert wire.response().body == b"ignored"
        wire.send(b"late" + request("GET", "/pieces"))
        assert wire.response().body == b"[[0, false]]"


def test_an_early_answer_reaches_a_client_that_is_still_sending(server):
    """The 413 must not be lost to a reset (RFC 9112 section 9.6)."""
    size = 20 * MIB
    with server.connect() as wire:
        wire.send(request("POST", "/refuse", f"Content-Length: {size}"))
        wire.send_pieces(b"a" * 65536 for _ in range(size // 65536))
        refusal = wire.response()
        assert (refusal.status, refusal.body) == (413, b"too large")


def test_an_endless_unread_body_ends_the_connection(server):
    """The server does not swallow for ever what nobody wants."""
    with server.connect() as wire:
        wire.send(request("POST", "/ignore", "Transfer-Encoding: chunked"))
        assert wire.response().body == b"ignored"
        chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        sent = 0
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while sent < 256 * MIB:
                wire.send(chunk)
                sent += len(chunk)


# the end of a body, and what comes behind


def test_after_its_response_the_application_is_told_of_the_end(server):
    """The ASGI specification: http.disconnect once a response has been sent."""
    since = server.mark()
    assert server.ask("/after").body == b"first"
    server.said(r'after the response: \{"type": "http.disconnect"\}', since)


def test_an_application_that_waits_behind_its_response_does_not_hold_the_connection(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("POST", "/after", body=b"unread") + request("GET", "/pieces"))
        assert wire.response().body == b"first"
        assert wire.response().body == b"[[0, false]]"
    server.said(r'after the response: \{"type": "http.(request|disconnect)".*', since)


def test_bodies_are_given_back(server):
    """Uploads one after the other leave nothing in memory."""
    body = b"a" * (4 * MIB)
    server.ask("/echo", method="POST", body=body)
    before = server.memory()
    for _ in range(10):
        assert server.ask("/echo", method="POST", body=body).body == body
    wait_until(lambda: server.memory() - before < GROWTH, "memory is given back")
