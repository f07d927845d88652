"""The end of a TLS connection: close_notify both ways, and all the ways without it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from asyncio.sslproto import SSLProtocol

import pytest

from tests.support.loops import turns
from tests.support.protocols import HalfOpenRecorder, Recorder
from tests.tls.peers import handshaking, tls_connection

ENDS = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])


@ENDS
async def test_close_exchanges_close_notify(server_side):
    async with tls_connection(server_side=server_side) as (transport, protocol, peer):
        transport.write(b"last words")
        transport.close()
        assert transport.is_closing()
        assert await peer.recv_all() == b"last words"
        assert protocol.events == ["made"]  # until the peer has agreed
        await peer.notify_closed()
        assert await protocol.closed() is None
        assert not await peer.fill()
        assert protocol.events == ["made", "eof", "lost"]


@ENDS
async def test_the_peers_close_notify_is_answered(server_side):
    async with tls_connection(server_side=server_side) as (transport, protocol, peer):
        await peer.send(b"bye")
        await peer.notify_closed()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "data", "eof", "lost"]
        assert transport.is_closing()
        assert await peer.recv_all() == b""
        peer.object.unwrap()  # the answer has come


async def test_what_was_written_is_sent_before_the_answer_to_close_notify():
    async with tls_connection() as (transport, protocol, peer):
        for _ in range(40):
            transport.write(bytes(1 << 16))
        await peer.notify_closed()
        assert len(await peer.recv_all()) == 40 << 16
        assert await protocol.closed() is None


async def test_an_end_without_close_notify_closes_too():
    async with tls_connection() as (_transport, protocol, peer):
        await peer.send(b"bye")
        peer.end()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "data", "eof", "lost"]


async def test_a_reset_is_the_protocols_error():
    async with tls_connection() as (transport, protocol, peer):
        peer.reset()
        assert isinstance(await protocol.closed(), ConnectionResetError)
        assert protocol.events == ["made", "lost"]
        assert transport.is_closing()


async def test_a_reset_is_noticed_while_reading_is_paused():
    async with tls_connection() as (transport, protocol, peer):
        transport.pause_reading()
        peer.reset()
        assert isinstance(await protocol.closed(), ConnectionResetError)


async def test_data_before_the_end_waits_for_a_paused_protocol():
    async with tls_connection() as (transport, protocol, peer):
        transport.pause_reading()
        await peer.send(b"unread")
        peer.end()
        await turns(10)
        assert protocol.events == ["made"]
        transport.resume_reading()
        assert await protocol.closed() is None
        assert bytes(protocol.data) == b"unread"
        assert protocol.events == ["made", "data", "eof", "lost"]


async def test_data_and_close_notify_wait_for_a_paused_protocol():
    async with tls_connection() as (transport, protocol, peer):
        transport.pause_reading()
        await peer.send(b"unread")
        await peer.notify_closed()
        await turns(10)
        assert protocol.events == ["made"]
        transport.resume_reading()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "data", "eof", "lost"]


async def test_abort_drops_what_is_written_and_says_nothing():
    async with tls_connection() as (transport, protocol, peer):
        transport.write(bytes(1 << 22))
        transport.abort()
        assert transport.is_closing()
        assert await protocol.closed() is None
        assert protocol.events[-1] == "lost"
        assert "eof" not in protocol.events
        with contextlib.suppress(ConnectionError):
            assert len(await peer.recv_all()) < 1 << 22


async def test_a_peer_that_never_answers_runs_into_the_shutdown_limit():
    async with tls_connection(ssl_shutdown_timeout=0.02) as (transport, protocol, peer):
        transport.close()
        error = await protocol.closed()
        assert isinstance(error, TimeoutError)
        assert str(error) == "SSL shutdown timed out"
        assert await peer.recv_all() == b""


@pytest.mark.parametrize("close", [True, False], ids=["after close", "by itself"])
async def test_a_peer_that_ends_and_does_not_read_runs_into_the_shutdown_limit(engine, close):
    if engine == "memorybio" and not hasattr(SSLProtocol, "_is_transport_closing"):
        pytest.skip("CPython ends the limit before the connection until 3.14")
    async with tls_connection(ssl_shutdown_timeout=0.02) as (transport, protocol, peer):
        while "pause" not in protocol.events:
            transport.write(bytes(1 << 20))
            await turns(1)
        if close:
            transport.close()
        peer.end()
        assert isinstance(await protocol.closed(), TimeoutError)


async def test_data_after_close_is_an_error_as_in_asyncio():
    async with tls_connection() as (transport, protocol, peer):
        transport.close()
        await peer.fill()
        await peer.send(b"too late")
        error = await protocol.closed()
        assert isinstance(error, ssl.SSLError)
        assert error.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
        assert bytes(protocol.data) == b""


async def test_corrupt_records_end_the_connection_with_the_interpreters_error(ledger):
    async with tls_connection() as (_transport, protocol, peer):
        peer.object.write(b"some data")
        record = bytearray(peer.outgoing.read())
        record[-1] ^= 1
        await asyncio.get_running_loop().sock_sendall(peer.sock, record)
        error = await protocol.closed()
        assert type(error) is ssl.SSLError
        # The second is how OpenSSL calls it since 3.2.
        assert error.reason in ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "RECORD_LAYER_FAILURE")
        assert error.library == "SSL"
        assert str(error).startswith(f"[SSL: {error.reason}]")
        assert protocol.events == ["made", "lost"]
    assert ledger.take_loop_errors() == []


async def test_an_alert_ends_the_connection_with_its_name():
    async with tls_connection() as (_transport, protocol, peer):
        garbage = b"\x17\x03\x03\x00\x20" + bytes(32)
        peer.incoming.write(garbage)
        with pytest.raises(ssl.SSLError):
            peer.object.read(1)
        await peer.flush()  # the alert
        error = await protocol.closed()
        assert isinstance(error, ssl.SSLError)
        assert error.reason == "SSLV3_ALERT_BAD_RECORD_MAC"


@pytest.mark.parametrize("method", ["close", "abort"])
async def test_a_protocol_may_end_the_connection_from_data_received(method):
    class Ending(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b"answer")
            getattr(self.transport, method)()
            self.transport.write(b"never sent")

    async with tls_connection(Ending()) as (_transport, protocol, peer):
        await peer.send(b"x" * 100_000)
        with contextlib.suppress(ConnectionError):
            answer = await peer.recv_all()
            assert answer in (b"answer", b"")
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await peer.notify_closed()
        await protocol.closed()
        assert protocol.events.count("lost") == 1


async def test_close_during_the_handshake_gives_up():
    async with handshaking(server_side=True) as (task, protocol, peer):
        await turns(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await peer.fill()
        assert protocol.events == []


async def test_the_answer_of_eof_received_changes_nothing(caplog):
    async with tls_connection(HalfOpenRecorder()) as (_transport, protocol, peer):
        await peer.notify_closed()
        assert await protocol.closed() is None
    assert "returning true from eof_received() has no effect when using ssl" in caplog.text


async def test_eof_received_that_raises_is_reported(ledger):
    class Raising(Recorder):
        def eof_received(self):
            super().eof_received()
            raise ZeroDivisionError("eof")

    async with tls_connection(Raising()) as (_transport, protocol, peer):
        await peer.notify_closed()
        assert isinstance(await protocol.closed(), ZeroDivisionError)
    error = ledger.take_loop_error()
    assert error["message"] == "Error calling eof_received()"
    assert isinstance(error["exception"], ZeroDivisionError)


async def test_connection_lost_that_raises_is_reported(ledger):
    class Raising(Recorder):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise ZeroDivisionError("lost")

    async with tls_connection(Raising()) as (transport, protocol, _peer):
        transport.abort()
        await protocol.closed()
    assert "Exception in callback" in ledger.take_loop_error()["message"]


async def test_writes_to_a_lost_connection_go_nowhere_and_are_logged(caplog):
    async with tls_connection() as (transport, protocol, _peer):
        transport.abort()
        await protocol.closed()
        for _ in range(10):
            transport.write(b"into the void")
    warnings = [record.getMessage() for record in caplog.records]
    assert set(warnings) == {"SSL connection is closed"}
    assert 1 <= len(warnings) < 10


async def test_closing_again_changes_nothing():
    async with tls_connection() as (transport, protocol, peer):
        transport.close()
        transport.close()
        await peer.recv_all()
        await peer.notify_closed()
        assert await protocol.closed() is None
        transport.close()
        assert transport.is_closing()
        assert protocol.events.count("lost") == 1


async def test_abort_after_close_does_not_wait_for_the_peer():
    async with tls_connection() as (transport, protocol, _peer):
        transport.close()
        await turns(2)
        transport.abort()
        assert await protocol.closed() is None
