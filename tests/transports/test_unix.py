"""Stream transports over AF_UNIX paths."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys

import pytest

from tests.support.loops import turns
from tests.support.protocols import Echo, Recorder


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


async def test_a_path_is_served_and_reached(loop, path):
    server = await loop.create_unix_server(Echo, path)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    transport, protocol = await loop.create_unix_connection(Recorder, path)
    assert transport.get_extra_info("peername") == path
    transport.write(b"hello")
    assert await protocol.received(5) == b"hello"
    transport.close()
    await protocol.closed()
    server.close()
    await turns(5)
    await server.wait_closed()


async def test_a_path_object_is_accepted(loop, tmp_path):
    server = await loop.create_unix_server(Recorder, tmp_path / "socket")
    transport, protocol = await loop.create_unix_connection(Recorder, tmp_path / "socket")
    transport.close()
    await protocol.closed()
    server.close()
    await turns(5)
    await server.wait_closed()


async def test_an_abstract_name_is_served(loop):
    name = f"\0weft-test-{os.getpid()}"
    server = await loop.create_unix_server(Echo, name)
    transport, protocol = await loop.create_unix_connection(Recorder, name)
    transport.write(b"x")
    assert await protocol.received(1) == b"x"
    transport.close()
    await protocol.closed()
    server.close()
    await turns(5)
    await server.wait_closed()


async def test_a_stale_socket_file_is_replaced(loop, path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    server = await loop.create_unix_server(Recorder, path)
    server.close()
    await server.wait_closed()


async def test_a_file_that_is_no_socket_is_in_the_way(loop, path):
    with open(path, "w"):
        pass
    with pytest.raises(OSError, match="is already in use"):
        await loop.create_unix_server(Recorder, path)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in 3.13")
@pytest.mark.parametrize("cleanup", [True, False])
async def test_the_socket_file_is_removed_unless_it_is_to_stay(loop, path, cleanup):
    server = await loop.create_unix_server(Recorder, path, cleanup_socket=cleanup)
    server.close()
    await server.wait_closed()
    assert os.path.exists(path) is not cleanup


async def test_a_missing_path_raises(loop, path):
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Recorder, path)


async def test_a_path_where_nobody_listens_raises(loop, path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    with pytest.raises(ConnectionRefusedError):
        await loop.create_unix_connection(Recorder, path)


async def test_a_tcp_socket_is_refused(loop):
    with socket.socket() as sock:
        with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
            await loop.create_unix_connection(Recorder, sock=sock)
        with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
            await loop.create_unix_server(Recorder, sock=sock)


async def test_streams_work_over_a_path(path):
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()
        answered.set()

    answered = asyncio.Event()
    server = await asyncio.start_unix_server(answer, path)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"hello\n")
    assert await reader.read() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    await answered.wait()
    server.close()
    await turns(3)
    await server.wait_closed()
