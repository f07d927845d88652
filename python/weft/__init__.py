"""weft: one Rust runtime for Python's async services."""

from weft._core import __version__ as __version__
