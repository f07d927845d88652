"""asyncio's streams over the transports of the loop under test."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from tests.support.loops import turns
from tests.support.net import HOST, Peer, echo_server, fill, reset, tcp_pair, unix_pair


@contextlib.asynccontextmanager
async def streams(pair=None, **options):
    """A reader and a writer over one end of a pair, and the peer."""
    ours, theirs = pair or tcp_pair()
    with Peer(theirs) as peer:
        reader, writer = await asyncio.open_connection(sock=ours, **options)
        try:
            yield reader, writer, peer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def stream_server(handler):
    """A server that runs the handler for each client and waits for all of them."""
    done = []

    async def handle(reader, writer):
        task = asyncio.current_task()
        done.append(task)
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, HOST, 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        await asyncio.gather(*done, return_exceptions=True)
        await turns(3)
        await server.wait_closed()


async def test_open_connection_reaches_a_server():
    with echo_server() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"hello\n")
        await writer.drain()
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


async def test_start_server_runs_a_handler_for_each_client():
    async def shout(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()

    async with stream_server(shout) as address:

        async def client(number):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"line %d\n" % number)
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return answer

        answers = await asyncio.gather(*[client(n) for n in range(20)])
    assert answers == [b"LINE %d\n" % n for n in range(20)]


async def test_the_ways_of_reading():
    async with streams() as (reader, _, peer):
        await peer.send(b"line one\nline two\nexactly;rest and the end")
        assert await reader.readline() == b"line one\n"
        assert await reader.readuntil(b"two\n") == b"line two\n"
        assert await reader.readexactly(7) == b"exactly"
        assert await reader.readuntil(b";") == b";"
        peer.close()
        assert await reader.read(4) == b"rest"
        assert await reader.read() == b" and the end"
        assert reader.at_eof()
        assert await reader.read(1) == b""


async def test_iterating_over_lines():
    async with streams() as (reader, _, peer):
        await peer.send(b"one\ntwo\nthree")
        peer.close()
        assert [line async for line in reader] == [b"one\n", b"two\n", b"three"]


async def test_an_incomplete_read_tells_what_there_was():
    async with streams() as (reader, _, peer):
        await peer.send(b"abc")
        peer.close()
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readexactly(5)
        assert caught.value.partial == b"abc"
        assert caught.value.expected == 5


async def test_a_line_over_the_limit_is_an_error():
    async with streams(limit=10) as (reader, _, peer):
        await peer.send(b"x" * 100 + b"\n")
        with pytest.raises(ValueError, match="limit"):
            await reader.readline()


async def test_a_reader_over_its_limit_holds_the_peer_back():
    """The transport is paused at twice the limit, so memory stays bounded."""
    ours, theirs = unix_pair()
    async with streams((ours, theirs), limit=1000) as (reader, writer, peer):
        peer.sock.setblocking(False)
        sent = fill(peer.sock)
        for _ in range(10):
            await turns(1)
        assert not writer.transport.is_reading()
        received = 0
        while received < sent:
            received += len(await reader.read(65536))
        assert writer.transport.is_reading()


async def test_drain_waits_for_a_slow_reader():
    ours, theirs = unix_pair()
    async with streams((ours, theirs)) as (_, writer, peer):
        payload = os.urandom(1 << 20)
        writer.write(payload)
        draining = asyncio.create_task(writer.drain())
        await turns(3)
        assert not draining.done()
        received = await peer.recv_exactly(len(payload))
        await draining
        assert received == payload


async def test_drain_raises_when_the_connection_is_lost():
    ours, theirs = unix_pair()
    async with streams((ours, theirs)) as (_, writer, peer):
        writer.write(bytes(1 << 20))
        draining = asyncio.create_task(writer.drain())
        await turns(3)
        peer.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await draining


async def test_a_read_raises_when_the_peer_resets():
    async with streams() as (reader, _, peer):
        reading = asyncio.create_task(reader.read())
        await turns(2)
        reset(peer.sock)
        with pytest.raises(ConnectionResetError):
            await reading


async def test_write_eof_and_read_to_the_end():
    async with streams() as (reader, writer, peer):
        assert writer.can_write_eof()
        writer.write(b"question")
        writer.write_eof()
        assert await peer.recv_all() == b"question"
        await peer.send(b"answer")
        peer.close()
        assert await reader.read() == b"answer"


async def test_writelines_and_extra_information():
    async with streams() as (_, writer, peer):
        writer.writelines([b"one", b"two"])
        assert await peer.recv_exactly(6) == b"onetwo"
        assert writer.get_extra_info("peername") == peer.sock.getsockname()
        assert not writer.is_closing()
        writer.close()
        assert writer.is_closing()


async def test_wait_closed_returns_after_everything_was_sent():
    ours, theirs = unix_pair()
    async with streams((ours, theirs)) as (_, writer, peer):
        payload = os.urandom(1 << 19)
        writer.write(payload)
        writer.close()
        closing = asyncio.create_task(writer.wait_closed())
        assert await peer.recv_all() == payload
        await closing


async def test_cancelling_a_read_loses_no_data():
    async with streams() as (reader, _, peer):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.0005):
                    await reader.readline()
        await peer.send(b"a line\n")
        assert await reader.readline() == b"a line\n"


async def test_a_megabyte_of_lines():
    lines = [os.urandom(20).hex().encode() + b"\n" for _ in range(25_000)]
    async with streams() as (reader, _, peer):
        sending = asyncio.ensure_future(peer.send(b"".join(lines)))
        assert [await reader.readline() for _ in lines] == lines
        await sending
