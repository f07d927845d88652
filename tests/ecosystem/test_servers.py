"""The servers of other projects as programs, their workers on weft's loop."""

from __future__ import annotations

import asyncio
import pathlib
import re
import signal

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.net import HOST, free_port
from tests.support.program import START_LIMIT, Program

pytestmark = [
    pytest.mark.weft_only("how to put weft under them is what is shown"),
    pytest.mark.limit(60),
]

APPS = pathlib.Path(__file__).with_name("apps")
LISTENING = re.compile(r"(?:running on|listening at:?) (http://\S+)", re.IGNORECASE)
GUNICORN = ["-m", "gunicorn", "loops:app", "-c", "gunicorn_on_weft.py", "-b", f"{HOST}:PORT", "-k"]
# A shell may have started the tests with SIGINT ignored: SIGTERM stops all of them.
SERVERS = {
    "uvicorn": ["-m", "uvicorn", "loops:app", "--loop", "weft:new_event_loop", "--port", "PORT"],
    "hypercorn": ["hypercorn_on_weft.py", "PORT"],
    "granian": ["granian_on_weft.py", "PORT"],
    "gunicorn": [*GUNICORN, "asgi"],
    "gunicorn-uvicorn": [*GUNICORN, "gunicorn_on_weft.WeftUvicornWorker"],
}
EXIT_CODES = {"uvicorn": -signal.SIGTERM}


@pytest.fixture(params=SERVERS)
def server(request):
    return request.param


async def test_a_server_answers_on_weft(server):
    port = str(free_port())
    arguments = [argument.replace("PORT", port) for argument in SERVERS[server]]
    with Program(arguments, directory=APPS, python=True) as program:
        program.wait_for(LISTENING, START_LIMIT)
        async with httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}", trust_env=False, timeout=20
        ) as client:
            await connectable(int(port))
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(ask(client, b"%d" % number * 3000))
        await exchange(f"ws://{HOST}:{port}/")
        assert await asyncio.to_thread(program.terminate) == EXIT_CODES.get(server, 0), program.log
        assert "Traceback" not in program.log


async def connectable(port):
    """Some say that they listen before they do."""
    async with asyncio.timeout(START_LIMIT):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


async def ask(client, body):
    response = await client.post("/", content=body)
    loop, _, echoed = response.content.partition(b"\n")
    assert loop == b"weft.event_loop.EventLoop"
    assert echoed == body


async def exchange(url):
    async with connect(url, proxy=None) as websocket:
        for number in range(20):
            await websocket.send(f"text {number}")
            assert await websocket.recv() == f"text {number}"
