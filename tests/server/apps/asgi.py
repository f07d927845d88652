"""What the applications are made of: a router, bodies, answers, gates that a test opens.

Plain ASGI, no framework: nothing stands between the server and what a test sees of it.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os


def say(text):
    """One line to the log, in one write: lines of server and application stay whole."""
    os.write(1, f"{text}\n".encode())


async def read_body(receive):
    """The whole request body, or None if the client left before its end."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


async def answer(send, body=b"", status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send, value, status=200):
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await answer(send, body, status, headers)


def query(scope):
    return scope["query_string"].decode()


class Paths:
    """An application that finds its handlers by path. `/open?NAME` opens a gate."""

    def __init__(self):
        self._handlers = {"/open": self._open, "/": self._root}
        self._gates = collections.defaultdict(asyncio.Event)

    def at(self, path):
        def register(handler):
            self._handlers[path] = handler
            return handler

        return register

    def gate(self, name):
        return self._gates[name].wait()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        handler = self._handlers.get(scope["path"], self._unknown)
        await handler(scope, receive, send)

    async def _lifespan(self, receive, send):
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _open(self, scope, receive, send):
        self._gates[query(scope)].set()
        await answer_json(send, True)

    async def _root(self, scope, receive, send):
        await answer(send, b"hello")

    async def _unknown(self, scope, receive, send):
        await answer(send, b"no such path", 404)
