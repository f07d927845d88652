"""`loop.connect_read_pipe`."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from tests.support.fds import open_fds
from tests.support.leaks import resource_warning
from tests.support.loops import turns
from tests.support.pipes import reading
from tests.support.protocols import Recorder


async def test_what_is_written_arrives_and_the_end_ends_it():
    async with reading() as (transport, protocol, end):
        end.write(b"hello")
        assert await protocol.received(5) == b"hello"
        end.close()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "data", "eof", "lost"]
        assert transport.is_closing()


async def test_an_end_of_file_closes_whatever_eof_received_answers():
    class Clinging(Recorder):
        keep_open_on_eof = True

    async with reading(Clinging()) as (_, protocol, end):
        end.close()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "eof", "lost"]


async def test_what_was_written_before_the_end_arrives_before_it():
    async with reading() as (transport, protocol, end):
        transport.pause_reading()
        size = end.fill()
        end.close()
        transport.resume_reading()
        await protocol.closed()
        assert len(protocol.data) == size
        assert protocol.events[-2:] == ["eof", "lost"]


async def test_a_large_stream_arrives_unchanged():
    payload = bytes(range(256)) * 8192
    async with reading() as (_, protocol, end):
        left = memoryview(payload)
        while left:
            try:
                left = left[end.write(left) :]
            except BlockingIOError:
                await turns(1)
        assert await protocol.received(len(payload)) == payload
        assert all(event in ("made", "data") for event in protocol.events)


async def test_each_delivery_is_a_bytes_object_of_the_exact_size():
    class Types(Recorder):
        def __init__(self):
            super().__init__()
            self.chunks = []

        def data_received(self, data):
            self.chunks.append((type(data), len(data)))
            super().data_received(data)

    async with reading(Types()) as (_, protocol, end):
        for size in (1, 4096, 65536, 3):
            seen = len(protocol.data)
            assert end.write(b"x" * size) == size
            await protocol.received(seen + size)
        assert [kind for kind, _ in protocol.chunks] == [bytes] * len(protocol.chunks)
        assert sum(size for _, size in protocol.chunks) == 1 + 4096 + 65536 + 3


async def test_nothing_arrives_while_reading_is_paused():
    async with reading() as (transport, protocol, end):
        assert transport.is_reading()
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        end.write(b"later")
        await turns(5)
        assert protocol.events == ["made"]
        transport.resume_reading()
        transport.resume_reading()
        assert await protocol.received(5) == b"later"


async def test_reading_can_be_paused_in_connection_made():
    class Pausing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    ours, theirs = os.pipe()
    os.write(theirs, b"early")
    async with reading(Pausing(), (ours, theirs)) as (transport, protocol, _):
        await turns(5)
        assert protocol.events == ["made"]
        transport.resume_reading()
        assert await protocol.received(5) == b"early"


async def test_reading_can_be_paused_in_data_received():
    class Pausing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async with reading(Pausing()) as (transport, protocol, end):
        for times in (1, 2, 3):
            end.write(b"x")
            transport.resume_reading()
            await protocol.happened("data", times)
        end.write(b"y")
        await turns(3)
        assert bytes(protocol.data) == b"xxx"


async def test_a_paused_transport_costs_nothing_when_its_writer_is_gone(loop):
    """The kernel reports a hangup for as long as a descriptor is watched at all."""
    async with reading() as (transport, protocol, end):
        transport.pause_reading()
        end.close()
        spent = time.thread_time()
        await asyncio.sleep(0.2)
        assert time.thread_time() - spent < 0.1
        assert protocol.events == ["made"]
        transport.resume_reading()
        await protocol.closed()
        assert protocol.events == ["made", "eof", "lost"]


async def test_close_calls_connection_lost_later_and_once():
    ours, theirs = os.pipe()
    async with reading(None, (ours, theirs)) as (transport, protocol, _):
        transport.close()
        transport.close()
        assert transport.is_closing()
        assert not transport.is_reading()
        assert protocol.events == ["made"]
        assert await protocol.closed() is None
        await turns(2)
        assert protocol.events == ["made", "lost"]
        with pytest.raises(BrokenPipeError):
            os.write(theirs, b"nobody reads")


async def test_pausing_and_resuming_a_closed_transport_does_nothing():
    async with reading() as (transport, protocol, _):
        transport.pause_reading()
        transport.close()
        transport.resume_reading()
        await protocol.closed()
        transport.resume_reading()
        transport.pause_reading()
        assert protocol.events == ["made", "lost"]


@pytest.mark.parametrize("where", ["connection_made", "data_received", "eof_received"])
async def test_the_protocol_may_close_in_every_callback(where):
    class Closing(Recorder):
        def closes(self, name):
            if name == where:
                self.transport.close()

        def connection_made(self, transport):
            super().connection_made(transport)
            self.closes("connection_made")

        def data_received(self, data):
            super().data_received(data)
            self.closes("data_received")

        def eof_received(self):
            self.closes("eof_received")
            return super().eof_received()

    expected = {
        "connection_made": ["made", "lost"],
        "data_received": ["made", "data", "lost"],
        "eof_received": ["made", "data", "eof", "lost"],
    }
    ours, theirs = os.pipe()
    os.write(theirs, b"x")
    async with reading(Closing(), (ours, theirs)) as (_, protocol, end):
        if where == "eof_received":
            await protocol.received(1)
            end.close()
        assert await protocol.closed() is None
        await turns(2)
        assert protocol.events == expected[where]


@pytest.mark.parametrize(
    ("where", "events"),
    [
        ("connection_made", ["made", "data", "eof", "lost"]),
        ("data_received", ["made", "data", "eof", "lost"]),
        ("eof_received", ["made", "data", "eof", "lost"]),
        ("connection_lost", ["made", "data", "eof", "lost"]),
    ],
)
async def test_an_error_in_a_callback_is_reported_and_changes_nothing(ledger, where, events):
    """Unlike a stream transport's, a pipe transport's life goes on."""

    class Broken(Recorder):
        def fails(self, name):
            if name == where:
                raise LookupError(name)

        def connection_made(self, transport):
            super().connection_made(transport)
            self.fails("connection_made")

        def data_received(self, data):
            super().data_received(data)
            self.fails("data_received")

        def eof_received(self):
            super().eof_received()
            self.fails("eof_received")

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self.fails("connection_lost")

    async with reading(Broken()) as (_, protocol, end):
        end.write(b"x")
        await protocol.received(1)
        end.close()
        assert await protocol.closed() is None
        await turns(1)
        assert protocol.events == events
        report = ledger.take_loop_error()
        assert report["message"].startswith("Exception in callback")
        assert isinstance(report["exception"], LookupError)
        report.clear()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_data_received_leaves_the_loop(loop, error):
    class Exiting(Recorder):
        def data_received(self, data):
            super().data_received(data)
            raise error

    async def life():
        async with reading(Exiting()) as (_, _, end):
            end.write(b"x")
            await asyncio.sleep(60)

    task = loop.create_task(life())
    with pytest.raises(error):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


async def test_get_extra_info_knows_the_pipe():
    async with reading() as (transport, _, _):
        assert os.fstat(transport.get_extra_info("pipe").fileno())
        assert transport.get_extra_info("socket") is None
        assert transport.get_extra_info("nothing", "default") == "default"


async def test_the_transport_is_a_read_transport():
    async with reading() as (transport, _, _):
        assert isinstance(transport, asyncio.ReadTransport)
        assert not isinstance(transport, asyncio.WriteTransport)


async def test_the_protocol_can_be_replaced():
    async with reading() as (transport, first, end):
        second = Recorder()
        assert transport.get_protocol() is first
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        end.write(b"x")
        assert await second.received(1) == b"x"
        end.close()
        await second.closed()
        assert first.events == ["made"]
        await turns(1)
        assert transport.get_protocol() is None


async def test_the_pipe_is_made_non_blocking():
    async with reading() as (transport, _, _):
        assert not os.get_blocking(transport.get_extra_info("pipe").fileno())


async def test_streams_over_a_pipe(loop):
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", 0)
    )
    os.write(theirs, b"line\nrest")
    assert await reader.readline() == b"line\n"
    os.close(theirs)
    assert await reader.read() == b"rest"
    assert transport.is_closing()
    await turns(2)


def test_an_unclosed_transport_warns_and_gives_its_descriptor_back(raw_loop_factory):
    before = open_fds()

    def abandon():
        loop = raw_loop_factory()
        ours, theirs = os.pipe()
        loop.run_until_complete(loop.connect_read_pipe(Recorder, os.fdopen(ours, "rb", 0)))
        os.close(theirs)
        loop.close()

    with resource_warning("unclosed transport"):
        abandon()
    assert open_fds() == before


async def test_repr_tells_what_the_transport_does():
    async with reading() as (transport, protocol, _):
        await turns(1)
        fd = transport.get_extra_info("pipe").fileno()
        assert f"fd={fd} polling" in repr(transport)
        transport.close()
        assert f" closing fd={fd} idle" in repr(transport)
        await protocol.closed()
        await turns(1)
        assert " closed fd=" in repr(transport)
