"""The options that all comparisons share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path


def common_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser with --quick, --rows, --peers, --seconds, --rounds, --output and --no-save."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--quick", action="store_true", help="smoke test: one short round")
    parser.add_argument("--rows", help="comma-separated rows (default: all)")
    parser.add_argument("--peers", help="comma-separated peers (default: all installed)")
    parser.add_argument("--seconds", type=float, help="length of one measured window")
    parser.add_argument("--rounds", type=int, help="interleaved rounds")
    parser.add_argument("--output", type=Path, help="directory of the result files")
    parser.add_argument("--no-save", action="store_true", help="print the tables only")
    return parser


def pick(names: str | None, known: Iterable[str], default: Iterable[str], what: str) -> list[str]:
    """The names asked for, in the order of the request; an unknown one ends the run."""
    choices = list(known)
    if names is None:
        return list(default)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in choices]
    if unknown:
        raise SystemExit(f"unknown {what}: {', '.join(unknown)}; choose from {', '.join(choices)}")
    return wanted


def saves(args: argparse.Namespace) -> bool:
    """A quick run is no measurement: it is kept only where --output says so."""
    return not args.no_save and (not args.quick or args.output is not None)
