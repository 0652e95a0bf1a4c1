"""Versions of software, for provenance."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

_PACKAGES = {"harness": "moeisr-harness", "torch": "torch", "pillow": "Pillow", "numpy": "numpy"}


@cache
def versions() -> dict[str, str]:
    """List versions of Python and of packages that can change a number, and the code's commit."""
    found = {name: version(package) for name, package in _PACKAGES.items()}
    return {"python": platform.python_version(), **found, "commit": _commit()}


def _commit() -> str:
    """Find the commit of this checkout, with `+` for changed files; empty outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"]
    command += ["--exclude=*"]  # no names of tags
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
