"""WebSockets by FastAPI, as its documentation has them: a chat room, a stream, a refusal."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Query, WebSocket, WebSocketDisconnect, WebSocketException
from fastapi.responses import JSONResponse

from tests.server.apps.asgi import say

app = FastAPI()
members: set[WebSocket] = set()


@app.get("/")
async def root():
    return {"members": len(members)}


@app.websocket("/room/{name}")
async def room(websocket: WebSocket, name: str):
    await websocket.accept(subprotocol=next(iter(websocket.scope["subprotocols"]), None))
    members.add(websocket)
    try:
        while True:
            words = await websocket.receive_text()
            for member in list(members):
                await member.send_text(f"{name}: {words}")
    except WebSocketDisconnect as gone:
        say(f"{name} left with {gone.code} {gone.reason!r}")
    finally:
        members.discard(websocket)


@app.websocket("/json")
async def as_json(websocket: WebSocket):
    await websocket.accept(headers=[(b"x-kind", b"json")])
    async for value in websocket.iter_json():
        await websocket.send_json({"got": value})


@app.websocket("/bytes")
async def as_bytes(websocket: WebSocket):
    await websocket.accept()
    async for data in websocket.iter_bytes():
        await websocket.send_bytes(data[::-1])
    say("bytes ended")


async def token(token: Annotated[str | None, Query()] = None):
    if token is None:
        raise WebSocketException(code=1008, reason="no token")
    return token


@app.websocket("/guarded")
async def guarded(websocket: WebSocket, token: Annotated[str, Depends(token)]):
    await websocket.accept()
    await websocket.send_text(token)
    await websocket.close(code=3000, reason="that was all")


@app.websocket("/denied")
async def denied(websocket: WebSocket):
    await websocket.send_denial_response(JSONResponse({"detail": "not here"}, status_code=418))


@app.websocket("/stream")
async def stream(websocket: WebSocket):
    """Sends until the client has gone, and learns of it by sending."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text("x" * 1000)
    except WebSocketDisconnect as gone:
        say(f"stream ended with {gone.code}")
