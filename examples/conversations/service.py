"""What the service does, in the words of its trade. Knows neither HTTP nor SQL."""

from .dispatcher import Dispatcher
from .errors import ConversationAlreadyEnded, StorageUnavailable, UnknownEvent
from .models import ConversationEvent
from .repository import EventRepository
from .schemas import ConversationEnd


class ConversationService:
    """Stores events and hands them on."""

    def __init__(self, events: EventRepository, dispatcher: Dispatcher) -> None:
        self._events = events
        self._dispatcher = dispatcher

    async def end(self, request: ConversationEnd) -> ConversationEvent:
        """Store the event, hand it to the dispatcher and return without waiting for it.

        A conversation ends once. Saying the same again returns the event of the first time,
        so a caller that never saw the answer may repeat itself. Saying something else raises
        `ConversationAlreadyEnded`.
        """
        event = ConversationEvent.of(request)
        if await self._events.add(event):
            self._dispatcher.submit(event.id)
            return event
        first = await self._events.of_conversation(request.conversation_id)
        if first is None:
            raise StorageUnavailable("an event was refused as a duplicate, yet there is no first")
        if not first.says_the_same_as(event):
            raise ConversationAlreadyEnded(request.conversation_id)
        return first

    async def find(self, event_id: str) -> ConversationEvent:
        """Return the event, or raise `UnknownEvent`."""
        event = await self._events.get(event_id)
        if event is None:
            raise UnknownEvent(event_id)
        return event

    async def backlog(self) -> int:
        """How many events wait to be published. Raises if the database is out of reach."""
        await self._events.ping()
        return self._dispatcher.backlog
