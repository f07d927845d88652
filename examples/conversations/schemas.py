"""The HTTP bodies: what comes in and what goes out. No storage, no behaviour."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
EventStatus = Literal["accepted", "published"]


class Message(BaseModel):
    """One utterance of a conversation."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    speaker: Literal["user", "assistant"]
    text: Annotated[str, StringConstraints(min_length=1, max_length=8000)]


class ConversationEnd(BaseModel):
    """A caller's word that a conversation is over, with what was said in it."""

    # A misspelt field must not be dropped silently: it is a 422 like any other mistake.
    model_config = ConfigDict(extra="forbid")

    conversation_id: Identifier
    user_id: Identifier
    ended_at: AwareDatetime
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]


class EventAccepted(BaseModel):
    """The answer to `POST /conversations/end`: stored, and on its way to the publisher."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    conversation_id: str
    status: EventStatus


class EventView(EventAccepted):
    """The whole event, as `GET /conversations/{id}` shows it."""

    user_id: str
    ended_at: datetime
    messages: list[Message]
    received_at: datetime
    published_at: datetime | None


class Health(BaseModel):
    """The service can reach its database; `backlog` events wait in memory to be published."""

    status: Literal["ok"] = "ok"
    backlog: int
