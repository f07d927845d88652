"""The one table. Types are the portable ones, so SQLite and PostgreSQL hold the same rows."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, DateTime, Dialect, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .schemas import ConversationEnd, EventStatus


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in time. SQLite forgets the zone, so all values go in and come out as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back where the database has dropped it."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Holds the metadata of the tables."""


class ConversationEvent(Base):
    """A conversation has ended. Written once; only `published_at` changes afterwards."""

    __tablename__ = "conversation_events"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    # A conversation ends once. The database decides who was first, also between workers.
    conversation_id: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(String(64))
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    messages: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)

    @classmethod
    def of(cls, request: ConversationEnd) -> "ConversationEvent":
        """Make a new event, with an id of its own, out of a caller's request."""
        return cls(
            id=uuid4().hex,
            conversation_id=request.conversation_id,
            user_id=request.user_id,
            ended_at=request.ended_at,
            messages=[message.model_dump() for message in request.messages],
            received_at=datetime.now(UTC),
        )

    @property
    def status(self) -> EventStatus:
        """How far the event has come."""
        return "accepted" if self.published_at is None else "published"

    def says_the_same_as(self, other: "ConversationEvent") -> bool:
        """Whether both report the same end of the same conversation."""
        return (
            self.conversation_id == other.conversation_id
            and self.user_id == other.user_id
            and self.ended_at == other.ended_at
            and self.messages == other.messages
        )
