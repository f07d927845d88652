"""Where events leave the service. A message broker takes its place by fitting `Publisher`."""

import asyncio
import logging
from typing import Protocol

from .models import ConversationEvent

log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Takes an event out of the service, to whoever acts on it."""

    async def publish(self, event: ConversationEvent) -> None:
        """Return when the event is safely out; raise if it is not.

        The same event may come twice (see `dispatcher.py`): receivers tell by `event.id`.
        """


class LogPublisher:
    """Publishes into the log: enough for one machine, and for trying the service out."""

    def __init__(self, delay: float) -> None:
        self._delay = delay

    async def publish(self, event: ConversationEvent) -> None:
        """Write one line, `delay` seconds from now."""
        await asyncio.sleep(self._delay)
        log.info("published %s: conversation %s ended", event.id, event.conversation_id)
