"""Shows the scope as it is: every key, with its type."""

from __future__ import annotations

import json

from tests.server.apps.asgi import Paths, answer, answer_json


def shown(value):
    """JSON that keeps bytes, tuples and lists apart: each as [type, content]."""
    kind = type(value).__name__
    if isinstance(value, bytes):
        return [kind, value.decode("latin-1")]
    if isinstance(value, tuple | list):
        return [kind, [shown(part) for part in value]]
    if isinstance(value, dict):
        return [kind, {key: shown(part) for key, part in value.items()}]
    return [kind, value]


class Scopes(Paths):
    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] == "/change":
            await super().__call__(scope, receive, send)
        else:
            await answer_json(send, shown(scope))


app = Scopes()


@app.at("/change")
async def change(scope, receive, send):
    """Spoils everything in the scope that can be changed."""
    before = json.dumps(shown(scope)).encode()
    for value in scope.values():
        if isinstance(value, dict):
            value["spoilt"] = True
        if isinstance(value, list):
            value.append((b"spoilt", b"yes"))
    scope.clear()
    scope["spoilt"] = True
    await answer(send, before)
