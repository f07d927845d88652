"""The rows of the server comparison: which application, which request, which answer is right."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import apps, socket_load

RAW = "benches.compare.server.apps"

# A browser's request: 12 header fields, about 700 bytes.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://example.org/a/page/before/this",
    "Cookie": "session=7c0f4ce2a8d94b6f9d3b; theme=dark; consent=necessary; region=eu-central",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Priority": "u=0, i",
}


@dataclass(frozen=True)
class Row:
    """One kind of request; `goals` are the ratios of CPU time that weft promises, by peer."""

    name: str
    what: str
    app: str
    answer: bytes
    method: str = "GET"
    body_size: int = 0
    chunks: int = 0
    # Answers in flight when a window ends cost CPU time and are not counted: few, where one is
    # long, or the error would be some per cent.
    connections: int = 32
    # Messages under way on each connection, which is a WebSocket then; none is HTTP.
    in_flight: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    goals: dict[str, float] = field(default_factory=dict)
    goals_logged: dict[str, float] = field(default_factory=dict)
    default: bool = True


ROWS = {
    row.name: row
    for row in (
        Row(
            "get",
            "raw ASGI, GET, 13-byte answer",
            f"{RAW}:raw",
            apps.HELLO,
            goals={"uvicorn": 0.45, "granian": 0.45},
        ),
        Row(
            "post",
            "raw ASGI, POST of 10 KB, the application reads the body",
            f"{RAW}:post",
            b"10240",
            method="POST",
            body_size=10240,
            goals={"uvicorn": 0.65},
        ),
        Row(
            "stream",
            "raw ASGI, 100 chunks of 60 bytes sent back to back",
            f"{RAW}:stream",
            apps.CHUNK * apps.CHUNKS,
            chunks=apps.CHUNKS,
            connections=8,
            goals={"uvicorn": 0.6},
        ),
        Row(
            "events",
            "raw ASGI, 100 chunks of 60 bytes, one turn of the loop after each",
            f"{RAW}:events",
            apps.CHUNK * apps.CHUNKS,
            chunks=apps.CHUNKS,
            connections=8,
        ),
        Row(
            "fastapi",
            "FastAPI, hello world as JSON",
            "benches.compare.server.fastapi_app:app",
            b'{"message":"Hello World"}',
            goals_logged={"uvicorn": 0.7},
        ),
        Row(
            "websocket",
            "raw ASGI, WebSocket echo of 32 bytes, one message under way on each of 32",
            f"{RAW}:echo",
            socket_load.PAYLOAD,
            in_flight=1,
            goals={"uvicorn": 0.5},
        ),
        Row(
            "websocket64",
            "raw ASGI, WebSocket echo of 32 bytes, 64 messages under way on each of 8",
            f"{RAW}:echo",
            socket_load.PAYLOAD,
            connections=8,
            in_flight=64,
            goals={"uvicorn": 0.5},
        ),
        Row(
            "get12",
            "raw ASGI, GET with a browser's 12 header fields",
            f"{RAW}:raw",
            apps.HELLO,
            headers=BROWSER,
            default=False,
        ),
    )
}

DEFAULT_ROWS = [row.name for row in ROWS.values() if row.default]
