"""Peak memory of `harness upscale`, each case in a separate process.

Networks have no training: their output is no picture, but takes the same memory. The peak is that
of the whole process, Python and PyTorch included.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from baselines import Method, build, parse
from harness import checkpoints
from harness.commands import INTERRUPTED
from harness.commands.options import (
    Setup,
    device_option,
    json_option,
    listed,
    methods_option,
    pixels,
    scale_factor,
    show,
    table,
)
from harness.common.errors import HarnessError, UsageError
from harness.common.progress import say
from harness.data.images import save_png
from harness.measure.costs import photograph
from harness.measure.machine import in_words, machine
from harness.profiles import Profile
from harness.upscale.image_files import layout_for, open_source

METHODS = ("edsr-liif", "edsr-lte", "edsr-moeisr-liif-s")
_CHILD = Path(__file__).with_name("peak_of_command.py")


@dataclass(frozen=True)
class Setting:
    """Settings that all cases share.

    Attributes:
        profile: profile that decides the network sizes.
        size: (h, w) of the image that is enlarged.
        suffix: file type of the result.
        memory: MiB of a band; None: a value that suits the device.
        limit: seconds of work after which a case is stopped; None: never.
    """

    profile: Profile
    size: tuple[int, int]
    suffix: str = ".png"
    memory: int | None = None
    device: str = "cpu"
    limit: float | None = None


def measure(
    methods: Sequence[str], scales: Sequence[float], setting: Setting, folder: Path
) -> Iterator[dict[str, Any]]:
    """Measure each method and scale: peak bytes of the process, bytes of the result, seconds.

    A case that was stopped is not `finished`; its peak is that until then. The folder holds the
    image, the networks and one result at a time.

    Raises:
        HarnessError: the command fails; or, before the first case, a method is unknown or does not
            have one of the scales, or a type cannot be written.
    """
    image, target = folder / "in.png", folder / f"out{setting.suffix}"
    save_png(photograph(setting.size), image)
    found = [parse(name) for name in methods]
    for scale in scales:
        for method in found:
            if not method.can_do(scale):
                own = ", ".join(map(str, method.only_scales or ()))
                raise UsageError(f"{method.name} enlarges by {own} only, not {scale:g}.")
        layout_for(target, open_source(image), scale)
    for method in found:
        command = ["upscale", str(image), str(target), "--device", setting.device]
        command += [] if setting.memory is None else ["--memory", str(setting.memory)]
        command += _network(folder, method, setting.profile)
        for scale in scales:
            start = time.perf_counter()
            peak = _peak([*command, "--scale", str(scale)], folder / "report.json", setting.limit)
            yield {
                "method": method.name,
                "scale": scale,
                "lr_size": setting.size,
                "hr_size": tuple(round(side * scale) for side in setting.size),
                **peak,
                "file": target.stat().st_size if peak["finished"] else 0,
                "seconds": time.perf_counter() - start,
            }
            target.unlink(missing_ok=True)


def _network(folder: Path, method: Method, profile: Profile) -> list[str]:
    """Make the arguments that name an untrained network to the command."""
    if not method.encoder:
        return ["--method", method.name]
    torch.manual_seed(0)
    options = profile.networks.options(method)
    state = build(method.name, **options).state_dict()
    content = {"method": method.name, "build": options, "state_dict": state, "origin": "untrained"}
    path = folder / f"{method.name}.pt"
    checkpoints.save(path, content)
    return ["--checkpoint", str(path)]


def _peak(command: list[str], report: Path, limit: float | None) -> dict[str, Any]:
    """Run a command of the harness, and interrupt it after so many seconds of work.

    Returns:
        Its `peak` in bytes, and whether it `finished`.
    """
    child = [sys.executable, str(_CHILD), str(report), *command]
    silent, kept = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(child, text=True, stdout=silent, stderr=kept) as running:
        try:
            while limit is not None and running.poll() is None and not report.exists():
                time.sleep(0.05)
            said = running.communicate(timeout=limit)[1]
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)
            said = running.communicate()[1]
        except BaseException:
            running.terminate()
            raise
    stopped = limit is not None and running.returncode == INTERRUPTED
    if running.returncode and not stopped:
        raise HarnessError(
            f"`harness {shlex.join(command)}` failed with status {running.returncode}:",
            said.strip(),
        )
    peak = json.loads(report.read_text())["peak"]
    report.unlink()
    return {"peak": peak, "finished": not stopped}


@click.command(epilog="Example: python -m benchmarks memory --methods edsr-liif --scales 4,12,30")
@methods_option(help="Default: EDSR with LIIF, LTE, MoEISR.")
@click.option(
    "--size",
    type=pixels,
    default="512x512",
    show_default=True,
    metavar="HxW",
    help="HEIGHTxWIDTH of the LR image.",
)
@click.option(
    "--scales", type=listed(scale_factor), metavar="A,B", default="4,12,30", show_default=True
)
@click.option("--suffix", default=".png", show_default=True, help="Type of the result.")
@click.option("--memory", type=click.IntRange(1), metavar="MIB", help="As of `harness upscale`.")
@click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Stop each case after so long: the peak is reached in the first bands.",
)
@click.option(
    "--profile",
    default="paper",
    show_default=True,
    metavar="NAME|FILE",
    help="Whose network sizes are taken.",
)
@device_option
@json_option
def memory(
    methods: list[str],
    size: tuple[int, int],
    scales: list[float],
    suffix: str,
    memory: int | None,
    limit: float | None,
    profile: str,
    device: str,
) -> None:
    """Peak memory of `harness upscale`, from an image file to an image file.

    Each case runs in a process of its own, with an untrained network. The peak is the resident
    memory of that process, Python and PyTorch included; on a GPU it is the host's.
    """
    setup = Setup(profile=profile, device=device)
    here = machine(setup.device)
    setting = Setting(setup.profile, size, suffix, memory, device, limit)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(methods or METHODS, scales, setting, Path(folder)):
            say(f"{line['method']} x{line['scale']:g}: {line['peak'] / 2**20:.0f} MiB")
            lines.append(line)
    rows = [
        {
            "method": line["method"],
            "scale": f"x{line['scale']:g}",
            "result": "{1} x {0}".format(*line["hr_size"]),
            "peak MiB": f"{line['peak'] / 2**20:.0f}",
            "file MiB": f"{line['file'] / 2**20:.1f}" if line["finished"] else "stopped",
            "seconds": f"{line['seconds']:.0f}",
        }
        for line in lines
    ]
    content = {"schema": 1, "bench": "memory", "profile": profile, "memory_mib": memory}
    head = f"{in_words(here)}\nnetworks of profile {profile}, untrained\n"
    show({**content, "machine": here, "lines": lines}, head + table(rows))
