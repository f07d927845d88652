"""Just enough of Rust's grammar to say which paths a file names.

Text of comments and literals is blanked first, so that prose about `unsafe` is not `unsafe`.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

NOT_CODE = re.compile(
    r"""
      //[^\n]*                          # comments and documentation
    | /\*.*?\*/
    | b?r(?P<fence>\#*)".*?"(?P=fence)  # raw strings before plain ones: no escapes inside
    | [bc]?"(?:\\.|[^"\\])*"
    | b?'(?:\\[^\n']*'|[^\\'\n]')       # a character, not a lifetime: its quote closes at once
    """,
    re.DOTALL | re.VERBOSE,
)
IDENTIFIER = re.compile(r"\s*(?:r#)?([A-Za-z_]\w*)")


def code_of(text: str) -> str:
    """The text with comments and literals blanked; lines keep their numbers."""
    return NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def line_of(code: str, position: int) -> int:
    """The number of the line that holds this position."""
    return code.count("\n", 0, position) + 1


def heads_after(code: str, root: str) -> Iterator[tuple[str, int]]:
    """First names of all paths below `root`, with their lines.

    For `crate`, both `crate::ffi::call()` and `use crate::{ffi, error::Error}` name `ffi`.
    """
    for found in re.finditer(rf"\b{root}\s*::\s*", code):
        for head in _heads(code, found.end()):
            yield head, line_of(code, found.start())


def heads_from_super(code: str, module: list[str]) -> Iterator[tuple[str, int]]:
    """The same for paths that climb out of `module` to the crate's root by `super`."""
    for found in re.finditer(r"\b(?:super\s*::\s*)+", code):
        left = len(module) - found[0].count("super")
        if left == 0:
            for head in _heads(code, found.end()):
                yield head, line_of(code, found.start())
        elif left > 0:
            yield module[0], line_of(code, found.start())


def module_of(path: pathlib.Path, source_root: pathlib.Path) -> list[str]:
    """`src/server/http.rs` is the module `["server", "http"]`."""
    parts = list(path.relative_to(source_root).with_suffix("").parts)
    return parts[:-1] if parts[-1] in ("mod", "lib") else parts


def _heads(code: str, start: int) -> Iterator[str]:
    if not code.startswith("{", start):
        if found := IDENTIFIER.match(code, start):
            yield found[1]
        return
    depth, at_start_of_item = 0, False
    for position in range(start, len(code)):
        match code[position]:
            case "{":
                depth += 1
                at_start_of_item = depth == 1
            case "}":
                depth -= 1
            case ",":
                at_start_of_item = depth == 1
            case character if at_start_of_item and not character.isspace():
                at_start_of_item = False
                if found := IDENTIFIER.match(code, position):
                    yield found[1]
        if depth == 0:
            return
