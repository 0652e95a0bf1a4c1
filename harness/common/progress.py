"""Progress on stderr: a bar with the time left on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.common.escaping import printable

T = TypeVar("T")
console = Console(stderr=True, highlight=False)
_QUIET_INTERVAL = 15.0


@dataclass
class Bar:
    """Progress of one piece of work."""

    label: str
    total: int
    done: int
    live: Progress | None = None
    task: TaskID | None = None
    started: float = field(default_factory=time.monotonic)
    first: int = 0
    note: str = ""
    printed: float = field(default_factory=time.monotonic)

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done; `note` is shown behind the bar."""
        self.done += n
        if self.live is not None and self.task is not None:
            self.live.update(self.task, completed=self.done, note=printable(self.note))
            return
        now = time.monotonic()
        if now - self.printed < _QUIET_INTERVAL:
            return
        self.printed, fresh = now, self.done - self.first
        left = (now - self.started) / fresh * (self.total - self.done) if fresh else 0.0
        minutes, seconds = divmod(round(left), 60)
        clock = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        say(f"{self.label}: {self.done}/{self.total}  {self.note}  {clock} left")


@contextmanager
def bar(label: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Show a progress bar for a block of code, of which an earlier run has `done` units."""
    if not console.is_terminal:
        yield Bar(label, total, done, first=done)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as live:
        task = live.add_task(printable(label), total=total, completed=done, note="")
        yield Bar(label, total, done, live, task, first=done)


def tracked(label: str, items: Sequence[T]) -> Iterator[T]:
    """Yield items, with a bar that counts those that are done."""
    with bar(label, len(items)) as progress:
        for item in items:
            yield item
            progress.advance()


def say(text: str) -> None:
    """Print a line for the user on stderr, with control characters escaped."""
    console.print(printable(text), markup=False, soft_wrap=True)
