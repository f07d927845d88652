"""What connections are tested with: answers at once, answers when told, and who is answered."""

from __future__ import annotations

import asyncio

from tests.server.apps.asgi import Paths, answer, query, say

app = Paths()


@app.at("/who")
async def who(scope, receive, send):
    """The client's port: it tells connections apart."""
    _host, port = scope["client"]
    await answer(send, f"{query(scope)} {port}".encode())


@app.at("/wait")
async def wait(scope, receive, send):
    """Answers when the gate is open."""
    say(f"waiting {query(scope)}")
    await app.gate(query(scope))
    await answer(send, f"waited {query(scope)}".encode())


@app.at("/turns")
async def turns(scope, receive, send):
    """Gives the loop some turns before it answers."""
    for _ in range(5):
        await asyncio.sleep(0)
    await answer(send, b"turned " + scope["query_string"])


@app.at("/close")
async def close(scope, receive, send):
    await answer(send, b"bye", headers=[(b"connection", b"close")])


@app.at("/length")
async def length(scope, receive, send):
    await answer(send, b"five!", headers=[(b"content-length", b"5")])


@app.at("/stream")
async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"one", b"two", b"three"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


@app.at("/late")
async def late(scope, receive, send):
    """Answers, and then works on until the gate is open."""
    await answer(send, b"early")
    await app.gate(query(scope))
    say(f"worked {query(scope)}")
