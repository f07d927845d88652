"""What pipe transports take: packet pipes, FIFOs, sockets, terminals, devices; and what not."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import tty

import pytest

from tests.support.loops import turns
from tests.support.pipes import reading, writing
from tests.support.protocols import Log, Recorder


async def test_packets_of_a_packet_pipe_stay_apart():
    """A short read of such a pipe does not mean that it is empty."""

    class Packets(Recorder):
        def __init__(self):
            super().__init__()
            self.packets = []

        def data_received(self, data):
            self.packets.append(data)
            super().data_received(data)

    async with reading(Packets(), os.pipe2(os.O_DIRECT)) as (_, protocol, end):
        for packet in (b"one", b"two", b"three"):
            end.write(packet)
        await protocol.received(11)
        assert protocol.packets == [b"one", b"two", b"three"]


@pytest.mark.parametrize("path", ["file", "directory"])
async def test_files_that_are_always_ready_are_refused(loop, tmp_path, path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "directory").mkdir()
    fd = os.open(tmp_path / path, os.O_RDONLY)

    class Descriptor:
        def fileno(self):
            return fd

        def close(self):
            raise AssertionError("the loop has not taken it")

    try:
        with pytest.raises(ValueError, match="Pipe transport is for pipes"):
            await loop.connect_read_pipe(asyncio.Protocol, Descriptor())
    finally:
        os.close(fd)


async def test_a_device_that_cannot_be_watched_is_reported(loop, ledger):
    """/dev/null has no poll operation: epoll says EPERM."""
    with open("/dev/null", "rb", 0) as null:
        transport, protocol = await loop.connect_read_pipe(Recorder, null)
        await turns(2)
        report = ledger.take_loop_error()
        assert isinstance(report["exception"], PermissionError)
        report.clear()
        transport.close()
        await protocol.closed()


async def test_a_fifo_can_be_read(loop, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    async with reading(None, (reader, writer)) as (_, protocol, end):
        end.write(b"through a file")
        assert await protocol.received(14) == b"through a file"


async def test_a_socket_can_be_read(loop):
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await loop.connect_read_pipe(Recorder, ours)
        theirs.send(b"hello")
        assert await protocol.received(5) == b"hello"
        theirs.shutdown(socket.SHUT_WR)
        assert await protocol.closed() is None
        assert transport.is_closing()
        assert ours.fileno() == -1


async def test_a_terminal_can_be_read_line_by_line():
    master, slave = pty.openpty()
    tty.setraw(slave)
    async with reading(None, (master, slave)) as (_, protocol, end):
        end.write(b"one\n")
        assert await protocol.received(4) == b"one\n"
        end.write(b"two\n")
        assert await protocol.received(8) == b"one\ntwo\n"


async def test_a_terminal_that_hangs_up_ends_the_transport_with_its_errno():
    master, slave = pty.openpty()
    async with reading(None, (master, slave)) as (_, protocol, end):
        end.close()
        error = await protocol.closed()
        assert isinstance(error, OSError)
        assert error.errno == 5  # EIO
        assert "eof" not in protocol.events


async def test_one_terminal_can_be_read_and_written_under_one_number(loop):
    """epoll takes a number once; asyncio's selector knows both directions of it."""
    master, slave = pty.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    os.set_blocking(slave, False)
    with open(master, "r+b", 0) as terminal:
        reader, heard = await loop.connect_read_pipe(Recorder, terminal)
        writer, told = await loop.connect_write_pipe(Log, terminal)
        payload = bytes(100_000)
        writer.write(payload)
        assert writer.get_write_buffer_size() > 0
        arrived = 0
        while arrived < len(payload):
            try:
                arrived += len(os.read(slave, 65536))
            except BlockingIOError:
                await turns(1)
        os.write(slave, b"answer")
        assert await heard.received(6) == b"answer"
        writer.close()
        await told.closed()
        reader.close()
        await heard.closed()
    os.close(slave)


async def test_a_regular_file_is_refused(loop, tmp_path):
    with (
        open(tmp_path / "file", "wb", 0) as file,
        pytest.raises(ValueError, match="Pipe transport is"),
    ):
        await loop.connect_write_pipe(Recorder, file)


async def test_a_character_device_can_be_written(loop):
    transport, protocol = await loop.connect_write_pipe(
        Recorder, os.fdopen(os.open("/dev/null", os.O_WRONLY), "wb", 0)
    )
    transport.write(b"x" * 1_000_000)
    assert transport.get_write_buffer_size() == 0
    transport.close()
    assert await protocol.closed() is None


async def test_a_terminal_that_answers_is_not_taken_for_a_broken_pipe():
    master, slave = pty.openpty()
    os.set_blocking(slave, False)
    async with writing(None, (slave, master)) as (transport, protocol, end):
        end.write(b"typed\n")
        await turns(5)
        assert protocol.events == ["made"]
        transport.write(b"shown\n")
        assert b"shown" in await end.read_exactly(6)


async def test_a_socket_can_be_written_until_its_peer_goes(loop):
    ours, theirs = socket.socketpair()
    transport, protocol = await loop.connect_write_pipe(Recorder, ours)
    transport.write(b"hello")
    assert theirs.recv(5) == b"hello"
    theirs.close()
    await protocol.closed()
    assert transport.is_closing()
