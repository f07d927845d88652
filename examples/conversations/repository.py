"""Events in and out of the database: SQL and nothing else."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from .database import Database
from .models import ConversationEvent


class EventRepository:
    """Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, event: ConversationEvent) -> bool:
        """Store the event. False, and nothing stored, if its conversation already has one."""
        try:
            async with self._database.transaction() as session:
                session.add(event)
        except IntegrityError:
            return False
        return True

    async def get(self, event_id: str) -> ConversationEvent | None:
        """Find an event by its own id."""
        async with self._database.transaction() as session:
            return await session.get(ConversationEvent, event_id)

    async def of_conversation(self, conversation_id: str) -> ConversationEvent | None:
        """Find the event that ended this conversation."""
        found = select(ConversationEvent).filter_by(conversation_id=conversation_id)
        async with self._database.transaction() as session:
            return await session.scalar(found)

    async def unpublished_ids(self, limit: int) -> Sequence[str]:
        """List events still to be published, oldest first."""
        waiting = (
            select(ConversationEvent.id)
            .where(ConversationEvent.published_at.is_(None))
            .order_by(ConversationEvent.received_at)
            .limit(limit)
        )
        async with self._database.transaction() as session:
            return (await session.scalars(waiting)).all()

    async def mark_published(self, event_id: str, at: datetime) -> None:
        """Note that the event has left."""
        event = ConversationEvent.id == event_id
        async with self._database.transaction() as session:
            await session.execute(update(ConversationEvent).where(event).values(published_at=at))

    async def ping(self) -> None:
        """Read from the table: `SELECT 1` would succeed on a SQLite file that is gone."""
        async with self._database.transaction() as session:
            await session.execute(select(ConversationEvent.id).limit(1))
