"""The conversations service from its start to its end: what shutdown waits for, what it keeps."""

from __future__ import annotations

import pathlib
import re
import time

import pytest

from tests.examples.conversations import (
    an_end,
    published_in,
    report,
    start,
    wait_until_published,
)
from tests.support.program import CODE_AFTER_SIGTERM

pytestmark = pytest.mark.limit(60)

FOREVER = "1000"


def test_the_answer_does_not_wait_for_the_publisher(tmp_path: pathlib.Path):
    with start(tmp_path, publish_delay=FOREVER) as program, program.client() as client:
        event_id = report(client, an_end())
        shown = client.get(f"/conversations/{event_id}").json()
        assert shown["status"] == "accepted"
        assert shown["published_at"] is None


def test_sigterm_publishes_what_is_queued(tmp_path: pathlib.Path):
    with start(tmp_path, publish_delay="0.2") as program:
        with program.client() as client:
            events = {report(client, an_end()) for _ in range(5)}
        assert program.terminate() == CODE_AFTER_SIGTERM
        assert set(re.findall(r"published (\w+): ", program.log)) == events
        assert published_in(tmp_path) == dict.fromkeys(events, True)


def test_sigterm_waits_for_the_publisher_only_so_long(tmp_path: pathlib.Path):
    with start(tmp_path, publish_delay=FOREVER, drain_timeout="0.2") as program:
        with program.client() as client:
            event_id = report(client, an_end())
        began = time.monotonic()
        assert program.terminate() == CODE_AFTER_SIGTERM
        assert time.monotonic() - began < 10
        assert "the next start sends the rest" in program.log
    assert published_in(tmp_path) == {event_id: False}

    with start(tmp_path) as program, program.client() as client:
        wait_until_published(client, event_id)


def test_a_full_queue_refuses_no_request_and_loses_no_event(tmp_path: pathlib.Path):
    small = {"publish_queue_size": "1", "publish_delay": "0.05"}
    with start(tmp_path, **small) as program, program.client() as client:
        events = [report(client, an_end()) for _ in range(6)]
        for event_id in events:
            wait_until_published(client, event_id)
        assert "publish queue is full" in program.log


def test_the_factory_makes_the_same_service(tmp_path: pathlib.Path):
    factory = start(tmp_path, "--factory", app="conversations.app:create_app")
    with factory as program, program.client() as client:
        wait_until_published(client, report(client, an_end()))


def test_a_database_that_cannot_be_opened_stops_the_start(tmp_path: pathlib.Path):
    url = f"sqlite+aiosqlite:///{tmp_path}/missing/conversations.db"
    with start(tmp_path, database_url=url) as program:
        assert program.wait() == 3
        assert "unable to open database file" in program.log
