"""Responses that come in pieces, and clients that do not take them."""

from __future__ import annotations

import pytest

from tests.server.service import MIB, wait_until
from tests.server.wire import request

GROWTH = 12 * MIB


@pytest.fixture(scope="module")
def server(serve):
    return serve("streams:app")


def test_each_piece_reaches_the_client_when_it_is_sent(server):
    with server.connect() as wire:
        wire.send(request("GET", "/steps?chunks"))
        for step in ("1", "2", "3"):
            assert not wire.is_readable()
            server.open(f"chunks-{step}")
            if step == "1":
                assert wire.head().header("transfer-encoding") == "chunked"
            assert wire.chunk() == f"step {step}".encode()
        server.open("chunks-end")
        assert wire.chunk() == b""
        wire.send(request("GET", "/"))
        assert wire.response().body == b"hello"


def test_pieces_to_http_1_0_come_one_by_one_too(server):
    with server.connect() as wire:
        wire.send(request("GET", "/steps?old", version="1.0"))
        for step in ("1", "2", "3"):
            server.open(f"old-{step}")
            if step == "1":
                assert wire.head().closes
            assert wire.exactly(6) == f"step {step}".encode()
        server.open("old-end")
        wire.expect_end()


def test_an_empty_piece_sends_the_head(server):
    """Event streams begin so, and their clients wait for it."""
    with server.connect() as wire:
        wire.send(request("GET", "/head-only?open"))
        assert wire.head().status == 200
        server.open("open")
        assert wire.chunk() == b"body"
        assert wire.chunk() == b""


def test_several_streams_run_side_by_side(server):
    wires = [server.connect() for _ in range(5)]
    for number, wire in enumerate(wires):
        wire.send(request("GET", f"/steps?side-{number}"))
    for step in ("1", "2", "3", "end"):
        for number in (3, 0, 4, 2, 1):
            server.open(f"side-{number}-{step}")
    for wire in wires:
        assert wire.response().body == b"step 1step 2step 3"
        wire.close()


# clients that do not read


@pytest.mark.limit(30)
def test_an_application_waits_for_a_client_that_does_not_read(server):
    before = server.memory()
    since = server.mark()
    with server.connect(receive_buffer=65536) as wire:
        wire.send(request("GET", "/flood?flood"))
        pieces = int(server.said(r"flood waits after (\d+) pieces", since)[1])
        assert pieces < 32
        assert server.memory() - before < GROWTH
        response = wire.response()
        assert response.body == b"".join(bytes([number]) * MIB for number in range(64))
        server.said("flood is done", since)
    wait_until(lambda: server.memory() - before < GROWTH, "memory is given back")


@pytest.mark.limit(30)
def test_an_application_that_sends_small_pieces_has_to_wait_too(server):
    before = server.memory()
    since = server.mark()
    with server.connect(receive_buffer=65536) as wire:
        wire.send(request("GET", "/dribble?dribble"))
        server.said("dribble waits", since)
        assert server.memory() - before < GROWTH
        pieces = server.ask_json("/sent?dribble")
        body = wire.response().body
        server.said("dribble is done", since)
        assert body == b"".join(b"%08d" % number * 100 for number in range(pieces))


def test_a_client_that_does_not_read_holds_nobody_else(server):
    since = server.mark()
    with server.connect(receive_buffer=65536) as wire:
        wire.send(request("GET", "/flood?other"))
        server.said(r"other waits after \d+ pieces", since)
        for _ in range(100):
            assert server.ask("/").body == b"hello"
        wire.reset()


def test_a_whole_large_response_waits_for_its_client(server):
    """Nobody awaits the last send(); the bytes are there all the same."""
    with server.connect(receive_buffer=65536) as wire:
        wire.send(request("GET", f"/large?{20 * MIB}") + request("GET", "/"))
        assert len(wire.response().body) == 20 * MIB
        assert wire.response().body == b"hello"


def test_two_tasks_can_send_to_one_response(server):
    with server.connect(receive_buffer=65536) as wire:
        wire.send(request("GET", "/two-senders"))
        body = wire.response().body
    assert (body.count(b"a"), body.count(b"b")) == (1_000_000, 1_000_000)
