"""anyio's processes and datagram sockets on the loop under test."""

from __future__ import annotations

import os
import signal
import sys

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.text import TextReceiveStream

from tests.support.net import HOST

LARGE = os.urandom(1 << 20)
UPPER = "import sys; sys.stdout.write(sys.stdin.read().upper())"


def python(source):
    return [sys.executable, "-c", source]


def test_processes_run_talk_and_fail(run_anyio):
    async def main():
        done = await anyio.run_process(python(UPPER), input=b"hello")
        assert (done.returncode, done.stdout) == (0, b"HELLO")
        echoed = await anyio.run_process(["cat"], input=LARGE)
        assert echoed.stdout == LARGE
        assert (await anyio.run_process("exit 3", check=False)).returncode == 3

        async def one(number):
            done = await anyio.run_process(["echo", str(number)])
            assert done.stdout == b"%d\n" % number

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)

    run_anyio(main)


def test_a_process_is_streamed_signalled_and_reaped(run_anyio):
    async def main():
        async with await anyio.open_process(["cat"]) as process:
            for number in range(50):
                await process.stdin.send(b"%03d" % number)
                assert await process.stdout.receive(3) == b"%03d" % number
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == -signal.SIGTERM
        async with await anyio.open_process("echo one; echo two >&2") as process:
            assert [text async for text in TextReceiveStream(process.stdout)] == ["one\n"]
            assert [text async for text in TextReceiveStream(process.stderr)] == ["two\n"]

    run_anyio(main)


def test_a_cancelled_process_is_killed(run_anyio):
    async def main():
        with anyio.move_on_after(0.05) as scope:
            await anyio.run_process(["sleep", "60"])
        assert scope.cancelled_caught
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    run_anyio(main)


def test_datagrams_pass_between_sockets(run_anyio):
    async def main():
        async with (
            await anyio.create_udp_socket(local_host=HOST) as server,
            await anyio.create_connected_udp_socket(
                HOST, server.extra(SocketAttribute.local_port)
            ) as client,
        ):
            for number in range(100):
                await client.send(b"%d" % number)
                data, (host, port) = await server.receive()
                assert data == b"%d" % number
                await server.sendto(data[::-1], host, port)
                assert await client.receive() == data[::-1]
            with anyio.move_on_after(0.01) as scope:
                await client.receive()
            assert scope.cancelled_caught

    run_anyio(main)


def test_unix_datagrams(run_anyio, tmp_path):
    async def main():
        async with (
            await anyio.create_unix_datagram_socket(local_path=tmp_path / "one") as one,
            await anyio.create_connected_unix_datagram_socket(
                tmp_path / "one", local_path=tmp_path / "two"
            ) as two,
        ):
            await two.send(b"hello")
            assert await one.receive() == (b"hello", str(tmp_path / "two"))
            await one.sendto(b"back", str(tmp_path / "two"))
            assert await two.receive() == b"back"

    run_anyio(main)
