"""WebSockets of a FastAPI application, used by the clients that people use."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import connect

LARGE = "many words, and the same ones again " * 30_000


@pytest.fixture(scope="module")
def server(serve):
    return serve("fast_sockets:app", errors_are_wanted=True)


@pytest.fixture
def url(server):
    return server.url.replace("http:", "ws:")


def run(main):
    asyncio.run(asyncio.wait_for(main, 20))


# the client of `websockets`


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_conversation_with_websockets(server, url, compression):
    async def main():
        options = {"compression": compression, "max_size": None, "proxy": None}
        async with connect(f"{url}/room/ann", subprotocols=["chat"], **options) as ann:
            assert ann.subprotocol == "chat"
            async with connect(f"{url}/room/bob", **options) as bob:
                await bob.send("hello")
                assert await ann.recv() == await bob.recv() == "bob: hello"
                await ann.send(LARGE)
                assert await bob.recv() == f"ann: {LARGE}"
                await ann.send(["in ", "two"])
                assert await ann.recv() == f"ann: {LARGE}"
                assert await ann.recv() == "ann: in two"
                assert await (await bob.ping()) >= 0
                await bob.close(4001, "good night")
            assert (bob.close_code, bob.close_reason) == (4001, "")

    since = server.mark()
    run(main())
    server.said("bob left with 4001 'good night'", since)
    server.said("ann left with 1000 ''", since)


def test_many_messages_in_flight_keep_their_order(url):
    async def main():
        async with connect(f"{url}/json", proxy=None) as ws:
            sending = asyncio.ensure_future(send_all(ws))
            for number in range(2000):
                assert await ws.recv() == f'{{"got":{number}}}'
            await sending

    async def send_all(ws):
        for number in range(2000):
            await ws.send(str(number))

    run(main())


def test_refusals_are_what_clients_expect(url):
    async def main():
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"{url}/guarded", proxy=None)
        assert refused.value.response.status_code == 403
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"{url}/denied", proxy=None)
        assert refused.value.response.status_code == 418
        assert refused.value.response.body == b'{"detail":"not here"}'
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"{url}/nowhere", proxy=None)
        assert refused.value.response.status_code == 403

    run(main())


def test_the_application_closes_with_a_reason(url):
    async def main():
        async with connect(f"{url}/guarded?token=abc", proxy=None) as ws:
            assert await ws.recv() == "abc"
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (3000, "that was all")

    run(main())


def test_a_stream_ends_when_its_client_does(server, url):
    async def main():
        async with connect(f"{url}/stream", proxy=None) as ws:
            for _ in range(100):
                assert await ws.recv() == "x" * 1000
            ws.transport.abort()
            with contextlib.suppress(websockets.ConnectionClosed):
                await ws.wait_closed()

    since = server.mark()
    run(main())
    server.said("stream ended with 1006", since)


# the client of aiohttp


@pytest.mark.parametrize("compress", [0, 15])
def test_a_conversation_with_aiohttp(server, url, compress):
    async def main():
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/bytes", compress=compress, max_msg_size=0) as ws,
        ):
            assert bool(ws.compress) is bool(compress)
            for data in (b"abc", b"", bytes(range(256)) * 4096):
                await ws.send_bytes(data)
                assert await ws.receive_bytes() == data[::-1]
            await ws.close(code=1001)

    since = server.mark()
    run(main())
    server.said("bytes ended", since)


def test_headers_and_json_with_aiohttp(url):
    async def main():
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/json", autoping=False) as ws,
        ):
            assert ws._response.headers["x-kind"] == "json"
            await ws.send_json({"a": ["ü"]})
            assert await ws.receive_json() == {"got": {"a": ["ü"]}}
            await ws.ping(b"there?")
            pong = await ws.receive()
            assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"there?")

    run(main())
