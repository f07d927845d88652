"""Messages both ways: fragments, faults, limits, and who waits for whom."""

from __future__ import annotations

import socket
import sys
import zlib

import pytest

from tests.server.frames import (
    BINARY,
    CONTINUES,
    DEFLATE,
    FIN,
    PING,
    PONG,
    RSV1,
    RSV2,
    TEXT,
    close,
    frame,
    opened,
    text,
)
from tests.server.service import MIB
from tests.server.wire import LIMIT


@pytest.fixture(scope="module")
def server(serve):
    return serve("sockets:app", "--ws-max-size", str(MIB))


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 500_000])
def test_messages_of_every_length_come_back(server, length):
    payload = bytes(range(256)) * (length // 256 + 1)
    with opened(server) as ws:
        ws.send(frame(FIN | BINARY, payload[:length]))
        assert ws.frame() == (FIN | BINARY, payload[:length])
        ws.finish()


def test_text_comes_back_as_text(server):
    with opened(server) as ws:
        for word in ("", "plain", "Grüße 日本 🧵", "\0"):
            ws.send(text(word))
            assert ws.text() == word
        ws.finish()


def test_fragments_are_one_message_with_pings_between(server):
    with opened(server) as ws:
        ws.send(
            frame(TEXT, b"fr\xc3"),
            frame(FIN | PING, b"p"),
            frame(CONTINUES, b"\xbc"),
            frame(FIN | CONTINUES, b"h"),
        )
        assert ws.frame() == (FIN | PONG, b"p")
        assert ws.text() == "früh"
        ws.finish()


def test_a_message_that_comes_byte_by_byte_is_one(server):
    with opened(server) as ws:
        for byte in text("slow ß"):
            ws.send(bytes([byte]))
        assert ws.text() == "slow ß"
        ws.finish()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(FIN | TEXT, b"x", mask=None), 1002),
        (frame(FIN | RSV1 | TEXT, b"x"), 1002),
        (frame(FIN | RSV2 | TEXT, b"x"), 1002),
        (frame(FIN | 0x3), 1002),
        (frame(FIN | 0xB), 1002),
        (frame(PING), 1002),
        (frame(FIN | PING, bytes(126)), 1002),
        (frame(FIN | CONTINUES, b"x"), 1002),
        (frame(TEXT, b"x") + text("y"), 1002),
        (b"\x82\xfe\x00\x05\0\0\0\0hello", 1002),
        (b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002),
        (frame(FIN | 0x8, b"\x03"), 1002),
        (close(1005), 1002),
        (frame(FIN | 0x8, b"\x03\xe8\xff"), 1007),
        (frame(FIN | TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xed\xa0"), 1007),
        (frame(FIN | BINARY, bytes(MIB + 1)), 1009),
        (frame(BINARY, bytes(MIB)) + frame(FIN | CONTINUES, b"x"), 1009),
    ],
)
def test_a_fault_ends_the_connection_with_its_code(server, frames, code):
    since = server.mark()
    with opened(server, "/echo?fault") as ws:
        ws.send(frames)
        assert ws.close_code() == code
        ws.wire.expect_end()
    server.said(r"WARNING: +Invalid WebSocket frame received: .*", since)
    server.said(rf"fault websocket\.disconnect {code} '.+'", since)


def test_messages_before_a_fault_reach_the_application(server):
    since = server.mark()
    with opened(server, "/echo?before") as ws:
        ws.send(text("one"), text("two"), frame(FIN | 0x3), text("three"))
        assert [ws.text(), ws.text()] == ["one", "two"]
        assert ws.close_code() == 1002
    server.said(r"before websocket\.disconnect 1002 'unknown opcode'", since)


def test_a_fault_does_not_wait_for_an_application_for_ever(server):
    since = server.mark()
    with opened(server, "/slow?stuck") as ws:
        server.said("stuck waits", since)
        ws.wire.sock.settimeout(20)
        ws.send(frame(FIN | BINARY, b"one"), frame(FIN | 0x3))
        assert ws.close_code() == 1002
    server.open("stuck")
    server.said("stuck received 3", since)


# compression


def test_compression_is_agreed_and_used_both_ways(server):
    with opened(server, "/echo", DEFLATE) as ws:
        agreed = ws.answer.header("sec-websocket-extensions")
        assert agreed == (
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
        )
        sending, receiving = zlib.compressobj(wbits=-12), zlib.decompressobj(wbits=-12)
        lengths = []
        for number in range(3):
            message = b"%d " % number + b"the same words all over " * 100
            data = sending.compress(message) + sending.flush(zlib.Z_SYNC_FLUSH)
            ws.send(frame(FIN | RSV1 | TEXT, data[:-4]))
            first, payload = ws.frame()
            assert first == FIN | RSV1 | TEXT
            assert receiving.decompress(payload + b"\0\0\xff\xff") == message
            lengths.append(len(payload))
        # The window of the message before makes the next one small.
        assert lengths[1] < lengths[0]
        ws.finish()


def test_a_bomb_stops_at_the_limit(server):
    since = server.mark()
    with opened(server, "/echo?bomb", DEFLATE) as ws:
        before = server.memory()
        data = zlib.compress(bytes(256 * MIB), wbits=-12)
        ws.send(frame(FIN | RSV1 | BINARY, data))
        assert ws.close_code() == 1009
        ws.wire.expect_end(reset_is_fine=True)
    server.said(r"bomb websocket\.disconnect 1009 'message is too big'", since)
    assert server.memory() - before < 16 * MIB


def test_compression_can_be_turned_off(run):
    with (
        run("sockets:app", "--ws-per-message-deflate", "false") as service,
        opened(service, "/echo", DEFLATE) as ws,
    ):
        assert ws.answer.header("sec-websocket-extensions") is None
        ws.send(frame(FIN | RSV1 | TEXT, b"x"))
        assert ws.close_code() == 1002


# pings


def test_every_ping_is_answered_in_order(server):
    with opened(server) as ws:
        payloads = [b"%d" % number for number in range(10)] + [b"", bytes(125)]
        ws.send(*(frame(FIN | PING, payload) for payload in payloads))
        for payload in payloads:
            assert ws.frame() == (FIN | PONG, payload)
        ws.finish()


def test_a_pong_that_nobody_asked_for_is_ignored(server):
    with opened(server) as ws:
        ws.send(frame(FIN | PONG, b"hello"), text("x"))
        assert ws.text() == "x"
        ws.finish()


def test_a_flood_of_pings_that_reads_no_pong_costs_no_memory(server):
    flood = frame(FIN | PING, bytes(125)) * 8000  # one megabyte
    with opened(server, receive_buffer=4096) as ws:
        before = server.memory()
        for _ in range(32):
            ws.send(flood)
        assert server.memory() - before < 8 * MIB


# who waits for whom


def test_the_messages_of_one_callback_leave_together(server):
    with opened(server, "/burst?1000") as ws:
        assert [ws.text() for _ in range(1000)] == [str(number) for number in range(1000)]
        information = ws.wire.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        # tcpi_segs_in of struct tcp_info (linux/tcp.h).
        assert int.from_bytes(information[140:144], sys.byteorder) < 20


def test_send_waits_for_a_client_that_does_not_read(server):
    since = server.mark()
    with opened(server, "/flood?flood", receive_buffer=4096) as ws:
        sent = int(server.said(r"flood waits after (\d+)", since)[1])
        # What the kernel and one high-water mark hold, and no more.
        assert sent < 200
        server.open("flood")
        for _ in range(sent):
            assert ws.frame() == (FIN | BINARY, bytes(65536))
        server.said("flood goes on", since)
        assert ws.close_code() == 1000


def test_a_client_waits_for_an_application_that_does_not_receive(server):
    """32 messages wait at most: what is behind them stays in the kernel, and then at the client."""
    since = server.mark()
    message = frame(FIN | BINARY, bytes(100_000))
    with opened(server, "/slow?slow") as ws:
        server.said("slow waits", since)
        before, sent, offered = server.memory(), 0, message * 400
        ws.wire.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            while sent < len(offered):
                sent += ws.wire.sock.send(offered[sent : sent + 65536])
        assert sent < 30 * MIB
        assert server.memory() - before < 8 * MIB
        ws.wire.sock.settimeout(LIMIT)
        server.open("slow")
        ws.send(offered[sent:])
        ws.send(close())
        assert ws.close_code() == 1000
    server.said(rf"slow received {400 * 100_000}", since)


def test_text_and_bytes_are_told_apart_by_their_keys(server):
    with opened(server, "/kinds") as ws:
        words = [ws.frame() for _ in range(7)]
        assert words == [
            (FIN | TEXT, b"t"),
            (FIN | BINARY, b"b"),
            (FIN | BINARY, b"a"),
            (FIN | BINARY, b"m"),
            (FIN | TEXT, b"t"),
            (FIN | BINARY, b""),
            (FIN | TEXT, b""),
        ]
        errors = [ws.text() for _ in range(8)]
        kinds = [error.partition(":")[0] for error in errors]
        assert kinds == [
            "RuntimeError",
            "RuntimeError",
            "TypeError",
            "TypeError",
            "UnicodeEncodeError",
            "RuntimeError",
            "RuntimeError",
            "KeyError",
        ]
        assert "'websocket.send' or 'websocket.close'" in errors[5]
        assert ws.close_code() == 1000
