"""What counts as flat: the growth of a series of samples over its baseline."""

from __future__ import annotations

from dataclasses import dataclass, field

LIMIT = 2.0


@dataclass
class Series:
    """Resident memory (KiB) at a baseline and after each step of one kind of churn."""

    peer: str
    row: str
    unit: str
    baseline: int
    steps: list[tuple[int, int]] = field(default_factory=list)
    files: tuple[int, int] = (0, 0)

    def add(self, done: int, rss: int) -> None:
        """Record the memory after `done` operations."""
        self.steps.append((done, rss))

    @property
    def growth(self) -> float:
        """Per cent over the baseline at the end."""
        last = self.steps[-1][1] if self.steps else self.baseline
        return (last - self.baseline) / self.baseline * 100

    @property
    def late_growth(self) -> float:
        """Per cent in the second half alone: near nothing for a heap that found its size late."""
        middle = self.steps[len(self.steps) // 2][1] if self.steps else self.baseline
        last = self.steps[-1][1] if self.steps else self.baseline
        return (last - middle) / middle * 100

    @property
    def leaked_files(self) -> int:
        """Descriptors open at the end that were not open at the baseline."""
        return self.files[1] - self.files[0]

    @property
    def verdict(self) -> str:
        """`flat`, or what grows."""
        problems = []
        if self.growth > LIMIT:
            problems.append(f"grows by {self.growth:.1f} %")
        if self.leaked_files > 0:
            problems.append(f"{self.leaked_files} descriptors left open")
        return ", ".join(problems) or "flat"

    def record(self) -> dict[str, object]:
        """The series as it goes into the result file."""
        return {
            "peer": self.peer,
            "row": self.row,
            "unit": self.unit,
            "baseline_kib": self.baseline,
            "steps": self.steps,
            "files": self.files,
            "growth_percent": round(self.growth, 2),
            "late_growth_percent": round(self.late_growth, 2),
            "verdict": self.verdict,
        }
