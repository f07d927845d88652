"""gunicorn's settings for its own ASGI worker on weft's loop, and a uvicorn worker on it."""

from __future__ import annotations

import warnings

import weft

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # uvicorn prefers its worker in a package of its own
    from uvicorn.workers import UvicornWorker

# The arbiter makes no loop; its forked workers make theirs through the policy.
asgi_loop = "asyncio"
weft.install()


class WeftUvicornWorker(UvicornWorker):
    CONFIG_KWARGS = {"loop": "weft:new_event_loop"}  # noqa: RUF012 - gunicorn reads it from the class
