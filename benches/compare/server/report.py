"""The tables of the server comparison, from the recorded samples; measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..support.stats import Ratio, Spread, ratio, spread
from ..support.table import Table
from .peers import PEERS
from .rows import ROWS, Row

# weft's promises that are no ratios: us a request, switches and system calls a request.
LOG_COST = 2.0
SWITCHES = 0.01
SYSCALLS = 2.1

Sample = dict[str, object]
Case = tuple[str, bool]


class Samples:
    """The samples of one run, asked by case, peer and figure."""

    def __init__(self, samples: Sequence[Sample], base: str) -> None:
        self._samples = samples
        self.base = base
        present_cases = {self._case(sample) for sample in samples}
        every_case = [(row, log) for row in ROWS for log in (False, True)]
        self.cases: list[Case] = [case for case in every_case if case in present_cases]
        present = {str(sample["peer"]) for sample in samples}
        self.peers: list[str] = [name for name in PEERS if name in present]

    @staticmethod
    def _case(sample: Sample) -> Case:
        return str(sample["row"]), bool(sample["log"])

    def by_round(self, case: Case, peer: str, figure: str) -> dict[int, float]:
        """The figure of each valid sample, keyed by round and window."""
        found = {}
        for sample in self._samples:
            valid = "error" not in sample and sample["peer"] == peer
            if valid and self._case(sample) == case:
                moment = 1000 * int(str(sample["round"])) + int(str(sample["window"]))
                found[moment] = float(str(sample[figure]))
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


def _label(case: Case) -> str:
    return f"{_name(case)}, a chunk" if ROWS[case[0]].chunks else _name(case)


def summary(samples: Samples) -> Table:
    """CPU time of every case and peer; streamed answers by the chunk."""
    table = Table("CPU us a request, median", ["case", *samples.peers])
    for case in samples.cases:
        unit = _unit(ROWS[case[0]])
        medians = [samples.spread(case, peer, "cpu_us") for peer in samples.peers]
        digits = 2 if unit > 1 else 1
        cells = [f"{found.median / unit:,.{digits}f}" if found else "n/a" for found in medians]
        table.add(_label(case), *cells)
    table.notes.append("user and system time of all processes and threads of the server")
    return table


def ratios(samples: Samples) -> Table:
    """The base peer's CPU time over that of each other one."""
    others = [peer for peer in samples.peers if peer != samples.base]
    table = Table(f"CPU time: {samples.base} / peer", ["case", *others])
    for case in samples.cases:
        found = [samples.ratio(case, peer) for peer in others]
        table.add(_name(case), *(one.text() if one else "-" for one in found))
    table.notes.append("of the medians; in brackets the range of the ratios window by window")
    return table


def detail(samples: Samples, case: Case) -> Table:
    """Everything about one row with its log on or off."""
    row = ROWS[case[0]]
    heads = ["peer", "CPU us/request (range)"]
    heads += ["us/chunk"] if row.chunks else []
    heads += [f"{samples.base}/peer", "requests/s", "p50 us", "p99 us", "RSS MiB"]
    heads += ["vol. switches/req", "server busy", "wrk busy", "others on core"]
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
        median("others_on_core", 0, 100) + " %",
    ]


def log_cost(samples: Samples) -> Table | None:
    """What the access log adds to a request: paired within each round."""
    rows = [row for row, log in samples.cases if log and (row, False) in samples.cases]
    if not rows:
        return None
    table = Table("Access log: CPU us it adds to a request", ["peer", *rows])
    for peer in samples.peers:
        added = [_added(samples, peer, row) for row in rows]
        table.add(peer, *(found.text() if found else "n/a" for found in added))
    table.notes.append(
        "a window with the log on minus the one before it with the log off, of the same application"
    )
    return table


def _added(samples: Samples, peer: str, row: str) -> Spread | None:
    on = samples.by_round((row, True), peer, "cpu_us")
    off = samples.by_round((row, False), peer, "cpu_us")
    return spread([on[moment] - off[moment] for moment in on if moment in off])


def _promised_ratios(samples: Samples) -> Iterator[list[str]]:
    for case in samples.cases:
        row = ROWS[case[0]]
        for family, limit in (row.goals_logged if case[1] else row.goals).items():
            peer = samples.best_of(case, family)
            found = samples.ratio(case, peer) if peer else None
            if peer and found:
                met = found.of_medians <= limit
                yield [f"{_name(case)}: CPU, of {peer}'s", f"<= {limit}", found.text(), _word(met)]


def _promised_figures(samples: Samples, counts: Sequence[Sample]) -> Iterator[list[str]]:
    added = _added(samples, "weft", "get")
    if added:
        met = added.median <= LOG_COST
        yield ["get: us that the access log adds", f"<= {LOG_COST}", added.text(), _word(met)]
    switches = samples.spread(("get", False), "weft", "voluntary")
    if switches:
        met = switches.median <= SWITCHES
        yield ["get: voluntary switches a request", "none", switches.text(4), _word(met)]
    for count in counts:
        if count["peer"] == "weft" and count["row"] == "get" and "per_request" in count:
            number = float(str(count["per_request"]))
            label = f"get: system calls a request ({count['tool']})"
            yield [label, f"<= {SYSCALLS}", f"{number:.2f}", _word(number <= SYSCALLS)]


def _word(met: bool) -> str:
    return "met" if met else "missed"


def goals(samples: Samples, counts: Sequence[Sample]) -> Table | None:
    """weft's promises beside what this run shows."""
    table = Table("weft's promises", ["what", "promised", "measured", ""])
    if samples.base == "weft":
        lines = [*_promised_ratios(samples), *_promised_figures(samples, counts)]
        table.rows.extend(lines)
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
    head = [
        summary(samples),
        ratios(samples),
        goals(samples, counts),
        log_cost(samples),
        syscalls(counts),
    ]
    return [
        *(table for table in head if table),
        *(detail(samples, case) for case in samples.cases),
    ]
