"""A peer that resets the connection, at every state that a connection can be in.

Whatever the state: the error arrives where it is waited for, the protocol hears connection_lost
once, the loop does not spin, and another connection of the same loop goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time

import pytest

from tests.support import tls
from tests.support.loops import turns
from tests.support.net import HOST, Peer, fill, listener, reset, tcp_pair
from tests.support.protocols import (
    BufferedRecorder,
    Echo,
    HalfOpenRecorder,
    Recorder,
    address_of,
    connection,
    serving,
)

BROKEN = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)


@pytest.fixture(params=[Recorder, BufferedRecorder], ids=["streaming", "buffered"])
def kind(request):
    return request.param


@contextlib.asynccontextmanager
async def unharmed():
    """A connection beside the one that breaks: it must echo before and after."""
    async with connection(Echo()) as (_, _, peer):
        await peer.send(b"before")
        assert await peer.recv_exactly(6) == b"before"
        yield
        await peer.send(b"after")
        assert await peer.recv_exactly(5) == b"after"


async def test_while_connecting(loop):
    """The listener goes away with the connection still in its backlog."""
    async with unharmed():
        lsock = listener()
        with pytest.raises(BROKEN):
            transport, protocol = await loop.create_connection(Recorder, *lsock.getsockname())
            lsock.close()
            raise await protocol.closed()
        assert transport.is_closing()


async def test_just_accepted():
    """The server accepts connections that were reset in its backlog, one of many of them."""
    made = []

    def factory():
        made.append(Recorder())
        return made[-1]

    async with unharmed(), serving(factory) as server:
        for payload in (b"", b"x" * 1000):
            for _ in range(20):
                client = socket.create_connection(address_of(server))
                if payload:
                    client.send(payload)
                reset(client)
        with socket.create_connection(address_of(server)) as last:
            while len(made) < 41:
                await turns(1)
            for protocol in made[:-1]:
                await protocol.closed()
            last.send(b"served")
            assert await made[-1].received(6) == b"served"
        await made[-1].closed()
    made.clear()


async def test_while_idle(kind):
    async with unharmed(), connection(kind()) as (transport, protocol, peer):
        await turns(2)
        reset(peer.sock)
        assert isinstance(await protocol.closed(), BROKEN)
        assert transport.is_closing()
        assert protocol.events.count("lost") == 1


async def test_with_data_that_was_not_read(kind):
    """The kernel drops what it holds: the data may be lost, the error may not."""
    async with unharmed(), connection(kind()) as (_, protocol, peer):
        await turns(2)
        peer.sock.send(b"x" * 100_000)
        reset(peer.sock)
        assert isinstance(await protocol.closed(), BROKEN)


async def test_while_reading_is_paused(kind):
    """Nobody looks, so nobody hears; the loop must not spin on the error meanwhile."""
    async with unharmed(), connection(kind()) as (transport, protocol, peer):
        transport.pause_reading()
        await turns(2)
        reset(peer.sock)
        before = time.process_time()
        await asyncio.sleep(0.1)
        assert time.process_time() - before < 0.05
        if "lost" not in protocol.events:
            transport.resume_reading()
        assert isinstance(await protocol.closed(), BROKEN)


async def test_while_reading_is_paused_and_then_written_to(kind):
    async with unharmed(), connection(kind()) as (transport, protocol, peer):
        transport.pause_reading()
        await turns(2)
        reset(peer.sock)
        while "lost" not in protocol.events:
            transport.write(b"x")
            await turns(1)
        assert isinstance(protocol.lost_with, BROKEN)


async def test_with_a_full_write_buffer(kind):
    ours, theirs = tcp_pair()
    async with unharmed(), connection(kind(), (ours, theirs)) as (transport, protocol, peer):
        fill(ours)
        transport.write(b"x" * 200_000)
        await protocol.happened("pause")
        reset(peer.sock)
        assert isinstance(await protocol.closed(), BROKEN)
        assert transport.get_write_buffer_size() == 0
        assert "resume" not in protocol.events


async def test_while_closing_with_a_full_write_buffer(kind):
    """close() waits for the peer to read; a reset ends that wait."""
    ours, theirs = tcp_pair()
    async with unharmed(), connection(kind(), (ours, theirs)) as (transport, protocol, peer):
        fill(ours)
        transport.write(b"x" * 200_000)
        transport.close()
        await turns(3)
        assert "lost" not in protocol.events
        reset(peer.sock)
        assert isinstance(await protocol.closed(), BROKEN)


async def test_half_closed_by_the_peer():
    async with unharmed(), connection(HalfOpenRecorder()) as (transport, protocol, peer):
        peer.sock.shutdown(socket.SHUT_WR)
        await protocol.happened("eof")
        reset(peer.sock)
        while "lost" not in protocol.events:
            transport.write(b"x")
            await turns(1)
        assert protocol.events.count("lost") == 1
        assert isinstance(protocol.lost_with, BROKEN)


async def test_half_closed_by_us(kind):
    async with unharmed(), connection(kind()) as (transport, protocol, peer):
        transport.write_eof()
        assert await peer.recv() == b""
        reset(peer.sock)
        assert isinstance(await protocol.closed(), BROKEN)


async def test_during_sendfile(loop, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(8 << 20))
    async with unharmed(), connection() as (transport, protocol, peer):
        with path.open("rb") as file:
            sending = asyncio.create_task(loop.sendfile(transport, file))
            await peer.recv(65536)
            reset(peer.sock)
            with pytest.raises(OSError):
                await sending
        await protocol.closed()
        assert transport.is_closing()


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
async def test_during_a_tls_handshake(loop, early):
    """The upgrade fails with the error, whether it comes before the first record or after."""
    async with unharmed(), connection() as (transport, protocol, peer):
        if early:
            reset(peer.sock)
        upgrading = asyncio.create_task(
            loop.start_tls(transport, protocol, tls.client_context(), server_hostname=tls.NAME)
        )
        if not early:
            assert await peer.recv()
            reset(peer.sock)
        with pytest.raises((*BROKEN, ConnectionError)):
            await upgrading
        assert transport.is_closing()


async def test_of_an_established_tls_connection(loop):
    async with unharmed(), serving(Echo, ssl=tls.server_context()) as server:
        transport, protocol = await loop.create_connection(
            Recorder, *address_of(server), ssl=tls.client_context(), server_hostname=tls.NAME
        )
        transport.write(b"x" * 100_000)
        await protocol.received(100_000)
        # The client's own socket, so that its server sees the reset.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
        transport.abort()
        await protocol.closed()


# sock_*


@contextlib.contextmanager
def nonblocking_tcp_pair():
    ours, theirs = tcp_pair()
    with ours, theirs:
        yield ours, theirs


async def sendall(loop, ours):
    await loop.sock_sendall(ours, bytes(16 << 20))


async def recv(loop, ours):
    await loop.sock_recv(ours, 100)


async def recv_into(loop, ours):
    await loop.sock_recv_into(ours, bytearray(100))


async def sendfile(loop, ours):
    with open("/dev/shm/weft-reset", "w+b") as file:
        os.unlink(file.name)
        file.truncate(16 << 20)
        await loop.sock_sendfile(ours, file)


@pytest.mark.parametrize("operation", [recv, recv_into, sendall, sendfile])
async def test_during_an_operation_on_a_socket(loop, operation):
    async with unharmed():
        with nonblocking_tcp_pair() as (ours, theirs):
            waiting = asyncio.create_task(operation(loop, ours))
            await turns(3)
            assert not waiting.done()
            reset(theirs)
            with pytest.raises(BROKEN):
                await waiting
            assert loop.remove_reader(ours) is False
            assert loop.remove_writer(ours) is False


async def test_before_a_connection_is_taken_with_sock_accept(loop):
    async with unharmed():
        with listener() as lsock:
            lsock.setblocking(False)
            reset(socket.create_connection(lsock.getsockname()))
            accepted, _ = await loop.sock_accept(lsock)
            with accepted, pytest.raises(BROKEN):
                await loop.sock_recv(accepted, 1)


async def test_refused_while_connecting_a_socket(loop, free_port):
    async with unharmed():
        with socket.socket() as sock:
            sock.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(sock, (HOST, free_port))


async def test_a_stream_reader_and_its_writer_both_hear(loop):
    ours, theirs = tcp_pair()
    async with unharmed():
        with Peer(theirs):
            reader, writer = await asyncio.open_connection(sock=ours)
            fill(ours)
            writer.write(b"x" * 200_000)
            reading = asyncio.create_task(reader.read())
            draining = asyncio.create_task(writer.drain())
            await turns(3)
            reset(theirs)
            for waiting in (reading, draining):
                with pytest.raises(BROKEN):
                    await waiting
            writer.close()
            with pytest.raises(BROKEN):
                await writer.wait_closed()
