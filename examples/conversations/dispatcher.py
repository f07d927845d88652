"""From the request to the publisher, without the request waiting.

The queue holds ids only: the database is the truth, and what the queue loses (a full queue,
a failed attempt, a stop before all is sent) is found again there. So every stored event is
published at least once, in no promised order.
"""

import asyncio
import logging
from datetime import UTC, datetime

from .publisher import Publisher
from .repository import EventRepository

log = logging.getLogger(__name__)


class Dispatcher:
    """A queue and the one background task that empties it."""

    def __init__(
        self,
        events: EventRepository,
        publisher: Publisher,
        *,
        queue_size: int,
        retry_delay: float,
    ) -> None:
        self._events = events
        self._publisher = publisher
        self._retry_delay = retry_delay
        self._queue: asyncio.Queue[str] = asyncio.Queue(queue_size)
        # True while the database may hold events that the queue does not: at the start,
        # those of the run before.
        self._behind = True
        # The loop keeps only a weak reference to a task; without this one, the garbage
        # collector may take it in the middle of its work.
        self._task: asyncio.Task[None] | None = None

    @property
    def backlog(self) -> int:
        """How many events wait in memory."""
        return self._queue.qsize()

    def start(self) -> None:
        """Begin publishing, with what an earlier run has left."""
        self._task = asyncio.create_task(self._run(), name="conversations-dispatcher")

    def submit(self, event_id: str) -> None:
        """Hand over a stored event; never waits."""
        try:
            self._queue.put_nowait(event_id)
        except asyncio.QueueFull:
            # No reason to refuse the request: the event is stored and will be found there.
            self._behind = True
            log.warning("publish queue is full; event %s waits in the database", event_id)

    async def close(self, timeout: float) -> None:
        """Publish what is queued, for at most `timeout` seconds, then stop."""
        try:
            async with asyncio.timeout(timeout):
                await self._queue.join()
        except TimeoutError:
            log.warning("stopped before all was published; the next start sends the rest")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            while self._behind and self._queue.empty():
                await self._refill()
            event_id = await self._queue.get()
            try:
                await self._deliver(event_id)
            except Exception:
                # Whatever a publisher raises, the task must live on: nobody else sends.
                log.exception("event %s was not published; it stays stored", event_id)
                self._behind = True
                await asyncio.sleep(self._retry_delay)
            finally:
                self._queue.task_done()

    async def _refill(self) -> None:
        """Take up stored events that are not in the queue."""
        # Cleared before the query: an event that misses the queue while it runs sets it again.
        self._behind = False
        try:
            waiting = await self._events.unpublished_ids(limit=self._queue.maxsize)
        except Exception:
            log.exception("cannot look for unpublished events")
            self._behind = True
            await asyncio.sleep(self._retry_delay)
            return
        if len(waiting) == self._queue.maxsize:
            self._behind = True
        for event_id in waiting:
            self.submit(event_id)

    async def _deliver(self, event_id: str) -> None:
        event = await self._events.get(event_id)
        # A refill can bring an id that was queued by its request as well.
        if event is None or event.published_at is not None:
            return
        await self._publisher.publish(event)
        await self._events.mark_published(event_id, datetime.now(UTC))
