"""What the code inside a request can see of its surroundings: task, loop, context, libraries."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref

import anyio
import anyio.to_thread

from tests.server.apps.asgi import Paths, answer_json, query, say

app = Paths()
COLOUR = contextvars.ContextVar("colour", default="none")
tasks = weakref.WeakSet()


@app.at("/task")
async def task(scope, receive, send):
    current = asyncio.current_task()
    tasks.add(current)
    before = isinstance(current, asyncio.Task) and current in asyncio.all_tasks()
    await asyncio.sleep(0)
    await answer_json(
        send,
        {
            "is_listed": before,
            "is_kept": asyncio.current_task() is current,
            "is_running_loop": current.get_loop() is asyncio.get_running_loop(),
            "name": current.get_name(),
            "shows_the_application": "asgi.py" in str(current.get_stack()),
            "main_thread": threading.current_thread() is threading.main_thread(),
        },
    )


@app.at("/other-task")
async def other_task(scope, receive, send):
    """Whether every request has a task of its own."""
    current = asyncio.current_task()
    fresh = current not in tasks
    tasks.add(current)
    await answer_json(send, fresh)


@app.at("/left")
async def left(scope, receive, send):
    """How many tasks there are: one for this request, one for the lifespan, the server's own."""
    await answer_json(send, len(asyncio.all_tasks()))


@app.at("/colour")
async def colour(scope, receive, send):
    """The colour before and after it was set, in this task and in one that it starts."""
    before = COLOUR.get()
    COLOUR.set(query(scope))
    await asyncio.sleep(0)
    inner = await asyncio.create_task(read_colour())
    after = COLOUR.get()
    await answer_json(send, [before, inner, after])


async def read_colour():
    colour = COLOUR.get()
    COLOUR.set("inner")
    return colour


@app.at("/colour-held")
async def colour_held(scope, receive, send):
    COLOUR.set(query(scope))
    say(f"holds {query(scope)}")
    await app.gate(f"colour-{query(scope)}")
    await answer_json(send, COLOUR.get())


@app.at("/colour-in-send")
async def colour_in_send(scope, receive, send):
    """receive() and send() keep the context of who awaits them."""
    COLOUR.set("kept")
    await receive()
    first = COLOUR.get()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    assert (first, COLOUR.get()) == ("kept", "kept")
    await send({"type": "http.response.body", "body": b"true"})


@app.at("/libraries")
async def libraries(scope, receive, send):
    async with anyio.create_task_group() as group:
        scope_cancelled = False
        with anyio.move_on_after(0.01) as cancel:
            await anyio.sleep_forever()
        scope_cancelled = cancel.cancelled_caught
        group.start_soon(anyio.sleep, 0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks_of_ours:
        both = [tasks_of_ours.create_task(asyncio.sleep(0, n)) for n in range(2)]
    thread = await anyio.to_thread.run_sync(threading.get_ident)
    executor = await asyncio.to_thread(threading.get_ident)
    await answer_json(
        send,
        {
            "anyio": anyio.get_current_task().id == id(asyncio.current_task()),
            "cancel_scope": scope_cancelled,
            "group": [task.result() for task in both],
            "threads": len({thread, executor, threading.get_ident()}) >= 2,
        },
    )


@app.at("/timeout")
async def timeout(scope, receive, send):
    """A receive() that nobody answers can be given up, and loses nothing."""
    await receive()
    try:
        async with asyncio.timeout(0.05):
            await receive()
        outcome = "answered"
    except TimeoutError:
        outcome = "given up"
    await answer_json(send, outcome)


@app.at("/shielded")
async def shielded(scope, receive, send):
    """A receive() that is cancelled takes no message away."""
    waiting = asyncio.ensure_future(receive())
    say("waits for a body")
    await app.gate(query(scope))
    waiting.cancel()
    await asyncio.wait([waiting])
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await answer_json(send, body.decode())


@app.at("/two-receivers")
async def two_receivers(scope, receive, send):
    """Two tasks wait for messages: neither is forgotten."""
    await receive()
    both = [asyncio.create_task(receive()) for _ in range(2)]
    await asyncio.sleep(0)
    say("two wait")
    for message in await asyncio.gather(*both):
        say(f"{query(scope)} got {message['type']}")


@app.at("/background")
async def background(scope, receive, send):
    """A task that outlives its request."""

    async def work():
        await app.gate(query(scope))
        say(f"{query(scope)} worked in {COLOUR.get()}")

    COLOUR.set("blue")
    app.working = asyncio.create_task(work())
    await answer_json(send, True)


@app.at("/cancel-me")
async def cancel_me(scope, receive, send):
    """Another request cancels this one's task."""
    app.victim = asyncio.current_task()
    say("victim waits")
    try:
        await app.gate("never")
    except asyncio.CancelledError:
        say("victim was cancelled")
        raise


@app.at("/cancel")
async def cancel(scope, receive, send):
    await answer_json(send, app.victim.cancel())
