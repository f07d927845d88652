"""What can be set from outside, read from the environment once, when the app is built."""

from pydantic import Field
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals."""

    database_url: str = "sqlite+aiosqlite:///conversations.db"
    """Any SQLAlchemy URL with an asyncio driver."""

    publish_delay: float = Field(default=0.0, ge=0)
    """Seconds the in-process publisher takes for one event: a stand-in for a slow broker."""

    publish_queue_size: int = Field(default=1000, ge=1)
    """Events that may wait in memory; what does not fit waits in the database."""

    publish_retry_delay: float = Field(default=1.0, gt=0)
    """Seconds to wait after an event could not be published."""

    drain_timeout: float = Field(default=10.0, ge=0)
    """Seconds that shutdown waits for events not yet published."""

    log_level: str = "INFO"
