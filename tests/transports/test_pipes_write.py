"""`loop.connect_write_pipe`."""

from __future__ import annotations

import asyncio
import logging
import os
import time

import pytest

from tests.support.fds import open_fds
from tests.support.leaks import assert_collected, resource_warning
from tests.support.loops import turns
from tests.support.pipes import writing
from tests.support.protocols import Recorder


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_what_is_written_leaves_at_once(kind):
    async with writing() as (transport, protocol, end):
        transport.write(kind(b"hello"))
        assert end.read() == b"hello"
        assert transport.get_write_buffer_size() == 0
        assert protocol.events == ["made"]


@pytest.mark.parametrize("data", ["text", 5, None, [b"x"]])
async def test_anything_but_bytes_is_refused(data):
    async with writing() as (transport, _, end):
        # asyncio asserts; weft raises what its other transports raise.
        with pytest.raises((AssertionError, TypeError)):
            transport.write(data)
        transport.write(b"still alive")
        assert end.read() == b"still alive"


async def test_an_empty_write_does_nothing():
    async with writing() as (transport, _, end):
        transport.write(b"")
        with pytest.raises(BlockingIOError):
            end.read()


async def test_writelines_is_one_write():
    async with writing(None, os.pipe2(os.O_DIRECT)) as (transport, _, end):
        transport.writelines([b"one ", bytearray(b"two "), memoryview(b"three")])
        assert end.read() == b"one two three"


async def test_what_the_pipe_does_not_take_waits_and_arrives_in_order():
    payload = bytes(range(256)) * 2000
    async with writing() as (transport, _, end):
        transport.write(payload)
        waiting = transport.get_write_buffer_size()
        assert 0 < waiting < len(payload)
        transport.write(b"more")
        transport.write(bytearray(b"and more"))
        assert transport.get_write_buffer_size() == waiting + 12
        expected = payload + b"moreand more"
        assert await end.read_exactly(len(expected)) == expected
        await turns(2)
        assert transport.get_write_buffer_size() == 0


async def test_many_small_writes_that_wait_arrive_in_order():
    async with writing() as (transport, _, end):
        filled = end_fill(transport)
        lines = [b"%d\n" % number * 100 for number in range(2000)]
        for line in lines:
            transport.write(line)
        data = await end.read_exactly(filled + sum(map(len, lines)))
        assert data[filled:] == b"".join(lines)


def end_fill(transport):
    """Fill the pipe under a transport, so that whatever it writes waits."""
    filled = 0
    fd = transport.get_extra_info("pipe").fileno()
    try:
        while True:
            filled += os.write(fd, b"\0" * 65536)
    except BlockingIOError:
        return filled


async def test_a_mutable_buffer_may_change_after_it_was_written():
    async with writing() as (transport, _, end):
        filled = end_fill(transport)
        data = bytearray(b"before")
        transport.write(data)
        transport.write(memoryview(data))
        data[:] = b"after!"
        assert (await end.read_exactly(filled + 12))[filled:] == b"beforebefore"


async def test_the_protocol_is_paused_and_resumed():
    async with writing() as (transport, protocol, end):
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        filled = end_fill(transport)
        transport.write(b"x" * 1000)
        assert protocol.events == ["made"]
        transport.write(b"x")
        assert protocol.events == ["made", "pause"]
        await end.read_exactly(filled + 1001)
        await protocol.happened("resume")
        assert protocol.events == ["made", "pause", "resume"]


async def test_a_protocol_may_write_more_in_resume_writing():
    class Producer(Recorder):
        left = 10

        def resume_writing(self):
            super().resume_writing()
            self.produce()

        def produce(self):
            while self.left and self.events[-1] != "pause":
                self.left -= 1
                self.transport.write(b"x" * 100_000)

    async with writing(Producer()) as (_, protocol, end):
        protocol.produce()
        await end.read_exactly(1_000_000)
        await turns(3)
        pairs = protocol.events[1:]
        assert pairs == (len(pairs) // 2) * ["pause", "resume"]
        assert protocol.left == 0


@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
async def test_an_error_in_a_flow_control_callback_is_reported(ledger, callback):
    class Broken(Recorder):
        def pause_writing(self):
            self.fail("pause_writing")
            super().pause_writing()

        def resume_writing(self):
            super().resume_writing()
            self.fail("resume_writing")

        def fail(self, name):
            if name == callback:
                raise LookupError(name)

    async with writing(Broken()) as (transport, protocol, end):
        transport.set_write_buffer_limits(high=10)
        filled = end_fill(transport)
        transport.write(b"x" * 100)
        await end.read_exactly(filled + 100)
        await protocol.happened("resume")
        report = ledger.take_loop_error()
        assert report["message"] == f"protocol.{callback}() failed"
        assert isinstance(report["exception"], LookupError)
        assert report["transport"] is transport
        assert not transport.is_closing()
        report.clear()


@pytest.mark.parametrize("how", ["close", "write_eof"])
async def test_closing_lets_what_was_written_reach_the_reader(how):
    async with writing() as (transport, protocol, end):
        assert transport.can_write_eof()
        filled = end_fill(transport)
        transport.write(b"last words")
        getattr(transport, how)()
        assert transport.is_closing()
        transport.write(b"too late")
        assert protocol.events == ["made"]
        assert (await end.read_exactly(filled + 10))[filled:] == b"last words"
        assert await protocol.closed() is None
        assert end.read() == b""
        assert protocol.events == ["made", "lost"]


@pytest.mark.parametrize("how", ["close", "write_eof"])
async def test_closing_an_idle_transport_calls_connection_lost_later_and_once(how):
    async with writing() as (transport, protocol, end):
        for _ in range(2):
            getattr(transport, how)()
        assert protocol.events == ["made"]
        assert await protocol.closed() is None
        transport.close()
        await turns(2)
        assert protocol.events == ["made", "lost"]
        assert end.read() == b""


async def test_abort_throws_away_what_waits():
    async with writing() as (transport, protocol, end):
        filled = end_fill(transport)
        transport.write(b"x" * 1000)
        transport.abort()
        assert transport.is_closing()
        assert transport.get_write_buffer_size() == 0
        assert await protocol.closed() is None
        assert len(await end.read_exactly(filled)) == filled
        assert end.read() == b""
        assert protocol.events == ["made", "lost"]


async def test_a_reader_that_goes_ends_an_idle_transport():
    async with writing() as (transport, protocol, end):
        end.close()
        assert await protocol.closed() is None
        assert transport.is_closing()
        assert protocol.events == ["made", "lost"]


async def test_a_reader_that_goes_while_data_waits_is_a_broken_pipe():
    async with writing() as (transport, protocol, end):
        end_fill(transport)
        transport.write(b"unread")
        end.close()
        error = await protocol.closed()
        assert isinstance(error, BrokenPipeError)
        assert transport.get_write_buffer_size() == 0


async def test_a_reader_that_goes_while_closing_is_a_broken_pipe():
    async with writing() as (transport, protocol, end):
        end_fill(transport)
        transport.write(b"unread")
        transport.close()
        end.close()
        assert isinstance(await protocol.closed(), BrokenPipeError)


async def test_a_write_into_a_broken_pipe_ends_the_transport_quietly():
    """The write is faster than the loop's notice."""
    async with writing() as (transport, protocol, end):
        end.close()
        transport.write(b"x")
        assert transport.is_closing()
        assert protocol.events == ["made"]
        assert isinstance(await protocol.closed(), BrokenPipeError)
        assert protocol.events == ["made", "lost"]


async def test_many_writes_into_a_lost_pipe_are_warned_of(caplog):
    async with writing() as (transport, protocol, end):
        end.close()
        await protocol.closed()
        with caplog.at_level(logging.WARNING, "asyncio"):
            for _ in range(5):
                transport.write(b"x")
            assert not caplog.records
            transport.write(b"x")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "pipe closed by peer" in caplog.text


async def test_a_broken_pipe_costs_nothing_while_it_is_unclosed():
    async with writing() as (_, protocol, end):
        end.close()
        await protocol.closed()
        spent = time.thread_time()
        await asyncio.sleep(0.2)
        assert time.thread_time() - spent < 0.1


@pytest.mark.parametrize("error", [LookupError, SystemExit])
def test_an_error_in_connection_lost_closes_the_pipe_all_the_same(loop, ledger, error):
    class Broken(Recorder):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise error

    async def life():
        async with writing(Broken()) as (transport, protocol, end):
            transport.close()
            await protocol.closed()
            assert end.read() == b""

    task = loop.create_task(life())
    if error is SystemExit:
        with pytest.raises(SystemExit):
            loop.run_until_complete(task)
    loop.run_until_complete(task)
    for report in ledger.take_loop_errors():
        assert isinstance(report["exception"], LookupError)
        report.clear()


async def test_get_extra_info_knows_the_pipe():
    async with writing() as (transport, _, _):
        assert os.fstat(transport.get_extra_info("pipe").fileno())
        assert transport.get_extra_info("nothing", "default") == "default"


async def test_the_transport_is_a_write_transport():
    async with writing() as (transport, protocol, _):
        assert isinstance(transport, asyncio.WriteTransport)
        assert transport.get_protocol() is protocol


async def test_streams_over_a_pipe(loop):
    async def drained(writer, count):
        for _ in range(count):
            writer.write(b"x" * 50_000)
            await writer.drain()

    theirs, ours = os.pipe()
    os.set_blocking(theirs, False)
    protocol = asyncio.streams.FlowControlMixin()
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(ours, "wb", 0))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    sending = asyncio.ensure_future(drained(writer, 20))
    arrived = 0
    while arrived < 1_000_000:
        try:
            arrived += len(os.read(theirs, 1 << 20))
        except BlockingIOError:
            await turns(1)
    await sending
    writer.close()
    await turns(2)
    assert os.read(theirs, 1) == b""
    os.close(theirs)


def test_an_unclosed_transport_warns_and_gives_its_descriptor_back(raw_loop_factory):
    before = open_fds()

    def abandon():
        loop = raw_loop_factory()
        theirs, ours = os.pipe()
        loop.run_until_complete(loop.connect_write_pipe(Recorder, os.fdopen(ours, "wb", 0)))
        os.close(theirs)
        loop.close()

    with resource_warning("unclosed transport"):
        abandon()
    assert open_fds() == before


def test_a_closed_transport_in_a_cycle_with_its_protocol_is_collected(loop):
    async def life():
        async with writing() as (transport, protocol, _):
            transport.write(b"x")
            transport.close()
            await protocol.closed()
            await turns(1)
            assert protocol.transport is transport
            return transport, protocol

    assert_collected(lambda: loop.run_until_complete(life()))


@pytest.mark.weft_only("asyncio's call_soon refuses: the pipe stays open until it is collected")
def test_a_transport_closed_after_its_loop_closes_its_pipe(loop_factory):
    loop = loop_factory()
    theirs, ours = os.pipe()
    transport, protocol = loop.run_until_complete(
        loop.connect_write_pipe(Recorder, os.fdopen(ours, "wb", 0))
    )
    loop.close()
    transport.close()
    assert os.read(theirs, 1) == b""
    assert protocol.events == ["made"]
    os.close(theirs)


async def test_repr_tells_what_the_transport_does():
    async with writing() as (transport, protocol, _):
        fd = transport.get_extra_info("pipe").fileno()
        assert f"fd={fd} idle bufsize=0" in repr(transport)
        end_fill(transport)
        transport.write(b"x" * 10)
        assert f"fd={fd} polling bufsize=10" in repr(transport)
        transport.abort()
        await protocol.closed()
        await turns(1)
        assert " closed fd=" in repr(transport)
