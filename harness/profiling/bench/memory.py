"""Peak memory of `harness upscale`, each case in a separate process.

Networks have no training: their output is no picture, but takes the same memory. The peak is that
of the whole process, Python and PyTorch included.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the measured process starts here, and imports what the command itself does
    from harness.profiles import Profile

METHODS = ("edsr-liif", "edsr-lte", "edsr-moeisr-liif-s")
_CHILD = """
from harness.cli import main
from harness.profiling.bench.memory import in_child
in_child(main)
"""
_INTERRUPTED = 130


@dataclass(frozen=True)
class Setting:
    """Settings that all cases share.

    Attributes:
        profile: profile that decides the network sizes.
        size: (h, w) of the image that is enlarged.
        suffix: file type of the result.
        memory: MiB of a band; None: a value that suits the device.
        device: device of `harness upscale`.
        limit: seconds of work after which a case is stopped; None: never.
    """

    profile: Profile
    size: tuple[int, int]
    suffix: str = ".png"
    memory: int | None = None
    device: str = "cpu"
    limit: float | None = None


@dataclass(frozen=True)
class Line:
    """Measurement of one case.

    Attributes:
        peak: peak bytes of the process.
        file: bytes of the result.
        seconds: time from the start of the process to its end.
        finished: False where it was stopped; the peak is that until then.
    """

    method: str
    scale: float
    lr_size: tuple[int, int]
    hr_size: tuple[int, int]
    peak: int
    file: int
    seconds: float
    finished: bool

    def content(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        return asdict(self)


def measure(
    methods: Sequence[str], scales: Sequence[float], setting: Setting, folder: Path
) -> Iterator[Line]:
    """Measure each method and scale, one line each.

    Args:
        methods: names of methods.
        scales: scale factors.
        setting: the other settings.
        folder: folder for the image, the networks and one result at a time.

    Raises:
        HarnessError: the command fails; or, before the first case, a method is unknown or does not
            have one of the scales, or a type cannot be written.
    """
    image = _image(folder, setting.size)
    _check(methods, scales, setting, image)
    for method in methods:
        network = _network(folder, method, setting.profile)
        for scale in scales:
            yield _case(method, scale, setting, image, network)


def _check(methods: Sequence[str], scales: Sequence[float], setting: Setting, image: Path) -> None:
    from baselines import parse
    from harness.common.errors import UsageError
    from harness.upscale.image_files import check_target, open_source

    for method in methods:
        own = parse(method).scale
        for scale in scales:
            if own not in (None, scale):
                raise UsageError(f"{method} enlarges by {own} only, not {scale:g}.")
    for scale in scales:
        check_target(image.with_name(f"out{setting.suffix}"), open_source(image), scale)


def _image(folder: Path, size: tuple[int, int]) -> Path:
    """Write the photograph at this size as a file."""
    from harness.data.images import save_png
    from harness.profiling.photograph import photograph

    path = folder / "in.png"
    save_png(photograph(size), path)
    return path


def _network(folder: Path, method: str, profile: Profile) -> list[str]:
    """Make the arguments that name an untrained network to the command."""
    import torch

    from baselines import build, parse
    from harness import checkpoints

    if not parse(method).encoder:
        return ["--method", method]
    torch.manual_seed(0)
    options = profile.networks.options(parse(method))
    state = build(method, **options).state_dict()
    content = {"method": method, "build": options, "state_dict": state, "origin": "untrained"}
    path = folder / f"{method}.pt"
    checkpoints.save(path, content)
    return ["--checkpoint", str(path)]


def _case(method: str, scale: float, setting: Setting, image: Path, network: list[str]) -> Line:
    from harness.common.errors import HarnessError

    report, target = image.with_name("report.json"), image.with_name(f"out{setting.suffix}")
    command = ["upscale", str(image), str(target), "--scale", str(scale), *network]
    command += ["--device", setting.device]
    command += [] if setting.memory is None else ["--memory", str(setting.memory)]
    start = time.perf_counter()
    child = [sys.executable, "-c", _CHILD, str(report), *command]
    status, said = _run(child, report, setting.limit)
    seconds = time.perf_counter() - start
    stopped = setting.limit is not None and status == _INTERRUPTED
    if status and not stopped:
        raise HarnessError(f"{method} x{scale:g} failed with status {status}:", said.strip())
    line = Line(
        method=method,
        scale=scale,
        lr_size=setting.size,
        hr_size=(round(setting.size[0] * scale), round(setting.size[1] * scale)),
        peak=json.loads(report.read_text())["peak"],
        file=0 if stopped else target.stat().st_size,
        seconds=seconds,
        finished=not stopped,
    )
    report.unlink()
    target.unlink(missing_ok=True)
    return line


def _run(command: list[str], begun: Path, limit: float | None) -> tuple[int, str]:
    """Run a command, and interrupt it so many seconds after a file has appeared.

    Returns:
        Its exit status, and what it wrote to standard error.
    """
    silent, kept = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(command, text=True, stdout=silent, stderr=kept) as running:
        try:
            while limit is not None and running.poll() is None and not begun.exists():
                time.sleep(0.05)
            said = running.communicate(timeout=limit)[1]
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)
            said = running.communicate()[1]
        except BaseException:
            running.terminate()
            raise
        return running.returncode, said


def in_child(main: Callable[[], None]) -> None:
    """Run the `harness` command; its peak memory goes to the file that is named first."""
    from harness.checkpoints import trained
    from harness.common.device import process_peak
    from harness.upscale import enlarge

    del enlarge, trained  # imported for the command: the limit counts its work
    # A shell's background job, and all that it starts, would ignore the interruption.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, report, *arguments = sys.argv
    sys.argv = ["harness", *arguments]
    Path(report).write_text(json.dumps({"peak": process_peak()}))
    try:
        main()
    finally:
        Path(report).write_text(json.dumps({"peak": process_peak()}))
