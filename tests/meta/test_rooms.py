"""Who may import whom inside the binding. A room may use those before it in the order."""

from __future__ import annotations

import pathlib

import pytest

from tests.meta.rust import code_of, heads_after, heads_from_super, module_of
from tests.meta.tree import ROOT, name, sources

BINDING = "crates/python/src"
# Each room may use those before it.
ORDER = (
    "ffi",
    "error",
    "address",
    "event_loop",
    "transport",
    "tls",
    "server",
    "launch",
)
# Outside the order: the table of contents, which names every room.
CONTENTS = "lib"


def arrows(path: pathlib.Path, text: str) -> list[tuple[str, str, int]]:
    """From which room to which, and where, for every path that leaves the file's own room."""
    module = module_of(path, ROOT / BINDING)
    room = module[0] if module else CONTENTS
    code = code_of(text)
    heads = [*heads_after(code, "crate"), *heads_from_super(code, module)]
    return [(room, head, line) for head, line in heads if head != room]


def upward(path: pathlib.Path, text: str) -> list[str]:
    """The arrows of a file that its room must not have."""
    bad = []
    for room, head, line in arrows(path, text):
        if room == CONTENTS:
            continue
        if head not in ORDER:
            bad.append(f"{name(path)}:{line}: `{head}` is no room: give it its place in ORDER")
        elif ORDER.index(head) > ORDER.index(room):
            bad.append(f"{name(path)}:{line}: {room} must not know {head}")
    return bad


def test_every_room_has_its_place_in_the_order():
    modules = [module_of(path, ROOT / BINDING) for path in sources(".rs", below=BINDING)]
    assert {module[0] for module in modules if module} == set(ORDER)


def test_arrows_never_go_up():
    files = sources(".rs", below=BINDING)
    found = [bad for path in files for bad in upward(path, path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "source", "complaints"),
    [
        ("server/http.rs", "use crate::{transport::Stream, error::Error, server::x};", 0),
        ("transport/stream.rs", "use crate::server::Connection;", 1),
        ("error.rs", "use crate::event_loop::Loop; use crate::ffi;", 1),
        ("transport/memory.rs", "use super::super::launch;", 1),
        ("transport/memory.rs", "use super::record;", 0),
        ("launch.rs", "use crate::server;", 0),
        ("server/mod.rs", "use crate::doctor;", 1),
        ("ffi/mod.rs", "use crate::helpers;", 1),
        ("lib.rs", "use crate::launch;", 0),
    ],
)
def test_the_check_itself_sees_an_arrow_that_goes_up(file, source, complaints):
    assert len(upward(ROOT / BINDING / file, source)) == complaints
