"""The task that a request runs in: asyncio's, anyio's and contextvars' view of it."""

from __future__ import annotations

import pytest

from tests.server.wire import request


@pytest.fixture(scope="module")
def server(serve):
    return serve("tasks:app", errors_are_wanted=True)


def test_a_request_runs_in_a_task_that_asyncio_knows(server):
    shown = server.ask_json("/task")
    assert shown.pop("name")
    assert shown == {
        "is_listed": True,
        "is_kept": True,
        "is_running_loop": True,
        "shows_the_application": True,
        "main_thread": True,
    }


def test_every_request_has_a_task_of_its_own(server):
    with server.connect() as wire:
        for _ in range(10):
            wire.send(request("GET", "/other-task"))
            assert wire.response().body == b"true"


def test_no_tasks_are_left_behind(server):
    before = server.ask_json("/left")
    for _ in range(50):
        server.ask("/task")
    assert server.ask_json("/left") <= before


def test_what_a_request_sets_in_its_context_the_next_one_does_not_see(server):
    with server.connect() as wire:
        for colour in ("red", "green", "blue"):
            wire.send(request("GET", f"/colour?{colour}"))
            assert wire.response().body == f'["none", "{colour}", "{colour}"]'.encode()


def test_requests_at_the_same_time_have_contexts_of_their_own(server):
    since = server.mark()
    wires = {}
    for colour in ("red", "green", "blue"):
        wires[colour] = server.connect()
        wires[colour].send(request("GET", f"/colour-held?{colour}"))
        server.said(f"holds {colour}", since)
    for colour, wire in wires.items():
        server.open(f"colour-{colour}")
        assert wire.response().body == f'"{colour}"'.encode()
        wire.close()


def test_receive_and_send_keep_the_context(server):
    assert server.ask_json("/colour-in-send") is True


def test_a_task_that_a_request_starts_has_its_context_and_outlives_it(server):
    since = server.mark()
    assert server.ask_json("/background?outliving") is True
    server.open("outliving")
    server.said("outliving worked in blue", since)


def test_anyio_threads_and_timeouts_work(server):
    assert server.ask_json("/libraries") == {
        "anyio": True,
        "cancel_scope": True,
        "group": [0, 1],
        "threads": True,
    }


def test_a_receive_that_takes_too_long_can_be_given_up(server):
    """The specification: after the body it waits for the client to leave."""
    assert server.ask_json("/timeout") == "given up"


def test_a_receive_that_is_cancelled_loses_no_message(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("POST", "/shielded?cancelled", "Content-Length: 4"))
        server.said("waits for a body", since)
        server.open("cancelled")
        wire.send(b"body")
        assert wire.response().body == b'"body"'


def test_two_receivers_both_learn_that_the_client_has_gone(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/two-receivers?both"))
        server.said("two wait", since)
    server.said("both got http.disconnect\nboth got http.disconnect", since)


def test_a_request_whose_task_is_cancelled_is_answered_500(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/cancel-me"))
        server.said("victim waits", since)
        assert server.ask_json("/cancel") is True
        assert wire.response().status == 500
    server.said("victim was cancelled", since)
