"""Work that is going on when the server is told to stop. Says what becomes of it."""

from __future__ import annotations

import asyncio
import os
import time

from tests.server.apps.asgi import Paths, answer, query, read_body, say


class Stopping(Paths):
    async def _lifespan(self, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        say("lifespan shutdown")
        await asyncio.sleep(0)
        await send({"type": "lifespan.shutdown.complete"})


app = Stopping()
START = {"type": "http.response.start", "status": 200, "headers": []}


@app.at("/gate")
async def gate(scope, receive, send):
    """Answers once the file with the name of the query appears."""
    say(f"{query(scope)} has begun")
    await file(query(scope))
    await answer(send, b"finished")
    say(f"{query(scope)} has finished")


async def file(name):
    while not os.path.exists(name):
        await asyncio.sleep(0.01)


@app.at("/never")
async def never(scope, receive, send):
    say(f"{query(scope)} has begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say(f"{query(scope)} was cancelled")
        raise
    finally:
        await asyncio.sleep(0)
        say(f"{query(scope)} cleaned up")


@app.at("/stubborn")
async def stubborn(scope, receive, send):
    """Does not let itself be cancelled."""
    say("stubborn has begun")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("stubborn was cancelled")


@app.at("/blocked")
async def blocked(scope, receive, send):
    """Holds the loop itself."""
    say("blocked has begun")
    while not os.path.exists("unblock"):
        time.sleep(0.01)
    await answer(send, b"finished")


@app.at("/stream")
async def stream(scope, receive, send):
    """An event stream, as browsers keep it open for hours."""
    try:
        await send(START)
        while True:
            await send({"type": "http.response.body", "body": b"tick", "more_body": True})
            await asyncio.sleep(0.02)
    finally:
        say("stream cleaned up")


@app.at("/listener")
async def listener(scope, receive, send):
    """A stream that ends when receive() says that nobody listens."""
    await receive()
    await send(START)
    await send({"type": "http.response.body", "body": b"tick", "more_body": True})
    message = await receive()
    say(f"listener got {message['type']}")


@app.at("/upload")
async def upload(scope, receive, send):
    say("upload has begun")
    body = await read_body(receive)
    say(f"upload has {'nothing' if body is None else len(body)}")
    await answer(send, b"%d" % len(body or b""))


@app.at("/background")
async def background(scope, receive, send):
    """Works on behind its response, in the same task: Starlette's BackgroundTask."""
    await answer(send, b"accepted")
    say("background has begun")
    await file("background")
    say("background has finished")


@app.at("/spawn")
async def spawn(scope, receive, send):
    """A task of the application's own, which nobody waits for but who is told of the end."""

    async def work():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("spawned task was cancelled")
            raise

    app.spawned = asyncio.create_task(work())
    await answer(send, b"spawned")


@app.at("/spawn-slow")
async def spawn_slow(scope, receive, send):
    """A task of the application's own that takes its time to tidy up."""

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            say("tidying up")
            await file("tidy")
            say("tidied up")

    app.spawned = asyncio.create_task(work())
    await answer(send, b"spawned")
