"""The services that some tests talk to, and a relay that can cut their connections.

A machine without a service skips its tests and says so. In continuous integration (`CI` is set)
they fail instead: there, a test that does not run is a test that is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import AsyncIterator

import pytest

HOST = "127.0.0.1"
PORTS = {
    "PostgreSQL": 5432,
    "Redis": 6379,
    "RabbitMQ": 5672,
    "MariaDB": 3306,
    "NATS": 4222,
    "Mosquitto": 1883,
}
POSTGRES = f"postgresql://postgres@{HOST}:{PORTS['PostgreSQL']}/postgres"


def needs(name: str) -> pytest.MarkDecorator:
    """Marks tests that talk to this service."""
    assert name in PORTS
    return pytest.mark.service(name)


@functools.cache
def answers(port: int) -> bool:
    """Whether something listens there; asked once a run."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=2):
        return True
    return False


def require(name: str) -> None:
    """Skip the running test, or fail it in CI, unless the service is there."""
    if answers(PORTS[name]):
        return
    reason = f"{name} does not listen at {HOST}:{PORTS[name]}"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI runs these tests, so start it")
    pytest.skip(reason)


class Relay:
    """Stands between a client and a service, so that a test can cut what connects them."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0

    def cut(self) -> None:
        """Abort every connection; new ones are relayed as before."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
            ends = {writer, far_writer}
            self._writers |= ends
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            for end in ends:
                end.close()
            for end in ends:
                with contextlib.suppress(ConnectionError):
                    await end.wait_closed()
            self._writers -= ends
        finally:
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def idle(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)


@contextlib.asynccontextmanager
async def relay(name: str) -> AsyncIterator[Relay]:
    """A relay to the service, on the loop that runs; the test closes its own connections."""
    between = Relay(PORTS[name])
    server = await asyncio.start_server(between.serve, HOST, 0)
    between.port = server.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        server.close()
        between.cut()
        await between.idle()
        await server.wait_closed()


async def cancelled_midway(work: asyncio.Task[object], began: asyncio.Future[object]) -> None:
    """Wait until the work is under way, cancel it, and see that it ends as cancelled."""
    await began
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
