"""Byte-level cases of the request line: method, target and version (RFC 9112 sections 2 and 3)."""

from __future__ import annotations

import pytest

from tests.server.probe import assert_accepted, assert_refused, cases, message


@pytest.mark.parametrize(
    "line",
    cases(
        ("9112-3:one-word", "GET"),
        ("9112-3:no-target", "GET "),
        ("9112-3:two-spaces-before-the-target", "GET  / HTTP/1.1"),
        ("9112-3:two-spaces-before-the-version", "GET /  HTTP/1.1"),
        ("9112-3:space-at-the-end", "GET / HTTP/1.1 "),
        ("9112-3:space-at-the-beginning", " GET / HTTP/1.1"),
        ("9112-3:four-words", "GET / a HTTP/1.1"),
        ("9112-3:tabs-for-spaces", "GET\t/\tHTTP/1.1"),
        ("9112-3:tab-before-the-version", "GET /\tHTTP/1.1"),
        ("9112-3:vertical-tab-for-space", "GET\x0b/ HTTP/1.1"),
        ("9112-2.2:cr-inside", "GET / HTTP/1.1\rX: y"),
        ("9112-2.2:cr-twice", "GET / HTTP/1.1\r"),
        ("9110-9.1:method-with-at-sign", "G@T / HTTP/1.1"),
        ("9110-9.1:method-with-colon", "GET: / HTTP/1.1"),
        ("9110-9.1:method-with-nul", "G\0T / HTTP/1.1"),
        ("9110-9.1:method-not-ascii", "G\xe9T / HTTP/1.1"),
        ("9110-9.1:method-quoted", '"GET" / HTTP/1.1'),
        ("9112-2.3:no-version-is-0.9", "GET /"),
        ("9112-2.3:name-in-lower-case", "GET / http/1.1"),
        ("9112-2.3:other-name", "GET / HTTPS/1.1"),
        ("9112-2.3:no-minor", "GET / HTTP/1"),
        ("9112-2.3:no-dot", "GET / HTTP/11"),
        ("9112-2.3:two-digits", "GET / HTTP/1.10"),
        ("9112-2.3:leading-zero", "GET / HTTP/01.1"),
        ("9112-2.3:signed", "GET / HTTP/+1.1"),
        ("9112-2.3:no-digits", "GET / HTTP/a.b"),
        ("9112-2.3:comma", "GET / HTTP/1,1"),
    ),
)
def test_a_malformed_request_line_is_400(probe, line):
    assert_refused(probe, message(line, "Host: h"))


@pytest.mark.parametrize("version", ["0.9", "1.2", "1.9", "2.0", "3.0", "9.9"])
def test_a_version_that_is_not_spoken_is_505(probe, version):
    """RFC 9110 section 15.6.6."""
    assert_refused(probe, message(f"GET / HTTP/{version}", "Host: h"), 505)


def test_the_preface_of_http_2_is_505(probe):
    assert_refused(probe, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)


def test_a_tls_hello_is_400(probe):
    assert_refused(probe, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


@pytest.mark.parametrize(
    "target",
    cases(
        ("9112-3.2:not-ascii", "/caf\xe9"),
        ("9112-3.2:byte-ff", "/\xff"),
        ("9112-3.2:nul", "/a\0b"),
        ("9112-3.2:escape", "/\x1b[31m"),
        ("9112-3.2:delete", "/a\x7f"),
        ("9110-7.1:fragment", "/a#b"),
        ("9110-7.1:fragment-alone", "#a"),
        ("9112-3.2:relative", "a/b"),
        ("9112-3.2:query-alone", "?a=b"),
        ("9112-3.2.3:authority-without-connect", "example.org:80"),
        ("9112-3.2.4:asterisk-with-get", "*"),
        ("9112-3.2.4:two-asterisks", "**"),
        ("9112-3.2.2:other-scheme", "ftp://h/"),
        ("9112-3.2.2:no-scheme", "://h/"),
        ("9112-3.2.2:one-slash", "http:/h"),
        ("9110-4.2.1:no-host", "http://"),
        ("9110-4.2.1:no-host-but-a-path", "http:///p"),
        ("9110-4.2.1:no-host-but-a-port", "http://:80/"),
        ("9110-4.2.4:user-information", "http://user@h/"),
        ("9110-4.2.1:port-of-letters", "http://h:x/"),
    ),
)
def test_a_target_that_fits_no_form_is_400(probe, target):
    assert_refused(probe, message(f"GET {target} HTTP/1.1", "Host: h"))


@pytest.mark.parametrize("target", ["h:80", "/", "http://h/"])
def test_connect_is_501(probe, target):
    """RFC 9110 section 9.1: a method that is known and not implemented."""
    assert_refused(probe, message(f"CONNECT {target} HTTP/1.1", "Host: h"), 501)


@pytest.mark.parametrize(
    "data",
    cases(
        ("9112-2.2:everywhere", b"GET / HTTP/1.1\nHost: h\n\n"),
        ("9112-2.2:request-line", b"GET / HTTP/1.1\nHost: h\r\n\r\n"),
        ("9112-2.2:header", b"GET / HTTP/1.1\r\nHost: h\n\r\n"),
        ("9112-2.2:header-in-the-middle", b"GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n"),
        ("9112-2.2:last-line", b"GET / HTTP/1.1\r\nHost: h\r\n\n"),
        ("9112-2.2:before-the-request", b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("9112-2.2:second-line-before", b"\r\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("9112-2.2:cr-cr-lf-before", b"\r\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ),
)
def test_a_line_end_that_is_not_cr_lf_is_400(probe, data):
    assert_refused(probe, data)


@pytest.mark.parametrize(
    ("line", "expected"),
    cases(
        ("9112-3:plain", "GET /plain HTTP/1.1", {"method": "GET", "path": "/plain"}),
        ("9110-9.1:unknown-method", "M-SEARCH /m HTTP/1.1", {"method": "M-SEARCH", "path": "/m"}),
        ("9110-9.1:odd-token", "!#$%&'*+-.^_`|~9 /t HTTP/1.1", {"path": "/t"}),
        ("9112-3.2.4:asterisk", "OPTIONS * HTTP/1.1", {"method": "OPTIONS", "path": "*"}),
        ("9112-3.2.2:absolute", "GET http://o/a?b HTTP/1.1", {"path": "/a", "query": "b"}),
        ("9110-4.2.3:absolute-without-path", "GET http://o HTTP/1.1", {"path": "/"}),
        ("9112-3.2.2:absolute-https", "GET HTTPS://o/a HTTP/1.1", {"path": "/a"}),
        ("9112-3.2.1:two-slashes", "GET //o/a HTTP/1.1", {"path": "//o/a"}),
        ("9112-3.2.1:question-marks", "GET /a?b?c HTTP/1.1", {"path": "/a", "query": "b?c"}),
        ("3986-2:raw-delimiters", 'GET /"<>\\^`{|} HTTP/1.1', {"path": '/"<>\\^`{|}'}),
        ("3986-5.2.4:dots-stay", "GET /a/../b HTTP/1.1", {"path": "/a/../b"}),
    ),
)
def test_a_well_formed_request_line_is_served(probe, line, expected):
    assert_accepted(probe, message(line, "Host: h"), version="1.1", **expected)


@pytest.mark.parametrize("lines", [1, 2, 8])
def test_a_few_empty_lines_before_a_request_are_passed_over(probe, lines):
    """RFC 9112 section 2.2 asks for at least one: old clients send one behind a body."""
    assert_accepted(probe, b"\r\n" * lines + message("GET /lines HTTP/1.1", "Host: h"))


def test_endless_empty_lines_are_400(probe):
    assert_refused(probe, b"\r\n" * 9 + message("GET / HTTP/1.1", "Host: h"))
