"""The websockets library, client and server, on the loop under test."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from tests.support import tls
from tests.support.net import HOST

LARGE = os.urandom(2 << 20)
OPTIONS = {"max_size": None, "compression": None}


async def echo(connection):
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def serving(handler=echo, **options):
    async with serve(handler, HOST, 0, **OPTIONS, **options) as server:
        yield server.sockets[0].getsockname()[1]


async def test_many_clients_echo():
    async def one(port, number):
        async with connect(f"ws://{HOST}:{port}") as connection:
            for step in range(20):
                await connection.send(f"{number} {step}")
            for step in range(20):
                assert await connection.recv() == f"{number} {step}"

    async with serving() as port, asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(port, number))


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_large_messages_whole_and_in_fragments(secure):
    context = tls.server_context() if secure else None
    client = {"ssl": tls.client_context(), "server_hostname": tls.NAME} if secure else {}
    async with serving(ssl=context) as port:
        url = f"{'wss' if secure else 'ws'}://{HOST}:{port}"
        async with connect(url, **OPTIONS, **client) as connection:
            sending = asyncio.create_task(connection.send(LARGE))
            assert await connection.recv() == LARGE
            await sending
            await connection.send([b"a" * 1000] * 50)
            assert await connection.recv() == b"a" * 50_000


async def test_pings_are_answered_and_receiving_can_be_cancelled():
    async with (
        serving(ping_interval=0.01) as port,
        connect(f"ws://{HOST}:{port}") as connection,
    ):
        assert await (await connection.ping()) >= 0
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002):
                    await connection.recv()
        await connection.send("still here")
        assert await connection.recv() == "still here"


async def test_close_codes_arrive():
    async def leave(connection):
        await connection.close(4001, "enough")

    async with serving(leave) as port, connect(f"ws://{HOST}:{port}") as connection:
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.recv()
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")


async def test_a_client_connects_again_after_its_connection_broke():
    seen = []

    async def abort_at_first(connection):
        seen.append(connection)
        if len(seen) < 3:
            connection.transport.abort()
        else:
            await connection.send("at last")

    async with serving(abort_at_first) as port:
        async for connection in connect(f"ws://{HOST}:{port}"):
            try:
                assert await connection.recv() == "at last"
                break
            except ConnectionClosedError:
                continue
        with pytest.raises(ConnectionClosedOK):
            await connection.recv()
    assert len(seen) == 3
    seen.clear()
