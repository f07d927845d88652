"""Request bodies: read at once, slowly, partly, never."""

from __future__ import annotations

import hashlib
import json

from tests.server.apps.asgi import Paths, answer, answer_json, query, read_body, say

app = Paths()


@app.at("/echo")
async def echo(scope, receive, send):
    body = await read_body(receive)
    await answer(send, body, headers=[(b"content-length", b"%d" % len(body))])


@app.at("/pieces")
async def pieces(scope, receive, send):
    """The messages as they came: the length of each body, and its more_body."""
    seen = []
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        assert type(message["body"]) is bytes
        seen.append([len(message["body"]), message["more_body"]])
        if not message["more_body"]:
            break
    await answer_json(send, seen)


@app.at("/each")
async def each(scope, receive, send):
    """Says each piece as it comes."""
    while True:
        message = await receive()
        if message.get("body"):
            say(f"piece {message['body'].decode()}")
        if not message.get("more_body"):
            break
    await answer(send)


@app.at("/hash")
async def hash_of(scope, receive, send):
    digest, size, largest, more = hashlib.sha256(), 0, 0, True
    while more:
        message = await receive()
        digest.update(message["body"])
        size += len(message["body"])
        largest = max(largest, len(message["body"]))
        more = message["more_body"]
    await answer_json(send, {"sha256": digest.hexdigest(), "size": size, "largest": largest})


@app.at("/late")
async def late(scope, receive, send):
    """Reads nothing until the gate is open."""
    say("late waits")
    await app.gate(query(scope))
    await hash_of(scope, receive, send)


@app.at("/ignore")
async def ignore(scope, receive, send):
    await answer(send, b"ignored", headers=[(b"content-length", b"7")])


@app.at("/first")
async def first(scope, receive, send):
    """Looks at the first piece alone."""
    message = await receive()
    await answer_json(send, len(message["body"]))


@app.at("/after")
async def after(scope, receive, send):
    """Answers first, and says what it can receive then."""
    await answer(send, b"first")
    message = await receive()
    say(f"after the response: {json.dumps(message)}")


@app.at("/refuse")
async def refuse(scope, receive, send):
    await answer(send, b"too large", 413)


@app.at("/promise")
async def promise(scope, receive, send):
    """Starts a response, then asks for the body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first ", "more_body": True})
    body = await read_body(receive)
    await send({"type": "http.response.body", "body": body})
