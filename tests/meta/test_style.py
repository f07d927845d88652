"""What every source file has in common: it says what it owns, and it stays small."""

from __future__ import annotations

import ast

import pytest

from tests.meta.tree import name, sources

FILE_LINES = 400
FUNCTION_LINES = 60
# A file over the limit stands here with the reason why it is one thing.
LONG_FILES: dict[str, str] = {}
# The same for a Python function, as "path::name"; for Rust, clippy counts.
LONG_FUNCTIONS: dict[str, str] = {}


def test_every_rust_file_opens_with_what_it_owns():
    bare = [name(path) for path in sources(".rs") if not path.read_text().startswith("//!")]
    assert not bare, f"no //! on the first line: {bare}"


def test_every_python_file_opens_with_a_docstring():
    bare = [name(path) for path in sources(".py") if not ast.get_docstring(parsed(path))]
    assert not bare, f"no docstring: {bare}"


def parsed(path):
    return ast.parse(path.read_text(), filename=str(path))


def long_files() -> dict[str, int]:
    lengths = {name(path): line_count(path) for path in sources(".rs", ".py", ".pyi")}
    return {file: length for file, length in lengths.items() if length > FILE_LINES}


def line_count(path) -> int:
    return path.read_text().count("\n")


def test_files_are_short_or_say_why_not():
    found = long_files()
    unexplained = {file: found[file] for file in found if file not in LONG_FILES}
    assert not unexplained, f"over {FILE_LINES} lines, and not in LONG_FILES: {unexplained}"


def long_functions() -> dict[str, int]:
    found = {}
    for path in sources(".py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    found[f"{name(path)}::{node.name}"] = length
    return found


def test_python_functions_are_short_or_say_why_not():
    found = long_functions()
    unexplained = {key: found[key] for key in found if key not in LONG_FUNCTIONS}
    assert not unexplained, f"over {FUNCTION_LINES} lines, not in LONG_FUNCTIONS: {unexplained}"


@pytest.mark.parametrize(
    ("excused", "long"), [(LONG_FILES, long_files), (LONG_FUNCTIONS, long_functions)]
)
def test_no_excuse_outlives_its_cause(excused, long):
    assert set(excused) <= set(long())


def test_sources_are_found_at_all():
    found = {name(path) for path in sources(".rs", ".py")}
    assert {"crates/python/src/lib.rs", "python/weft/__init__.py"} <= found
