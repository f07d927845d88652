"""Applications that break the contract, one handler for each way."""

from __future__ import annotations

import asyncio

from tests.server.apps.asgi import Paths, answer, answer_json, query, say

app = Paths()
EMPTY = {"type": "http.response.body", "body": b""}


def start(*headers, status=200):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def tried(send, *messages):
    """Send each; say what the first one that fails raises, and let it out."""
    for number, message in enumerate(messages):
        try:
            await send(message)
        except Exception as error:
            say(f"message {number}: {type(error).__name__}: {error}")
            raise


@app.at("/body-first")
async def body_first(scope, receive, send):
    await tried(send, body(b"x"))


@app.at("/start-twice")
async def start_twice(scope, receive, send):
    await tried(send, start(), start())


@app.at("/start-inside")
async def start_inside(scope, receive, send):
    await tried(send, start(), body(b"begun", more=True), start())


@app.at("/after-end")
async def after_end(scope, receive, send):
    await tried(send, start(), body(b"whole"), body(b"more"))


@app.at("/start-after-end")
async def start_after_end(scope, receive, send):
    await tried(send, start(), body(b"whole"), start())


WRONG = {
    "unknown-type": {"type": "http.response.oops"},
    "websocket": {"type": "websocket.accept"},
    "no-type": {"status": 200},
    "no-status": {"type": "http.response.start"},
    "status-text": {"type": "http.response.start", "status": "200"},
    "status-none": {"type": "http.response.start", "status": None},
    "status-zero": start(status=0),
    "status-negative": start(status=-200),
    "status-99": start(status=99),
    "status-1000": start(status=1000),
    "status-huge": start(status=2**70),
    "text-headers": start(("name", "value")),
    "text-value": start((b"name", "value")),
    "number-value": start((b"name", 5)),
    "one-part": start((b"name",)),
    "three-parts": start((b"name", b"value", b"more")),
    "headers-none-inside": start(None),
    "headers-number": {"type": "http.response.start", "status": 200, "headers": 5},
    "not-a-message": "http.response.start",
    "none": None,
}
BAD_HEADERS = {
    "crlf": (b"name", b"a\r\nSet-Cookie: stolen"),
    "lf": (b"name", b"a\nSet-Cookie: stolen"),
    "cr": (b"name", b"a\rb"),
    "nul": (b"name", b"a\0b"),
    "bell": (b"name", b"a\x07b"),
    "name-crlf": (b"name\r\nSet-Cookie", b"stolen"),
    "name-space": (b"na me", b"a"),
    "name-colon": (b"na:me", b"a"),
    "name-empty": (b"", b"a"),
    "name-latin": (b"n\xe4me", b"a"),
    "length-text": (b"content-length", b"five"),
    "length-negative": (b"content-length", b"-1"),
    "length-list": (b"content-length", b"5, 5"),
    "coding": (b"transfer-encoding", b"gzip"),
}


@app.at("/wrong")
async def wrong(scope, receive, send):
    await tried(send, WRONG[query(scope)])
    await tried(send, EMPTY)


@app.at("/bad-header")
async def bad_header(scope, receive, send):
    await tried(send, start((b"good", b"secret"), BAD_HEADERS[query(scope)]))
    await tried(send, body(b"secret"))


@app.at("/lengths-differ")
async def lengths_differ(scope, receive, send):
    await tried(send, start((b"content-length", b"1"), (b"content-length", b"2")))
    await tried(send, body(b"secret"))


@app.at("/wrong-body")
async def wrong_body(scope, receive, send):
    await tried(send, start(), body({"text": "x", "none": None, "list": [1]}[query(scope)]))


@app.at("/forgives-itself")
async def forgives_itself(scope, receive, send):
    """Sees its own mistake, and answers properly."""
    try:
        await send(body(b"too early"))
    except RuntimeError:
        await answer(send, b"second thought", 418)


# a body that is not as long as was said


@app.at("/longer")
async def longer(scope, receive, send):
    await tried(send, start((b"content-length", b"3")), body(b"toolong"))


@app.at("/longer-in-pieces")
async def longer_in_pieces(scope, receive, send):
    first = body(b"abc", more=True)
    await tried(send, start((b"content-length", b"3")), first, body(b"HTTP/1.1 200 OK\r\n\r\n"))


@app.at("/shorter")
async def shorter(scope, receive, send):
    await tried(send, start((b"content-length", b"10")), body(b"abc"))


@app.at("/shorter-in-pieces")
async def shorter_in_pieces(scope, receive, send):
    await tried(send, start((b"content-length", b"10")), body(b"abc", more=True), body(b"def"))


@app.at("/none-of-ten")
async def none_of_ten(scope, receive, send):
    await tried(send, start((b"content-length", b"10")), EMPTY)


# ends that are none


@app.at("/raise")
async def raises(scope, receive, send):
    raise ValueError(f"raised on purpose {query(scope)}")


@app.at("/raise-after-start")
async def raise_after_start(scope, receive, send):
    await send(start((b"good", b"secret")))
    raise ValueError("raised behind the start")


@app.at("/raise-inside")
async def raise_inside(scope, receive, send):
    await send(start())
    await send(body(b"begun", more=True))
    raise ValueError("raised inside the body")


@app.at("/raise-inside-length")
async def raise_inside_length(scope, receive, send):
    await send(start((b"content-length", b"10")))
    await send(body(b"begun", more=True))
    raise ValueError("raised inside the body")


@app.at("/raise-after-end")
async def raise_after_end(scope, receive, send):
    await answer(send, b"whole")
    raise ValueError("raised behind the end")


@app.at("/raise-later")
async def raise_later(scope, receive, send):
    await asyncio.sleep(0)
    raise ValueError("raised later")


@app.at("/return")
async def returns(scope, receive, send):
    return


@app.at("/return-after-start")
async def return_after_start(scope, receive, send):
    await send(start((b"good", b"secret")))


@app.at("/return-inside")
async def return_inside(scope, receive, send):
    await send(start())
    await send(body(b"begun", more=True))


@app.at("/exit")
async def exits(scope, receive, send):
    """Not an Exception, and still only this request's affair."""
    raise asyncio.CancelledError


@app.at("/group")
async def group(scope, receive, send):
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(raises(scope, receive, send))


@app.at("/no-text")
async def no_text(scope, receive, send):
    """An error whose own text raises."""

    class Nasty(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    raise Nasty


@app.at("/kept")
async def kept(scope, receive, send):
    """`send` and `receive` outlive their request."""
    app.kept = send, receive
    await answer(send, b"whole")


@app.at("/use-kept")
async def use_kept(scope, receive, send):
    old_send, old_receive = app.kept
    outcome = {"receive": (await old_receive())["type"]}
    try:
        await old_send(body(b"into another response"))
        outcome["send"] = "nothing"
    except Exception as error:
        outcome["send"] = type(error).__name__
    await answer_json(send, outcome)
