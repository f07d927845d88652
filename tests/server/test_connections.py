"""How long connections live, and in which order they answer (RFC 9112 section 9)."""

from __future__ import annotations

import os
import pathlib
import resource
import select

import pytest

from tests.server.wire import request
from tests.support.program import CODE_AFTER_SIGTERM


@pytest.fixture(scope="module")
def server(serve):
    return serve("connections:app", "--timeout-keep-alive", "1")


# how long it lives


def test_http_1_1_keeps_the_connection(server):
    with server.connect() as wire:
        port = wire.sock.getsockname()[1]
        for number in range(5):
            wire.send(request("GET", f"/who?{number}"))
            response = wire.response()
            assert response.body == f"{number} {port}".encode()
            assert response.header("connection") is None


@pytest.mark.parametrize("option", ["close", "Close", "x, close", "close , x"])
def test_a_client_can_end_the_connection(server, option):
    with server.connect() as wire:
        wire.send(request("GET", "/who", f"Connection: {option}"))
        assert wire.response().closes
        wire.expect_end()


def test_an_application_can_end_the_connection(server):
    with server.connect() as wire:
        wire.send(request("GET", "/close"))
        response = wire.response()
        assert (response.body, response.closes) == (b"bye", True)
        wire.expect_end()


def test_http_1_0_ends_the_connection(server):
    with server.connect() as wire:
        wire.send(request("GET", "/who", version="1.0"))
        assert wire.response().closes
        wire.expect_end()


def test_http_1_0_can_ask_to_keep_the_connection(server):
    with server.connect() as wire:
        for _ in range(2):
            wire.send(request("GET", "/length", "Connection: keep-alive", version="1.0"))
            response = wire.response()
            assert response.body == b"five!"
            assert response.header("connection").lower() == "keep-alive"


def test_a_stream_to_http_1_0_ends_with_the_connection(server):
    """RFC 9112 section 6.1: chunks must not be sent to it."""
    with server.connect() as wire:
        wire.send(request("GET", "/stream", "Connection: keep-alive", version="1.0"))
        response = wire.response()
        assert response.header("transfer-encoding") is None
        assert (response.body, response.closes) == (b"onetwothree", True)


def test_close_wins_over_keep_alive(server):
    with server.connect() as wire:
        wire.send(request("GET", "/who", "Connection: keep-alive", "Connection: close"))
        assert wire.response().closes
        wire.expect_end()


def test_requests_behind_a_close_are_ignored(server):
    """RFC 9112 section 9.6."""
    with server.connect() as wire:
        wire.send(request("GET", "/who?1", "Connection: close") + request("GET", "/who?2"))
        (response,) = wire.responses()
        assert response.body.startswith(b"1 ")


def test_an_idle_connection_is_closed_after_its_time(server):
    with server.connect() as wire:
        wire.send(request("GET", "/who"))
        wire.response()
        assert not wire.is_readable(0.5), "closed too early"
        wire.expect_end()


def test_a_connection_in_use_outlives_the_time_for_idle_ones(server):
    with server.connect() as wire:
        wire.send(request("GET", "/wait?long"))
        assert not wire.is_readable(2.5), "the wait for an answer is not idleness"
        server.open("long")
        assert wire.response().body == b"waited long"
        wire.send(request("GET", "/who"))
        assert wire.response().status == 200


def test_a_client_that_only_connects_harms_nobody(server):
    with server.connect(), server.connect() as wire:
        wire.send(request("GET", "/who"))
        assert wire.response().status == 200


@pytest.mark.parametrize("path", ["/who", "/turns", "/wait?half-closed", "/stream"])
def test_a_client_that_has_closed_its_half_gets_its_answer(server, path):
    """RFC 9112 section 9.6: `printf … | nc` does so."""
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", path))
        wire.half_close()
        if path.startswith("/wait"):
            server.said("waiting half-closed", since)
            server.open("half-closed")
        assert wire.response().status == 200
        wire.expect_end()


def test_an_incomplete_head_and_the_end_are_no_request(server):
    for part in (b"G", b"GET / HTTP/1.1\r\n", request("GET", "/who")[:-2]):
        with server.connect() as wire:
            wire.send(part)
            wire.half_close()
            assert not wire.rest().startswith(b"HTTP/1.1 2")


# in which order


def test_pipelined_requests_are_answered_in_order(server):
    paths = ["/who", "/turns", "/stream", "/length"]
    with server.connect() as wire:
        wire.send(b"".join(request("GET", f"{paths[n % 4]}?{n}") for n in range(100)))
        for number in range(100):
            body = wire.response().body
            expected = (b"%d " % number, b"turned %d" % number, b"onetwothree", b"five!")
            assert body.startswith(expected[number % 4]), (number, body)


def test_a_slow_answer_comes_before_the_fast_one_behind_it(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/wait?slow") + request("GET", "/length"))
        server.said("waiting slow", since)
        # A request of another connection overtakes both.
        assert server.ask("/length").body == b"five!"
        assert not wire.is_readable()
        server.open("slow")
        assert wire.response().body == b"waited slow"
        assert wire.response().body == b"five!"


def test_pipelined_requests_with_bodies_are_kept_apart(server):
    with server.connect() as wire:
        one = request("POST", "/turns?1", body=b"x" * 1000)
        two = request("POST", "/turns?2", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n"
        wire.send((one + two) * 20)
        bodies = [wire.response().body for _ in range(40)]
        assert bodies == [b"turned 1", b"turned 2"] * 20


def test_the_second_request_may_come_in_any_pieces(server):
    data = request("GET", "/who?1") + request("GET", "/who?2")
    with server.connect() as wire:
        for cut in range(1, len(data), 7):
            wire.send(data[:cut])
            wire.send(data[cut:])
            assert wire.response().body.startswith(b"1 ")
            assert wire.response().body.startswith(b"2 ")


def test_a_deep_pipeline_is_answered_while_it_is_sent(server):
    """More requests than any buffer holds, and a client that reads only when it has sent all."""
    count = 20_000
    with server.connect() as wire:
        wire.sock.setblocking(False)
        received = exchange(wire, request("GET", "/length") * count, count * len(b"five!"))
        assert received.count(b"five!") == count


def exchange(wire, data: bytes, least: int) -> bytes:
    """Send and receive at once, until so many answers are there."""
    received = bytearray()
    view = memoryview(data)
    while received.count(b"five!") * 5 < least:
        readable, writable, _ = select.select([wire.sock], [wire.sock] if view else [], [], 5)
        assert readable or writable, "nothing moves any more"
        if readable:
            received += wire.sock.recv(1 << 20)
        if writable:
            view = view[wire.sock.send(view) :]
    return bytes(received)


def test_work_behind_a_response_does_not_hold_the_next_request(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/late?work"))
        assert wire.response().body == b"early"
        wire.send(request("GET", "/who"))
        assert wire.response().status == 200
        server.open("work")
        server.said("worked work", since)


def test_work_behind_a_response_does_not_hold_the_end_of_the_connection(server):
    since = server.mark()
    assert server.ask("/late?more-work").body == b"early"
    server.open("more-work")
    server.said("worked more-work", since)


def test_a_thousand_connections_are_served_side_by_side(server):
    wires = [server.connect() for _ in range(1000)]
    try:
        for wire in wires:
            wire.send(request("GET", "/who?x", "Connection: close"))
        for wire in wires:
            assert wire.response().body == b"x %d" % wire.sock.getsockname()[1]
    finally:
        for wire in wires:
            wire.close()


def test_a_server_without_descriptors_waits_for_some(run):
    """It must neither spin nor give up: clients that come meanwhile are served later."""
    with run("connections:app") as service:
        service.ask("/")
        limit = service.descriptors() + 20
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (limit, limit))
        wires = [service.connect() for _ in range(40)]
        for wire in wires:
            wire.send(request("GET", "/length"))
        assert wires[0].response().body == b"five!"
        before = cpu_seconds(service.pid)
        assert not wires[-1].is_readable(1.0), "it was accepted in spite of the limit"
        assert cpu_seconds(service.pid) - before < 0.3, "the server spins"
        for wire in wires[:25]:
            wire.close()
        for wire in wires[25:]:
            assert wire.response().body == b"five!"
            wire.close()
        assert service.ask("/length").body == b"five!"
        assert service.terminate() == CODE_AFTER_SIGTERM


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
