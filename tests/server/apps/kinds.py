"""The forms in which an application comes: whatever can be called with scope, receive and send."""

from __future__ import annotations

import functools

from tests.server.apps.asgi import answer


async def function(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, b"function")


class Callable:
    def __init__(self, name=b"instance"):
        self.name = name

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, self.name)

    async def method(self, scope, receive, send):
        await self(scope, receive, send)


async def with_name(name, scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, name)


def plain(scope, receive, send):
    """Not a coroutine function: it returns the coroutine of another."""
    return with_name(b"plain", scope, receive, send)


class Awaitable:
    """An application that is a class: an instance is awaited for each request."""

    def __init__(self, scope, receive, send):
        self.coroutine = with_name(b"class", scope, receive, send)

    def __await__(self):
        return self.coroutine.__await__()


async def keywords(scope, receive, send, *, extra=b"keywords"):
    await with_name(extra, scope, receive, send)


instance = Callable()
method = Callable(b"method").method
partial = functools.partial(with_name, b"partial")
lambda_ = lambda scope, receive, send: with_name(b"lambda", scope, receive, send)  # noqa: E731
slots = {"nested": None}


class nested:
    inner = Callable(b"nested")


def make():
    """A factory."""
    return Callable(b"made")


def old(scope):
    """ASGI 2: called twice. Nobody speaks it any more."""

    async def run(receive, send):
        await answer(send, b"old")

    return run
