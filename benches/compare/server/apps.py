"""The raw ASGI applications that every server runs unchanged; they import nothing but asyncio.

They are written as frameworks write theirs: fresh dicts for each event, no shortcut that only
one server could use.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HELLO = b"Hello, world!"
CHUNKS = 100
CHUNK = b"data: " + b"0123456789" * 5 + b"\n\n\n\n"
assert len(HELLO) == 13
assert len(CHUNK) == 60


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _answer(send: Send, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """13 bytes, without looking at the request."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await _answer(send, HELLO)


async def post(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and answers with its length; `/digest` proves the bytes themselves."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    parts = []
    more = True
    while more:
        event = await receive()
        parts.append(event.get("body", b""))
        more = event.get("more_body", False)
    body = b"".join(parts)
    if scope["path"] == "/digest":
        await _answer(send, hashlib.sha256(body).hexdigest().encode())
        return
    await _answer(send, str(len(body)).encode())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends every message of a WebSocket back."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "bytes": event["bytes"]})


async def _start_stream(send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/event-stream")],
        }
    )


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """100 chunks sent one after the other; a server may put several into one write."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await _start_stream(send)
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """The same 100 chunks with one turn of the loop between them, as events arrive in practice."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await _start_stream(send)
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
