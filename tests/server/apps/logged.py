"""Applications for the access log, most of which configure logging in a way of their own."""

from __future__ import annotations

import asyncio
import logging
import logging.config

from tests.server.apps.asgi import Paths, answer, query, say

app = Paths()


class AnyPath(Paths):
    """Answers whatever is asked for."""

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await answer(send, b"any")
        else:
            await super().__call__(scope, receive, send)


any_path = AnyPath()


@app.at("/status")
async def status(scope, receive, send):
    await answer(send, b"", int(query(scope)))


@app.at("/stream")
async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    await app.gate(query(scope))
    await send({"type": "http.response.body", "body": b"last"})


@app.at("/raise")
async def raises(scope, receive, send):
    logging.getLogger("shop").error("about to raise")
    raise ValueError("raised on purpose")


@app.at("/print")
async def prints(scope, receive, send):
    print("printed by the application", flush=True)
    await answer(send)


def record_line(record):
    return f"record {record.name} {record.levelname} {record.args!r} {record.getMessage()}"


class Say(logging.Handler):
    def emit(self, record):
        say(record_line(record))


class Configuring(Paths):
    """Configures logging in its startup, as a service does."""

    def __init__(self, configure):
        super().__init__()
        self.configure = configure

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            self.configure()
        await super().__call__(scope, receive, send)


def add_handler():
    logging.getLogger("uvicorn.access").addHandler(Say())


def replace_handlers():
    logging.getLogger("uvicorn.access").handlers[:] = [Say()]


def add_filter():
    class NoHealth(logging.Filter):
        def filter(self, record):
            return record.args[2] != "/health"

    logging.getLogger("uvicorn.access").addFilter(NoHealth())


def silence():
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


def disable():
    logging.getLogger("uvicorn.access").disabled = True


def propagate():
    access = logging.getLogger("uvicorn.access")
    access.handlers[:] = []
    access.propagate = True
    logging.getLogger("uvicorn").handlers[:] = []
    logging.getLogger("uvicorn").propagate = True
    logging.getLogger().addHandler(Say())
    logging.getLogger().setLevel(logging.INFO)


def dict_config():
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "access": {
                    "()": "weft.logs.AccessFormatter",
                    "fmt": "own %(client_addr)s | %(request_line)s | %(status_code)s",
                }
            },
            "handlers": {
                "access": {
                    "class": "logging.StreamHandler",
                    "formatter": "access",
                    "stream": "ext://sys.stdout",
                }
            },
            "loggers": {"uvicorn.access": {"handlers": ["access"], "level": "INFO"}},
        }
    )


def record_factory():
    """As tracing libraries install it."""

    class Traced(logging.LogRecord):
        def __init__(self, name, *arguments, **keywords):
            super().__init__(name, *arguments, **keywords)
            say(f"made a record of {name}")

    logging.setLogRecordFactory(Traced)


with_handler = Configuring(add_handler)
with_own_handlers = Configuring(replace_handlers)
with_filter = Configuring(add_filter)
with_silence = Configuring(silence)
with_disabled = Configuring(disable)
with_propagation = Configuring(propagate)
with_dict_config = Configuring(dict_config)
with_record_factory = Configuring(record_factory)


class Raising(logging.Handler):
    def emit(self, record):
        raise OSError("the log is full")


with_broken_handler = Configuring(
    lambda: logging.getLogger("uvicorn.access").handlers.__setitem__(slice(None), [Raising()])
)


class Late(Paths):
    """Turns the access log off and on again between requests."""

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            level = {"/quiet": logging.ERROR, "/loud": logging.INFO}.get(scope["path"])
            if level is not None:
                logging.getLogger("uvicorn.access").setLevel(level)
            await asyncio.sleep(0)
            await answer(send)
        else:
            await super().__call__(scope, receive, send)


late = Late()
