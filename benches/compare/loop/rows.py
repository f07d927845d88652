"""All loop rows by name, in the order of the tables."""

from __future__ import annotations

from . import datagrams, echo, pipes, scheduling
from .workload import Row

ROWS: dict[str, Row] = {
    row.name: row for row in (*scheduling.ROWS, *echo.ROWS, *datagrams.ROWS, *pipes.ROWS)
}
QUICK_ROWS = ["soon0", "churn", "sleep0", "proto1k", "stream1k", "sock1k"]
