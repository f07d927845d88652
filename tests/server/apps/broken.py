"""Cannot be imported."""

from __future__ import annotations

app = 1 / 0
