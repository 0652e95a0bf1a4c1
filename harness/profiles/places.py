"""Folders of data, results, reports and cached files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness import DEFAULT_PROFILE
from harness.profiles import Profile

RESULTS = Path("results")
REPORTS = Path("reports")


@dataclass(frozen=True)
class Places:
    """Folders of a command: datasets (None if none was named), results, reports, and a cache.

    The cache has files that can be made again (LR images).
    """

    data_root: Path | None
    results: Path
    reports: Path
    cache: Path

    @property
    def lr_cache(self) -> Path:
        """Folder of LR images made by the MATLAB-compatible resize."""
        return self.cache / "lr-matlab-1"  # another number when the resize changes


def resolve(
    data_root: Path | None = None,
    results: Path | None = None,
    reports: Path | None = None,
    profile: Profile | None = None,
) -> Places:
    """Find the folders by options, environment (HARNESS_DATA, HARNESS_CACHE), profile, defaults.

    Reports of another profile than the default one must not replace its files.
    """
    named = os.environ.get("HARNESS_DATA")
    root = data_root or (Path(named) if named else None)
    if root is None and profile is not None:
        root = profile.data_root
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("HARNESS_CACHE") or base / "moeisr-harness")
    own = profile.name if profile is not None and profile.name != DEFAULT_PROFILE else ""
    return Places(root, results or RESULTS, reports or REPORTS / own, cache)
