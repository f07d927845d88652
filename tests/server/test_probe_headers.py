"""Byte-level cases of header lines and of Host (RFC 9112 section 5, RFC 9110 section 7.2)."""

from __future__ import annotations

import pytest

from tests.server.probe import assert_accepted, assert_refused, cases, message, with_fields


@pytest.mark.parametrize(
    "field",
    cases(
        ("9112-5.1:space-before-the-colon", "A : b"),
        ("9112-5.1:tab-before-the-colon", "A\t: b"),
        ("9112-5.1:framing-with-space", "Content-Length : 3"),
        ("9112-5:no-colon", "A"),
        ("9112-5:empty-name", ": b"),
        ("9110-5.1:space-in-the-name", "A B: c"),
        ("9110-5.1:bracket-in-the-name", "A(: b"),
        ("9110-5.1:name-not-ascii", "\xe9: b"),
        ("9110-5.1:nul-in-the-name", "A\0: b"),
        ("9110-5.1:cr-in-the-name", "A\r: b"),
        ("9110-5.5:nul-in-the-value", "A: b\0c"),
        ("9110-5.5:cr-in-the-value", "A: b\rc"),
        ("9110-5.5:cr-at-the-end", "A: b\r"),
        ("9110-5.5:bell-in-the-value", "A: b\x07"),
        ("9110-5.5:escape-in-the-value", "A: \x1b[31m"),
        ("9110-5.5:delete-in-the-value", "A: \x7f"),
        ("9110-5.5:vertical-tab-in-the-value", "A: b\x0bc"),
        ("9112-5.2:fold-by-space", "A: b\r\n c"),
        ("9112-5.2:fold-by-tab", "A: b\r\n\tc"),
        ("9112-5.2:fold-of-nothing", "A: b\r\n "),
        ("9112-5.2:fold-that-looks-like-framing", "A: b\r\n Content-Length: 3"),
    ),
)
def test_a_malformed_header_is_400(probe, field):
    assert_refused(probe, message("GET / HTTP/1.1", "Host: h", field))


@pytest.mark.parametrize("first", [" A: b", "\tA: b", " "])
def test_a_first_header_that_begins_with_a_blank_is_400(probe, first):
    """RFC 9112 section 2.2."""
    assert_refused(probe, message("GET / HTTP/1.1", first, "Host: h"))


@pytest.mark.parametrize(
    ("fields", "found"),
    cases(
        ("9112-5:no-blank", ["A:b"], [["a", "b"]]),
        ("9112-5:blanks-around", ["A: \t b \t "], [["a", "b"]]),
        ("9110-5.5:blanks-within", ["A: b \t c"], [["a", "b \t c"]]),
        ("9110-5.5:empty", ["A:", "B: "], [["a", ""], ["b", ""]]),
        ("9110-5.5:obs-text", ["A: caf\xe9 \xff"], [["a", "caf\xe9 \xff"]]),
        ("9110-5.5:colons", ["A: b: c:"], [["a", "b: c:"]]),
        ("9110-5.1:every-token-byte", ["!#$%&'*+-.^_`|~0Az: b"], [["!#$%&'*+-.^_`|~0az", "b"]]),
        ("9110-5.3:same-name", ["A: 1", "b: 2", "a: 3"], [["a", "1"], ["b", "2"], ["a", "3"]]),
    ),
)
def test_a_well_formed_header_reaches_the_application(probe, fields, found):
    answer = assert_accepted(probe, message("GET / HTTP/1.1", "Host: h", *fields))
    assert answer["headers"] == [["host", "h"], *found]


# Host


@pytest.mark.parametrize(
    "fields",
    cases(
        ("9112-3.2:none", []),
        ("9112-3.2:only-something-like-it", ["X-Host: h"]),
        ("9112-3.2:two", ["Host: h", "Host: h"]),
        ("9112-3.2:two-that-differ", ["Host: h", "hOST: i"]),
        ("9112-3.2:space-within", ["Host: a b"]),
        ("9112-3.2:list", ["Host: a, b"]),
        ("9110-7.2:user-information", ["Host: user@h"]),
        ("9110-7.2:path", ["Host: h/p"]),
        ("9110-7.2:query", ["Host: h?q"]),
        ("9110-7.2:fragment", ["Host: h#f"]),
        ("9110-7.2:url", ["Host: http://h"]),
        ("9110-7.2:two-ports", ["Host: h:80:80"]),
        ("9110-7.2:port-of-letters", ["Host: h:8x"]),
        ("9110-7.2:signed-port", ["Host: h:-1"]),
        ("9110-7.2:port-too-high", ["Host: h:65536"]),
        ("9110-7.2:ipv6-without-brackets", ["Host: ::1"]),
        ("9110-7.2:bracket-left-open", ["Host: [::1"]),
        ("9110-7.2:name-in-brackets", ["Host: [h]"]),
        ("9110-7.2:something-behind-the-bracket", ["Host: [::1]x"]),
        ("3986-3.2.2:bad-percent", ["Host: h%zz"]),
        ("3986-3.2.2:backslash", ["Host: h\\"]),
        ("3986-3.2.2:quote", ['Host: "h"']),
        ("3986-3.2.2:not-ascii", ["Host: caf\xe9"]),
    ),
)
def test_a_host_that_is_missing_repeated_or_malformed_is_400(probe, fields):
    assert_refused(probe, message("GET / HTTP/1.1", *fields))


def test_an_absolute_target_does_not_stand_in_for_host(probe):
    """RFC 9112 section 3.2: the field is due in every HTTP/1.1 request."""
    assert_refused(probe, message("GET http://h/ HTTP/1.1"))


def test_two_hosts_are_400_in_http_1_0_too(probe):
    assert_refused(probe, message("GET / HTTP/1.0", "Host: h", "Host: i"))


@pytest.mark.parametrize(
    "host",
    ["h", "h:8000", "h:", "127.0.0.1", "[::1]", "[::1]:80", "", "a-b.example.", "h%C3%A9", "a_b"],
)
def test_a_well_formed_host_is_served(probe, host):
    answer = assert_accepted(probe, message("GET / HTTP/1.1", f"Host: {host}"))
    assert answer["headers"] == [["host", host]]


def test_http_1_0_needs_no_host(probe):
    """RFC 9112 section 3.2."""
    with probe.connect() as wire:
        wire.send(message("GET /old HTTP/1.0"))
        assert wire.response().status == 200
        wire.expect_end()


def test_a_header_may_have_an_underscore(probe):
    """Only a gateway that turns names into variables would confuse it with a hyphen."""
    answer = assert_accepted(probe, with_fields("X_Y: 1", "X-Y: 2"))
    assert answer["headers"][1:] == [["x_y", "1"], ["x-y", "2"]]
