"""`log.jsonl` of a training run."""

from __future__ import annotations

import json
import math
from pathlib import Path

from harness.errors import HarnessError
from harness.files import write_text


class Log:
    """`log.jsonl`: one line per interval; lines after the resumed step are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if self._step_of(line) <= step]
        if len(kept) != len(lines):
            write_text(path, "".join(f"{line}\n" for line in kept))

    @staticmethod
    def _step_of(line: str) -> float:
        try:
            return float(json.loads(line)["step"])
        except (ValueError, KeyError):
            return math.inf

    def add(self, **values: float) -> None:
        """Append a line.

        Raises:
            HarnessError: when it cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as error:
            raise HarnessError(
                f"Cannot write {self.path}: {error.strerror or error}",
                "Free some space; the same command goes on from the last checkpoint.",
            ) from error
