"""The scope of a request, to the letter of the ASGI specification (HTTP, versions 2.0 to 2.5)."""

from __future__ import annotations

import json

import pytest

from tests.server.wire import request

# What the specification knows, and the types that it demands.
KNOWN = {
    "type": "str",
    "asgi": "dict",
    "http_version": "str",
    "method": "str",
    "scheme": "str",
    "path": "str",
    "raw_path": "bytes",
    "query_string": "bytes",
    "root_path": "str",
    "headers": "list",
    "client": "tuple",
    "server": "tuple",
    "state": "dict",
    "extensions": "dict",
}
OPTIONAL = {"extensions"}


@pytest.fixture(scope="module")
def server(serve):
    return serve("scopes:app")


def scope_of(response):
    """Keys with their values, and keys with the names of their types."""
    kind, content = json.loads(response.body)
    assert kind == "dict"
    return (
        {key: plain(value) for key, value in content.items()},
        {key: value[0] for key, value in content.items()},
    )


def plain(shown):
    kind, content = shown
    if kind in ("tuple", "list"):
        return [plain(part) for part in content]
    if kind == "dict":
        return {key: plain(part) for key, part in content.items()}
    return content


def test_it_has_the_keys_and_types_of_the_specification(server):
    scope, types = scope_of(server.ask("/path?query"))
    assert types.items() <= KNOWN.items()
    assert set(KNOWN) - set(scope) <= OPTIONAL
    assert scope["type"] == "http"
    assert scope["asgi"]["version"] == "3.0"
    assert scope["asgi"]["spec_version"] in ("2.3", "2.4", "2.5")
    assert scope["scheme"] == "http"
    assert scope["root_path"] == ""


def test_it_announces_no_extension_that_is_not_there(server):
    """Frameworks take the other way if an extension is missing, and fail if it is a lie."""
    scope, _ = scope_of(server.ask("/"))
    assert scope.get("extensions", {}) == {}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_version_is_as_the_specification_writes_it(server, version):
    with server.connect() as wire:
        wire.send(request("GET", "/", "Connection: close", version=version))
        scope, _ = scope_of(wire.response())
    assert scope["http_version"] == version


def test_client_and_server_are_hosts_and_ports_as_numbers(server):
    with server.connect() as wire:
        wire.send(request("GET", "/"))
        scope, types = scope_of(wire.response())
        assert scope["client"] == list(wire.sock.getsockname())
        assert scope["server"] == list(wire.sock.getpeername())
        assert types["client"] == types["server"] == "tuple"
        assert type(scope["client"][1]) is type(scope["server"][1]) is int


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH"]
)
def test_the_method_is_as_it_was_sent(server, method):
    scope, _ = scope_of(server.ask("/", method=method))
    assert scope["method"] == method


def test_a_method_in_lower_case_is_never_taken_as_it_is(server):
    """The specification wants it in upper case; RFC 9110 section 9.1 knows no method "get"."""
    with server.connect() as wire:
        wire.send(request("get", "/", "Connection: close"))
        response = wire.response()
    if response.status == 200:
        assert scope_of(response)[0]["method"] == "GET"
    else:
        assert response.status in (400, 405, 501)


def test_header_names_are_in_lower_case_and_values_untouched(server):
    with server.connect() as wire:
        wire.send(request("GET", "/", "X-MiXeD: CaSe", "ACCEPT: */*"))
        shown = json.loads(wire.response().body)[1]["headers"]
    kind, fields = shown
    assert kind == "list"
    for kind, pair in fields:
        assert kind in ("tuple", "list")
        assert [part[0] for part in pair] == ["bytes", "bytes"]
    assert plain(shown) == [["host", "h"], ["x-mixed", "CaSe"], ["accept", "*/*"]]


def test_repeated_headers_keep_their_order(server):
    fields = ["A: 1", "Cookie: a", "A: 2", "cookie: b", "a: 1"]
    with server.connect() as wire:
        wire.send(request("GET", "/", *fields))
        scope, _ = scope_of(wire.response())
    found = [["a", "1"], ["cookie", "a"], ["a", "2"], ["cookie", "b"], ["a", "1"]]
    assert scope["headers"] == [["host", "h"], *found]


def test_many_different_header_names_stay_themselves(server):
    """A cache of names must not mistake one for another."""
    names = [f"x-{first}{second}" for first in "abcdefgh" for second in "0123456789"]
    with server.connect() as wire:
        for _ in range(3):
            wire.send(request("GET", "/", *(f"{name}: {name}" for name in names)))
            scope, _ = scope_of(wire.response())
            assert scope["headers"][1:] == [[name, name] for name in names]
            names.reverse()


def test_a_long_header_name_is_in_lower_case_too(server):
    name = "X-" + "Long" * 50
    with server.connect() as wire:
        wire.send(request("GET", "/", f"{name}: y"))
        scope, _ = scope_of(wire.response())
    assert scope["headers"][1] == [name.lower(), "y"]


def test_what_one_request_does_to_its_scope_no_other_sees(server):
    with server.connect() as wire:
        seen = []
        for path in ("/change", "/", "/change", "/"):
            wire.send(request("GET", path, "A: b"))
            scope, _ = scope_of(wire.response())
            scope.pop("path"), scope.pop("raw_path")
            seen.append(scope)
        assert "spoilt" not in json.dumps(seen)
        assert seen[0] == seen[1] == seen[2] == seen[3]


# path, raw_path and query_string


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/plain/path", "/plain/path", ""),
        ("/caf%C3%A9", "/café", ""),
        ("/caf%c3%a9", "/café", ""),
        ("/%E2%82%AC/%F0%9F%8D%B5", "/€/🍵", ""),
        ("/a%20b", "/a b", ""),
        ("/a+b", "/a+b", ""),
        ("/a%2Fb", "/a/b", ""),
        ("/a%2fb%3Fc", "/a/b?c", ""),
        ("/100%25", "/100%", ""),
        ("/%2541", "/%41", ""),
        ("/%", "/%", ""),
        ("/%4", "/%4", ""),
        ("/%zz%41", "/%zzA", ""),
        ("/a%00b", "/a\0b", ""),
        ("/a%0D%0Ab", "/a\r\nb", ""),
        ("/%ff", "/\ufffd", ""),
        ("/%C3", "/\ufffd", ""),
        ("//double//", "//double//", ""),
        ("/a/../b/./c", "/a/../b/./c", ""),
        ("/a;b=c", "/a;b=c", ""),
        ("/p?", "/p", ""),
        ("/p?a=b&c=%20+d", "/p", "a=b&c=%20+d"),
        ("/p?a?b", "/p", "a?b"),
        ("/p?caf%C3%A9", "/p", "caf%C3%A9"),
        ("/?", "/", ""),
    ],
)
def test_the_path_is_decoded_and_the_rest_is_raw(server, target, path, query):
    scope, _ = scope_of(server.ask(target))
    assert scope["path"] == path
    assert scope["raw_path"] == target.partition("?")[0]
    assert scope["query_string"] == query


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query", "host"),
    [
        ("http://other/a%20b?c", "/a b", "/a%20b", "c", "other"),
        ("http://other:81/a", "/a", "/a", "", "other:81"),
        ("http://other", "/", "/", "", "other"),
        ("http://other?q", "/", "/", "q", "other"),
        ("http://[::1]:80/a", "/a", "/a", "", "[::1]:80"),
    ],
)
def test_an_absolute_target_overrides_host(server, target, path, raw_path, query, host):
    """RFC 9112 section 3.2.2: whoever reads Host must not see another one."""
    with server.connect() as wire:
        wire.send(request("GET", target, "A: b"))
        scope, _ = scope_of(wire.response())
    assert scope["path"] == path
    assert scope["raw_path"] == raw_path
    assert scope["query_string"] == query
    assert scope["headers"] == [["host", host], ["a", "b"]]


def test_an_absolute_target_brings_a_host_to_http_1_0(server):
    with server.connect() as wire:
        wire.send(request("GET", "http://other/a", version="1.0", host=False))
        scope, _ = scope_of(wire.response())
    assert scope["path"] == "/a"
    assert scope["headers"] in ([], [["host", "other"]])


def test_a_root_path_is_the_beginning_of_every_path(serve):
    """The specification: `path` includes `root_path`; a proxy has cut it off."""
    server = serve("scopes:app", "--root-path", "/api")
    scope, _ = scope_of(server.ask("/caf%C3%A9?q"))
    assert scope["root_path"] == "/api"
    assert scope["path"] == "/api/café"
    assert scope["raw_path"] == "/api/caf%C3%A9"
    assert scope["query_string"] == "q"
