"""An ASGI application that tells on which loop it runs; for the servers of other projects."""

from __future__ import annotations

import asyncio


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        await http(scope, receive, send)


async def lifespan(receive, send):
    for kind in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{kind}"
        await send({"type": f"lifespan.{kind}.complete"})


async def websocket(receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def http(scope, receive, send):
    """The body comes back behind the loop's type, in two parts with a turn between them."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    kind = type(asyncio.get_running_loop())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    name = f"{kind.__module__}.{kind.__qualname__}\n".encode()
    await send({"type": "http.response.body", "body": name, "more_body": True})
    await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": body})
