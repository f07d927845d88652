"""Puts the parts together: settings, lifespan, routes, and errors as HTTP answers."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request, status
from fastapi.responses import JSONResponse

from .database import Database
from .dispatcher import Dispatcher
from .errors import ConversationAlreadyEnded, StorageUnavailable, UnknownEvent
from .publisher import LogPublisher
from .repository import EventRepository
from .router import router
from .service import ConversationService
from .settings import Settings

log = logging.getLogger(__name__)


class State(TypedDict):
    """What the lifespan hands to every request, as `request.state`."""

    service: ConversationService


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; `weft --factory conversations.app:create_app` works too."""
    settings = settings or Settings()
    logging.basicConfig(level=settings.log_level, format="%(levelname)s:     %(message)s")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        database = Database(settings.database_url)
        await database.create_schema()
        events = EventRepository(database)
        dispatcher = Dispatcher(
            events,
            LogPublisher(settings.publish_delay),
            queue_size=settings.publish_queue_size,
            retry_delay=settings.publish_retry_delay,
        )
        dispatcher.start()
        try:
            yield {"service": ConversationService(events, dispatcher)}
        finally:
            await dispatcher.close(settings.drain_timeout)
            await database.close()

    app = FastAPI(title="Conversations", version="1", lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(UnknownEvent, answer_not_found)
    app.add_exception_handler(ConversationAlreadyEnded, answer_conflict)
    app.add_exception_handler(StorageUnavailable, answer_unavailable)
    return app


async def answer_not_found(request: Request, error: Exception) -> JSONResponse:
    """404, in the form FastAPI gives its own errors."""
    return JSONResponse({"detail": str(error)}, status.HTTP_404_NOT_FOUND)


async def answer_conflict(request: Request, error: Exception) -> JSONResponse:
    """409: the request is well-formed, and contradicts what is stored."""
    return JSONResponse({"detail": str(error)}, status.HTTP_409_CONFLICT)


async def answer_unavailable(request: Request, error: Exception) -> JSONResponse:
    """503: the cause goes to the log; the caller only learns that trying again may help."""
    log.error("%s %s: storage unavailable: %s", request.method, request.url.path, error)
    return JSONResponse(
        {"detail": "storage is unavailable, please try again"},
        status.HTTP_503_SERVICE_UNAVAILABLE,
        headers={"Retry-After": "1"},
    )


app = create_app()
