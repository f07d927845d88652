"""WebSockets of every kind. What an application is told at the end, it says in the log."""

from __future__ import annotations

import asyncio
import json

from tests.server.apps.asgi import Paths, answer, query, say

app = Paths()
LARGE = bytes(64 * 1024)


async def accept(receive, send, **details):
    message = await receive()
    assert message == {"type": "websocket.connect"}, message
    await send({"type": "websocket.accept", **details})


def say_end(name, message):
    say(f"{name} {message['type']} {message['code']} {message['reason']!r}")


async def echo_until_the_end(name, receive, send):
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            say_end(name, message)
            return
        await send({**message, "type": "websocket.send"})


@app.at("/echo")
async def echo(scope, receive, send):
    if scope["type"] == "http":
        await answer(send, b"plain HTTP")
        return
    await accept(receive, send)
    await echo_until_the_end(query(scope) or "echo", receive, send)


@app.at("/early")
async def early(scope, receive, send):
    """Accepts before it has received anything."""
    await send({"type": "websocket.accept"})
    assert await receive() == {"type": "websocket.connect"}
    await echo_until_the_end("early", receive, send)


@app.at("/late")
async def late(scope, receive, send):
    """Accepts once the gate with the name of the query is open."""
    say(f"{query(scope)} waits")
    await app.gate(query(scope))
    await accept(receive, send)
    await echo_until_the_end(query(scope), receive, send)


@app.at("/scope")
async def show_scope(scope, receive, send):
    shown = {key: value for key, value in scope.items() if key != "state"}
    shown["headers"] = [
        [name.decode(), value.decode("latin-1")] for name, value in scope["headers"]
    ]
    shown["raw_path"], shown["query_string"] = scope["raw_path"].decode(), query(scope)
    await accept(receive, send)
    await send({"type": "websocket.send", "text": json.dumps(shown)})
    await receive()


@app.at("/subprotocol")
async def subprotocol(scope, receive, send):
    await accept(receive, send, subprotocol=query(scope) or None)
    await send({"type": "websocket.close"})


@app.at("/headers")
async def headers(scope, receive, send):
    pairs = [(b"x-one", b"1"), [b"Set-Cookie", b"a=b"], (b"set-cookie", b"c=d")]
    await accept(receive, send, headers=pairs)
    await send({"type": "websocket.close"})


@app.at("/bad-header")
async def bad_header(scope, receive, send):
    name, _, value = query(scope).partition("=")
    await accept(receive, send, headers=[(name.encode(), value.replace("+", "\r\n").encode())])


# ways not to accept


@app.at("/deny")
async def deny(scope, receive, send):
    await receive()
    await send({"type": "websocket.close", "code": 4000, "reason": "no"})
    say_end("denied", await receive())
    try:
        await send({"type": "websocket.accept"})
    except OSError as error:
        say(f"denied {type(error).__name__}")


@app.at("/denial")
async def denial(scope, receive, send):
    await receive()
    fields = [(b"content-type", b"text/plain"), (b"x-why", b"because")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": fields})
    for piece, more in ((b"not ", True), (b"you", False)):
        await send({"type": "websocket.http.response.body", "body": piece, "more_body": more})


@app.at("/silent")
async def silent(scope, receive, send):
    await receive()


@app.at("/raise")
async def fail(scope, receive, send):
    await receive()
    raise RuntimeError("on purpose")


@app.at("/half-denial")
async def half_denial(scope, receive, send):
    await send({"type": "websocket.http.response.start", "status": 200, "headers": []})


@app.at("/gone")
async def gone(scope, receive, send):
    """Is not accepted before its client has gone."""
    await receive()
    say("gone waits")
    say_end("gone", await receive())
    for kind in ("websocket.accept", "websocket.close"):
        try:
            await send({"type": kind})
        except OSError as error:
            say(f"gone {kind} {type(error).__name__}")


# ways to end


@app.at("/close")
async def close(scope, receive, send):
    await accept(receive, send)
    code, _, reason = query(scope).partition("&")
    details = {"code": int(code)} if code else {}
    await send({"type": "websocket.close", **details, "reason": reason or None})
    try:
        await send({"type": "websocket.send", "text": "late"})
    except OSError as error:
        say(f"closed {type(error).__name__}: {error}")
    say_end("closed", await receive())


@app.at("/bad-close")
async def bad_close(scope, receive, send):
    await accept(receive, send)
    for code in (0, 1005, 1006, 1015, 2999, 5000, 70_000, -1):
        try:
            await send({"type": "websocket.close", "code": code})
        except ValueError as error:
            say(f"{code}: {error}")
    await send({"type": "websocket.close", "code": 1001})


@app.at("/return")
async def give_back(scope, receive, send):
    await accept(receive, send)


@app.at("/value")
async def value(scope, receive, send):
    await accept(receive, send)
    return 42


@app.at("/raise-later")
async def fail_later(scope, receive, send):
    await accept(receive, send)
    raise RuntimeError("on purpose")


@app.at("/after")
async def after(scope, receive, send):
    """What it gets once its client has gone: the same end again, and an OSError."""
    await accept(receive, send)
    first = await receive()
    while first["type"] == "websocket.receive":
        first = await receive()
    assert first == await receive()
    say_end("after", first)
    await send({"type": "websocket.send", "text": "late"})


# traffic


@app.at("/burst")
async def burst(scope, receive, send):
    """Sends many messages without waiting in between."""
    await accept(receive, send)
    for number in range(int(query(scope))):
        await send({"type": "websocket.send", "text": str(number)})
    await receive()


@app.at("/flood")
async def flood(scope, receive, send):
    """Sends for as long as it is let; says how much, once it has to wait."""
    await accept(receive, send)
    sent = 0
    while True:
        sending = asyncio.ensure_future(send({"type": "websocket.send", "bytes": LARGE}))
        done, _ = await asyncio.wait([sending], timeout=0.5)
        sent += 1
        if not done:
            say(f"flood waits after {sent}")
            break
        await sending
    await app.gate(query(scope))
    await sending
    say("flood goes on")
    await send({"type": "websocket.close"})


@app.at("/slow")
async def slow(scope, receive, send):
    """Receives nothing until the gate is open; then all."""
    await accept(receive, send)
    say(f"{query(scope)} waits")
    await app.gate(query(scope))
    total = 0
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            say(f"{query(scope)} received {total}")
            return
        total += len(message["bytes"])


@app.at("/kinds")
async def kinds(scope, receive, send):
    """Sends what counts as text or bytes, and tries what does not."""
    await accept(receive, send)
    for details in (
        {"text": "t"},
        {"bytes": b"b"},
        {"bytes": bytearray(b"a")},
        {"bytes": memoryview(b"m")},
        {"text": "t", "bytes": None},
        {"text": None, "bytes": b""},
        {"text": ""},
    ):
        await send({"type": "websocket.send", **details})
    for message in (
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": None, "bytes": None},
        {"type": "websocket.send", "text": b"bytes"},
        {"type": "websocket.send", "bytes": "text"},
        {"type": "websocket.send", "text": "\ud800"},
        {"type": "websocket.accept"},
        {"type": "http.response.start", "status": 200},
        {"text": "no type"},
    ):
        try:
            await send(message)
        except Exception as error:
            await send({"type": "websocket.send", "text": f"{type(error).__name__}: {error}"})
    await send({"type": "websocket.close"})
