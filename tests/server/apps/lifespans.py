"""Applications that differ in their lifespan only. Requests are answered with what they find."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import time

from tests.server.apps.asgi import answer_json, say

CONTEXT = contextvars.ContextVar("lifespan", default="outside")
started = []


async def respond(scope, receive, send):
    state = scope.get("state")
    shown = None if state is None else {key: repr(state[key]) for key in sorted(state)}
    await answer_json(send, {"started": started, "state": shown, "context": CONTEXT.get()})


def lifespan(startup=None, shutdown=None):
    """An application with a proper lifespan and something of its own in it."""

    async def app(scope, receive, send):
        if scope["type"] != "lifespan":
            await respond(scope, receive, send)
            return
        assert (await receive()) == {"type": "lifespan.startup"}
        if startup is not None:
            await startup(scope, send)
        await send({"type": "lifespan.startup.complete"})
        assert (await receive()) == {"type": "lifespan.shutdown"}
        if shutdown is not None:
            await shutdown(scope, send)
        await send({"type": "lifespan.shutdown.complete"})

    return app


# that work


async def note_startup(scope, send):
    started.append("yes")
    say(f"startup {json.dumps({key: scope[key] for key in ('type', 'asgi')})}")


async def note_shutdown(scope, send):
    await asyncio.sleep(0)
    say("shutdown")


good = lifespan(note_startup, note_shutdown)


async def fill_state(scope, send):
    scope["state"]["number"] = 1
    scope["state"]["shared"] = []


async def with_state(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(fill_state)(scope, receive, send)
        return
    state = scope["state"]
    found = {"number": state["number"], "shared": list(state["shared"]), "keys": sorted(state)}
    state["number"] += 1
    state["shared"].append("visited")
    state["own"] = True
    await answer_json(send, found)


async def slow_startup(scope, send):
    """Begun, it waits for a file to appear."""
    say("startup has begun")
    while not os.path.exists("go"):
        await asyncio.sleep(0.01)
    started.append("yes")


slow = lifespan(slow_startup)


async def block_startup(scope, send):
    say("startup has begun")
    while not os.path.exists("go"):
        time.sleep(0.01)
    started.append("yes")


blocking = lifespan(block_startup)


async def set_context(scope, send):
    CONTEXT.set("inside")


contextual = lifespan(set_context)


async def one_task(scope, receive, send):
    """Start-up and shut-down run in one task: cancel scopes and task groups span both."""
    if scope["type"] == "lifespan":
        await receive()
        async with asyncio.TaskGroup() as group:
            task = asyncio.current_task()
            worker = group.create_task(asyncio.sleep(3600))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            assert asyncio.current_task() is task
            worker.cancel()
        say("the group has ended")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await respond(scope, receive, send)


# that know nothing of it


async def refuses(scope, receive, send):
    assert scope["type"] == "http", "only http is spoken here"
    await respond(scope, receive, send)


async def returns(scope, receive, send):
    if scope["type"] == "http":
        await respond(scope, receive, send)


# that fail


async def fails(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is down"})


async def fails_silently(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed"})


async def fails_long(scope, receive, send):
    await receive()
    text = 'Traceback (most recent call last):\n  File "x"\nValueError: the last line says why\n'
    await send({"type": "lifespan.startup.failed", "message": text})
    raise ValueError("the last line says why")


async def raises(scope, receive, send):
    if scope["type"] == "http":
        await respond(scope, receive, send)
        return
    await receive()
    raise ValueError("raised by the startup")


async def exits(scope, receive, send):
    raise SystemExit(7)


async def shutdown_fails(scope, send):
    await send({"type": "lifespan.shutdown.failed", "message": "could not save"})
    await asyncio.Event().wait()


shutdown_failing = lifespan(None, shutdown_fails)


async def shutdown_raises(scope, send):
    raise ValueError("raised by the shutdown")


shutdown_raising = lifespan(None, shutdown_raises)


async def dies(scope, receive, send):
    """The lifespan ends with an error while requests are served."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("died while serving")
    await respond(scope, receive, send)


async def hang(scope, send):
    say("shutdown hangs")
    try:
        await asyncio.Event().wait()
    finally:
        say("shutdown was cancelled")


hanging = lifespan(None, hang)
hanging_startup = lifespan(hang)
