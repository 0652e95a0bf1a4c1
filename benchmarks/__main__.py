"""`python -m benchmarks`: the engine against the plain path, in interleaved runs."""

from __future__ import annotations

import click

from benchmarks.decode import decode
from benchmarks.memory import memory
from benchmarks.train import train
from harness.commands import main


@click.group("benchmarks", context_settings={"max_content_width": 100})
def benchmarks() -> None:
    """Compare fast ways with plain ones; docs/performance.md and docs/memory.md have results."""


for command in (decode, train, memory):
    benchmarks.add_command(command)

if __name__ == "__main__":
    main(benchmarks, "python -m benchmarks")
