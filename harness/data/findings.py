"""What `harness data verify` finds: problems, which must be mended, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_MODES = ("RGB", "L")
PROBLEM, NOTE = "problem", "note"


@dataclass(frozen=True)
class Finding:
    """One thing worth saying.

    Attributes:
        level: PROBLEM or NOTE.
        path: of the file or folder.
        what: what is so, as the rest of a sentence that begins with the path.
        remedy: what to do about it; "" for notes that need nothing.
    """

    level: str
    path: Path
    what: str
    remedy: str = ""


def problem(path: Path, what: str, remedy: str) -> Finding:
    """A finding that makes the set unfit for measurements."""
    return Finding(PROBLEM, path, what, remedy)


def note(path: Path, what: str, remedy: str = "") -> Finding:
    """A finding that a reader should know of."""
    return Finding(NOTE, path, what, remedy)


def check_mode(path: Path, image: Image.Image, remedy: str) -> list[Finding]:
    """A problem unless an image is RGB or grey; measuring would turn it into RGB without a word."""
    if image.mode in _MODES:
        return []
    what = f"has pixel mode {image.mode}; the published images are RGB or grey"
    return [problem(path, what, remedy)]


def reading_problem(path: Path, error: Exception, remedy: str) -> Finding:
    """The problem of a file that could not be read, in the words of that error."""
    what = str(error).partition("\n")[0].removeprefix(f"{path} ")
    return problem(path, what, remedy)
