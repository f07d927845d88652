"""Answers every request with what it was, and remembers the paths that it should not have seen.

`/ignore` answers without looking at the body; `/seen` tells the paths with "smuggled" in them.
"""

from __future__ import annotations

from tests.server.apps.asgi import answer_json, read_body

seen = []


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path = scope["path"]
    if path == "/seen":
        await answer_json(send, seen)
        return
    if "smuggled" in path:
        seen.append(path)
    body = b"" if path == "/ignore" else await read_body(receive)
    if body is None:
        return  # the request was cut short: there is nobody to answer
    await answer_json(
        send,
        {
            "method": scope["method"],
            "path": path,
            "query": scope["query_string"].decode("latin-1"),
            "version": scope["http_version"],
            "headers": [[part.decode("latin-1") for part in pair] for pair in scope["headers"]],
            "body": body.decode("latin-1"),
        },
    )
