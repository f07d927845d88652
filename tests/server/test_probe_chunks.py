"""Byte-level cases of the chunked coding: sizes, extensions, trailers (RFC 9112 section 7.1)."""

from __future__ import annotations

import pytest

from tests.server.probe import (
    CHUNKED_HEAD,
    SMUGGLED,
    assert_accepted,
    assert_refused,
    cases,
    message,
)


@pytest.mark.parametrize(
    "body",
    cases(
        ("9112-7.1:hex-prefix", b"0x3\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:space-before-the-size", b" 3\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:space-behind-the-size", b"3 \r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:plus", b"+3\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:minus", b"-3\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:underscore", b"0_3\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:letter-behind-f", b"3g\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:no-size", b"\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:no-size-but-an-extension", b";a\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:nul", b"3\0\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:size-of-two-to-the-64-plus-3", b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:size-of-seventeen-digits", b"00000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:size-of-thousand-digits", b"f" * 1000 + b"\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:lf-behind-the-size", b"3\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:cr-cr-lf-behind-the-size", b"3\r\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:lf-behind-the-data", b"3\r\nabc\n0\r\n\r\n"),
        ("9112-7.1:nothing-behind-the-data", b"3\r\nabc0\r\n\r\n"),
        ("9112-7.1:other-bytes-behind-the-data", b"3\r\nabcXX0\r\n\r\n"),
        ("9112-7.1:cr-and-another-byte", b"3\r\nabc\rX0\r\n\r\n"),
        ("9112-7.1:data-too-long", b"3\r\nabcd\r\n0\r\n\r\n"),
        ("9112-7.1:data-too-short", b"4\r\nabc\r\n0\r\n\r\n"),
        ("9112-7.1:lf-behind-the-last-size", b"0\n\r\n"),
        ("9112-7.1:lf-for-the-last-line", b"0\r\n\n"),
    ),
)
def test_a_malformed_chunk_is_400(probe, body):
    assert_refused(probe, CHUNKED_HEAD + body)


@pytest.mark.parametrize(
    "line",
    cases(
        ("9112-7.1.1:no-name", b"3;"),
        ("9112-7.1.1:no-value", b"3;a="),
        ("9112-7.1.1:quote-left-open", b'3;a="b'),
        ("9112-7.1.1:nul-in-the-name", b"3;a\0"),
        ("9112-7.1.1:nul-in-the-value", b'3;a="\0"'),
        ("9112-7.1.1:cr-within", b"3;a\rb"),
        ("9112-7.1.1:lf-within", b"3;a\nb"),
        ("9112-7.1.1:no-semicolon", b"3 a"),
        ("9112-7.1.1:something-behind-the-quotes", b'3;a="b"c'),
        ("9112-7.1.1:endless", b"3;" + b"a" * 300),
    ),
)
def test_a_malformed_chunk_extension_is_400(probe, line):
    assert_refused(probe, CHUNKED_HEAD + line + b"\r\nabc\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "trailer",
    cases(
        ("9112-7.1.2:no-colon", b"A\r\n"),
        ("9112-7.1.2:space-before-the-colon", b"A : b\r\n"),
        ("9112-7.1.2:no-name", b": b\r\n"),
        ("9112-7.1.2:nul", b"A: \0\r\n"),
        ("9112-7.1.2:lf", b"A: b\n"),
        ("9112-7.1.2:fold", b"A: b\r\n c\r\n"),
        ("9112-7.1.2:another-request", b"GET /trailer HTTP/1.1\r\n"),
    ),
)
def test_a_malformed_trailer_is_400(probe, trailer):
    assert_refused(probe, CHUNKED_HEAD + b"3\r\nabc\r\n0\r\n" + trailer + b"\r\n")


@pytest.mark.parametrize(
    ("body", "expected"),
    cases(
        ("9112-7.1:one", b"3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("9112-7.1:several", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        ("9112-7.1:lower-and-upper-case", b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 20),
        ("9112-7.1:leading-zeros", b"0003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("9112-7.1:sixteen-digits", b"0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("9112-7.1:several-zeros-at-the-end", b"3\r\nabc\r\n000\r\n\r\n", "abc"),
        ("9112-7.1:line-ends-in-the-data", b"5\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n"),
        ("9112-7.1.1:extension", b"3;a\r\nabc\r\n0\r\n\r\n", "abc"),
        ("9112-7.1.1:value", b"3;a=b;c\r\nabc\r\n0;d=e\r\n\r\n", "abc"),
        ("9112-7.1.1:quoted", b'3;a="b \\" ;\xe9"\r\nabc\r\n0\r\n\r\n', "abc"),
        ("9112-7.1.1:blanks", b"3 ; a = b\r\nabc\r\n0\r\n\r\n", "abc"),
        ("9112-7.1.2:trailer", b"3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n", "abc"),
    ),
)
def test_a_well_formed_chunked_body_is_served(probe, body, expected):
    wanted = "0123456789" * 2 if expected == 20 else expected
    assert_accepted(probe, CHUNKED_HEAD + body, body=wanted)


@pytest.mark.parametrize(
    "trailer", ["Content-Length: 30", "Transfer-Encoding: chunked", "Host: i", "Authorization: x"]
)
def test_a_trailer_cannot_say_what_the_head_may_not(probe, trailer):
    """RFC 9110 section 6.5.1: it is dropped, so it moves no border and changes no header."""
    data = CHUNKED_HEAD + b"3\r\nabc\r\n0\r\n" + trailer.encode() + b"\r\n\r\n"
    answer = assert_accepted(probe, data, body="abc")
    assert answer["headers"] == [["host", "h"], ["transfer-encoding", "chunked"]]


def test_a_broken_chunk_behind_an_early_answer_ends_the_connection(probe):
    """The application has answered already: there is no second response, not even an error."""
    smuggled = message(f"GET {SMUGGLED}an-early-answer HTTP/1.1", "Host: h")
    head = message("POST /ignore HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")
    with probe.connect() as wire:
        wire.send(head + b"3\r\nabc\r\n")
        assert wire.response().status == 200
        wire.send_pieces([b"0x3\r\nabc\r\n0\r\n\r\n" + smuggled])
        wire.expect_end(reset_is_fine=True)
    assert f"{SMUGGLED}an-early-answer" not in probe.ask_json("/seen")


@pytest.mark.parametrize(
    "part", [b"", b"3", b"3\r\n", b"3\r\nab", b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\n"]
)
def test_a_chunked_body_that_just_ends_is_never_a_whole_one(probe, part):
    """RFC 9112 section 8: without the last chunk the message is incomplete."""
    with probe.connect() as wire:
        wire.send(CHUNKED_HEAD + part)
        wire.half_close()
        rest = wire.rest()
    assert not rest.startswith(b"HTTP/1.1 200"), rest
