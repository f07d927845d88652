"""The tables of the server comparison, from the recorded samples; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ..support.stats import Ratio, Spread, ratio, spread
from ..support.table import Table
from .peers import PEERS
from .rows import ROWS, Row

Sample = dict[str, object]
Case = tuple[str, bool]


class Samples:
    """The samples of one run, asked by case, peer and figure."""

    def __init__(self, samples: Sequence[Sample], base: str) -> None:
        self._samples = samples
        self.base = base
        self.cases: list[Case] = list(dict.fromkeys(self._case(sample) for sample in samples))
        present = {str(sample["peer"]) for sample in samples}
        self.peers: list[str] = [name for name in PEERS if name in present]

    @staticmethod
    def _case(sample: Sample) -> Case:
        return str(sample["row"]), bool(sample["log"])

    def by_round(self, case: Case, peer: str, figure: str) -> dict[int, float]:
        """The figure of each valid sample, keyed by round."""
        found = {}
        for sample in self._samples:
            valid = "error" not in sample and sample["peer"] == peer
            if valid and self._case(sample) == case:
                found[int(str(sample["round"]))] = float(str(sample[figure]))
        return found

    def spread(self, case: Case, peer: str, figure: str) -> Spread | None:
        """Median and range over the rounds."""
        return spread(list(self.by_round(case, peer, figure).values()))

    def ratio(self, case: Case, peer: str) -> Ratio | None:
        """CPU time a request of the base peer over that of `peer`."""
        ours = self.by_round(case, self.base, "cpu_us")
        return ratio(ours, self.by_round(case, peer, "cpu_us"))

    def error(self, case: Case, peer: str) -> str | None:
        """The first reason why a sample of this peer is missing."""
        for sample in self._samples:
            if "error" in sample and sample["peer"] == peer and self._case(sample) == case:
                return str(sample["error"])
        return None

    def best_of(self, case: Case, family: str) -> str | None:
        """The set-up of a product that needed the least CPU time here."""
        medians = {}
        for peer in self.peers:
            found = self.spread(case, peer, "cpu_us")
            if PEERS[peer].family == family and found is not None:
                medians[peer] = found.median
        return min(medians, key=lambda name: medians[name]) if medians else None


def _name(case: Case) -> str:
    return f"{case[0]}, log {'on' if case[1] else 'off'}"


def _unit(row: Row) -> int:
    """A streamed answer counts by the chunk."""
    return row.chunks or 1


def summary(samples: Samples) -> Table:
    """CPU time of every case and peer; the ratio stands below each figure's peer."""
    others = [peer for peer in samples.peers if peer != samples.base]
    heads = ["CPU us a request", samples.base]
    for peer in others:
        heads += [peer, f"{samples.base}/it"]
    table = Table("CPU time a request, median over the rounds", heads)
    for case in samples.cases:
        cells = [_name(case), _median(samples.spread(case, samples.base, "cpu_us"))]
        for peer in others:
            found = samples.ratio(case, peer)
            cells.append(_median(samples.spread(case, peer, "cpu_us")))
            cells.append(f"{found.of_medians:.2f}" if found else "-")
        table.add(*cells)
    table.notes.append("user and system time of all processes and threads of the server")
    return table


def _median(found: Spread | None, digits: int = 1) -> str:
    return f"{found.median:,.{digits}f}" if found else "n/a"


def detail(samples: Samples, case: Case) -> Table:
    """Everything about one row with its log on or off."""
    row = ROWS[case[0]]
    heads = ["peer", "CPU us/request (range)"]
    heads += ["us/chunk"] if row.chunks else []
    heads += [f"{samples.base}/it (pairs)", "requests/s", "p50 us", "p99 us", "RSS MiB"]
    heads += ["vol. switches/req", "server busy", "wrk busy"]
    table = Table(f"{_name(case)}: {row.what}", heads)
    for peer in samples.peers:
        cpu = samples.spread(case, peer, "cpu_us")
        if cpu is None:
            table.add(peer, "n/a", *["-"] * (len(heads) - 2))
        else:
            table.add(*_detail_cells(samples, case, peer, cpu, _unit(row)))
        problem = samples.error(case, peer)
        if problem:
            table.notes.append(f"{peer}: {problem}")
    return table


def _detail_cells(samples: Samples, case: Case, peer: str, cpu: Spread, unit: int) -> list[str]:
    def median(figure: str, digits: int = 0, scale: float = 1.0) -> str:
        found = samples.spread(case, peer, figure)
        return f"{found.median * scale:,.{digits}f}" if found else "-"

    against = samples.ratio(case, peer)
    return [
        peer,
        cpu.text(),
        *([f"{cpu.median / unit:.2f}"] if unit > 1 else []),
        against.text() if against else "-",
        median("rps"),
        median("p50_us"),
        median("p99_us"),
        median("rss_kib", 1, 1 / 1024),
        median("voluntary", 3),
        median("server_busy", 0, 100) + " %",
        median("load_busy", 0, 100) + " %",
    ]


def log_cost(samples: Samples) -> Table | None:
    """What the access log adds to a request: paired within each round."""
    rows = [row for row, log in samples.cases if log and (row, False) in samples.cases]
    if not rows:
        return None
    table = Table("Access log: CPU us it adds to a request", ["peer", *rows])
    for peer in samples.peers:
        cells = []
        for row in rows:
            on = samples.by_round((row, True), peer, "cpu_us")
            off = samples.by_round((row, False), peer, "cpu_us")
            added = spread([on[number] - off[number] for number in on if number in off])
            cells.append(added.text() if added else "n/a")
        table.add(peer, *cells)
    table.notes.append("difference of two windows of one round: a few us of it are noise")
    return table


def goals(samples: Samples) -> Table | None:
    """weft's promised ratios beside what this run shows."""
    table = Table("Promised ratios of CPU time", ["case", "against", "promised", "measured", ""])
    for case in samples.cases:
        row = ROWS[case[0]]
        for family, limit in (row.goals_logged if case[1] else row.goals).items():
            peer = samples.best_of(case, family)
            found = samples.ratio(case, peer) if peer else None
            if peer is None or found is None or samples.base != "weft":
                continue
            verdict = "met" if found.of_medians <= limit else "missed"
            table.add(_name(case), peer, f"<= {limit}", found.text(), verdict)
    return table if table.rows else None


def syscalls(counts: Sequence[Sample]) -> Table | None:
    """System calls a request, and which."""
    if not counts:
        return None
    table = Table("System calls a request", ["peer, row", "tool", "a request", "which"])
    for count in counts:
        label = f"{count['peer']}, {count['row']}"
        if "error" in count:
            table.add(label, "-", "n/a", str(count["error"]))
            continue
        names = count["names"]
        assert isinstance(names, dict)
        which = ", ".join(
            f"{name} {number:.2f}" for name, number in names.items() if number > 0.005
        )
        table.add(label, str(count["tool"]), f"{float(str(count['per_request'])):.2f}", which)
    return table


def tables(found: Sequence[Sample], counts: Sequence[Sample], base: str) -> list[Table]:
    """All tables of a run in the order they are printed."""
    samples = Samples(found, base)
    head = [summary(samples), goals(samples), log_cost(samples), syscalls(counts)]
    return [
        *(table for table in head if table),
        *(detail(samples, case) for case in samples.cases),
    ]
