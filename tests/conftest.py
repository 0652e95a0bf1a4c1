"""Shared paths; tests that need `../shared` skip, with the reason, where it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(*parts: str) -> Path:
    """A path below `../shared`; skips the test where there is none."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {path}, which is not part of the repository")
    return path


needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="needs ../shared, which is not part of the repository"
)
