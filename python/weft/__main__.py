"""The command `weft`: the words of a command line become settings, and those an exit code."""

from __future__ import annotations

import sys

from weft import _core, process

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    try:
        return process.run(_core.parse_command_line(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        # Ctrl-C before the server listens to signals, in the middle of an import for instance.
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
