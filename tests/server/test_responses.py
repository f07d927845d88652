"""Responses on the wire: framing, what has no body, and headers (RFC 9112 section 6)."""

from __future__ import annotations

import email.utils
import re
import time

import pytest

from tests.server.service import wait_until
from tests.server.wire import request


@pytest.fixture(scope="module")
def server(serve):
    return serve("responses:app")


@pytest.fixture
def wire(server):
    """A connection that must be usable to the end of the test, and then is used once more."""
    with server.connect() as wire:
        yield wire
        wire.send(request("GET", "/one"))
        assert wire.response().body == b"in one piece"


def get(wire, target, method="GET"):
    wire.send(request(method, target))
    return wire.response(to=method)


# framing


@pytest.mark.parametrize(
    ("path", "body", "chunks"),
    [
        ("/one", b"in one piece", None),
        ("/empty", b"", None),
        ("/declared", b"0123456789", None),
        ("/pieces", b"first second third", (b"first ", b"second ", b"third")),
        ("/ends-empty", b"all", (b"all",)),
        ("/chunked", b"coded by the server", (b"coded by the server",)),
    ],
)
def test_a_body_is_framed_by_its_length_or_in_chunks(wire, path, body, chunks):
    response = get(wire, path)
    assert response.body == body
    assert response.chunks == chunks
    length = str(len(body)) if chunks is None else None
    assert response.header("content-length") == length


@pytest.mark.parametrize("path", ["/both", "/twice"])
def test_contradicting_framing_of_the_application_is_made_one(wire, path):
    """RFC 9112 section 6.2: never both, and never two lengths."""
    assert get(wire, path).body == b"body"


@pytest.mark.parametrize("size", [100, 10_000, 40_000])
def test_a_large_body_arrives_unharmed(wire, size):
    assert get(wire, f"/large?{size}").body == bytes(range(256)) * size


def test_a_buffer_that_is_changed_after_send_arrives_as_it_was(wire):
    assert get(wire, "/buffers").body == b"a" * 100_000 + b"b" * 100_000


# what has no body


@pytest.mark.parametrize("path", ["/one", "/empty", "/pieces", "/declared", "/large?1000"])
def test_head_is_answered_without_a_body(wire, path):
    """RFC 9110 section 9.3.2; `wire` would take a body for the next response."""
    assert get(wire, path, "HEAD").status == 200


def test_head_tells_the_length_that_get_would_have_had(wire):
    assert get(wire, "/declared", "HEAD").header("content-length") == "10"


@pytest.mark.parametrize("path", ["/status", "/status-with-length", "/status-in-chunks"])
@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_204_and_304_have_no_body_whatever_is_sent(wire, path, status, method):
    """RFC 9110 sections 15.3.5 and 15.4.5."""
    response = get(wire, f"{path}?{status}", method)
    assert response.status == status
    if status == 204:
        # RFC 9110 section 8.6.
        assert response.header("content-length") is None


@pytest.mark.parametrize("status", [200, 201, 206, 301, 404, 418, 422, 500, 503, 599, 999])
def test_any_final_status_is_sent(wire, status):
    response = get(wire, f"/status?{status}")
    assert (response.status, response.body) == (status, b"body")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(200, "OK"), (404, "Not Found"), (422, "Unprocessable C?on?tent|Unprocessable Entity")],
)
def test_a_status_has_its_phrase(wire, status, reason):
    assert re.fullmatch(
        reason.replace("C?on?tent", "Content"), get(wire, f"/status?{status}").reason
    )


def test_an_unknown_status_has_none(wire):
    assert get(wire, "/status?299").reason == ""


# headers


def test_every_response_has_a_date_of_now(wire):
    """RFC 9110 section 6.6.1."""
    date = get(wire, "/one").header("date")
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) <= 2


def test_the_date_goes_on(wire):
    first = get(wire, "/one").header("date")
    wait_until(lambda: get(wire, "/one").header("date") != first, "another second", limit=3)


def test_the_date_is_right_after_an_idle_time(server):
    """Not the one that was current when the server last had something to do."""
    server.ask("/one")
    time.sleep(2.2)  # idleness itself is what is tested
    date = server.ask("/one").header("date")
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) <= 1.5


def test_the_server_names_itself(wire):
    assert get(wire, "/one").header("server").lower().startswith(("weft", "uvicorn"))


def test_date_and_server_of_the_application_stand(wire):
    response = get(wire, "/own")
    assert response.all("date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
    assert response.all("server") == ["mine"]


def test_headers_keep_their_order_and_repetitions(wire):
    fields = [
        field for field in get(wire, "/many").fields if field[0] in ("set-cookie", "x-mixed-case")
    ]
    assert fields == [("set-cookie", "a=1"), ("x-mixed-case", "y"), ("set-cookie", "b=2")]


def test_header_values_of_all_kinds_arrive(wire):
    response = get(wire, "/odd")
    assert response.header("empty") == ""
    assert response.header("latin") == "caf\xe9"
    assert response.header("tab") == "a\tb"
    assert response.header("long") == "x" * 9000


def test_headers_may_be_any_iterable(wire):
    """The ASGI specification asks for an iterable of iterables."""
    response = get(wire, "/generator")
    assert (response.header("x-one"), response.header("x-two")) == ("value", "value")


def test_headers_and_body_may_be_left_out(wire):
    response = get(wire, "/defaults")
    assert (response.status, response.body) == (200, b"")


def test_errors_of_the_server_have_a_date_too(server):
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        response = wire.response()
        assert response.status == 400
        assert response.header("date") is not None
