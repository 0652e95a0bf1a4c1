"""Log of a training run, `log.jsonl`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.files import replacing
from harness.common.progress import say


class Log:
    """Log of a run with one line per interval; lines after the resumed step are dropped.

    A damaged line at the end, which a crash leaves, is dropped too. Other damaged lines, lines of
    another run (of a recipe with another fingerprint), and lines that stand twice or behind a later
    one, are moved to `log.damaged`.
    """

    def __init__(self, path: Path, step: int, run: str) -> None:
        self.path = path
        self.run = run
        text = path.read_bytes() if path.exists() else b""
        *lines, rest = text.split(b"\n")
        if lines and _place_of(lines[-1], run) is None:
            rest = lines.pop()
        kept, damaged, last = [], [], (-1, False)
        for line in lines:
            place = _place_of(line, run)
            if place is None or place <= last:
                damaged.append(line)
                continue
            last = place
            if place[0] <= step:
                kept.append(line)
        if damaged:
            aside = path.with_suffix(".damaged")
            with aside.open("ab") as file:
                file.write(b"".join(line + b"\n" for line in damaged))
            say(f"{path} has {len(damaged)} damaged lines, which are moved to {aside}.")
        if rest or len(kept) != len(lines):
            with replacing(path) as temporary:
                temporary.write_bytes(b"".join(line + b"\n" for line in kept))

    def add(self, **values: float) -> None:
        """Append a line.

        Raises:
            HarnessError: it cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(checksums.with_checksum({**values, "run": self.run})) + "\n")
        except OSError as error:
            raise HarnessError(
                f"Cannot write {self.path}: {error.strerror or error}",
                "Free some space; the same command goes on from the last checkpoint.",
            ) from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a log, which stays as it is; none of a missing one, no damaged ones."""
    text = path.read_bytes() if path.exists() else b""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            values: dict[str, Any] = checksums.parse(line)
            if isinstance(values.get("step"), int):
                found.append(values)
    return found


def _place_of(line: bytes, run: str) -> tuple[int, bool] | None:
    """Read a line's place in the log: step, and whether it is of validation, which comes last.

    Returns:
        None where the line is damaged or of another run; earlier versions did not say of which.
    """
    try:
        values: dict[str, Any] = checksums.parse(line)
    except ValueError:
        return None
    if values.pop("run", run) != run:
        return None
    numbers = all(type(value) in (int, float) for value in values.values())
    step = values.get("step")
    if not numbers or not isinstance(step, int) or step < 0:
        return None
    return step, "validation_psnr" in values
