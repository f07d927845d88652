"""What the churn does: each action leaves the ground as it found it, or it has found a bug."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.support import tls
from tests.support.net import HOST, nonblocking_pair

LINGER = struct.pack("ii", 1, 0)


class Echo(asyncio.Protocol):
    """Echoes, with flow control; counts itself among the ground's connections."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ground.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, _exc: BaseException | None) -> None:
        self.ground.connections.discard(self)


class Ground:
    """The servers that every action may use."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connections: set[Echo] = set()
        self.client_context = tls.client_context()

    @classmethod
    @contextlib.asynccontextmanager
    async def laid(cls, folder: str) -> AsyncIterator[Ground]:
        ground = cls(f"{folder}/socket")
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:

            async def keep(making: Awaitable[asyncio.Server]) -> tuple[str, int]:
                server = await stack.enter_async_context(await making)
                return server.sockets[0].getsockname()[:2]

            def echo() -> Echo:
                return Echo(ground)

            context = tls.server_context()
            ground.tcp = await keep(loop.create_server(echo, HOST, 0))
            ground.tls = await keep(loop.create_server(echo, HOST, 0, ssl=context))
            await keep(loop.create_unix_server(echo, ground.path))
            yield ground

    async def connect(self, dice: random.Random) -> tuple[Any, Any]:
        """Streams to one of the servers; TLS more rarely, because it costs more."""
        kind = dice.random()
        if kind < 0.6:
            return await asyncio.open_connection(*self.tcp)
        if kind < 0.9:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_connection(
            *self.tls, ssl=self.client_context, server_hostname=tls.NAME
        )


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def echo(ground: Ground, dice: random.Random) -> None:
    """Messages of all sizes, answered."""
    reader, writer = await ground.connect(dice)
    for _ in range(dice.randrange(1, 6)):
        message = os.urandom(dice.choice([1, 100, 5000, 300_000]))
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
    await closed(writer)


async def reset(ground: Ground, dice: random.Random) -> None:
    """A client that resets with data on its way in both directions."""
    reader, writer = await asyncio.open_connection(*ground.tcp)
    writer.write(os.urandom(dice.choice([10, 500_000])))
    if dice.random() < 0.5:
        await reader.read(5)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def abort(ground: Ground, dice: random.Random) -> None:
    _, writer = await ground.connect(dice)
    writer.write(b"x" * dice.choice([1, 500_000]))
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def strike(ground: Ground, dice: random.Random) -> None:
    """The server ends one of its connections, whoever may be using it."""
    reader, writer = await ground.connect(dice)
    mine = set(ground.connections)
    writer.write(b"x")
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readexactly(1)
    port = writer.get_extra_info("sockname")
    for protocol in mine:
        if protocol.transport.get_extra_info("peername") == port and port:
            protocol.transport.abort()
            with contextlib.suppress(ConnectionError):
                await reader.read()
    await closed(writer)


async def half_close(ground: Ground, dice: random.Random) -> None:
    reader, writer = await asyncio.open_unix_connection(ground.path)
    message = os.urandom(dice.choice([1, 200_000]))
    writer.write(message)
    writer.write_eof()
    received = await reader.read()
    assert received == message
    await closed(writer)


async def cancel(ground: Ground, dice: random.Random) -> None:
    """A conversation that is cancelled wherever it happens to be."""

    async def converse() -> None:
        _, writer = await ground.connect(dice)
        try:
            while True:
                writer.write(b"x" * 10_000)
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            writer.transport.abort()

    task = asyncio.create_task(converse())
    for _ in range(dice.randrange(12)):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def connect_to_nobody(_ground: Ground, _dice: random.Random) -> None:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        with contextlib.suppress(ConnectionRefusedError):
            await asyncio.open_connection(*sock.getsockname())


async def sockets(_ground: Ground, dice: random.Random) -> None:
    """sock_* on a pair: data, and a wait that is cancelled."""
    loop = asyncio.get_running_loop()
    ours, theirs = nonblocking_pair()
    with ours, theirs:
        message = os.urandom(dice.choice([1, 400_000]))
        sending = asyncio.create_task(loop.sock_sendall(ours, message))
        received = bytearray()
        while len(received) < len(message):
            received += await loop.sock_recv(theirs, 1 << 16)
        await sending
        assert received == message
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(dice.choice([0, 0.001])):
                await loop.sock_recv(ours, 1)


async def readers(_ground: Ground, dice: random.Random) -> None:
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    try:
        for _ in range(dice.randrange(1, 5)):
            readable = loop.create_future()
            loop.add_reader(reading, lambda future=readable: future.done() or future.set_result(0))
            loop.call_soon(os.write, writing, b"x")
            await readable
            os.read(reading, 10)
            loop.remove_reader(reading)
    finally:
        os.close(reading)
        os.close(writing)


async def timers(_ground: Ground, dice: random.Random) -> None:
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(dice.random() * 100, int) for _ in range(500)]
    for handle in handles:
        handle.cancel()
    fired = loop.create_future()
    loop.call_later(dice.random() / 100, fired.set_result, None)
    await fired


async def tasks(_ground: Ground, dice: random.Random) -> None:
    async with asyncio.TaskGroup() as group:
        made = [group.create_task(asyncio.sleep(dice.random() / 50)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in dice.sample(made, 25):
            task.cancel()


async def threads(_ground: Ground, _dice: random.Random) -> None:
    loop = asyncio.get_running_loop()

    def work() -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(10)

    await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))


async def datagrams(_ground: Ground, dice: random.Random) -> None:
    """An endpoint that is sent to until something has come, because datagrams may be lost."""
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[bytes] = asyncio.Queue()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _address: Any) -> None:
            came.put_nowait(data)

    receiver, _ = await loop.create_datagram_endpoint(Receiver, local_addr=(HOST, 0))
    address = receiver.get_extra_info("sockname")
    sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    try:
        message = os.urandom(dice.choice([1, 1000, 40_000]))
        while came.empty():
            sender.sendto(message)
            await asyncio.sleep(0.001)
        assert await came.get() == message
    finally:
        sender.abort() if dice.random() < 0.5 else sender.close()
        receiver.close()


async def processes(_ground: Ground, dice: random.Random) -> None:
    """Programs that end by themselves, are killed, or are abandoned by a cancellation."""
    message = os.urandom(dice.choice([1, 200_000]))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    output, _ = await process.communicate(message)
    assert (process.returncode, output) == (0, message)
    process = await asyncio.create_subprocess_exec("sleep", "60", stdout=pipe)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(dice.choice([0, 0.001, 0.01])):
            await process.communicate()
    process.kill()
    assert await process.wait() != 0
    await process.stdout.read()


async def start_cancelled(_ground: Ground, dice: random.Random) -> None:
    """A program whose start is cancelled: it must neither run on nor stay a zombie."""
    task = asyncio.create_task(asyncio.create_subprocess_exec("sleep", "0.01"))
    for _ in range(dice.randrange(4)):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await task).wait()


# How often, and what.
ACTIONS: dict[str, tuple[float, Callable[[Ground, random.Random], Awaitable[None]]]] = {
    "echo": (10, echo),
    "reset": (8, reset),
    "abort": (8, abort),
    "strike": (4, strike),
    "half_close": (4, half_close),
    "cancel": (10, cancel),
    "connect_to_nobody": (2, connect_to_nobody),
    "sockets": (8, sockets),
    "readers": (6, readers),
    "timers": (3, timers),
    "tasks": (3, tasks),
    "threads": (2, threads),
    "datagrams": (4, datagrams),
    "processes": (1, processes),
    "start_cancelled": (1, start_cancelled),
}
