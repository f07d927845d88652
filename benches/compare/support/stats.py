"""Medians, ranges and ratios of samples; no printing, no files."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """Median and range of one figure over the rounds."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 1) -> str:
        """`median (low-high)`, as the tables print it."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread | None:
    """Median, minimum and maximum; None without values."""
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Ratio:
    """ours / theirs: of the medians, and the spread of the ratios taken round by round."""

    of_medians: float
    pairwise: Spread

    def text(self) -> str:
        """`0.42 (0.40-0.45)`: ratio of medians, range of the pairwise ratios."""
        return f"{self.of_medians:.2f} ({self.pairwise.low:.2f}-{self.pairwise.high:.2f})"


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Ratio | None:
    """Compare two peers whose figures are keyed by round; rounds that miss one side are left out.

    Two samples of one round are neighbours in time, so what the machine did to both cancels out
    in the pairwise ratio; the ratio of medians is what the tables lead with.
    """
    rounds = [number for number in ours if theirs.get(number)]
    pairs = spread([ours[number] / theirs[number] for number in rounds])
    mine, other = spread(list(ours.values())), spread(list(theirs.values()))
    if pairs is None or mine is None or other is None:
        return None
    return Ratio(mine.median / other.median, pairs)


def rotated(items: Sequence[T], turn: int) -> list[T]:
    """`items` starting elsewhere each turn, so that no peer is always the first or the last."""
    if not items:
        return []
    start = turn % len(items)
    return [*items[start:], *items[:start]]
