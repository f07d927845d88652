"""Flow control through TLS, in both directions."""

from __future__ import annotations

import pytest

from tests.support.loops import turns
from tests.support.net import shrink_buffers
from tests.support.protocols import Recorder
from tests.tls.peers import tls_connection


async def test_the_default_marks_are_asyncios():
    async with tls_connection() as (transport, _protocol, _peer):
        assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        assert transport.get_read_buffer_limits() == (64 * 1024, 256 * 1024)
        assert transport.get_write_buffer_size() == 0
        assert transport.get_read_buffer_size() == 0


async def test_the_marks_can_be_set():
    async with tls_connection() as (transport, _protocol, _peer):
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        transport.set_write_buffer_limits(low=100)
        assert transport.get_write_buffer_limits() == (100, 400)
        transport.set_read_buffer_limits(high=1000, low=10)
        assert transport.get_read_buffer_limits() == (10, 1000)
        with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be >= 0"):
            transport.set_write_buffer_limits(high=1, low=2)
        with pytest.raises(ValueError):
            transport.set_read_buffer_limits(low=-1)


async def test_a_peer_that_does_not_read_pauses_the_writer():
    async with tls_connection() as (transport, protocol, peer):
        written = 0
        while protocol.events[-1] != "pause":
            transport.write(bytes(1 << 16))
            written += 1 << 16
            await turns(1)
            assert written < 64 << 20, "never paused"
        assert transport.get_write_buffer_size() > 0
        assert await peer.recv_exactly(written)
        await protocol.happened("resume")
        assert protocol.events == ["made", "pause", "resume"]
        await turns(5)
        assert transport.get_write_buffer_size() == 0


async def test_pause_comes_before_the_writer_goes_on():
    """One callback that writes without end is told before it returns from write()."""
    async with tls_connection() as (transport, protocol, peer):
        shrink_buffers(peer.sock)
        for _ in range(600):
            transport.write(bytes(1 << 16))
            if protocol.events[-1] == "pause":
                break
        assert protocol.events[-1] == "pause"
        transport.abort()
        await protocol.closed()


async def test_a_protocol_that_pauses_gets_nothing_until_it_resumes():
    async with tls_connection() as (transport, protocol, peer):
        assert transport.is_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        await peer.send(b"wait for it")
        await turns(10)
        assert protocol.events == ["made"]
        transport.resume_reading()
        assert transport.is_reading()
        assert await protocol.received(11) == b"wait for it"


async def test_a_protocol_may_pause_in_the_middle_of_what_has_arrived():
    class Sipping(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async with tls_connection(Sipping()) as (transport, protocol, peer):
        await peer.send(b"one")
        await protocol.received(3)
        await peer.send(b"two")
        await turns(10)
        assert bytes(protocol.data) == b"one"
        transport.resume_reading()
        assert await protocol.received(6) == b"onetwo"


async def test_pausing_and_resuming_twice_is_no_error():
    async with tls_connection() as (transport, protocol, peer):
        transport.pause_reading()
        transport.pause_reading()
        transport.resume_reading()
        transport.resume_reading()
        await peer.send(b"x")
        await protocol.received(1)


@pytest.mark.limit(30)
async def test_what_a_paused_connection_holds_is_bounded():
    async with tls_connection() as (transport, protocol, peer):
        transport.pause_reading()
        peer.object.write(bytes(1 << 14))
        record = peer.outgoing.read()
        peer.sock.setblocking(False)
        sent = idle = 0
        while idle < 50:
            try:
                # The same record again and again: it is never decrypted.
                sent += peer.sock.send(record)
                idle = 0
            except BlockingIOError:
                idle += 1
            await turns(2)
        assert transport.get_read_buffer_size() <= 1 << 20
        assert sent < 32 << 20
        transport.abort()
        await protocol.closed()


async def test_an_error_in_pause_writing_is_reported_and_changes_nothing(ledger):
    class Raising(Recorder):
        def pause_writing(self):
            super().pause_writing()
            raise ZeroDivisionError("pause")

    async with tls_connection(Raising()) as (transport, protocol, _peer):
        while "pause" not in protocol.events:
            transport.write(bytes(1 << 16))
            await turns(1)
        error = ledger.take_loop_error()
        assert error["message"] == "protocol.pause_writing() failed"
        assert error["transport"] is transport
        assert not transport.is_closing()
        transport.abort()
        await protocol.closed()
