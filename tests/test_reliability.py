"""The promises of `docs/reliability.md`: their tests are there, and signals at random moments."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_is_there():
    named = re.findall(r"`(test_\w+)::(test_\w+)`", TEXT)
    assert len(named) > 40
    for file, test in named:
        source = (TESTS / f"{file}.py").read_text(encoding="utf-8")
        assert f"def {test}(" in source, f"{file}::{test}"


@pytest.mark.parametrize("kind", ["train", "fetch"])
def test_signals_at_random_moments(kind):
    loop = [sys.executable, TESTS / "crash_loop.py", "--kills", "3", kind]
    done = subprocess.run(loop, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "each time as if undisturbed" in done.stdout
