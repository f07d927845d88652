"""One table, printed for a terminal or for Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Table:
    """A title, column heads and text cells; `notes` are lines below it."""

    title: str
    heads: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Append one line."""
        self.rows.append(list(cells))

    def text(self) -> str:
        """Aligned columns: the first to the left, the others to the right."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[index]) for line in lines) for index in range(len(self.heads))]
        out = [self.title, ""]
        for line in lines:
            cells = [
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            out.append("  " + "  ".join(cells).rstrip())
        return "\n".join([*out, *(f"  {note}" for note in self.notes), ""])

    def markdown(self) -> str:
        """A heading of the third level and a pipe table."""
        rule = ["---"] + ["---:"] * (len(self.heads) - 1)
        lines = [f"| {' | '.join(line)} |" for line in [self.heads, rule, *self.rows]]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"### {self.title}", "", *lines, "", *notes, ""])
