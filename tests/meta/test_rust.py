"""The reader of Rust paths finds what it must: a checker that sees nothing passes everything."""

from __future__ import annotations

import pathlib

import pytest

from tests.meta.rust import code_of, heads_after, heads_from_super, module_of

SAMPLE = """
//! Prose about crate::comment and unsafe.
use crate::{
    ffi::{self, call},
    error::Error, r#loop,
};
/* crate::block */
pub use crate::transport::Stream;
fn f<'a>(x: &'a str) -> char {
    let text = "crate::string \\" unsafe"; let raw = r#"crate::raw " unsafe"#;
    crate::server::start(text, raw, b'"', '\\'', 'c')
}
"""


def test_every_path_below_the_crate_is_seen_with_its_line():
    assert list(heads_after(code_of(SAMPLE), "crate")) == [
        ("ffi", 3),
        ("error", 3),
        ("loop", 3),
        ("transport", 8),
        ("server", 11),
    ]


def test_comments_and_literals_are_not_code():
    code = code_of(SAMPLE)
    assert "unsafe" not in code
    assert "let raw" in code
    assert code.count("\n") == SAMPLE.count("\n")


@pytest.mark.parametrize(
    ("module", "source", "heads"),
    [
        (["tls", "memory"], "use super::super::server::X;", ["server"]),
        (["tls", "memory"], "use super::record::X;", ["tls"]),
        (["tls"], "use super::{ffi, launch::Y};", ["ffi", "launch"]),
    ],
)
def test_super_is_followed_to_the_root(module, source, heads):
    assert [head for head, _line in heads_from_super(source, module)] == heads


@pytest.mark.parametrize(
    ("file", "module"),
    [("lib.rs", []), ("error.rs", ["error"]), ("tls/mod.rs", ["tls"]), ("tls/a.rs", ["tls", "a"])],
)
def test_a_file_knows_its_module(file, module):
    assert module_of(pathlib.Path("src") / file, pathlib.Path("src")) == module
