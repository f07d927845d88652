"""Applications that break ASGI's contract: 500 to the client, a clear line in the log, no more.

What has begun cannot be taken back: such a response is cut off, so that the client sees that it
is not whole, and the connection serves no further request.
"""

from __future__ import annotations

import re

import pytest

from tests.server.apps.misuse import BAD_HEADERS, WRONG
from tests.server.wire import Unexpected, request

BEHIND = request("GET", "/")


@pytest.fixture(scope="module")
def server(serve):
    return serve("misuse:app", errors_are_wanted=True)


@pytest.fixture(autouse=True)
def still_serving(server):
    """No misuse may harm the next client."""
    yield
    assert server.ask("/").body == b"hello"


def assert_500(server, target):
    """A plain 500 without a word of what the application had begun, and the log knows why."""
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", target) + BEHIND)
        response = wire.response()
        assert response.status == 500
        assert b"secret" not in response.body
        assert response.header("good") is None
        assert response.header("set-cookie") is None
        # The request behind it is answered, or the connection ends; nothing in between.
        rest = wire.responses() if response.closes else [wire.response()]
        assert [again.body for again in rest] in ([], [b"hello"])
    server.said(r"ERROR: .*", since)


def assert_cut_off(server, target, status=200):
    """The response begins, and is seen not to be whole; the log knows why."""
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", target) + BEHIND)
        with pytest.raises((EOFError, ConnectionResetError)):
            response = wire.response()
            raise Unexpected(f"it looks whole: {response}")
    server.said(r"ERROR: .*", since)


# the order of messages


def test_a_body_before_the_start_is_an_error(server):
    since = server.mark()
    assert_500(server, "/body-first")
    server.said(r"message 0: RuntimeError: .*http\.response\.start.*", since)


def test_a_second_start_is_an_error(server):
    since = server.mark()
    assert_500(server, "/start-twice")
    server.said(r"message 1: RuntimeError: .*", since)


def test_a_start_inside_a_body_is_an_error(server):
    since = server.mark()
    assert_cut_off(server, "/start-inside")
    server.said(r"message 2: RuntimeError: .*", since)


@pytest.mark.parametrize("path", ["/after-end", "/start-after-end"])
def test_a_message_behind_the_end_is_an_error_and_the_response_stands(server, path):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", path))
        assert wire.response().body == b"whole"
        wire.send(BEHIND)
        assert wire.response().body == b"hello"
    server.said(r"message 2: RuntimeError: .*", since)


def test_an_application_may_handle_its_own_mistake(server):
    response = server.ask("/forgives-itself")
    assert (response.status, response.body) == (418, b"second thought")


def test_send_and_receive_of_an_old_request_reach_no_other(server):
    server.ask("/kept")
    answer = server.ask_json("/use-kept")
    assert answer["receive"] == "http.disconnect"
    assert answer["send"] in ("nothing", "RuntimeError", "OSError", "ClientDisconnected")


# what is in the messages


@pytest.mark.parametrize("wrong", WRONG)
def test_a_message_of_the_wrong_kind_is_500(server, wrong):
    assert_500(server, f"/wrong?{wrong}")


@pytest.mark.parametrize("bad", BAD_HEADERS)
def test_a_header_that_would_split_the_response_is_500(server, bad):
    """Nothing of it, and nothing of what came before it, reaches the client."""
    assert_500(server, f"/bad-header?{bad}")


def test_two_lengths_that_differ_are_500(server):
    assert_500(server, "/lengths-differ")


@pytest.mark.parametrize("wrong", ["text", "none", "list"])
def test_a_body_that_is_not_bytes_is_500(server, wrong):
    """The head has not left yet: it leaves with the first piece of the body."""
    assert_500(server, f"/wrong-body?{wrong}")


# bodies that are not as long as was said


@pytest.mark.parametrize("path", ["/longer", "/shorter", "/none-of-ten"])
def test_a_whole_body_of_another_length_is_never_taken_for_the_right_one(server, path):
    """500 if nothing has left, else the connection ends: two requests never mix."""
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", path) + BEHIND)
        try:
            response = wire.response()
        except (EOFError, ConnectionResetError):
            pass
        else:
            assert (response.status, response.closes) == (500, True)
            wire.expect_end(reset_is_fine=True)
    server.said(r"message 1: RuntimeError: .*Content-Length.*", since)


def test_a_body_that_grows_too_long_ends_at_its_length_and_with_the_connection(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/longer-in-pieces") + BEHIND)
        try:
            assert wire.response().body == b"abc"
        except (EOFError, ConnectionResetError):
            pass
        else:
            wire.expect_end(reset_is_fine=True)
    server.said(r"message 2: RuntimeError: .*Content-Length.*", since)


def test_a_body_that_stays_too_short_is_cut_off(server):
    since = server.mark()
    assert_cut_off(server, "/shorter-in-pieces")
    server.said(r"message 2: RuntimeError: .*Content-Length.*", since)


# ends that are none


@pytest.mark.parametrize("path", ["/raise", "/raise-later", "/raise-after-start", "/group"])
def test_an_error_of_the_application_is_500_and_in_the_log(server, path):
    since = server.mark()
    assert_500(server, path)
    server.said(r"ERROR: +Exception in ASGI application", since)
    server.said(r".*ValueError: raised .*", since)


@pytest.mark.parametrize("path", ["/raise-inside", "/raise-inside-length"])
def test_an_error_inside_a_body_cuts_it_off(server, path):
    since = server.mark()
    assert_cut_off(server, path)
    server.said("ValueError: raised inside the body", since)


def test_an_error_behind_the_response_is_in_the_log_alone(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/raise-after-end"))
        assert wire.response().body == b"whole"
        wire.send(BEHIND)
        assert wire.response().body == b"hello"
    server.said("ValueError: raised behind the end", since)


@pytest.mark.parametrize("path", ["/return", "/return-after-start"])
def test_an_application_that_just_returns_is_500(server, path):
    since = server.mark()
    assert_500(server, path)
    server.said(r"ERROR: .*without .*response.*", since)


def test_an_application_that_returns_inside_its_body_is_cut_off(server):
    assert_cut_off(server, "/return-inside")


def test_an_application_that_cancels_itself_is_answered_for(server):
    with server.connect() as wire:
        wire.send(request("GET", "/exit"))
        assert wire.response().status == 500


def test_an_error_without_a_text_does_not_silence_the_log(server):
    since = server.mark()
    assert_500(server, "/no-text")
    server.said(r".*Nasty.*", since)


def test_the_log_shows_the_lines_of_the_application(server):
    since = server.mark()
    server.ask("/raise?for-the-log")
    server.said("ValueError: raised on purpose for-the-log", since)
    log = server.log[-3000:]
    assert re.search(r'File ".*apps/misuse\.py", line \d+, in raises', log)
