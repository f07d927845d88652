"""All loop rows by name, in the order of the tables."""

from __future__ import annotations

from . import datagrams, echo, pipes, scheduling, system, tls
from .workload import Row

_GROUPS = (scheduling.ROWS, echo.ROWS, datagrams.ROWS, pipes.ROWS, tls.ROWS, system.ROWS)
ROWS: dict[str, Row] = {row.name: row for group in _GROUPS for row in group}
QUICK_ROWS = ["soon0", "churn", "sleep0", "proto1k", "stream1k", "sock1k"]
