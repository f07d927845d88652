"""A FastAPI application with one of everything that services use."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from typing import Annotated

import pydantic
from fastapi import (
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    Response,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.base import BaseHTTPMiddleware

from tests.server.apps.asgi import say

TENANT = contextvars.ContextVar("tenant", default="nobody")


class Item(pydantic.BaseModel):
    name: str
    price: float


@contextlib.asynccontextmanager
async def lifespan(app):
    say("fast begins")
    yield {"greeting": "from the lifespan"}
    say("fast ends")


app = FastAPI(lifespan=lifespan)


class Tenant(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        TENANT.set(request.headers.get("x-tenant", "nobody"))
        response = await call_next(request)
        response.headers["x-tenant"] = TENANT.get()
        return response


app.add_middleware(Tenant)
app.add_middleware(GZipMiddleware, minimum_size=500)
app.add_middleware(
    CORSMiddleware,
    allow_origins=["https://shop.example"],
    allow_methods=["*"],
    allow_headers=["*"],
    allow_credentials=True,
)


@app.middleware("http")
async def stamp(request, call_next):
    response = await call_next(request)
    response.headers["x-stamp"] = "yes"
    return response


@app.get("/")
async def root():
    return {"hello": "world"}


@app.get("/sync")
def sync():
    """Runs in anyio's thread pool."""
    return threading.current_thread() is not threading.main_thread()


@app.get("/state")
async def state(request: Request):
    return request.state.greeting


@app.get("/items/{item_id}")
async def item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@app.post("/items", status_code=201)
async def create(item: Item):
    return item


async def connection():
    say("dependency opened")
    try:
        yield "connection"
    finally:
        say("dependency closed")


def current_user(authorization: Annotated[str | None, Header()] = None):
    if authorization is None:
        raise HTTPException(401, "who are you?", headers={"www-authenticate": "Bearer"})
    return authorization.removeprefix("Bearer ")


@app.get("/dependent")
async def dependent(
    user: Annotated[str, Depends(current_user)],
    resource: Annotated[str, Depends(connection)],
):
    return [user, resource]


@app.get("/dependent-error")
async def dependent_error(resource: Annotated[str, Depends(connection)]):
    raise HTTPException(409, "conflict")


@app.get("/tenant")
def tenant():
    """The context of the middleware, in a thread."""
    return TENANT.get()


@app.get("/stream")
async def stream():
    async def numbers():
        for number in range(1000):
            yield f"{number}\n"

    return StreamingResponse(numbers(), media_type="text/plain")


@app.get("/stream-sync")
async def stream_sync():
    return StreamingResponse((f"{number}\n" for number in range(100)), media_type="text/plain")


@app.get("/endless")
async def endless():
    async def ticks():
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            say("endless cleaned up")

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.get("/silent")
async def silent():
    """A stream that waits for an event that never comes."""

    async def nothing():
        try:
            yield b"begun\n"
            await asyncio.Event().wait()
        finally:
            say("silent cleaned up")

    return StreamingResponse(nothing(), media_type="text/event-stream")


@app.get("/file")
async def file():
    return FileResponse("large.bin", filename="gro\xdf.bin")


@app.post("/raw")
async def raw(request: Request):
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return size


@app.get("/background")
async def background(tasks: BackgroundTasks):
    tasks.add_task(work, "async")
    tasks.add_task(sync_work, "sync")
    return "accepted"


async def work(name):
    await asyncio.sleep(0)
    say(f"background {name}")


def sync_work(name):
    say(f"background {name}")


@app.get("/cookies")
async def cookies(response: Response, seen: Annotated[str | None, Cookie()] = None):
    response.set_cookie("seen", "yes", httponly=True)
    response.set_cookie("other", "too")
    return seen


@app.get("/redirect")
async def redirect():
    return RedirectResponse("/")


@app.get("/error")
async def error():
    raise ValueError("an error of the endpoint")


@app.get("/no-content", status_code=204)
async def no_content():
    return None


@app.get("/large")
async def large():
    return {"items": ["value"] * 10_000}


app.mount("/static", StaticFiles(directory="."), name="static")

bare = FastAPI()


@bare.get("/gone")
async def gone(request: Request):
    """Polls, as vision models and the like do."""
    say("gone waits")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    say("gone noticed")
