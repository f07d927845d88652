"""What can go wrong, in the service's own words. `app.py` turns these into HTTP answers."""


class UnknownEvent(Exception):
    """No event has this id."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"no event with id {event_id!r}")


class ConversationAlreadyEnded(Exception):
    """The conversation ended before, with other content than the caller sends now."""

    def __init__(self, conversation_id: str) -> None:
        super().__init__(f"conversation {conversation_id!r} has ended with different content")


class StorageUnavailable(Exception):
    """The database did not answer, or refused; the cause says why. Trying again may help."""
