"""The tables of the loop comparison, from the recorded samples; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ..support.stats import Ratio, Spread, ratio, spread
from ..support.table import Table
from .loops import LOOPS
from .rows import ROWS

Sample = dict[str, object]

# asyncio is the control: what moves it between rounds moves everything.
CONTROL = "asyncio"
CALM = 0.05


class Samples:
    """The samples of one run, asked by row, loop and figure."""

    def __init__(self, samples: Sequence[Sample], base: str) -> None:
        present = {str(sample["peer"]) for sample in samples}
        self._samples = samples
        self.base = base
        self.rows = [name for name in ROWS if any(found["row"] == name for found in samples)]
        self.loops = [name for name in LOOPS if name in present]

    def _of(self, row: str, loop: str) -> list[Sample]:
        return [one for one in self._samples if one["row"] == row and one["peer"] == loop]

    def by_round(self, row: str, loop: str, figure: str) -> dict[int, float]:
        """The figure of each valid sample, keyed by round."""
        valid = [one for one in self._of(row, loop) if figure in one]
        return {int(str(one["round"])): float(str(one[figure])) for one in valid}

    def spread(self, row: str, loop: str, figure: str) -> Spread | None:
        """Median and range over the rounds."""
        return spread(list(self.by_round(row, loop, figure).values()))

    def ratio(self, row: str, loop: str) -> Ratio | None:
        """Operations a second of the base loop over those of `loop`."""
        ours = self.by_round(row, self.base, "ops_per_s")
        return ratio(ours, self.by_round(row, loop, "ops_per_s"))

    def errors(self, row: str, loop: str) -> list[str]:
        """Why samples are missing, each reason once."""
        return list(
            dict.fromkeys(str(one["error"]) for one in self._of(row, loop) if "error" in one)
        )

    def unrest(self, row: str) -> float | None:
        """How far the control moved between the rounds, as a share of its median."""
        found = self.spread(row, CONTROL, "ops_per_s")
        return (found.high - found.low) / found.median if found else None


def _rate(found: Spread | None) -> str:
    if found is None:
        return "n/a"
    if found.median >= 1e6:
        return f"{found.median / 1e6:.2f} M"
    return f"{found.median / 1e3:,.1f} k"


def _figure(samples: Samples, row: str, loop: str, figure: str) -> str:
    """The median, or in one word why there is none."""
    found = samples.spread(row, loop, figure)
    if found is None:
        reasons = samples.errors(row, loop)
        return reasons[0].partition(":")[0] if reasons else "n/a"
    return _rate(found) if figure == "ops_per_s" else f"{found.median:,.0f}"


def speed(samples: Samples) -> Table:
    """Operations a second, and the base loop's ratio to each other one."""
    others = [loop for loop in samples.loops if loop != samples.base]
    against = [f"{samples.base}/{loop}" for loop in others]
    heads = ["row", samples.base, *others, *against, "control moved"]
    table = Table("Operations a second, median over the rounds", heads)
    for row in samples.rows:
        ratios = [samples.ratio(row, loop) for loop in others]
        unrest = samples.unrest(row)
        restless = unrest is not None and unrest > CALM
        table.add(
            f"{row}: {ROWS[row].what}",
            *(_figure(samples, row, loop, "ops_per_s") for loop in [samples.base, *others]),
            *(found.text() if found else "-" for found in ratios),
            "-" if unrest is None else f"{unrest * 100:.0f} %{' !' if restless else ''}",
        )
        for loop in samples.loops:
            table.notes += [f"{row}, {loop}: {reason}" for reason in samples.errors(row, loop)]
    table.notes.append("ratios: of the medians, and in brackets the range of the rounds' own")
    table.notes.append("! the control (asyncio) moved by more than 5 %: run again in more quiet")
    return table


def cpu(samples: Samples) -> Table:
    """CPU time an operation, all threads of the process."""
    table = Table("CPU ns an operation, median over the rounds", ["row", *samples.loops])
    for row in samples.rows:
        table.add(row, *(_figure(samples, row, loop, "cpu_ns") for loop in samples.loops))
    return table


def slope(samples: Samples) -> Table | None:
    """Bytes that stay resident for each operation."""
    rows = [row for row in samples.rows if ROWS[row].slope]
    if not rows:
        return None
    table = Table("Resident bytes left behind by an operation", ["row", *samples.loops])
    for row in rows:
        cells = []
        for loop in samples.loops:
            found = samples.spread(row, loop, "bytes_per_op")
            cells.append(found.text() if found else "n/a")
        table.add(row, *cells)
    table.notes.append("churn: over 400,000 operations; a heap that breathes by 1 MiB shows as 2.6")
    table.notes.append("tlsidle: a connection that stays, with both its ends")
    return table


def goals(samples: Samples) -> Table | None:
    """weft's promised ratios beside what this run shows."""
    table = Table("Promised ratios", ["row", "against", "promised", "measured", ""])
    for row in samples.rows:
        for loop, limit in ROWS[row].goals.items():
            found = samples.ratio(row, loop) if samples.base == "weft" else None
            if found is not None:
                verdict = "met" if found.of_medians >= limit else "missed"
                table.add(row, loop, f">= {limit}", found.text(), verdict)
    return table if table.rows else None


def syscalls(counts: Sequence[Sample]) -> Table | None:
    """System calls an operation, for the rows with I/O."""
    if not counts:
        return None
    loops = [name for name in LOOPS if any(count["peer"] == name for count in counts)]
    table = Table(f"System calls a round trip ({counts[0]['tool']})", ["row", *loops])
    for row in dict.fromkeys(str(count["row"]) for count in counts):
        found = {str(count["peer"]): count for count in counts if count["row"] == row}
        cells = []
        for loop in loops:
            per_op = found.get(loop, {}).get("per_op")
            cells.append("n/a" if per_op is None else f"{float(str(per_op)):.2f}")
        table.add(row, *cells)
    return table


def tables(found: Sequence[Sample], counts: Sequence[Sample], base: str) -> list[Table]:
    """All tables of a run in the order they are printed."""
    samples = Samples(found, base)
    made = [speed(samples), goals(samples), slope(samples), cpu(samples), syscalls(counts)]
    return [table for table in made if table]
