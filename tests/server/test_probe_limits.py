"""The limits of a request's head, one byte or field below and above each.

Request line 16 KiB (414), head 64 KiB and 128 fields (431, RFC 6585 section 5), one chunk-size
line 256 bytes, trailers 8 KiB and 32 fields.
"""

from __future__ import annotations

import pytest

from tests.server.probe import (
    CHUNKED_HEAD,
    assert_accepted,
    assert_refused,
    message,
    with_fields,
)

REQUEST_LINE = 16 * 1024
HEAD = 64 * 1024
FIELDS = 128
CHUNK_LINE = 256
TRAILERS = 8 * 1024
TRAILER_FIELDS = 32


def with_line_of(size: int) -> bytes:
    """A request whose request line, CRLF included, has this size."""
    target = "/" + "a" * (size - len("GET / HTTP/1.1\r\n"))
    return message(f"GET {target} HTTP/1.1", "Host: h")


def with_head_of(size: int) -> bytes:
    """A request whose head has this size, in fields of 8 KiB and less."""
    fields = ["Host: h"]
    left = size - len(message("GET /head HTTP/1.1", *fields))
    while left:
        # No field shorter than its name: the last two share what is left.
        line = left if left <= 8192 else min(8192, left - 100)
        fields.append("X: " + "a" * (line - len("X: \r\n")))
        left -= line
    data = message("GET /head HTTP/1.1", *fields)
    assert len(data) == size
    return data


def with_trailers(*trailers: str) -> bytes:
    return CHUNKED_HEAD + b"0\r\n" + "\r\n".join([*trailers, "", ""]).encode()


def test_a_request_line_of_16_kib_is_served(probe):
    assert_accepted(probe, with_line_of(REQUEST_LINE), method="GET")


@pytest.mark.parametrize("size", [REQUEST_LINE + 1, 2 * REQUEST_LINE, 2 * HEAD])
def test_a_longer_request_line_is_414(probe, size):
    assert_refused(probe, with_line_of(size), 414)


def test_a_request_line_without_an_end_is_414(probe):
    """It must not have to end to be too long."""
    assert_refused(probe, b"GET /" + b"a" * REQUEST_LINE, 414)


def test_a_head_of_64_kib_is_served(probe):
    assert_accepted(probe, with_head_of(HEAD), path="/head")


@pytest.mark.parametrize("size", [HEAD + 1, HEAD + 10_000, 1 << 20])
def test_a_larger_head_is_431(probe, size):
    assert_refused(probe, with_head_of(size), 431)


def test_a_header_without_an_end_is_431(probe):
    assert_refused(probe, with_fields()[:-2] + b"X: " + b"a" * HEAD, 431)


def test_128_fields_are_served(probe):
    fields = [f"X-{number}: {number}" for number in range(FIELDS - 1)]
    answer = assert_accepted(probe, message("GET / HTTP/1.1", "Host: h", *fields))
    assert len(answer["headers"]) == FIELDS


@pytest.mark.parametrize("count", [FIELDS + 1, 5000])
def test_more_fields_are_431(probe, count):
    fields = [f"X-{number}: y" for number in range(count - 1)]
    assert_refused(probe, message("GET / HTTP/1.1", "Host: h", *fields), 431)


def test_the_limit_of_the_head_does_not_count_the_body(probe):
    body = b"a" * HEAD
    assert_accepted(probe, with_fields(f"Content-Length: {HEAD}", body=body), body=body.decode())


@pytest.mark.parametrize(("size", "served"), [(CHUNK_LINE, True), (CHUNK_LINE + 1, False)])
def test_a_chunk_size_line_has_256_bytes(probe, size, served):
    line = b"3;" + b"a" * (size - len(b"3;\r\n")) + b"\r\n"
    data = CHUNKED_HEAD + line + b"abc\r\n0\r\n\r\n"
    if served:
        assert_accepted(probe, data, body="abc")
    else:
        assert_refused(probe, data)


def test_trailers_have_32_fields(probe):
    trailers = [f"X-{number}: y" for number in range(TRAILER_FIELDS)]
    assert_accepted(probe, with_trailers(*trailers))
    assert_refused(probe, with_trailers(*trailers, "One: more"), 431)


def test_trailers_have_8_kib(probe):
    assert_accepted(probe, with_trailers("X: " + "a" * (TRAILERS - 100)))
    assert_refused(probe, with_trailers("X: " + "a" * TRAILERS), 431)


def test_a_refused_client_that_is_still_sending_reads_its_answer(probe):
    """The server must not meet the rest of the upload with a reset before the answer arrives."""
    with probe.connect() as wire:
        data = with_head_of(1 << 20) * 8
        wire.send_pieces(data[at : at + 4096] for at in range(0, len(data), 4096))
        assert wire.response().status == 431
