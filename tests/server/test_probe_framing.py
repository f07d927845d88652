"""Byte-level cases of Content-Length and Transfer-Encoding (RFC 9112 sections 6 and 7).

Two parsers that differ on the length of a body are what request smuggling is made of.
"""

from __future__ import annotations

import json

import pytest

from tests.server.probe import assert_accepted, assert_refused, cases, message, with_fields
from tests.server.wire import chunked

THREE = b"abc"
CHUNKED_THREE = chunked(THREE)


@pytest.mark.parametrize(
    "value",
    cases(
        ("9110-8.6:empty", ""),
        ("9110-8.6:plus", "+3"),
        ("9110-8.6:minus", "-3"),
        ("9110-8.6:minus-zero", "-0"),
        ("9110-8.6:hexadecimal", "0x3"),
        ("9110-8.6:fraction", "3.0"),
        ("9110-8.6:exponent", "3e0"),
        ("9110-8.6:word", "three"),
        ("9110-8.6:quoted", '"3"'),
        ("9110-8.6:underscore", "1_0"),
        ("9110-8.6:space-within", "3 3"),
        ("9110-8.6:tab-within", "3\t3"),
        ("9110-8.6:semicolon", "3;"),
        ("9110-8.6:superscript", "\xb3"),
        ("9112-6.3:list-of-equals", "3, 3"),
        ("9112-6.3:list-of-equals-unspaced", "3,3"),
        ("9112-6.3:list-that-differs", "3, 4"),
        ("9112-6.3:list-with-empty-element", "3,"),
        ("9110-8.6:two-to-the-64", "18446744073709551616"),
        ("9110-8.6:two-to-the-64-plus-3", "18446744073709551619"),
        ("9110-8.6:twenty-nines", "9" * 20),
        ("9110-8.6:thousand-digits", "9" * 1000),
    ),
)
def test_a_content_length_that_is_no_plain_number_is_400(probe, value):
    assert_refused(probe, with_fields(f"Content-Length: {value}", body=THREE))


@pytest.mark.parametrize(
    "fields",
    cases(
        ("9112-6.3:equal-lengths", ["Content-Length: 3", "Content-Length: 3"]),
        ("9112-6.3:differing-lengths", ["Content-Length: 3", "content-length: 4"]),
        ("9112-6.3:zero-and-another", ["Content-Length: 0", "Content-Length: 3"]),
    ),
)
def test_a_second_content_length_is_400(probe, fields):
    assert_refused(probe, with_fields(*fields, body=THREE))


@pytest.mark.parametrize(
    "fields",
    cases(
        ("9112-6.1:length-first", ["Content-Length: 3", "Transfer-Encoding: chunked"]),
        ("9112-6.1:coding-first", ["Transfer-Encoding: chunked", "Content-Length: 3"]),
        ("9112-6.1:length-zero", ["Transfer-Encoding: chunked", "Content-Length: 0"]),
        ("9112-6.1:true-length", ["Transfer-Encoding: chunked", "Content-Length: 13"]),
        ("9112-6.1:other-case", ["TRANSFER-ENCODING: CHUNKED", "CONTENT-LENGTH: 3"]),
    ),
)
def test_a_content_length_beside_a_transfer_encoding_is_400(probe, fields):
    assert_refused(probe, with_fields(*fields, body=CHUNKED_THREE))


@pytest.mark.parametrize(
    "value",
    cases(
        ("9112-6.1:empty", ""),
        ("9112-6.1:chunked-twice", "chunked, chunked"),
        ("9112-6.1:chunked-not-last", "chunked, gzip"),
        ("9112-6.1:identity-behind", "chunked, identity"),
        ("9112-7.1:parameter", "chunked;a=b"),
        ("9112-6.1:empty-element-behind", "chunked,"),
        ("9112-6.1:empty-element-before", ",chunked"),
        ("9112-6.1:quoted", '"chunked"'),
        ("9112-6.1:two-words", "chunked chunked"),
        ("9110-5.5:vertical-tab", "\x0bchunked"),
        ("9110-5.5:nul", "chunked\0"),
        ("9112-7:not-ascii", "ch\xe9nked"),
    ),
)
def test_a_malformed_transfer_encoding_is_400(probe, value):
    assert_refused(probe, with_fields(f"Transfer-Encoding: {value}", body=CHUNKED_THREE))


@pytest.mark.parametrize("value", ["gzip", "gzip, chunked", "identity", "xchunked", "br;q=1"])
def test_a_transfer_coding_that_is_not_implemented_is_501(probe, value):
    """RFC 9112 section 6.1."""
    assert_refused(probe, with_fields(f"Transfer-Encoding: {value}", body=CHUNKED_THREE), 501)


@pytest.mark.parametrize("second", ["chunked", "identity", "gzip", ""])
def test_a_second_transfer_encoding_is_400(probe, second):
    fields = ["Transfer-Encoding: chunked", f"Transfer-Encoding: {second}"]
    assert_refused(probe, with_fields(*fields, body=CHUNKED_THREE))


@pytest.mark.parametrize(
    "fields",
    cases(
        ("9112-6.1:alone", ["Transfer-Encoding: chunked"]),
        ("9112-6.1:kept-alive", ["Transfer-Encoding: chunked", "Connection: keep-alive"]),
    ),
)
def test_a_transfer_encoding_in_http_1_0_is_400(probe, fields):
    assert_refused(probe, with_fields(*fields, body=CHUNKED_THREE, version="1.0"))


@pytest.mark.parametrize(
    ("field", "body"),
    cases(
        ("9110-8.6:plain", "Content-Length: 3", THREE),
        ("9110-8.6:leading-zeros", "Content-Length: 0003", THREE),
        ("9110-8.6:blanks-around", "Content-Length: \t3 ", THREE),
        ("9110-8.6:zero", "Content-Length: 0", b""),
        ("9112-6.3:neither", "X: y", b""),
        ("9112-7.1:chunked", "Transfer-Encoding: chunked", CHUNKED_THREE),
        ("9112-7.1:chunked-in-upper-case", "TRANSFER-ENCODING: CHUNKED", CHUNKED_THREE),
        ("9112-7.1:chunked-and-empty", "Transfer-Encoding: chunked", chunked()),
    ),
)
def test_a_body_is_as_long_as_its_framing_says(probe, field, body):
    expected = "abc" if len(body) > 5 or body == THREE else ""
    assert_accepted(probe, with_fields(field, body=body), method="POST", body=expected)


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PURGE"])
def test_any_method_may_have_a_body(probe, method):
    """RFC 9110 section 9.3.1: a body of GET means nothing, and is framed all the same."""
    line = f"{method} /body HTTP/1.1"
    data = message(line, "Host: h", "Content-Length: 3", body=THREE)
    assert_accepted(probe, data, method=method, body="abc")


def test_the_longest_length_of_64_bits_is_a_length(probe):
    """It is only a number until somebody waits for that many bytes."""
    with probe.connect() as wire:
        length = f"Content-Length: {2**64 - 1}"
        wire.send(message("POST /ignore HTTP/1.1", "Host: h", length))
        assert wire.response().status == 200


def test_a_smuggled_request_inside_a_body_is_only_a_body(probe):
    inner = message("GET /smuggled-inside HTTP/1.1", "Host: h")
    for framed in (
        with_fields(f"Content-Length: {len(inner)}", body=inner),
        with_fields("Transfer-Encoding: chunked", body=chunked(inner)),
    ):
        assert_accepted(probe, framed, body=inner.decode())
    assert "/smuggled-inside" not in probe.ask_json("/seen")


def test_a_fault_behind_a_good_request_does_not_harm_its_answer(probe):
    good = message("GET /good HTTP/1.1", "Host: h")
    with probe.connect() as wire:
        wire.send(good + with_fields("Content-Length: x") + good)
        assert json.loads(wire.response().body)["path"] == "/good"
        refusal = wire.response()
        assert (refusal.status, refusal.closes) == (400, True)
        wire.expect_end(reset_is_fine=True)
