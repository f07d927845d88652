"""The conversations service over HTTP: what each kind of request is answered with."""

from __future__ import annotations

import asyncio
import json
import pathlib
import re
import sqlite3
from collections.abc import Iterator

import httpx
import pytest

from tests.examples.conversations import an_end, report, start, wait_until_published
from tests.support.program import ROOT

pytestmark = pytest.mark.limit(60)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A running service that the tests of this file share; each brings its own conversations."""
    with start(tmp_path_factory.mktemp("service")) as program, program.client() as client:
        yield client


def test_an_end_is_accepted_stored_and_published(client):
    body = an_end()
    answer = client.post("/conversations/end", json=body)
    accepted = answer.json()
    assert answer.status_code == 202
    assert accepted == {
        "id": accepted["id"],
        "conversation_id": body["conversation_id"],
        "status": "accepted",
    }
    assert answer.headers["location"] == f"/conversations/{accepted['id']}"

    shown = wait_until_published(client, accepted["id"])
    assert shown["id"] == accepted["id"]
    assert shown["user_id"] == "lan"
    assert shown["messages"] == body["messages"]
    assert shown["ended_at"] == "2026-03-01T02:30:00Z"
    assert shown["received_at"] <= shown["published_at"]


def test_the_request_in_the_readme_is_accepted(client):
    readme = (ROOT / "examples/conversations/README.md").read_text()
    shown = re.search(r"-d '(\{.*?\})'\n", readme, re.DOTALL)
    assert shown, "the README shows no curl request"
    report(client, json.loads(shown[1]))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"conversation_id": "not an identifier"}, ["body", "conversation_id"]),
        ({"ended_at": "2026-03-01T09:30:00"}, ["body", "ended_at"]),
        ({"messages": []}, ["body", "messages"]),
        ({"messages": [{"speaker": "cat", "text": "?"}]}, ["body", "messages", 0, "speaker"]),
        ({"mesages": []}, ["body", "mesages"]),
    ],
)
def test_a_wrong_field_is_422_and_names_the_field(client, changes, place):
    answer = client.post("/conversations/end", json=an_end(**changes))
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [place]


def test_each_missing_field_is_named(client):
    answer = client.post("/conversations/end", json={})
    assert answer.status_code == 422
    missing = {error["loc"][1] for error in answer.json()["detail"] if error["type"] == "missing"}
    assert missing == set(an_end())


def test_a_body_that_is_not_json_is_422(client):
    answer = client.post(
        "/conversations/end", content=b"{", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"


def test_an_unknown_event_is_404(client):
    answer = client.get("/conversations/unknown")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "no event with id 'unknown'"}


def test_an_unknown_path_is_404_and_a_wrong_method_405(client):
    assert client.get("/nothing/here").json() == {"detail": "Not Found"}
    assert client.put("/conversations/end", json=an_end()).status_code == 405


def test_the_same_report_again_gets_the_first_event(client):
    body = an_end()
    assert report(client, body) == report(client, body)


def test_the_same_moment_in_another_time_zone_is_the_same_report(client):
    body = an_end()
    assert report(client, body) == report(client, body | {"ended_at": "2026-03-01T02:30:00Z"})


def test_a_contradicting_report_is_409(client):
    body = an_end()
    report(client, body)
    answer = client.post("/conversations/end", json=body | {"user_id": "minh"})
    assert answer.status_code == 409
    assert body["conversation_id"] in answer.json()["detail"]


def test_concurrent_reports_are_all_accepted_once(client):
    bodies = [an_end() for _ in range(40)]

    async def post_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=client.base_url, trust_env=False) as together:
            posts = [together.post("/conversations/end", json=body) for body in bodies * 2]
            return await asyncio.gather(*posts)

    answers = asyncio.run(post_all())
    assert {answer.status_code for answer in answers} == {202}
    events = [answer.json() for answer in answers]
    assert len({event["id"] for event in events}) == len(bodies)
    by_conversation = {event["conversation_id"]: event["id"] for event in events}
    assert set(by_conversation) == {body["conversation_id"] for body in bodies}
    for event_id in by_conversation.values():
        wait_until_published(client, event_id)


def test_health_answers_with_the_backlog(client):
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["backlog"] >= 0


def test_a_locked_database_is_503_and_the_log_says_why(tmp_path: pathlib.Path):
    url = "sqlite+aiosqlite:///conversations.db?timeout=0.1"
    with start(tmp_path, database_url=url) as program, program.client() as client:
        report(client, an_end())
        wall = sqlite3.connect(tmp_path / "conversations.db", isolation_level=None)
        wall.execute("BEGIN EXCLUSIVE")
        for answer in (client.post("/conversations/end", json=an_end()), client.get("/health")):
            assert answer.status_code == 503
            assert answer.json() == {"detail": "storage is unavailable, please try again"}
            assert answer.headers["retry-after"] == "1"
        wall.close()
        report(client, an_end())
        reason = r"POST /conversations/end: storage unavailable: .*database is locked"
        program.wait_for(re.compile(reason), limit=10)
