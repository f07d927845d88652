"""BufferedProtocol: reading straight into memory that the protocol lends."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.support.loops import turns
from tests.support.net import reset
from tests.support.protocols import BufferedRecorder, HalfOpenRecorder, Recorder, connection


async def test_data_is_read_into_the_buffer_of_the_protocol():
    async with connection(BufferedRecorder()) as (_, protocol, peer):
        await peer.send(b"hello")
        assert await protocol.received(5) == b"hello"
        assert protocol.buffer[:5] == b"hello"
        assert protocol.events == ["made", "updated"]


async def test_no_more_is_read_than_the_buffer_holds():
    async with connection(BufferedRecorder(7)) as (_, protocol, peer):
        payload = bytes(range(100))
        await peer.send(payload)
        assert await protocol.received(100) == payload
        assert max(protocol.updates) <= 7
        assert sum(protocol.updates) == 100


async def test_a_buffer_is_asked_for_before_each_read():
    async with connection(BufferedRecorder(1)) as (_, protocol, peer):
        await peer.send(b"12345")
        await protocol.received(5)
        assert protocol.updates == [1, 1, 1, 1, 1]
        assert len(protocol.hints) >= 5


async def test_the_size_hint_is_an_integer():
    async with connection(BufferedRecorder()) as (_, protocol, peer):
        await peer.send(b"x")
        await protocol.received(1)
        assert all(type(hint) is int for hint in protocol.hints)


async def test_a_megabyte_passes_through_a_small_buffer():
    async with connection(BufferedRecorder(4096)) as (_, protocol, peer):
        payload = os.urandom(1 << 20)
        await peer.send(payload)
        assert await protocol.received(len(payload)) == payload


@pytest.mark.parametrize("kind", [bytearray, lambda size: memoryview(bytearray(size))])
async def test_bytearrays_and_memoryviews_can_be_lent(kind):
    class Protocol(BufferedRecorder):
        def get_buffer(self, sizehint):
            self.buffer = kind(100)
            return self.buffer

    async with connection(Protocol()) as (_, protocol, peer):
        await peer.send(b"hello")
        assert await protocol.received(5) == b"hello"


async def test_part_of_a_larger_buffer_can_be_lent():
    class Protocol(BufferedRecorder):
        position = 0

        def get_buffer(self, sizehint):
            return memoryview(self.buffer)[self.position :]

        def buffer_updated(self, nbytes):
            self.data += self.buffer[self.position : self.position + nbytes]
            self.position += nbytes
            self.note("updated")

    async with connection(Protocol(1000)) as (_, protocol, peer):
        for chunk, total in ((b"one", 3), (b"two", 6), (b"three", 11)):
            await peer.send(chunk)
            await protocol.received(total)
        assert protocol.buffer[:11] == b"onetwothree"


async def test_the_buffer_is_released_after_the_read():
    """It can be resized between two reads, so no view of it may be kept."""
    async with connection(BufferedRecorder()) as (_, protocol, peer):
        await peer.send(b"x")
        await protocol.received(1)
        protocol.buffer.extend(bytes(1000))
        protocol.buffer.clear()
        protocol.buffer.extend(bytes(10))
        await peer.send(b"y")
        assert await protocol.received(2) == b"xy"


async def test_an_empty_buffer_is_a_fatal_error(ledger):
    async with connection(BufferedRecorder(0)) as (transport, protocol, peer):
        await peer.send(b"x")
        lost_with = await protocol.closed()
        assert isinstance(lost_with, RuntimeError)
        assert str(lost_with) == "get_buffer() returned an empty buffer"
        report = ledger.take_loop_error()
        assert report["message"] == "Fatal error: protocol.get_buffer() call failed."
        assert report["exception"] is lost_with
        assert report["transport"] is transport
        assert report["protocol"] is protocol
        report.clear()


@pytest.mark.parametrize("bad", [None, b"read-only", "text", 17])
async def test_what_is_no_writable_buffer_is_a_fatal_error(ledger, bad):
    class Protocol(BufferedRecorder):
        def get_buffer(self, sizehint):
            return bad

    async with connection(Protocol()) as (_, protocol, peer):
        await peer.send(b"x")
        assert isinstance(await protocol.closed(), (TypeError, BufferError))
        assert ledger.take_loop_error()["message"].startswith("Fatal ")


@pytest.mark.parametrize("callback", ["get_buffer", "buffer_updated"])
async def test_an_error_in_a_callback_is_a_fatal_error(ledger, callback):
    class Protocol(BufferedRecorder):
        def get_buffer(self, sizehint):
            self.fail("get_buffer")
            return super().get_buffer(sizehint)

        def buffer_updated(self, nbytes):
            self.fail("buffer_updated")

        def fail(self, name):
            if name == callback:
                raise LookupError(name)

    async with connection(Protocol()) as (_, protocol, peer):
        await peer.send(b"x")
        assert isinstance(await protocol.closed(), LookupError)
        report = ledger.take_loop_error()
        assert report["message"] == f"Fatal error: protocol.{callback}() call failed."
        report.clear()


async def test_end_of_file_and_reset_reach_a_buffered_protocol():
    async with connection(BufferedRecorder()) as (_, protocol, peer):
        peer.close()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "eof", "lost"]
    async with connection(BufferedRecorder()) as (_, protocol, peer):
        reset(peer.sock)
        assert isinstance(await protocol.closed(), ConnectionResetError)


async def test_the_protocol_may_close_in_buffer_updated():
    class Protocol(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.close()

    async with connection(Protocol(1)) as (_, protocol, peer):
        await peer.send(b"123")
        await protocol.closed()
        assert protocol.events == ["made", "updated", "lost"]


# changing protocols


async def switched(transport, old, new):
    transport.set_protocol(new)
    assert transport.get_protocol() is new
    new.transport = transport
    await turns(1)
    return old


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Recorder, BufferedRecorder),
        (BufferedRecorder, Recorder),
        (Recorder, Recorder),
        (BufferedRecorder, BufferedRecorder),
    ],
    ids=["to buffered", "to streaming", "streaming", "buffered"],
)
async def test_the_protocol_can_be_changed_in_the_middle_of_the_stream(first, second):
    async with connection(first()) as (transport, old, peer):
        await peer.send(b"for the first")
        await old.received(13)
        new = second()
        await switched(transport, old, new)
        await peer.send(b"for the second")
        assert await new.received(14) == b"for the second"
        peer.close()
        await new.closed()
        assert old.data == b"for the first"
        assert old.events[-1] in ("data", "updated")
        assert new.events[-2:] == ["eof", "lost"]
        assert "made" not in new.events


async def test_the_protocol_can_be_changed_inside_its_own_callback():
    """How upgrades work: the first bytes decide who reads the rest."""
    new = BufferedRecorder(10)

    class Upgrading(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.set_protocol(new)

    async with connection(Upgrading()) as (_, old, peer):
        await peer.send(b"upgrade")
        await old.received(7)
        await peer.send(b"the rest of the stream")
        assert await new.received(22) == b"the rest of the stream"
        assert old.data == b"upgrade"


async def test_the_protocol_can_be_changed_while_reading_is_paused():
    async with connection() as (transport, old, peer):
        transport.pause_reading()
        new = BufferedRecorder()
        await switched(transport, old, new)
        assert not transport.is_reading()
        await peer.send(b"hello")
        transport.resume_reading()
        assert await new.received(5) == b"hello"


async def test_get_protocol_returns_the_protocol_it_was_made_with():
    async with connection() as (transport, protocol, _):
        assert transport.get_protocol() is protocol


async def test_flow_control_speaks_to_the_new_protocol():
    async with connection(HalfOpenRecorder()) as (transport, old, peer):
        new = Recorder()
        await switched(transport, old, new)
        transport.set_write_buffer_limits(high=1000)
        sending = asyncio.ensure_future(peer.recv_exactly(8 << 20))
        transport.write(bytes(8 << 20))
        await sending
        await turns(2)
        assert old.events == ["made"]
        assert new.events == ["pause", "resume"]
