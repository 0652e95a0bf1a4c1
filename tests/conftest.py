"""Shared paths; tests that need `../shared` skip, with the reason, where it is absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import Harness

from baselines.registry import every_method, unregister

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(*parts: str) -> Path:
    """A path below `../shared`; skips the test where there is none.

    Asked for inside tests and fixtures only: a skip while tests are collected is an error there.
    """
    path = SHARED.joinpath(*parts)
    if "PYTEST_CURRENT_TEST" not in os.environ:
        raise RuntimeError(f"{path} is asked for outside of a test, for which nobody can skip it")
    if not path.exists():
        pytest.skip(f"needs {path}, which is not part of the repository")
    return path


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the user's data folder, or writes the user's cache.

    One thread: tiny networks are faster so, on busy machines much; bits depend on the number.
    torch.compile compiles in this process, as the tests do not last until a pool of others is up.
    Nothing is flushed to the disk, as no test survives a power failure; kills are survived without.
    """
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
        patch.setattr(os, "fsync", lambda _: None)
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("HARNESS_DATA", raising=False)
        yield


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default folders (results/, reports/) lie in the test's own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def own_methods() -> Iterator[None]:
    """Methods from outside that a test has opened are gone after it, as after a command."""
    yield
    for method in every_method():
        if method.outside:
            unregister(method.name)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Harness:
    """The `harness` command in this process."""
    return Harness(monkeypatch, capsys)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many parity cases of each source passed, where any ran."""
    from parity import CASES, SOURCES

    for source in SOURCES:
        cases: dict[str, bool] = {}
        queries = 0
        for outcome in ("passed", "failed"):
            for report in terminalreporter.stats.get(outcome, []):
                recorded = dict(report.user_properties)
                case = str(recorded.get("parity case", ""))
                if case.startswith(source):
                    cases[case] = cases.get(case, True) and outcome == "passed"
                    queries += int(recorded["query sets"]) * (outcome == "passed")
        if cases:
            left = "" if len(cases) == len(CASES) else f" ({len(cases)} ran)"
            terminalreporter.write_line(
                f"parity, {source}: {sum(cases.values())} of {len(CASES)} cases pass{left}, "
                f"{queries} query sets"
            )
