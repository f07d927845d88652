"""aiohttp's client and server, both on the loop under test."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os

import aiohttp
import pytest
from aiohttp import web

from tests.support import tls
from tests.support.net import HOST

LARGE = os.urandom(3 << 20)
BEGAN = web.AppKey("began", asyncio.Event)
ENDED = web.AppKey("ended", asyncio.Event)


async def hello(request):
    return web.json_response({"path": request.path, "secure": request.secure})


async def upload(request):
    size = 0
    async for chunk in request.content.iter_chunked(65536):
        size += len(chunk)
    return web.json_response({"size": size})


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(200):
        await response.write(b"%05d" % number)
        if number % 50 == 0:
            await asyncio.sleep(0)
    return response


async def never(request):
    request.app[BEGAN].set()
    try:
        await asyncio.Event().wait()
    finally:
        request.app[ENDED].set()


async def websocket(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT and message.data == "leave":
            await socket.close(code=4000)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        else:
            await socket.send_str(message.data)
    return socket


@contextlib.asynccontextmanager
async def serving(*, unix=None, tls=None, file=None):
    """The application on a free port, or at the path `unix`; the application and its base URL."""

    async def sent_file(_request):
        return web.FileResponse(file)

    app = web.Application()
    app[BEGAN], app[ENDED] = asyncio.Event(), asyncio.Event()
    app.router.add_get("/", hello)
    app.router.add_get("/stream", stream)
    app.router.add_get("/never", never)
    app.router.add_get("/ws", websocket)
    app.router.add_get("/file", sent_file)
    app.router.add_post("/upload", upload)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.UnixSite(runner, unix) if unix else web.TCPSite(runner, HOST, 0, ssl_context=tls)
    await site.start()
    try:
        yield app, "http://unix" if unix else site.name
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def client(connector=None):
    # With aiodns installed, c-ares would resolve; its thread outlives the session for a second.
    connector = connector or aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session
    await asyncio.sleep(0)  # connections that were closed say so in the next turn


async def test_a_hundred_requests_at_once():
    async with serving() as (_, base), client() as session:

        async def one(number):
            async with session.get(f"{base}/?{number}") as response:
                assert await response.json() == {"path": "/", "secure": False}

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(one(number))


async def test_bodies_stream_both_ways(tmp_path):
    file = tmp_path / "large"
    file.write_bytes(LARGE)

    async def parts():
        for start in range(0, len(LARGE), 100_000):
            yield LARGE[start : start + 100_000]

    async with serving(file=file) as (_, base), client() as session:
        async with session.post(f"{base}/upload", data=parts()) as response:
            assert await response.json() == {"size": len(LARGE)}
        async with session.get(f"{base}/stream") as response:
            assert await response.read() == b"".join(b"%05d" % n for n in range(200))
        async with session.get(f"{base}/file") as response:
            assert await response.read() == LARGE


async def test_a_websocket_echoes_and_closes():
    async with serving() as (_, base), client() as session:
        async with session.ws_connect(f"{base}/ws", max_msg_size=0) as socket:
            for number in range(50):
                await socket.send_str(f"text {number}")
            for number in range(50):
                assert await socket.receive_str() == f"text {number}"
            sending = asyncio.create_task(socket.send_bytes(LARGE))
            assert await socket.receive_bytes() == LARGE
            await sending
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=0.01)
        async with session.ws_connect(f"{base}/ws") as socket:
            await socket.send_str("leave")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4000


async def test_a_client_that_gives_up_cancels_its_handler():
    async with serving() as (app, base), client() as session:
        asking = asyncio.create_task(session.get(f"{base}/never"))
        await app[BEGAN].wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await app[ENDED].wait()
        app[ENDED].clear()
        with pytest.raises(TimeoutError):
            await session.get(f"{base}/never", timeout=aiohttp.ClientTimeout(total=0.05))
        await app[ENDED].wait()
        async with session.get(base) as response:
            assert response.status == 200


async def test_a_server_that_comes_back_is_reached_again(tmp_path):
    path = str(tmp_path / "socket")
    async with client(connector=aiohttp.UnixConnector(path)) as session:
        for _ in range(3):
            async with serving(unix=path), session.get("http://unix/") as response:
                assert response.status == 200
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get("http://unix/")


async def test_tls():
    trusted = tls.client_context()
    trusted.check_hostname = False
    async with serving(tls=tls.server_context()) as (_, base), client() as session:
        async with session.get(base, ssl=trusted) as response:
            assert await response.json() == {"path": "/", "secure": True}
        async with session.post(f"{base}/upload", data=io.BytesIO(LARGE), ssl=trusted) as response:
            assert await response.json() == {"size": len(LARGE)}
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(base, ssl=tls.distrusting_context())
