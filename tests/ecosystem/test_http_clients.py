"""httpx, hypercorn and uvicorn on one loop: HTTP/1.1, HTTP/2, TLS and WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl

import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn

from tests.support import tls
from tests.support.net import HOST, free_port

LARGE = os.urandom(1 << 20)


async def app(scope, receive, send):
    """Echoes a request's body in parts; /slow never answers; lifespan is accepted."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{kind}"
            await send({"type": f"lifespan.{kind}.complete"})
        return
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    if scope["path"] == "/slow":
        assert (await receive())["type"] == "http.disconnect"
        return
    headers = [(b"x-version", scope["http_version"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(body), 50_000):
        part = bytes(body[start : start + 50_000])
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def hypercorn_serving(tmp_path, secure):
    config = hypercorn.config.Config()
    port = free_port()
    config.bind = [f"{HOST}:{port}"]
    config.graceful_timeout = 1
    config.errorlog = None
    if secure:
        config.certfile, config.keyfile = tls_files(tmp_path)
    stop = asyncio.Event()
    config_ready = asyncio.create_task(
        hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)
    )
    try:
        yield port
    finally:
        stop.set()
        await config_ready


@contextlib.asynccontextmanager
async def uvicorn_serving(tmp_path, secure):
    port = free_port()
    files = dict(zip(("ssl_certfile", "ssl_keyfile"), tls_files(tmp_path), strict=True))
    config = uvicorn.Config(
        app, HOST, port, log_config=None, timeout_graceful_shutdown=1, **(files if secure else {})
    )
    server = uvicorn.Server(config)
    # It restores the signal handlers that it finds, but only at the end of serve().
    running = asyncio.create_task(server.serve())
    try:
        yield port
    finally:
        server.should_exit = True
        await running


SERVERS = {"hypercorn": hypercorn_serving, "uvicorn": uvicorn_serving}


def tls_files(tmp_path):
    certificate = tls.issue()
    pair = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(pair[0])
    certificate.private_key_pem.write_to_path(pair[1])
    return str(pair[0]), str(pair[1])


async def connectable(port):
    """Servers of other projects do not tell when they listen."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()
            return
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def client_of(server, tmp_path, *, secure=False, **options):
    async with SERVERS[server](tmp_path, secure) as port:
        await connectable(port)
        context = tls.client_context()
        context.check_hostname = False
        base = f"{'https' if secure else 'http'}://{HOST}:{port}"
        verify = context if secure else False
        async with httpx.AsyncClient(
            base_url=base, verify=verify, trust_env=False, timeout=8, **options
        ) as client:
            yield client


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_many_requests_at_once(tmp_path, server, secure):
    async with client_of(server, tmp_path, secure=secure) as client:

        async def one(number):
            body = b"%d" % number * number
            response = await client.post("/", content=body)
            assert response.content == body
            assert response.headers["x-version"] == "1.1"

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(one(number))
            group.create_task(large(client))


async def large(client):
    async def parts():
        for start in range(0, len(LARGE), 30_000):
            yield LARGE[start : start + 30_000]

    async with client.stream("POST", "/", content=parts()) as response:
        assert b"".join([part async for part in response.aiter_bytes()]) == LARGE


async def test_http2_streams_share_a_connection(tmp_path):
    async with client_of("hypercorn", tmp_path, secure=True, http2=True) as client:

        async def one(number):
            response = await client.post("/", content=b"%d" % number)
            assert response.content == b"%d" % number
            assert response.headers["x-version"] == "2"

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(one(number))
            group.create_task(large(client))


@pytest.mark.parametrize("server", SERVERS)
async def test_a_timeout_and_a_cancellation_leave_the_client_usable(tmp_path, server):
    async with client_of(server, tmp_path) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/slow", timeout=0.05)
        asking = asyncio.create_task(client.get("/slow"))
        while not client._transport._pool.connections:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await client.post("/", content=b"x")).content == b"x"
