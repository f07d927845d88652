"""Starts hypercorn's own serve() on weft's loop, with its signal handling."""

from __future__ import annotations

import asyncio
import signal
import sys

import hypercorn.asyncio
import hypercorn.config
from loops import app

import weft


async def main(port):
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{port}"]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)


weft.run(main(int(sys.argv[1])))
