"""What the tests of the conversations service share: starting it, and talking to it."""

from __future__ import annotations

import pathlib
import sqlite3
import time
import uuid
from typing import Any

import httpx

from tests.support.program import ROOT, Program

APP = "conversations.app:app"
PUBLISH_LIMIT = 10.0


def start(directory: pathlib.Path, *options: str, app: str = APP, **settings: str) -> Program:
    """Start the service in this directory, where its database then lies, on a free port."""
    place = ["--app-dir", str(ROOT / "examples"), "--host", "127.0.0.1", "--port", "0"]
    environment = {name.upper(): value for name, value in settings.items()}
    return Program([*place, *options, app], directory=directory, environment=environment)


def an_end(**changes: Any) -> dict[str, Any]:
    """The body of a valid report about a conversation not seen before."""
    return {
        "conversation_id": uuid.uuid4().hex,
        "user_id": "lan",
        "ended_at": "2026-03-01T09:30:00+07:00",
        "messages": [
            {"speaker": "user", "text": "Đơn hàng của tôi đâu rồi?"},
            {"speaker": "assistant", "text": "It arrives tomorrow."},
        ],
    } | changes


def report(client: httpx.Client, body: dict[str, Any]) -> str:
    """Post the report, which must be accepted; the event's id."""
    answer = client.post("/conversations/end", json=body)
    assert answer.status_code == 202, answer.text
    identifier: str = answer.json()["id"]
    return identifier


def wait_until_published(client: httpx.Client, event_id: str) -> dict[str, Any]:
    """The event as the service shows it once it has left."""
    deadline = time.monotonic() + PUBLISH_LIMIT
    while True:
        event: dict[str, Any] = client.get(f"/conversations/{event_id}").json()
        if event["status"] == "published":
            return event
        assert time.monotonic() < deadline, f"still not published: {event}"
        time.sleep(0.02)


def published_in(directory: pathlib.Path) -> dict[str, bool]:
    """What the database of a stopped service holds: each event's id, and whether it left."""
    connection = sqlite3.connect(directory / "conversations.db")
    try:
        rows = connection.execute("SELECT id, published_at FROM conversation_events")
        return {event_id: published_at is not None for event_id, published_at in rows}
    finally:
        connection.close()
