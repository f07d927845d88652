"""Tells which process answers, and what it was given."""

from __future__ import annotations

import asyncio
import os
import pathlib
import sys
import time

from tests.server.apps.asgi import Paths, answer_json, query, say

app = Paths()


@app.at("/pid")
async def pid(scope, receive, send):
    await answer_json(send, os.getpid())


@app.at("/settings")
async def settings(scope, receive, send):
    shown = {name: os.environ.get(name) for name in ("COLOUR", "SIZE", "WEFT_WORKER")}
    await answer_json(send, {**shown, "path": sys.path[0], "cwd": str(pathlib.Path.cwd())})


@app.at("/ends")
async def ends(scope, receive, send):
    await answer_json(send, [scope["client"], scope["server"]])


@app.at("/hold")
async def hold(scope, receive, send):
    say(f"{os.getpid()} holds")
    while not os.path.exists(query(scope)):
        await asyncio.sleep(0.01)
    await answer_json(send, os.getpid())


@app.at("/block")
async def block(scope, receive, send):
    """Holds the whole process until a file appears."""
    say(f"{os.getpid()} is blocked")
    while not os.path.exists(query(scope)):
        time.sleep(0.01)
    await answer_json(send, os.getpid())


@app.at("/die")
async def die(scope, receive, send):
    os._exit(1)


def make_app():
    """A factory, with a name that nobody would guess."""
    return app
