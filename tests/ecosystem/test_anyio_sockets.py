"""anyio's sockets and TLS streams on the loop under test."""

from __future__ import annotations

import contextlib
import os
import socket

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener, TLSStream

from tests.support import tls
from tests.support.net import HOST, nonblocking_pair

LARGE = os.urandom(1 << 20)


async def echo(stream):
    async with stream:
        with contextlib.suppress(anyio.BrokenResourceError):
            async for chunk in stream:
                await stream.send(chunk)


@contextlib.asynccontextmanager
async def echoing(listener):
    """The listener serves echoes until the block ends, and its clients have left."""
    served = set()

    async def serve(stream):
        served.add(stream)
        await echo(stream)
        served.discard(stream)

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield
        while served:
            await anyio.sleep(0)
        group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def connected():
    """A stream to an echo over TCP."""
    listener = await anyio.create_tcp_listener(local_host=HOST)
    async with echoing(listener), await anyio.connect_tcp(HOST, port_of(listener)) as stream:
        yield stream


async def round_trip(stream, payload):
    """Send and receive at once, as a payload larger than all buffers demands."""
    received = BufferedByteReceiveStream(stream)
    async with anyio.create_task_group() as group:
        group.start_soon(stream.send, payload)
        assert await received.receive_exactly(len(payload)) == payload


def port_of(listener):
    return listener.extra(SocketAttribute.local_port)


def test_tcp_clients_and_a_server_in_one_loop(run_anyio):
    async def client(port, payload):
        async with await anyio.connect_tcp("localhost", port) as stream:
            assert stream.extra(SocketAttribute.remote_port) == port
            await round_trip(stream, payload)

    async def main():
        listener = await anyio.create_tcp_listener(local_host="localhost")
        async with echoing(listener), anyio.create_task_group() as group:
            group.start_soon(client, port_of(listener), LARGE)
            for number in range(50):
                group.start_soon(client, port_of(listener), b"%d" % number)

    run_anyio(main)


def test_a_cancelled_receive_loses_nothing(run_anyio):
    async def main():
        async with connected() as stream:
            for _ in range(20):
                with anyio.move_on_after(0.001):
                    await stream.receive()
            await stream.send(b"still here")
            assert await stream.receive() == b"still here"

    run_anyio(main)


def test_the_end_of_a_stream_and_its_errors(run_anyio):
    async def main():
        listener = await anyio.create_tcp_listener(local_host=HOST)
        async with echoing(listener):
            async with await anyio.connect_tcp(HOST, port_of(listener)) as stream:
                await stream.send(b"last")
                await stream.send_eof()
                assert await stream.receive() == b"last"
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
            with pytest.raises(anyio.ClosedResourceError):
                await stream.send(b"late")
        with pytest.raises(OSError, match="All connection attempts failed"):
            await anyio.connect_tcp(HOST, port_of_nobody())

    run_anyio(main)


def port_of_nobody():
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


def test_unix_sockets_carry_bytes_and_descriptors(run_anyio, tmp_path):
    async def main():
        path = tmp_path / "socket"
        listener = await anyio.create_unix_listener(path)
        reading, writing = os.pipe()

        async def receive_descriptor(stream):
            async with stream:
                message, fds = await stream.receive_fds(10, 1)
                os.write(fds[0], message)
                os.close(fds[0])
                await stream.send(b"done")

        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, receive_descriptor)
            async with await anyio.connect_unix(path) as stream:
                await stream.send_fds(b"through", [writing])
                assert await stream.receive() == b"done"
            group.cancel_scope.cancel()
        assert os.read(reading, 10) == b"through"
        os.close(reading)
        os.close(writing)
        listener = await anyio.create_unix_listener(path)
        async with echoing(listener), await anyio.connect_unix(path) as stream:
            await round_trip(stream, LARGE)

    run_anyio(main)


def test_tls_streams(run_anyio):
    async def client(port, payload):
        async with await anyio.connect_tcp(
            HOST, port, ssl_context=tls.client_context(), tls_hostname=tls.NAME
        ) as stream:
            assert isinstance(stream, TLSStream)
            await round_trip(stream, payload)

    async def main():
        plain = await anyio.create_tcp_listener(local_host=HOST)
        listener = TLSListener(plain, tls.server_context())
        async with echoing(listener), anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(client, port_of(plain), LARGE[:300_000])

    run_anyio(main)


def test_readiness_of_a_raw_socket_can_be_awaited(run_anyio):
    async def main():
        ours, theirs = nonblocking_pair()
        with ours, theirs:
            await anyio.wait_writable(ours)
            with anyio.move_on_after(0.01) as scope:
                await anyio.wait_readable(ours)
            assert scope.cancelled_caught
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.wait_readable, ours)
                await anyio.wait_all_tasks_blocked()
                theirs.send(b"x")
            waiting = anyio.BusyResourceError
            with pytest.raises(ExceptionGroup) as caught:
                async with anyio.create_task_group() as group:
                    ours.recv(1)
                    group.start_soon(anyio.wait_readable, ours)
                    group.start_soon(anyio.wait_readable, ours)
            assert caught.group_contains(waiting)

    run_anyio(main)
