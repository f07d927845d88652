"""loop.sendfile over a transport: what is sent, in which order, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket

import pytest

from tests.support.loops import turns
from tests.support.net import shrink_buffers, tcp_pair, unix_pair
from tests.support.protocols import HalfOpenRecorder, connection

CONTENT = bytes(range(256)) * 2048  # much more than the small sockets hold
SMALL = b"a file of one segment"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    with (tmp_path / "file").open("rb") as file:
        yield file


@pytest.fixture
def small_file(tmp_path):
    (tmp_path / "small").write_bytes(SMALL)
    with (tmp_path / "small").open("rb") as file:
        yield file


def narrow_pair():
    """A pair that holds much less than the file, so that sending has to wait.

    Over a Unix socket: TCP with such small windows waits for its own timers.
    """
    pair = unix_pair()
    shrink_buffers(*pair)
    return pair


async def under_way(sending):
    """Wait until a sendfile that cannot end has begun to send: the socket was full once."""
    await turns(10)
    assert not sending.done()


@pytest.mark.parametrize("pair", [tcp_pair, narrow_pair])
async def test_a_file_is_sent_whole(loop, file, pair):
    async with connection(pair=pair()) as (transport, _, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        assert await peer.recv_exactly(len(CONTENT)) == CONTENT
        assert await sending == len(CONTENT)
        assert file.tell() == len(CONTENT)


async def test_the_kernel_sends_it(loop, small_file):
    """Without a fall-back, a loop that only reads and writes would refuse."""
    async with connection() as (transport, _, peer):
        assert await loop.sendfile(transport, small_file, fallback=False) == len(SMALL)
        assert await peer.recv_exactly(len(SMALL)) == SMALL


@pytest.mark.parametrize(
    ("offset", "count"), [(0, 1), (0, 5000), (7, None), (100_000, 200_000), (len(CONTENT) - 3, 10)]
)
async def test_a_part_of_a_file_is_sent(loop, file, offset, count):
    expected = CONTENT[offset:][:count]
    async with connection(pair=narrow_pair()) as (transport, _, peer):
        sending = loop.create_task(loop.sendfile(transport, file, offset, count))
        assert await peer.recv_exactly(len(expected)) == expected
        assert await sending == len(expected)
        assert file.tell() == offset + len(expected)


async def test_an_empty_file_sends_nothing(loop, tmp_path):
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open("rb") as empty:
        async with connection() as (transport, _, peer):
            assert await loop.sendfile(transport, empty) == 0
            transport.write(b"after")
            assert await peer.recv_exactly(5) == b"after"


async def test_it_comes_after_what_was_written_and_before_what_will_be(loop, file):
    before = b"<" * 300_000
    async with connection(pair=narrow_pair()) as (transport, _, peer):
        transport.write(before)
        sending = loop.create_task(loop.sendfile(transport, file))
        assert await peer.recv_exactly(len(before) + len(CONTENT)) == before + CONTENT
        await sending
        transport.write(b">")
        assert await peer.recv_exactly(1) == b">"


async def test_nobody_else_writes_meanwhile(loop, file):
    async with connection(pair=narrow_pair()) as (transport, _, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        with pytest.raises(RuntimeError, match="unable to write; sendfile is in progress"):
            transport.write(b"in between")
        with pytest.raises(RuntimeError, match="sendfile is in progress"):
            transport.writelines([b"in", b"between"])
        assert await peer.recv_exactly(len(CONTENT)) == CONTENT
        await sending


@pytest.mark.weft_only("asyncio forgets that it has the transport, and fails with a KeyError")
async def test_a_second_sendfile_at_the_same_time_is_refused(loop, file, small_file):
    async with connection(pair=narrow_pair()) as (transport, _, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        with pytest.raises(RuntimeError, match="sendfile is in progress on this transport"):
            await loop.sendfile(transport, small_file)
        with pytest.raises(RuntimeError, match="unable to write"):
            transport.write(b"into the middle of the file")
        assert await peer.recv_exactly(len(CONTENT)) == CONTENT
        await sending


async def test_the_protocol_hears_the_peer_after_it(loop, file):
    async with connection(pair=narrow_pair()) as (transport, protocol, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        await peer.send(b"thanks")
        await peer.recv_exactly(len(CONTENT))
        await sending
        assert await protocol.received(6) == b"thanks"


@pytest.mark.weft_only("asyncio closes the socket under the transfer, which then waits for ever")
async def test_closing_waits_for_its_end(loop, file):
    async with connection(pair=narrow_pair()) as (transport, protocol, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        transport.close()
        assert await peer.recv_all() == CONTENT
        assert await sending == len(CONTENT)
        assert await protocol.closed() is None


@pytest.mark.weft_only("asyncio shuts the socket down under the transfer")
async def test_an_end_of_stream_waits_for_its_end(loop, file):
    pair = narrow_pair()
    async with connection(HalfOpenRecorder(), pair) as (transport, _, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        transport.write_eof()
        assert await peer.recv_all() == CONTENT
        await sending


@pytest.mark.weft_only("asyncio closes the socket under the transfer, which then waits for ever")
async def test_an_abort_ends_it(loop, file):
    async with connection(pair=narrow_pair()) as (transport, protocol, _):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        transport.abort()
        with pytest.raises(ConnectionError):
            await sending
        await protocol.closed()


async def test_an_abort_before_its_turn_ends_it(loop, file):
    async with connection(pair=narrow_pair()) as (transport, protocol, _):
        transport.write(CONTENT)
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        transport.abort()
        with pytest.raises(ConnectionError):
            await sending
        await protocol.closed()


async def test_a_peer_that_is_gone_ends_it(loop, file):
    async with connection(pair=narrow_pair()) as (transport, protocol, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        peer.close()
        with pytest.raises(ConnectionError):
            await sending
        await protocol.closed()


async def test_a_cancelled_one_leaves_the_connection_usable(loop, file):
    async with connection(pair=narrow_pair()) as (transport, _, peer):
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        transport.write(b"the end")
        transport.close()
        received = await peer.recv_all()
        assert received.endswith(b"the end")
        assert CONTENT.startswith(received.removesuffix(b"the end"))


@pytest.mark.weft_only("asyncio no longer watches for room, and the rest is never sent")
async def test_one_cancelled_before_its_turn_loses_nothing_that_was_written(loop, file):
    before = b"<" * 300_000
    async with connection(pair=narrow_pair()) as (transport, _, peer):
        transport.write(before)
        sending = loop.create_task(loop.sendfile(transport, file))
        await under_way(sending)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        transport.close()
        assert await peer.recv_all() == before


async def test_what_is_no_file_of_the_system_falls_back_to_writes(loop):
    async with connection(pair=narrow_pair()) as (transport, _, peer):
        sending = loop.create_task(loop.sendfile(transport, io.BytesIO(CONTENT)))
        assert await peer.recv_exactly(len(CONTENT)) == CONTENT
        assert await sending == len(CONTENT)


async def test_without_a_fall_back_it_is_refused(loop):
    async with connection() as (transport, _, peer):
        with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
            await loop.sendfile(transport, io.BytesIO(CONTENT), fallback=False)
        transport.write(b"still usable")
        assert await peer.recv_exactly(12) == b"still usable"


async def test_a_closing_transport_is_refused(loop, small_file):
    async with connection() as (transport, protocol, _):
        transport.close()
        with pytest.raises(RuntimeError, match="closing"):
            await loop.sendfile(transport, small_file)
        await protocol.closed()


async def test_the_socket_of_an_accepted_connection_sends_too(loop, file):
    """The server's end has no Python socket until somebody asks."""
    sent = loop.create_future()

    class Sender(asyncio.Protocol):
        def connection_made(self, transport):
            self.task = loop.create_task(loop.sendfile(transport, file, fallback=False))
            self.task.add_done_callback(lambda task: sent.set_result(task.result()))
            self.task.add_done_callback(lambda _task: transport.close())

    server = await loop.create_server(Sender, "127.0.0.1", 0)
    with contextlib.closing(socket.create_connection(server.sockets[0].getsockname())) as peer:
        received = await asyncio.to_thread(lambda: b"".join(iter(lambda: peer.recv(65536), b"")))
    assert received == CONTENT
    assert await sent == len(CONTENT)
    server.close()
    await server.wait_closed()
