"""Responses: one handler for each way in which an application may send one."""

from __future__ import annotations

from tests.server.apps.asgi import Paths, answer, query

app = Paths()


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


@app.at("/status")
async def status(scope, receive, send):
    await answer(send, b"body", int(query(scope)))


@app.at("/status-with-length")
async def status_with_length(scope, receive, send):
    await answer(send, b"body", int(query(scope)), [(b"content-length", b"4")])


@app.at("/status-in-chunks")
async def status_in_chunks(scope, receive, send):
    await send(start(int(query(scope))))
    await send(body(b"bo", more=True))
    await send(body(b"dy"))


@app.at("/one")
async def one(scope, receive, send):
    await send(start())
    await send(body(b"in one piece"))


@app.at("/empty")
async def empty(scope, receive, send):
    await send(start())
    await send(body())


@app.at("/pieces")
async def pieces(scope, receive, send):
    """Pieces, an empty one among them, which must not end the body."""
    await send(start())
    for piece in (b"first ", b"", b"second "):
        await send(body(piece, more=True))
    await send(body(b"third"))


@app.at("/ends-empty")
async def ends_empty(scope, receive, send):
    await send(start())
    await send(body(b"all", more=True))
    await send(body())


@app.at("/declared")
async def declared(scope, receive, send):
    await send(start(200, (b"content-length", b"10")))
    await send(body(b"01234", more=True))
    await send(body(b"", more=True))
    await send(body(b"56789"))


@app.at("/large")
async def large(scope, receive, send):
    await answer(send, bytes(range(256)) * int(query(scope)))


@app.at("/defaults")
async def defaults(scope, receive, send):
    """Only what the specification demands."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


@app.at("/own")
async def own(scope, receive, send):
    headers = [(b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"SERVER", b"mine")]
    await answer(send, b"", headers=headers)


@app.at("/many")
async def many(scope, receive, send):
    headers = [(b"set-cookie", b"a=1"), (b"X-Mixed-Case", b"y"), (b"set-cookie", b"b=2")]
    await answer(send, b"", headers=headers)


@app.at("/odd")
async def odd(scope, receive, send):
    headers = [(b"empty", b""), (b"latin", b"caf\xe9"), (b"tab", b"a\tb"), (b"long", b"x" * 9000)]
    await answer(send, b"", headers=headers)


@app.at("/generator")
async def generator(scope, receive, send):
    headers = ([name, b"value"] for name in (b"x-one", b"x-two"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send(body(b"x"))


@app.at("/buffers")
async def buffers(scope, receive, send):
    """What is changed after send() has returned must not change what was sent."""
    data = bytearray(b"a" * 100_000)
    await send(start(200, (b"content-length", b"200000")))
    await send(body(data, more=True))
    data[:] = b"b" * len(data)
    await send(body(memoryview(bytes(data))))


@app.at("/chunked")
async def chunked(scope, receive, send):
    """As an application says it that hands another server's response on."""
    await send(start(200, (b"transfer-encoding", b"chunked")))
    await send(body(b"coded by the server", more=True))
    await send(body())


@app.at("/both")
async def both(scope, receive, send):
    headers = [(b"content-length", b"4"), (b"transfer-encoding", b"chunked")]
    await send(start(200, *headers))
    await send(body(b"body"))


@app.at("/twice")
async def twice(scope, receive, send):
    await send(start(200, (b"content-length", b"4"), (b"content-length", b"4")))
    await send(body(b"body"))
