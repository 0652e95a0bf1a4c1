"""Log of a training run, `log.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.files import replacing
from harness.common.progress import say


class Log:
    """Log with one line per interval; lines after the resumed step are dropped.

    Damaged lines at the end, which a crash leaves, are dropped too; others are moved to
    `log.damaged`.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        text = path.read_bytes() if path.exists() else b""
        *lines, rest = text.split(b"\n")
        steps = [_step_of(line) for line in lines]
        if steps and steps[-1] is None:
            rest = lines.pop()
            steps.pop()
        kept = [
            line for line, at in zip(lines, steps, strict=True) if at is not None and at <= step
        ]
        self._set_aside([line for line, at in zip(lines, steps, strict=True) if at is None])
        if rest or len(kept) != len(lines):
            with replacing(path) as temporary:
                temporary.write_bytes(b"".join(line + b"\n" for line in kept))

    def _set_aside(self, damaged: list[bytes]) -> None:
        if not damaged:
            return
        aside = self.path.with_suffix(".damaged")
        with aside.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in damaged))
        say(f"{self.path} has {len(damaged)} damaged lines, which are moved to {aside}.")

    def add(self, **values: float) -> None:
        """Append a line.

        Raises:
            HarnessError: it cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(checksums.with_checksum(values)) + "\n")
        except OSError as error:
            raise HarnessError(
                f"Cannot write {self.path}: {error.strerror or error}",
                "Free some space; the same command goes on from the last checkpoint.",
            ) from error


def _step_of(line: bytes) -> int | None:
    """Read the step of a line; None where it is damaged."""
    try:
        values: dict[str, Any] = checksums.parse(line)
    except ValueError:
        return None
    numbers = all(type(value) in (int, float) for value in values.values())
    step = values.get("step")
    return step if numbers and isinstance(step, int) and step >= 0 else None
