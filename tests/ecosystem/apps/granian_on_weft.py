"""Starts granian with weft's loop registered under a name that its option accepts."""

from __future__ import annotations

import asyncio
import sys

from granian import Granian, loops

import weft


# Its workers are processes that import this file again, so they find the loop here.
@loops.register("asyncio")
def build_weft_loop():
    loop = weft.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


if __name__ == "__main__":
    Granian("loops:app", port=int(sys.argv[1]), interface="asgi", loop="asyncio").serve()
