"""The end of a WebSocket: who closes, with which code, and what the application is told."""

from __future__ import annotations

import signal
import time

import pytest

from tests.server.frames import (
    BINARY,
    DEFLATE,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    Socket,
    close,
    frame,
    handshake,
    opened,
    text,
)
from tests.server.service import MIB
from tests.server.wire import Wire


@pytest.fixture(scope="module")
def server(serve):
    return serve("sockets:app", errors_are_wanted=True)


# the client closes


@pytest.mark.parametrize(
    ("sent", "answered", "told"),
    [
        (close(1000), 1000, "1000 ''"),
        (close(1001, "leaving ß"), 1001, "1001 'leaving ß'"),
        (close(4999, "x" * 123), 4999, f"4999 '{'x' * 123}'"),
        (close(None), None, "1005 ''"),
    ],
)
def test_the_clients_code_is_answered_and_told(server, sent, answered, told):
    since = server.mark()
    with opened(server, "/echo?client") as ws:
        ws.send(text("before"), sent, text("behind"))
        assert ws.text() == "before"
        assert ws.close_code() == answered
        ws.wire.expect_end(reset_is_fine=True)
    server.said(rf"client websocket\.disconnect {told}", since)


def test_a_client_that_leaves_without_a_word_is_1006(server):
    for leave in (Wire.close, Wire.reset, Wire.half_close):
        since = server.mark()
        with opened(server, "/echo?left") as ws:
            ws.send(text("x"))
            assert ws.text() == "x"
            leave(ws.wire)
            server.said(r"left websocket\.disconnect 1006 ''", since)


def test_after_the_end_receive_repeats_itself_and_send_is_an_oserror(server):
    """ASGI, "Disconnected Client": and it is not the application's failure to let it pass."""
    since = server.mark()
    with opened(server, "/after") as ws:
        ws.finish(1001)
    server.said(r"after websocket\.disconnect 1001 ''", since)
    server.ask("/")
    said = "".join(server.log.splitlines(keepends=True)[since:])
    assert "Traceback" not in said


# the application closes


@pytest.mark.parametrize(
    ("target", "code", "reason"),
    [
        ("/close", 1000, ""),
        ("/close?3000&because", 3000, "because"),
        ("/close?1013", 1013, ""),
        ("/bad-close", 1001, ""),
        ("/return", 1000, ""),
        ("/value", 1000, ""),
        ("/raise-later", 1011, ""),
    ],
)
def test_the_application_ends_it_with_a_code(server, target, code, reason):
    with opened(server, target) as ws:
        assert ws.close_code(reason) == code
        ws.send(close(code))
        ws.wire.expect_end()


def test_after_its_own_close_an_application_sends_no_more_and_hears_the_answer(server):
    since = server.mark()
    with opened(server, "/close?3000") as ws:
        assert ws.close_code() == 3000
        server.said(r"closed ClientDisconnected: Cannot send 'websocket\.send': .* closed\.", since)
        ws.send(text("under way"), frame(FIN | PING), close(3001))
        ws.wire.expect_end()
    server.said(r"closed websocket\.disconnect 3001 ''", since)


def test_codes_that_must_not_be_sent_are_an_error(server):
    since = server.mark()
    with opened(server, "/bad-close") as ws:
        assert ws.close_code() == 1001
    for code in (0, 1005, 1006, 1015, 2999, 5000, 70000, -1):
        server.said(rf"{code}: {code} is no code for 'websocket\.close': .*", since)


def test_a_failure_after_accept_is_in_the_log(server):
    since = server.mark()
    with opened(server, "/raise-later") as ws:
        assert ws.close_code() == 1011
    server.said(r"RuntimeError: on purpose", since)


def test_a_client_that_does_not_answer_a_close_frame_is_let_go(server):
    since = server.mark()
    with opened(server, "/close") as ws:
        began = time.monotonic()
        assert ws.close_code() == 1000
        ws.wire.sock.settimeout(20)
        ws.wire.expect_end()
        assert 9 < time.monotonic() - began < 14
    server.said(r"closed websocket\.disconnect 1006 ''", since)


def test_websockets_that_came_and_went_leave_no_memory_behind(server):
    """In each way of ending; descriptors are counted when the server stops."""
    endings = [
        lambda ws: ws.finish(),
        lambda ws: ws.wire.reset(),
        lambda ws: ws.send(frame(FIN | 0x3)),
        lambda ws: ws.send(text("unread")),
    ]

    def round_of(count):
        for number in range(count):
            with opened(server, "/echo?leak", DEFLATE) as ws:
                ws.send(text("x" * 2000))
                assert ws.frame()[0] == FIN | RSV1 | TEXT
                endings[number % len(endings)](ws)

    round_of(200)
    before = server.memory()
    round_of(400)
    # A compressor alone has 200 KiB.
    assert server.memory() - before < 4 * MIB


# keepalive


@pytest.fixture(scope="module")
def lively(serve):
    return serve("sockets:app", "--ws-ping-interval", "0.5", "--ws-ping-timeout", "0.5")


def test_clients_are_pinged_and_live_on_if_they_answer(lively):
    with opened(lively) as ws:
        for _ in range(3):
            first, payload = ws.frame()
            assert first == FIN | PING
            ws.send(frame(FIN | PONG, payload))
        ws.send(text("alive"))
        assert ws.text() == "alive"
        ws.finish()


def test_anything_that_a_client_sends_is_a_sign_of_life(lively):
    """A pong cannot overtake the frame that is on its way through a slow link."""
    with opened(lively) as ws:
        message = frame(FIN | BINARY, bytes(3000))
        ws.send(message[:1000])
        for at in (1000, 2000, 2500):
            assert ws.frame()[0] == FIN | PING
            ws.send(message[at : at + 500])
        ws.send(message[1500:2000] + message[3000:])
        first = ws.frame()[0]
        assert first in (FIN | BINARY, FIN | PING)


def test_a_client_that_is_silent_after_a_ping_is_given_up(lively):
    since = lively.mark()
    with opened(lively, "/echo?silent") as ws:
        assert ws.frame()[0] == FIN | PING
        assert ws.close_code("keepalive ping timeout") == 1011
        ws.wire.expect_end()
    lively.said(r"silent websocket\.disconnect 1006 'keepalive ping timeout'", since)


def test_no_pings_are_sent_if_none_are_wanted(run):
    with (
        run("sockets:app", "--ws-ping-interval", "0") as service,
        opened(service) as ws,
    ):
        assert not ws.wire.is_readable(2.5)
        ws.finish()


def test_an_application_that_is_slow_to_receive_does_not_cost_its_client_the_connection(lively):
    """Its pong waits among what is not read."""
    since = lively.mark()
    with opened(lively, "/slow?busy") as ws:
        lively.said("busy waits", since)
        ws.send(*(frame(FIN | BINARY, b"x") for _ in range(40)))
        assert not ws.wire.is_readable(3.5)
        lively.open("busy")
        ws.send(close())
        while (first := ws.frame()[0]) == FIN | PING:
            pass
        assert first == FIN | 0x8
    lively.said("busy received 40", since)


# the server stops


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_closes_with_1012_and_tells_the_application(run, number):
    with run("sockets:app") as service, opened(service, "/echo?open") as ws:
        ws.send(text("x"))
        assert ws.text() == "x"
        service.signal(number)
        assert ws.close_code() == 1012
        service.said(r"open websocket\.disconnect 1012 ''")
        # The application has returned by now; the closing handshake is finished all the same.
        assert not ws.wire.is_readable(0.2)
        ws.send(close(1012))
        ws.wire.expect_end()
        assert service.wait() == 0
        assert "Traceback" not in service.log


def test_a_client_that_ignores_the_stop_does_not_hold_it_up(run):
    with run("sockets:app") as service, opened(service) as ws:
        ws.send(text("x"))
        assert ws.text() == "x"
        began = time.monotonic()
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert time.monotonic() - began < 6


def test_a_stop_turns_those_away_who_are_not_accepted_yet(run):
    with run("sockets:app") as service, service.connect() as wire:
        wire.send(handshake("/gone"))
        service.said("gone waits")
        service.signal(signal.SIGTERM)
        assert wire.response().status == 503
        wire.expect_end()
        service.said(r"gone websocket\.disconnect 1012 ''")
        assert service.wait() == 0


def test_messages_that_wait_at_a_stop_are_still_received(run):
    """What the application got before the end of its WebSocket is not lost with it."""
    with run("sockets:app") as service, service.connect() as wire:
        wire.send(handshake("/slow?last"))
        ws = Socket(wire, wire.response(interim=True))
        service.said("last waits")
        ws.send(frame(FIN | BINARY, bytes(1000)), frame(FIN | PING, b"read"))
        assert ws.frame() == (FIN | PONG, b"read")
        service.open("last")
        service.signal(signal.SIGTERM)
        while ws.frame()[0] in (FIN | TEXT, FIN | PING):
            pass
        ws.send(close(1012))
        service.said("last received 1000")
        assert service.wait() == 0
