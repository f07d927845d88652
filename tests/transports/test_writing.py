"""write, writelines and write_eof: what arrives, in which order, and what is refused."""

from __future__ import annotations

import array
import asyncio
import os

import pytest

from tests.support.loops import turns
from tests.support.net import fill, recv_all, recv_exactly, shrink_buffers, tcp_pair, unix_pair
from tests.support.protocols import Echo, HalfOpenRecorder, Recorder, connection


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_any_bytes_can_be_written(kind):
    async with connection() as (transport, _, peer):
        transport.write(kind(b"hello"))
        assert await peer.recv_exactly(5) == b"hello"


async def test_write_returns_nothing_and_never_waits():
    async with connection() as (transport, _, peer):
        payload = b"x" * (4 << 20)
        assert transport.write(payload) is None
        assert await peer.recv_exactly(len(payload)) == payload


@pytest.mark.parametrize("bad", ["text", 5, None, [b"list"], 1.5])
async def test_what_is_not_bytes_is_refused(bad):
    async with connection() as (transport, _, peer):
        with pytest.raises(TypeError):
            transport.write(bad)
        transport.write(b"still works")
        assert await peer.recv_exactly(11) == b"still works"


async def test_writing_nothing_sends_nothing():
    async with connection(pair=unix_pair()) as (transport, _, peer):
        transport.write(b"")
        transport.writelines([])
        transport.writelines([b"", b""])
        await turns(2)
        peer.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.sock.recv(1)


async def test_views_of_larger_items_are_written_as_their_bytes():
    async with connection() as (transport, _, peer):
        items = array.array("I", [1, 2, 3])
        transport.write(memoryview(items))
        assert await peer.recv_exactly(12) == items.tobytes()


async def test_two_writes_in_one_callback_arrive_in_order(loop):
    async with connection() as (transport, _, peer):

        def callback():
            for number in range(100):
                transport.write(b"%03d" % number)

        loop.call_soon(callback)
        expected = b"".join(b"%03d" % n for n in range(100))
        assert await peer.recv_exactly(300) == expected


async def test_what_a_callback_wrote_has_left_before_the_next_callback_runs(loop):
    """Writes may be gathered to the end of their callback, and no longer."""
    async with connection(pair=unix_pair()) as (transport, _, peer):
        peer.sock.setblocking(False)
        seen = loop.create_future()

        def writing():
            transport.write(b"head ")
            transport.write(b"body")

        loop.call_soon(writing)
        loop.call_soon(lambda: seen.set_result(peer.sock.recv(100)))
        assert await seen == b"head body"


async def test_what_a_task_step_wrote_has_left_when_the_step_is_over(loop):
    async with connection(pair=unix_pair()) as (transport, _, peer):
        peer.sock.setblocking(False)
        transport.write(b"from a task")
        await turns(1)
        assert peer.sock.recv(100) == b"from a task"


async def test_what_is_written_in_data_received_has_left_before_the_loop_waits():
    async with connection(Echo(), unix_pair()) as (_, _, peer):
        await peer.send(b"hello")
        assert await peer.recv_exactly(5) == b"hello"


async def test_writes_from_many_callbacks_keep_their_order_behind_a_full_socket(loop):
    ours, theirs = unix_pair()
    shrink_buffers(ours, theirs)
    async with connection(pair=(ours, theirs)) as (transport, _, peer):
        expected = bytearray()
        for number in range(200):
            chunk = b"%04d" % number * 100
            expected += chunk
            loop.call_soon(transport.write, chunk)
        assert await peer.recv_exactly(len(expected)) == expected


async def test_bytes_before_and_after_a_wait_arrive_in_order():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, _, peer):
        first = os.urandom(1 << 20)
        transport.write(first)
        assert transport.get_write_buffer_size() > 0
        transport.write(b"second")
        transport.writelines([b"third", b"fourth"])
        expected = first + b"secondthirdfourth"
        assert await peer.recv_exactly(len(expected)) == expected
        assert transport.get_write_buffer_size() == 0


# buffers that change after the call


async def test_a_buffer_may_be_changed_after_a_write_that_the_kernel_took():
    async with connection() as (transport, _, peer):
        data = bytearray(b"before")
        transport.write(data)
        await turns(1)
        data[:] = b"after!"
        data.extend(b"no export is left")
        assert await peer.recv_exactly(6) == b"before"


@pytest.mark.weft_only("asyncio of 3.12 and later keeps a view of the buffer and sends the change")
@pytest.mark.parametrize("how", ["write", "writelines"])
async def test_a_buffer_that_has_to_wait_is_a_snapshot(how):
    """Documented nowhere, relied upon everywhere: frameworks reuse their buffers."""
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, _, peer):
        filled = fill(ours)
        data = bytearray(b"before")
        if how == "write":
            transport.write(data)
        else:
            transport.writelines([data, memoryview(data)])
        data[:] = b"after!"
        await turns(1)
        data.extend(b"no export is left")
        await peer.recv_exactly(filled)
        expected = b"before" if how == "write" else b"beforebefore"
        assert await peer.recv_exactly(len(expected)) == expected


@pytest.mark.weft_only("with asyncio a view of the buffer would be kept")
async def test_a_buffer_changed_within_the_callback_that_wrote_it_is_a_snapshot(loop):
    """Gathering writes to the end of the callback must not show."""
    async with connection() as (transport, _, peer):
        data = bytearray(b"one")
        transport.write(data)
        data[:] = b"two"
        transport.write(data)
        data.clear()
        assert await peer.recv_exactly(6) == b"onetwo"


# writelines


async def test_writelines_joins_any_iterable_of_bytes():
    async with connection() as (transport, _, peer):
        transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")])
        transport.writelines(part for part in (b"four", b"five"))
        transport.writelines((b"six",))
        assert await peer.recv_exactly(22) == b"onetwothreefourfivesix"


async def test_writelines_of_more_parts_than_one_system_call_takes():
    async with connection() as (transport, _, peer):
        parts = [b"%05d" % n for n in range(5000)]
        transport.writelines(parts)
        assert await peer.recv_exactly(25_000) == b"".join(parts)


async def test_writelines_of_large_parts_behind_a_slow_reader():
    ours, theirs = unix_pair()
    shrink_buffers(ours, theirs)
    async with connection(pair=(ours, theirs)) as (transport, _, peer):
        parts = [os.urandom(size) for size in (1, 70_000, 3, 0, 150_000, 17)]
        transport.writelines(parts)
        transport.write(b"end")
        expected = b"".join(parts) + b"end"
        assert await peer.recv_exactly(len(expected)) == expected


# end of file


async def test_write_eof_ends_the_stream_and_reading_goes_on():
    async with connection(HalfOpenRecorder()) as (transport, protocol, peer):
        assert transport.can_write_eof() is True
        transport.write(b"last words")
        transport.write_eof()
        assert await peer.recv_all() == b"last words"
        assert not transport.is_closing()
        await peer.send(b"answer")
        assert await protocol.received(6) == b"answer"


async def test_write_eof_waits_for_what_was_written_before():
    ours, theirs = unix_pair()
    shrink_buffers(ours, theirs)
    async with connection(pair=(ours, theirs)) as (transport, _, peer):
        payload = os.urandom(200_000)
        transport.write(payload)
        assert transport.get_write_buffer_size() > 0
        transport.write_eof()
        assert await peer.recv_all() == payload


async def test_write_eof_may_be_called_again():
    async with connection() as (transport, _, peer):
        transport.write_eof()
        transport.write_eof()
        assert await peer.recv_all() == b""


async def test_write_after_write_eof_is_refused():
    async with connection() as (transport, _, _):
        transport.write_eof()
        with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
            transport.write(b"too late")
        with pytest.raises(RuntimeError, match="after write_eof"):
            transport.writelines([b"too late"])


async def test_write_eof_followed_by_close_still_sends_everything():
    async with connection() as (transport, protocol, peer):
        transport.write(b"hello")
        transport.write_eof()
        transport.close()
        assert await peer.recv_all() == b"hello"
        assert await protocol.closed() is None


# after the end


async def test_close_flushes_what_was_written():
    ours, theirs = unix_pair()
    shrink_buffers(ours, theirs)
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        payload = os.urandom(500_000)
        transport.write(payload)
        transport.close()
        assert transport.is_closing()
        assert await peer.recv_all() == payload
        assert await protocol.closed() is None


async def test_abort_drops_what_was_written():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        filled = fill(ours)
        transport.write(b"never sent")
        transport.abort()
        assert await protocol.closed() is None
        assert transport.get_write_buffer_size() == 0
        assert await peer.recv_all() == bytes(filled)


@pytest.mark.parametrize("end", ["abort", "error"])
async def test_what_a_callback_wrote_before_it_ended_the_connection_arrives(ledger, end):
    """A last answer, or TLS's alert: there was room for it when it was written."""

    class Protocol(Recorder):
        def data_received(self, data):
            self.transport.write(b"last ")
            self.transport.write(b"words")
            if end == "error":
                raise LookupError("after the answer")
            self.transport.abort()

    async with connection(Protocol(), unix_pair()) as (_, protocol, peer):
        await peer.send(b"x")
        assert await peer.recv_all() == b"last words"
        await protocol.closed()
    if end == "error":
        ledger.take_loop_error().clear()


async def test_abort_while_close_still_flushes():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, _):
        fill(ours)
        transport.write(b"never sent")
        transport.close()
        await turns(3)
        assert protocol.events == ["made"]
        transport.abort()
        await protocol.closed()
        assert protocol.events == ["made", "lost"]


async def test_writes_after_the_end_are_dropped_with_a_warning(caplog):
    async with connection() as (transport, protocol, _):
        transport.close()
        await protocol.closed()
        for _ in range(10):
            transport.write(b"to nobody")
    texts = [record.getMessage() for record in caplog.records]
    assert "socket.send() raised exception." in texts
    assert len(texts) < 10


async def test_a_single_write_after_the_end_is_dropped_in_silence(caplog):
    async with connection() as (transport, protocol, _):
        transport.close()
        await protocol.closed()
        transport.write(b"to nobody")
    assert caplog.records == []


@pytest.mark.weft_only("asyncio of 3.12 and later fails inside itself with a TypeError")
async def test_writelines_after_the_end_is_dropped_like_write(caplog):
    async with connection() as (transport, protocol, _):
        transport.close()
        await protocol.closed()
        transport.writelines([b"to", b"nobody"])
    assert caplog.records == []


@pytest.mark.weft_only("asyncio fails inside itself with an AttributeError")
async def test_abort_after_a_close_that_had_to_flush_is_harmless():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        filled = fill(ours)
        transport.write(b"flushed")
        transport.close()
        await peer.recv_exactly(filled + 7)
        await protocol.closed()
        await turns(1)
        transport.abort()
        await turns(2)
        assert protocol.events == ["made", "lost"]


async def test_writing_to_a_peer_that_left_ends_the_connection(loop):
    """A half-open transport notices only by writing."""
    ours, theirs = tcp_pair()
    async with connection(HalfOpenRecorder(), (ours, theirs)) as (transport, protocol, peer):
        peer.close()
        await protocol.happened("eof")
        while "lost" not in protocol.events:
            transport.write(b"into the void")
            await turns(1)
        assert isinstance(protocol.lost_with, (BrokenPipeError, ConnectionResetError))
        assert protocol.events == ["made", "eof", "lost"]


async def test_a_write_that_fails_is_not_raised_but_reported_to_the_protocol():
    async with connection(HalfOpenRecorder(), unix_pair()) as (transport, protocol, peer):
        transport.pause_reading()
        peer.close()
        transport.write(b"into the void")
        assert isinstance(await protocol.closed(), BrokenPipeError)


async def test_both_directions_at_once_deliver_everything():
    ours, theirs = unix_pair()
    shrink_buffers(ours, theirs)
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        out, back = os.urandom(300_000), os.urandom(300_000)
        transport.write(out)
        sending = asyncio.ensure_future(peer.send(back))
        received = await asyncio.to_thread(recv_exactly, theirs, len(out))
        await sending
        assert received == out
        assert await protocol.received(len(back)) == back
        transport.write_eof()
        assert await asyncio.to_thread(recv_all, theirs) == b""
