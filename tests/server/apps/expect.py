"""Applications that ask for the body of a request, or do not, or do so late."""

from __future__ import annotations

from tests.server.apps.asgi import Paths, answer, query, read_body, say

app = Paths()


@app.at("/read")
async def read(scope, receive, send):
    await answer(send, await read_body(receive))


@app.at("/refuse")
async def refuse(scope, receive, send):
    await answer(send, b"no", 403)


@app.at("/later")
async def later(scope, receive, send):
    say("later waits")
    await app.gate(query(scope))
    await answer(send, await read_body(receive))


@app.at("/started")
async def started(scope, receive, send):
    """Begins to answer before it asks for the body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    body = await read_body(receive)
    await send({"type": "http.response.body", "body": b"none" if body is None else body})
