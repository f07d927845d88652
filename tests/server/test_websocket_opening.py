"""The opening handshake: who gets a WebSocket, and what the application has to say about it."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.server.frames import ACCEPT, HANDSHAKE, KEY, Socket, close, handshake, opened, text
from tests.server.wire import request


@pytest.fixture(scope="module")
def server(serve):
    return serve("sockets:app", errors_are_wanted=True)


def refused(server, *fields, method="GET", version="1.1"):
    with server.connect() as wire:
        wire.send(request(method, "/echo", *fields, version=version))
        response = wire.response(to=method)
        assert response.closes or "close" in response.header("connection")
        wire.expect_end()
        return response


# who gets one


def test_the_answer_proves_that_the_key_was_read(server):
    with opened(server) as ws:
        assert ws.answer.reason == "Switching Protocols"
        assert ws.answer.header("sec-websocket-accept") == ACCEPT
        assert ws.answer.header("upgrade").lower() == "websocket"
        assert ws.answer.header("connection").lower() == "upgrade"
        assert ws.answer.header("content-length") is None
        assert ws.answer.header("sec-websocket-protocol") is None
        assert ws.answer.header("sec-websocket-extensions") is None
        assert ws.answer.header("server") == "weft"
        ws.finish()


@pytest.mark.parametrize(
    "fields",
    [
        ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket"),
        ("Connection: UPGRADE", "Upgrade: h2c, websocket"),
        ("Connection: x", "Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"),
        ("Connection: close, Upgrade", "Upgrade: websocket"),
    ],
)
def test_upgrade_and_connection_are_lists(server, fields):
    with server.connect() as wire:
        wire.send(request("GET", "/echo", *fields, *HANDSHAKE[2:]))
        ws = Socket(wire, wire.response(interim=True))
        ws.send(text("x"))
        assert ws.text() == "x"
        ws.finish()


def test_a_version_that_is_not_spoken_is_answered_with_the_one_that_is(server):
    """RFC 6455 section 4.4, RFC 9110 section 15.5.22."""
    for version in ("8", "14", "13, 8", ""):
        fields = [*HANDSHAKE[:2], f"Sec-WebSocket-Version: {version}", HANDSHAKE[3]]
        response = refused(server, *fields)
        assert response.status == 426
        assert response.header("sec-websocket-version") == "13"
        assert response.header("upgrade") == "websocket"
        assert "upgrade" in response.header("connection")


@pytest.mark.parametrize(
    "keys",
    [[], ["x"], ["", ""], [KEY, KEY], ["dGhlIHNhbXBsZSBub25jZWU="], ["*" * 22 + "=="]],
)
def test_a_key_that_is_none_is_refused(server, keys):
    fields = [f"Sec-WebSocket-Key: {key}" for key in keys]
    response = refused(server, *HANDSHAKE[:3], *fields)
    assert response.status == 400
    assert b"Sec-WebSocket-Key" in response.body


def test_only_get_opens_a_websocket(server):
    response = refused(server, *HANDSHAKE, method="POST")
    assert (response.status, response.header("allow")) == (405, "GET")
    assert refused(server, *HANDSHAKE, "Content-Length: 3").status == 400


def test_offers_that_break_the_grammar_are_refused(server):
    assert refused(server, *HANDSHAKE, "Sec-WebSocket-Extensions: a b").status == 400
    assert refused(server, *HANDSHAKE, "Sec-WebSocket-Protocol: a, a").status == 400


def test_an_application_does_not_see_what_is_refused(server):
    since = server.mark()
    refused(server, *HANDSHAKE[:3])
    server.said(r"WARNING: +Invalid WebSocket handshake received: .*", since)
    assert "[accepted]" not in "".join(server.log.splitlines(keepends=True)[since:])


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ((), "1.1"),
        (HANDSHAKE[1:], "1.1"),  # Connection does not name Upgrade
        (("Connection: Upgrade", "Upgrade: h2c", *HANDSHAKE[2:]), "1.1"),
        (HANDSHAKE, "1.0"),  # RFC 9110 section 7.8: to be ignored in HTTP/1.0
    ],
)
def test_what_asks_for_no_websocket_is_http(server, fields, version):
    with server.connect() as wire:
        wire.send(request("GET", "/echo", *fields, version=version))
        assert wire.response().body == b"plain HTTP"


def test_a_connection_may_be_used_for_http_before(server):
    with server.connect() as wire:
        wire.send(request("GET", "/echo") + handshake("/echo") + text("pipelined"))
        assert wire.response().body == b"plain HTTP"
        ws = Socket(wire, wire.response(interim=True))
        assert ws.text() == "pipelined"
        ws.finish()


def test_frames_behind_the_handshake_are_kept(server):
    """In the same packet, and while the application has not accepted yet."""
    with server.connect() as wire:
        wire.send(handshake("/late?kept") + text("one") + text("two"))
        server.said("kept waits")
        wire.send(text("three"))
        server.open("kept")
        ws = Socket(wire, wire.response(interim=True))
        assert [ws.text() for _ in range(3)] == ["one", "two", "three"]
        ws.finish()


def test_an_application_may_accept_before_it_receives(server):
    with opened(server, "/early") as ws:
        ws.send(text("x"))
        assert ws.text() == "x"
        ws.finish()


# what the application learns, and what it answers


def test_the_scope_is_that_of_asgi(server):
    target = "/scope?a=%20b"
    fields = ("Origin: https://example.org", "Sec-WebSocket-Protocol: a, b", "X-Odd: \xfc")
    with opened(server, target, *fields) as ws:
        scope = json.loads(ws.text())
        ws.finish()
    headers = dict(scope.pop("headers"))
    assert headers["origin"] == "https://example.org"
    assert headers["sec-websocket-key"] == KEY
    assert headers["x-odd"] == "\xfc"
    host, port = server.address
    client = scope.pop("client")
    assert client[0] == "127.0.0.1" and client[1] != port
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": [host, port],
        "path": "/scope",
        "raw_path": "/scope",
        "query_string": "a=%20b",
        "root_path": "",
        "subprotocols": ["a", "b"],
        "extensions": {"websocket.http.response": {}},
    }


def test_the_application_chooses_a_subprotocol_that_is_offered(server):
    offer = "Sec-WebSocket-Protocol: chat, superchat"
    with opened(server, "/subprotocol?superchat", offer) as ws:
        assert ws.answer.header("sec-websocket-protocol") == "superchat"
        assert ws.close_code() == 1000
    with opened(server, "/subprotocol", offer) as ws:
        assert ws.answer.header("sec-websocket-protocol") is None
        assert ws.close_code() == 1000


def test_a_subprotocol_that_is_not_offered_is_an_error(server):
    """The client would have to fail the connection (RFC 6455 section 4.1)."""
    since = server.mark()
    response = denied(server, "/subprotocol?other", "Sec-WebSocket-Protocol: chat")
    assert response.status == 500
    server.said(r"RuntimeError: The client has not offered this subprotocol.*", since)


def test_headers_of_the_application_are_sent(server):
    with opened(server, "/headers") as ws:
        assert ws.answer.header("x-one") == "1"
        assert ws.answer.all("set-cookie") == ["a=b", "c=d"]
        assert ws.close_code() == 1000


@pytest.mark.parametrize("header", ["x=a+b:c", "x(y=z", "upgrade=h2c", "sec-websocket-accept=x"])
def test_headers_that_would_break_the_handshake_are_an_error(server, header):
    assert denied(server, f"/bad-header?{header}").status == 500


# what it denies


def denied(server, target, *fields):
    with server.connect() as wire:
        wire.send(handshake(target, *fields))
        response = wire.response()
        wire.half_close()
        wire.expect_end()
        return response


def test_close_before_accept_is_403(server):
    since = server.mark()
    assert denied(server, "/deny").status == 403
    server.said(r'INFO: +127\.0\.0\.1:\d+ - "WebSocket /deny" 403', since)
    server.said(r"denied websocket\.disconnect 1006 ''", since)
    server.said(r"denied ClientDisconnected", since)


def test_an_application_that_does_not_answer_has_denied(server):
    since = server.mark()
    assert denied(server, "/silent").status == 403
    server.said(r"ERROR: +ASGI callable returned without completing handshake\.", since)
    server.said(r'INFO: +\S+ - "WebSocket /silent" 403', since)


def test_an_application_that_fails_is_500(server):
    since = server.mark()
    assert denied(server, "/raise").status == 500
    server.said(r"RuntimeError: on purpose", since)
    server.said(r'INFO: +\S+ - "WebSocket /raise" 500', since)


def test_a_denial_response_is_the_applications_own(server):
    since = server.mark()
    response = denied(server, "/denial")
    assert (response.status, response.body) == (401, b"not you")
    assert response.header("x-why") == "because"
    server.said(r'INFO: +\S+ - "WebSocket /denial" 401', since)


def test_after_a_denial_response_the_connection_speaks_http(server):
    with server.connect() as wire:
        wire.send(handshake("/denial") + request("GET", "/echo"))
        assert wire.response().status == 401
        assert wire.response().body == b"plain HTTP"


def test_a_denial_response_that_was_begun_alone_is_500(server):
    assert denied(server, "/half-denial").status == 500


def test_a_client_that_leaves_before_the_answer_is_told_of(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(handshake("/gone"))
        server.said("gone waits", since)
    server.said(r"gone websocket\.disconnect 1006 ''", since)
    server.said(r"gone websocket\.accept ClientDisconnected", since)
    server.said(r"gone websocket\.close ClientDisconnected", since)


# the log, and the option


def test_an_accepted_websocket_has_its_line_in_the_log(server):
    since = server.mark()
    with opened(server, "/echo?a=b%22c") as ws:
        name = re.escape(ws.wire.name)
        server.said(rf'INFO: +{name} - "WebSocket /echo\?a=b%22c" \[accepted\]', since)
        ws.finish()


def test_without_websockets_a_request_for_one_is_http(run):
    with run("sockets:app", "--ws", "none") as service:
        with service.connect() as wire:
            wire.send(handshake("/echo"))
            assert wire.response().body == b"plain HTTP"
        service.said(r"WARNING: +Unsupported upgrade request\.")


def test_websockets_are_served_over_a_socket_file(run, tmp_path):
    path = str(tmp_path / "service.sock")
    with run("sockets:app", "--uds", path) as service:
        service.said(rf"INFO: +.*unix socket {path}.*")
        service.address = path
        with opened(service, "/scope") as ws:
            scope = json.loads(ws.text())
            assert (scope["server"], scope["client"]) == ([path, None], None)
            ws.send(close())
            assert ws.close_code() == 1000
        assert ws.wire.sock.family == socket.AF_UNIX
