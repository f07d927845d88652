"""Clients that leave: who is told, and how soon what they asked for ends."""

from __future__ import annotations

import pytest

from tests.server.wire import request


@pytest.fixture(scope="module")
def server(serve):
    return serve("streams:app")


@pytest.fixture(params=["closes", "resets"])
def leave(request):
    """How a client goes away."""
    return {"closes": lambda wire: wire.close(), "resets": lambda wire: wire.reset()}[request.param]


def test_receive_tells_at_once_that_the_client_has_gone(server, leave):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/watch?watcher"))
        server.said("watcher watches", since)
        leave(wire)
    server.said("watcher got http.disconnect", since)
    server.said("watcher got http.disconnect again", since)


def test_a_stream_ends_when_its_client_has_gone(server, leave):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/endless?stream"))
        assert wire.head().status == 200
        assert wire.chunk() == b"tick"
        leave(wire)
    server.said("stream got http.disconnect", since)
    server.said("stream cleaned up", since)


def test_send_does_not_wait_for_a_client_that_has_gone(server, leave):
    since = server.mark()
    with server.connect(receive_buffer=65536) as wire:
        wire.send(request("GET", "/stuck?stuck"))
        server.said("stuck waits", since)
        leave(wire)
    server.said("stuck (was let go|got an OSError)", since)


def test_send_to_a_client_that_has_gone_does_what_its_version_of_asgi_says(server):
    """From 2.4 on it raises an OSError; before, nothing happens."""
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/deaf?deaf"))
        wire.reset()
    server.said("deaf (raised|passed) True", since)


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_an_upload_that_breaks_off_is_never_whole(server, leave, framing):
    since = server.mark()
    part = b"a" * 10 if "Length" in framing else b"a\r\n" + b"a" * 10 + b"\r\n"
    with server.connect() as wire:
        wire.send(request("POST", "/upload?part", framing) + part)
        server.said("part has 10", since)
        leave(wire)
    server.said("part broke off after 10", since)


def test_a_client_that_has_sent_all_and_left_was_still_heard(server):
    """What it sent is acted upon, answered or not."""
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("POST", "/upload?note", body=b"a" * 10))
    server.said("note was whole", since)


def test_clients_that_leave_in_the_middle_of_a_head_are_forgotten(server, leave):
    for part in (b"", b"GET", b"GET / HTTP/1.1\r\nHost: h\r\n"):
        with server.connect() as wire:
            wire.send(part)
            leave(wire)
    assert server.ask("/").body == b"hello"


def test_many_clients_that_leave_harm_nobody(server, leave):
    for _ in range(50):
        with server.connect() as wire:
            wire.send(request("GET", "/endless?crowd") * 3)
            leave(wire)
        assert server.ask("/").body == b"hello"
