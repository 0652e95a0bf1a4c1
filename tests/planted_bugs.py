"""Bugs that the tests must catch: each is planted in a copy of the project, and its test must fail.

    python tests/planted_bugs.py [WORD]

plants those whose description has the word, or all, and prints which test caught each. It exits
with 1 if one was not caught. A line of code that is gone from the project is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Bug(NamedTuple):
    """A change of one line, and the tests that notice it (arguments of pytest)."""

    what: str
    file: str
    right: str
    wrong: str
    tests: str


BUGS = [
    Bug(
        "weights of the local ensemble not crossed",
        "baselines/geometry.py",
        "zip(found, reversed(areas), strict=True)",
        "zip(found, areas, strict=True)",
        "tests/test_parity.py -k fixtures",
    ),
    Bug(
        "rows and columns swapped",
        "baselines/geometry.py",
        "row * width + column, torch.stack([rel_y, rel_x], dim=-1)",
        "row * width + column, torch.stack([rel_x, rel_y], dim=-1)",
        "tests/test_parity.py -k fixtures",
    ),
    Bug(
        "cell of an image that is one pixel smaller",
        "baselines/geometry.py",
        "torch.tensor([2 / size[0], 2 / size[1]], device=device)",
        "torch.tensor([2 / (size[0] - 1), 2 / size[1]], device=device)",
        "tests/test_parity.py tests/test_networks.py",
    ),
    Bug(
        "pixel centres at pixel corners",
        "baselines/geometry.py",
        "return low + half + (2 * half)",
        "return low + (2 * half)",
        "tests/test_parity.py -k fixtures",
    ),
    Bug(
        "LTE's cell not clipped above x4",
        "baselines/systems/implicit.py",
        "return max(scale / 4, 1.0) if",
        "return 1.0 if",
        "tests/test_parity.py tests/test_networks.py",
    ),
    Bug(
        "the least likely expert chosen",
        "moeisr/experts.py",
        "choice = gates.argmax(dim=-1)",
        "choice = gates.argmin(dim=-1)",
        "tests/test_networks.py tests/test_engine.py",
    ),
    Bug(
        "balance loss not divided by the batch",
        "moeisr/losses.py",
        ".abs().sum() / batch",
        ".abs().sum()",
        "tests/test_networks.py tests/test_training.py",
    ),
    Bug(
        "MACs of the mapper left out",
        "baselines/systems/implicit.py",
        "mapper=self.head.routing_macs() * pixels,",
        "mapper=0 * pixels,",
        "tests/test_flops.py",
    ),
    Bug(
        "border a pixel too narrow",
        "harness/metrics/protocols.py",
        "return BORDERS[self.border](math.ceil(scale - 1e-9))",
        "return BORDERS[self.border](math.ceil(scale - 1e-9) - 1)",
        "tests/test_protocol.py",
    ),
    Bug(
        "sign of PSNR",
        "harness/metrics/psnr.py",
        "return -10 * torch.log10(mse)",
        "return 10 * torch.log10(mse)",
        "tests/test_protocol.py",
    ),
    Bug(
        "a smaller PSNR taken for the better one",
        "harness/metrics/base.py",
        "larger_is_better: bool = True",
        "larger_is_better: bool = False",
        "tests/test_report.py",
    ),
    Bug(
        "sigma of SSIM's window",
        "harness/metrics/ssim.py",
        "_SIGMA = 1.5",
        "_SIGMA = 1.6",
        "tests/test_ssim.py",
    ),
    Bug(
        "weight of green in Y",
        "harness/metrics/protocols.py",
        "(65.481 / 255, 128.553 / 255, 24.966 / 255)",
        "(65.481 / 255, 129.553 / 255, 24.966 / 255)",
        "tests/test_protocols_by_name.py tests/test_outside_images.py",
    ),
    Bug(
        "a lock that everybody gets",
        "harness/common/locks.py",
        "    except Timeout:\n        return False",
        "    except Timeout:\n        return True",
        "tests/test_locks.py",
    ),
    Bug(
        "the same noise in every step",
        "harness/training/loop.py",
        "return (seed + 1) * 1_000_003 + step",
        "return (seed + 1) * 1_000_003",
        "tests/test_training.py -k noise_of_its_own",
    ),
    Bug(
        "learning rate halved a step late",
        "harness/training/step.py",
        "bisect_right(settings.milestones, passed)",
        "bisect_right(settings.milestones, passed - 1)",
        "tests/test_training.py -k learning_rate_of_the_paper",
    ),
    Bug(
        "a drop of PSNR that passes",
        "harness/commands/check/comparison.py",
        "if not change >= -tolerance - _FLOAT_NOISE:",
        "if not change >= -2 * tolerance - _FLOAT_NOISE:",
        "tests/test_check.py",
    ),
    Bug(
        "intervals of the wrong level",
        "harness/measure/statistics.py",
        "CONFIDENCE = 0.95",
        "CONFIDENCE = 0.90",
        "tests/test_versus.py",
    ),
    Bug(
        "too few images that decide",
        "harness/measure/statistics.py",
        "FEWEST = 6",
        "FEWEST = 2",
        "tests/test_versus.py tests/test_report.py",
    ),
    Bug(
        "a claim that holds with one scale outside",
        "harness/report/claims.py",
        "if any(d.high is not None and d.high < 0 for d in known):",
        "if all(d.high is not None and d.high < 0 for d in known):",
        "tests/test_experiments.py -k a_claim_falls",
    ),
    Bug(
        "a checksum that is not looked at",
        "harness/common/checksums.py",
        "return hashlib.sha256(text.encode()).hexdigest()[:digits]",
        'return "0" * 16 if digits == 16 else hashlib.sha256(text.encode()).hexdigest()[:digits]',
        "tests/test_damaged_results.py",
    ),
]


def caught(bug: Bug, copy: Path) -> str:
    """Plant a bug in a copy and return the first test that fails; "" if all pass.

    Raises:
        SystemExit: the line is not there once.
    """
    path = copy / bug.file
    text = path.read_text(encoding="utf-8")
    if text.count(bug.right) != 1:
        raise SystemExit(f"{bug.what}: {bug.right!r} is not once in {bug.file}.")
    path.write_text(text.replace(bug.right, bug.wrong), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    ended = subprocess.run(
        [*command, *bug.tests.split()],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    path.write_text(text, encoding="utf-8")
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{bug.what}: pytest ended with {ended.returncode}.\n{ended.stdout}")
    return failed[0].split(" - ")[0].split(" ", 1)[1] if failed else ""


def main() -> int:
    """Plant the bugs that are asked for; return 1 if one was not caught."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        left_out = shutil.ignore_patterns(".git", ".venv", "reports", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, copy, ignore=left_out)
        if (ROOT.parent / "shared").exists():
            (Path(folder) / "shared").symlink_to(ROOT.parent / "shared")
        for bug in (bug for bug in BUGS if word in bug.what):
            test = caught(bug, copy)
            missed += not test
            print(f"{bug.what}: {test or 'NOT CAUGHT'}", flush=True)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
