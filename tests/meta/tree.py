"""The repository as these tests see it: its files, and the sources among them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ("crates", "python", "tests", "benches", "examples")


def sources(*suffixes: str, below: str | None = None) -> Iterator[pathlib.Path]:
    """Our files with one of these suffixes, in a stable order."""
    for folder in [below] if below else SOURCE_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path


def name(path: pathlib.Path) -> str:
    """The path as people write it: from the top of the repository, with slashes."""
    return path.relative_to(ROOT).as_posix()


def papers() -> list[pathlib.Path]:
    """The pages written for people."""
    folders = ("docs", "examples", "benches", "deploy")
    found = [*ROOT.glob("*.md"), *(page for top in folders for page in (ROOT / top).rglob("*.md"))]
    return sorted(found)
