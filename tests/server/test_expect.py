"""Expect: 100-continue (RFC 9110 section 10.1.1): the body is asked for when somebody wants it."""

from __future__ import annotations

import pytest

from tests.server.wire import chunked, request

EXPECT = "Expect: 100-continue"


@pytest.fixture(scope="module")
def server(serve):
    return serve("expect:app")


def test_the_client_is_asked_for_the_body_when_the_application_is(server):
    with server.connect() as wire:
        wire.send(request("POST", "/read", EXPECT, "Content-Length: 4"))
        assert wire.response(interim=True).status == 100
        wire.send(b"body")
        assert wire.response().body == b"body"
        wire.send(request("GET", "/"))
        assert wire.response().body == b"hello"


def test_a_chunked_body_is_asked_for_too(server):
    with server.connect() as wire:
        wire.send(request("POST", "/read", EXPECT, "Transfer-Encoding: chunked"))
        assert wire.response(interim=True).status == 100
        wire.send(chunked(b"bo", b"dy"))
        assert wire.response().body == b"body"


def test_nothing_is_asked_before_the_application_asks(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("POST", "/later?expect", EXPECT, "Content-Length: 4"))
        server.said("later waits", since)
        assert not wire.is_readable()
        server.open("expect")
        assert wire.response(interim=True).status == 100
        wire.send(b"body")
        assert wire.response().body == b"body"


def test_an_application_that_answers_at_once_spares_the_body(server):
    """The final status comes alone, and the connection does not guess what follows."""
    with server.connect() as wire:
        wire.send(request("POST", "/refuse", EXPECT, "Content-Length: 1000000"))
        response = wire.response()
        assert (response.status, response.body, response.closes) == (403, b"no", True)
        wire.expect_end()


def test_what_follows_an_unanswered_expectation_is_not_taken_for_a_request(server):
    smuggled = request("GET", "/")
    with server.connect() as wire:
        wire.send(request("POST", "/refuse", EXPECT, f"Content-Length: {len(smuggled)}"))
        assert wire.response().status == 403
        wire.send_pieces([smuggled])
        wire.expect_end(reset_is_fine=True)


def test_a_body_that_comes_unasked_is_not_asked_for(server):
    """RFC 9110 section 10.1.1: the client did not wait, so there is nothing to say."""
    with server.connect() as wire:
        wire.send(request("POST", "/read", EXPECT, body=b"body"))
        assert wire.response().body == b"body"


def test_an_expectation_without_a_body_is_void(server):
    with server.connect() as wire:
        wire.send(request("GET", "/read", EXPECT))
        assert wire.response().body == b""


def test_http_1_0_has_no_expectations(server):
    """RFC 9110 section 10.1.1: it must be ignored."""
    with server.connect() as wire:
        wire.send(request("POST", "/read", EXPECT, body=b"body", version="1.0"))
        assert wire.response().body == b"body"


def test_the_word_has_no_case(server):
    with server.connect() as wire:
        wire.send(request("POST", "/read", "EXPECT: 100-Continue", "Content-Length: 4"))
        assert wire.response(interim=True).status == 100
        wire.send(b"body")
        assert wire.response().body == b"body"


@pytest.mark.parametrize("value", ["200-ok", "100-continue, other", "100-continue=x"])
def test_another_expectation_is_417(server, value):
    with server.connect() as wire:
        wire.send(request("POST", "/read", f"Expect: {value}", body=b"body"))
        response = wire.response()
        assert (response.status, response.closes) == (417, True)
        wire.expect_end(reset_is_fine=True)


def test_no_interim_response_comes_inside_a_final_one(server):
    """The application has begun to answer: what it asks for now it must take as it comes."""
    with server.connect() as wire:
        wire.send(request("POST", "/started", EXPECT, "Content-Length: 4"))
        assert wire.head().status == 200
        assert wire.chunk() == b"first"
        wire.send(b"body")
        assert wire.chunk() == b"body"
        assert wire.chunk() == b""
