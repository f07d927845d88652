"""Streams: in steps that a test sets off, without an end, and faster than any client."""

from __future__ import annotations

import asyncio

from tests.server.apps.asgi import Paths, answer, answer_json, query, say

app = Paths()
START = {"type": "http.response.start", "status": 200, "headers": []}
MIB = 1 << 20
sent = {}


def piece(data, more=True):
    return {"type": "http.response.body", "body": data, "more_body": more}


@app.at("/steps")
async def steps(scope, receive, send):
    """Three pieces; each waits for a gate of its own."""
    name = query(scope)
    await send(START)
    for step in ("1", "2", "3"):
        await app.gate(f"{name}-{step}")
        await send(piece(f"step {step}".encode()))
    await app.gate(f"{name}-end")
    await send(piece(b"", more=False))


@app.at("/head-only")
async def head_only(scope, receive, send):
    """A head, and an empty piece behind it; then it waits."""
    await send(START)
    await send(piece(b""))
    await app.gate(query(scope))
    await send(piece(b"body", more=False))


@app.at("/flood")
async def flood(scope, receive, send):
    """64 pieces of a MiB, as fast as the client takes them. Says when it has to wait."""
    name = query(scope)
    await send({**START, "headers": [(b"content-length", b"%d" % (64 * MIB))]})
    for number in range(64):
        data = bytes([number]) * MIB
        sending = asyncio.ensure_future(send(piece(data, more=number < 63)))
        done, _ = await asyncio.wait([sending], timeout=0.5)
        if not done:
            say(f"{name} waits after {number} pieces")
        await sending
        sent[name] = number + 1
    say(f"{name} is done")


@app.at("/dribble")
async def dribble(scope, receive, send):
    """Many small pieces, without a pause of its own, until it is told to wait."""
    name = query(scope)
    await send(START)
    for number in range(100_000):
        sending = asyncio.ensure_future(send(piece(b"%08d" % number * 100)))
        done, _ = await asyncio.wait([sending], timeout=0.5)
        sent[name] = number + 1
        if not done:
            say(f"{name} waits")
            await sending
            break
    await send(piece(b"", more=False))
    say(f"{name} is done")


@app.at("/sent")
async def sent_so_far(scope, receive, send):
    await answer_json(send, sent.get(query(scope), 0))


@app.at("/two-senders")
async def two_senders(scope, receive, send):
    """Two tasks write to one response."""
    await send(START)

    async def write(data):
        for _ in range(50):
            await send(piece(data * 20_000))

    await asyncio.gather(write(b"a"), write(b"b"))
    await send(piece(b"", more=False))


@app.at("/large")
async def large(scope, receive, send):
    await answer(send, b"x" * int(query(scope)))


# what becomes of it when the client leaves


@app.at("/watch")
async def watch(scope, receive, send):
    """Waits in receive() alone."""
    message = await receive()
    assert message["type"] == "http.request", message
    say(f"{query(scope)} watches")
    message = await receive()
    say(f"{query(scope)} got {message['type']}")
    message = await receive()
    say(f"{query(scope)} got {message['type']} again")


@app.at("/endless")
async def endless(scope, receive, send):
    """Streams until receive() tells that the client has gone."""
    name = query(scope)
    gone = asyncio.ensure_future(wait_for_end(receive))
    try:
        await send(START)
        while not gone.done():
            await send(piece(b"tick"))
            await asyncio.sleep(0.01)
        say(f"{name} got {gone.result()}")
    finally:
        gone.cancel()
        say(f"{name} cleaned up")


async def wait_for_end(receive):
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return message["type"]


@app.at("/stuck")
async def stuck(scope, receive, send):
    """Is held in send() by a client that does not read."""
    name = query(scope)
    outcome = "was let go"
    try:
        await send(START)
        for _ in range(1000):
            sending = asyncio.ensure_future(send(piece(b"x" * MIB)))
            done, _ = await asyncio.wait([sending], timeout=0.5)
            if not done:
                say(f"{name} waits")
                await sending
                break
    except OSError:
        outcome = "got an OSError"
    finally:
        say(f"{name} {outcome}")


@app.at("/deaf")
async def deaf(scope, receive, send):
    """Sends to a client that has left."""
    name = query(scope)
    while (await receive())["type"] != "http.disconnect":
        pass
    version = tuple(int(part) for part in scope["asgi"]["spec_version"].split("."))
    try:
        await send(START)
        await send(piece(b"x"))
        await send(piece(b"x", more=False))
    except OSError:
        say(f"{name} raised {version >= (2, 4)}")
    else:
        say(f"{name} passed {version < (2, 4)}")


@app.at("/upload")
async def upload(scope, receive, send):
    """Says how a body ended."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            say(f"{query(scope)} broke off after {size}")
            return
        size += len(message["body"])
        say(f"{query(scope)} has {size}")
        if not message["more_body"]:
            say(f"{query(scope)} was whole")
            await answer(send)
            return
