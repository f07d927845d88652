"""What each crate may reach. cargo answers for dependencies, the sources for the rest."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.meta.rust import code_of, heads_after, line_of
from tests.meta.tree import ROOT, name, sources

pytestmark = pytest.mark.limit(60)

PYTHON = {"pyo3", "pyo3-ffi", "pyo3-macros"}
OPERATING_SYSTEM = {"libc", "linux-raw-sys", "mio", "rustix", "socket2", "windows-sys"}
OURS = {"weft-protocol", "weft-python", "weft-reactor", "weft-supervisor"}
NEVER = {
    "weft-protocol": PYTHON | OPERATING_SYSTEM | OURS,
    "weft-reactor": PYTHON | OURS,
    "weft-supervisor": PYTHON | OURS,
}
# Where the kernel and CPython are called by hand; everything else is safe Rust.
UNSAFE_ROOMS = tuple(
    f"crates/{room}{end}" for room in ("reactor/src/sys", "python/src/ffi") for end in ("/", ".rs")
)
# A pure crate takes bytes and times as arguments: it opens, reads, waits for and starts nothing.
IMPURE = {"env", "fs", "net", "os", "process", "thread"}


def reachable_from(crate: str) -> set[str]:
    """The crate's dependencies and theirs, without those of tests."""
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "-p", crate, "-e", "normal,build", "--prefix", "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tree.returncode == 0, tree.stderr
    return {line.split()[0] for line in tree.stdout.splitlines() if line} - {crate}


@pytest.mark.parametrize("crate", NEVER)
def test_a_crate_does_not_reach_what_it_must_not_know(crate):
    assert not reachable_from(crate) & NEVER[crate]


def test_the_binding_reaches_everything():
    """The check above would pass on an empty answer; this one would not."""
    assert reachable_from("weft-python") >= {"pyo3", "rustix"} | OURS - {"weft-python"}


def test_the_protocol_crate_has_no_clock_and_no_operating_system():
    found = []
    for path in sources(".rs", below="crates/protocol/src"):
        code = code_of(path.read_text())
        where = name(path)
        heads = heads_after(code, "std")
        found += [f"{where}:{line}: std::{head}" for head, line in heads if head in IMPURE]
        # `Instant` as the type of an argument is welcome; asking it for the time is not.
        asked = re.finditer(r"\b(Instant|SystemTime)\s*::\s*now\b", code)
        found += [f"{where}:{line_of(code, hit.start())}: {hit[0]}" for hit in asked]
    assert not found


@pytest.mark.parametrize("crate", ["protocol", "supervisor"])
def test_crates_that_need_no_unsafe_forbid_it(crate):
    assert "#![forbid(unsafe_code)]" in (ROOT / f"crates/{crate}/src/lib.rs").read_text()


def test_unsafe_lives_only_where_the_kernel_and_cpython_are_called():
    found = []
    for path in sources(".rs", below="crates"):
        if name(path).startswith(UNSAFE_ROOMS):
            continue
        for number, line in enumerate(code_of(path.read_text()).splitlines(), start=1):
            if re.search(r"\bunsafe\b", line):
                found.append(f"{name(path)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
