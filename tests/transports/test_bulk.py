"""Large transfers and many connections at once, with flow control and checksums."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket

import pytest

from tests.support.fds import room_for
from tests.support.loops import turns
from tests.support.net import HOST, Peer
from tests.support.protocols import BufferedRecorder, Echo, Recorder, address_of, serving

SIZE = 8 << 20
CHUNK = os.urandom(1 << 16)


class Summing(Recorder):
    """Counts and hashes instead of keeping."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.hash = hashlib.blake2b()

    def data_received(self, data):
        self.count += len(data)
        self.hash.update(data)
        self.note("data")

    async def counted(self, size):
        await self.until(lambda log: log.count >= size)
        return self.hash.hexdigest()


class SummingBuffered(BufferedRecorder):
    """The same into one buffer of its own."""

    def __init__(self):
        super().__init__(1 << 16)
        self.count = 0
        self.hash = hashlib.blake2b()

    def buffer_updated(self, nbytes):
        self.count += nbytes
        self.hash.update(memoryview(self.buffer)[:nbytes])
        self.note("updated")

    counted = Summing.counted


class Producing(Summing):
    """Writes so many bytes while it may, and hashes them."""

    def __init__(self, size=SIZE):
        super().__init__()
        self.left = size
        self.sent = hashlib.blake2b()
        self.paused = False

    def produce(self):
        while self.left and not self.paused:
            chunk = CHUNK[: min(len(CHUNK), self.left)]
            self.left -= len(chunk)
            self.sent.update(chunk)
            self.transport.write(chunk)

    def pause_writing(self):
        self.paused = True
        super().pause_writing()

    def resume_writing(self):
        self.paused = False
        super().resume_writing()
        self.produce()


@contextlib.asynccontextmanager
async def both_ends(client_factory, server_factory):
    """A client and a server protocol, both on this loop."""
    loop = asyncio.get_running_loop()
    accepted = []

    def factory():
        accepted.append(server_factory())
        return accepted[-1]

    async with serving(factory) as server:
        transport, client = await loop.create_connection(client_factory, *address_of(server))
        while not accepted or not accepted[0].events:
            await turns(1)
        yield client, accepted[0]
        transport.abort()
        await client.closed()
        await accepted[0].closed()
    accepted.clear()


@pytest.mark.parametrize("receiver", [Summing, SummingBuffered])
async def test_eight_megabytes_arrive_unharmed(receiver):
    async with both_ends(Producing, receiver) as (client, server):
        client.produce()
        assert await server.counted(SIZE) == client.sent.hexdigest()
        assert server.count == SIZE


async def test_eight_megabytes_pass_both_ways_at_once():
    async with both_ends(Producing, Producing) as (client, server):
        client.produce()
        server.produce()
        assert await server.counted(SIZE) == client.sent.hexdigest()
        assert await client.counted(SIZE) == server.sent.hexdigest()


async def test_flow_control_bounds_what_is_buffered():
    """The sender is quicker than the reader, and never holds more than limit and one chunk."""
    most = 0

    class Measured(Producing):
        def produce(self):
            nonlocal most
            super().produce()
            most = max(most, self.transport.get_write_buffer_size())

    async with both_ends(Measured, Summing) as (client, server):
        client.produce()
        assert await server.counted(SIZE) == client.sent.hexdigest()
        assert client.events.count("pause") == client.events.count("resume") >= 1
        assert 0 < most <= 65536 + len(CHUNK)


async def test_a_single_write_of_eight_megabytes_arrives():
    payload = CHUNK * (SIZE // len(CHUNK))
    async with both_ends(Recorder, Summing) as (client, server):
        client.transport.write(payload)
        assert await server.counted(SIZE) == hashlib.blake2b(payload).hexdigest()


async def test_a_reader_that_pauses_again_and_again_gets_everything():
    class Hesitating(Summing):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()
            loop.call_soon(self.transport.resume_reading)

    loop = asyncio.get_running_loop()
    async with both_ends(Producing, Hesitating) as (client, server):
        client.produce()
        assert await server.counted(SIZE) == client.sent.hexdigest()


async def test_echo_of_many_sizes_returns_every_byte():
    async with both_ends(Recorder, Echo) as (client, _):
        expected = bytearray()
        for size in (1, 2, 255, 4095, 4096, 4097, 65535, 65536, 65537, 262144, 300_000):
            data = (CHUNK * 5)[:size]
            expected += data
            client.transport.write(data)
            assert await client.received(len(expected)) == bytes(expected)


@pytest.mark.skipif(not room_for(500), reason="needs 500 descriptors")
async def test_two_hundred_connections_echo_at_once(loop):
    async with serving(Echo, backlog=256) as server:

        async def client(number):
            transport, protocol = await loop.create_connection(Recorder, *address_of(server))
            data = b"%03d" % number * 1000
            transport.write(data)
            assert await protocol.received(len(data)) == data
            transport.close()
            assert await protocol.closed() is None

        await asyncio.gather(*[client(number) for number in range(200)])
        await turns(5)


@pytest.mark.skipif(not room_for(500), reason="needs 500 descriptors")
async def test_two_hundred_connections_wait_in_the_backlog(loop):
    """They are all there before the server starts; each must be accepted."""
    server = await loop.create_server(Echo, HOST, 0, backlog=256, start_serving=False)
    await server.start_serving()
    peers = [Peer(socket.create_connection(address_of(server))) for _ in range(200)]
    for number, peer in enumerate(peers):
        peer.sock.sendall(b"%03d" % number)
    for number, peer in enumerate(peers):
        assert await peer.recv_exactly(3) == b"%03d" % number
    for peer in peers:
        peer.close()
    server.close()
    await turns(5)
    await server.wait_closed()


async def test_one_greedy_connection_does_not_starve_the_others(loop):
    """A sender that always has more data shares the loop with timers and with quiet peers."""
    async with both_ends(lambda: Producing(64 << 20), Summing) as (greedy, _):
        greedy.produce()
        async with both_ends(Recorder, Echo) as (quiet, _):
            for count in range(1, 11):
                quiet.transport.write(b"x")
                await quiet.received(count)
            await asyncio.sleep(0.001)
        assert greedy.left > 0
