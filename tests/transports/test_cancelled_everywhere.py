"""Operations cancelled at each of their suspensions, one after the other.

Each operation is run to its first suspension, to its second, and so on, cancelled there, and run
once more to the end without cancellation. Wherever it is cut: CancelledError comes out, no
descriptor stays (the ledger counts), no error is reported, and the loop can do the same again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile

import pytest

from tests.support import tls
from tests.support.loops import turns
from tests.support.net import HOST, fill, listener, tcp_pair
from tests.support.protocols import Echo, Recorder, address_of, serving

MOST_SUSPENSIONS = 400


def tls_options():
    return {"ssl": tls.client_context(), "server_hostname": tls.NAME}


class Cut:
    """Awaits a coroutine, and cancels its task after so many of its suspensions.

    An awaitable in the task itself sees each suspension, and no turn of the loop is missed.
    """

    def __init__(self, coro, after):
        self.coro, self.after, self.passed = coro, after, 0

    def __await__(self):
        value, error = None, None
        while True:
            try:
                future = self.coro.throw(error) if error else self.coro.send(value)
            except StopIteration as stop:
                return stop.value
            if self.passed == self.after:
                asyncio.current_task().cancel()
            self.passed += 1
            try:
                value, error = (yield future), None
            except GeneratorExit:
                self.coro.close()
                raise
            except BaseException as exc:
                error = exc


async def cut_everywhere(operation):
    """Run the operation, cut after 0, 1, 2 … suspensions, until one comes through uncut."""
    for after in range(MOST_SUSPENSIONS):
        async with operation() as coro:
            cut = Cut(coro, after)
            task = asyncio.ensure_future(as_coroutine(cut))
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
                assert cut.passed <= after, "it swallowed the cancellation"
                return after
        await turns(3)
    raise AssertionError(f"still not done after {MOST_SUSPENSIONS} suspensions")


async def as_coroutine(awaitable):
    return await awaitable


async def used_and_closed(coro):
    """What create_connection gives is used once, and closed."""
    transport, protocol = await coro
    try:
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
    finally:
        transport.close()
    await protocol.closed()


@contextlib.asynccontextmanager
async def connect():
    async with serving(Echo) as server:
        loop = asyncio.get_running_loop()
        yield used_and_closed(loop.create_connection(Recorder, *address_of(server)))


@contextlib.asynccontextmanager
async def connect_by_name():
    async with serving(Echo) as server:
        loop = asyncio.get_running_loop()
        port = address_of(server)[1]
        options = {"happy_eyeballs_delay": 0.01, "family": socket.AF_INET}
        yield used_and_closed(loop.create_connection(Recorder, "localhost", port, **options))


@contextlib.asynccontextmanager
async def connect_tls():
    async with serving(Echo, ssl=tls.server_context()) as server:
        loop = asyncio.get_running_loop()
        address = address_of(server)
        yield used_and_closed(loop.create_connection(Recorder, *address, **tls_options()))


@contextlib.asynccontextmanager
async def connect_unix():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        loop = asyncio.get_running_loop()
        async with await loop.create_unix_server(Echo, path):
            yield used_and_closed(loop.create_unix_connection(Recorder, path))


@contextlib.asynccontextmanager
async def accept_and_hand_over():
    loop = asyncio.get_running_loop()
    ours, theirs = tcp_pair()
    with theirs:

        async def run():
            try:
                transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
            except asyncio.CancelledError:
                ours.close()  # still the caller's, or closed already
                raise
            theirs.send(b"x")
            try:
                await protocol.received(1)
            finally:
                transport.close()
            await protocol.closed()

        yield run()


@contextlib.asynccontextmanager
async def start_tls_as_client():
    """Both ends upgrade: the server does so in a task of its own."""
    loop = asyncio.get_running_loop()
    upgrades = set()

    class Upgrading(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            upgrades.add(loop.create_task(self.upgrade()))

        async def upgrade(self):
            if self.transport.is_closing():
                return
            with contextlib.suppress(OSError):
                secured = Recorder()
                transport = await loop.start_tls(
                    self.transport, secured, tls.server_context(), server_side=True
                )
                await secured.until(lambda log: log.data or "lost" in log.events)
                transport.write(secured.data)

    async def run(address):
        transport, _ = await loop.create_connection(Recorder, *address)
        try:
            secured = Recorder()
            transport = await loop.start_tls(
                transport, secured, tls.client_context(), server_hostname=tls.NAME
            )
            transport.write(b"hello")
            assert await secured.received(5) == b"hello"
        finally:
            transport.abort()

    async with serving(Upgrading) as server:
        yield run(address_of(server))
        while upgrades:
            await asyncio.wait(upgrades)
            upgrades = {task for task in upgrades if not task.done()}


@contextlib.asynccontextmanager
async def send_a_file():
    """Over a transport, to a peer that reads in its own task."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 20)
        async with serving(Recorder) as server:
            transport, protocol = await loop.create_connection(Recorder, *address_of(server))
            try:
                yield loop.sendfile(transport, file)
            finally:
                assert transport.get_protocol() is protocol
                transport.abort()
                await protocol.closed()


@contextlib.asynccontextmanager
async def use_streams():
    async def handle(reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(await reader.readline())
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def run(port):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(b"x" * 30_000 + b"\n")
            await writer.drain()
            assert len(await reader.read()) == 30_001
        finally:
            writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(handle, HOST, 0) as server:
        yield run(address_of(server)[1])


@contextlib.asynccontextmanager
async def serve():
    loop = asyncio.get_running_loop()

    async def run():
        server = await loop.create_server(Recorder, "localhost", 0)
        try:
            await server.start_serving()
        finally:
            server.close()
        await server.wait_closed()

    yield run()


@contextlib.asynccontextmanager
async def use_a_socket():
    """sock_connect, sock_sendall, sock_recv and sock_accept in a row."""
    loop = asyncio.get_running_loop()

    async def run(lsock):
        with socket.socket() as sock:
            sock.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(lsock))
            try:
                await loop.sock_connect(sock, lsock.getsockname())
                connection, _ = await asyncio.shield(accepting)
            except BaseException:
                accepting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    (await accepting)[0].close()
                raise
            with connection:
                filled = fill(sock)
                async with asyncio.TaskGroup() as group:
                    group.create_task(loop.sock_sendall(sock, b"x" * 100))
                    while filled > -100:
                        filled -= len(await loop.sock_recv(connection, 1 << 20))

    with listener() as lsock:
        lsock.setblocking(False)
        yield run(lsock)


@contextlib.asynccontextmanager
async def send_a_file_over_a_socket():
    loop = asyncio.get_running_loop()
    ours, theirs = tcp_pair()
    theirs.setblocking(False)

    async def read():
        while await loop.sock_recv(theirs, 1 << 20):
            pass

    with ours, theirs, tempfile.TemporaryFile() as file:
        file.truncate(1 << 20)
        reading = asyncio.ensure_future(read())
        try:
            yield loop.sock_sendfile(ours, file)
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@contextlib.asynccontextmanager
async def resolve_and_run_in_threads():
    loop = asyncio.get_running_loop()

    async def run():
        assert await loop.getaddrinfo("localhost", 80)
        assert await loop.getnameinfo((HOST, 80), socket.NI_NUMERICHOST)
        assert await loop.run_in_executor(None, os.getpid) == os.getpid()

    yield run()


def leaks_on_asyncio(what):
    return pytest.mark.weft_only(f"asyncio leaks {what}")


OPERATIONS = [
    connect,
    pytest.param(connect_by_name, marks=leaks_on_asyncio("a connection that was won meanwhile")),
    connect_tls,
    connect_unix,
    accept_and_hand_over,
    start_tls_as_client,
    send_a_file,
    use_streams,
    pytest.param(serve, marks=leaks_on_asyncio("a server that listens and was not returned")),
    use_a_socket,
    send_a_file_over_a_socket,
    resolve_and_run_in_threads,
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
async def test_an_operation_can_be_cancelled_wherever_it_waits(operation):
    assert await cut_everywhere(operation) >= 1
