"""Tiny networks, images, profiles and the `harness` command, for the tests."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageFilter
from torch import Tensor, nn

from baselines import build, methods, parse
from baselines.systems.seemore import SIZES
from harness.commands import main

EFFICIENT = ("rlfn", "efdn", "span")
NETWORKS = [name for name in methods() if parse(name).decoder]
FIXED = [name for name in methods() if parse(name).scale]
MIXTURES = [name for name in NETWORKS if parse(name).head]
PLAIN = [name for name in NETWORKS if not parse(name).head]
MULTI = [name for name in methods() if parse(name).upsampler]

ENCODERS = {
    "edsr": {"blocks": 1, "features": 8},
    "rdn": {"features": 8, "blocks": 2, "layers": 2, "growth": 4},
    "rcan": {"groups": 2, "blocks": 1, "features": 8, "reduction": 2},
    "swinir": {"features": 8, "channels": 8, "depths": [2], "heads": 2, "window": 4},
    "srformer": {"channels": 8, "depths": [2], "heads": 2, "window": 6},
    "edsr-large": {"blocks": 2, "features": 12},
    **{name: {"groups": 2, "channels": 8, "recursion": 1, "kernel": 5} for name in SIZES},
    **{name: {"blocks": 2, "channels": 8} for name in EFFICIENT},
}
ENCODER = ENCODERS["edsr"]
DECODER = {"width": 16}
UPSAMPLER = {"width": 16, "layers": 2}


def network(method: str, seed: int = 0, **options: Any) -> nn.Module:
    """A tiny network in evaluation mode; its experts are used about equally."""
    torch.manual_seed(seed)
    sizes = {"encoder": ENCODERS[parse(method).encoder]}
    if parse(method).decoder:
        sizes["decoder"] = DECODER
    if parse(method).upsampler:
        sizes["upsampler"] = UPSAMPLER
    model = build(method, **{**sizes, **options}).eval()
    for name, parameter in model.named_parameters():
        if "mapper" in name and parameter.dim() > 1:
            parameter.data.mul_(4)
    return model


def image(*size: int, seed: int = 0) -> Tensor:
    """Random numbers in [0, 1]."""
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def moving(method: str, **options: Any) -> nn.Module:
    """A tiny network whose shifts, and not only their start, take part in the answer."""
    model = network(method, **options)
    for name, parameter in model.named_parameters():
        if "upsampler" in name:
            generator = torch.Generator().manual_seed(len(name))
            fan_in = math.prod(parameter.shape[1:])
            parameter.data.normal_(generator=generator).mul_(fan_in**-0.5)
    return model


def seen_by(model: nn.Module, lr: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The LR image as the official evaluation hands it over, and the SR size that belongs to it.

    An independent writing of the rule: NumPy's symmetric padding to one more whole window.
    """
    window = (getattr(model, "encoder", None) or model.network).window
    if window == 1:
        return lr, size
    h, w = lr.shape[-2:]
    add = [(side // window + 1) * window - side for side in (h, w)]
    padded = np.pad(lr.numpy(), [(0, 0), (0, 0), (0, add[0]), (0, add[1])], mode="symmetric")
    whole = (round((h + add[0]) * size[0] / h), round((w + add[1]) * size[1] / w))
    return torch.from_numpy(padded), whole


def photo(height: int, width: int, seed: int = 0) -> Image.Image:
    """A smooth random colour image."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1.5))


def pixels(height: int, width: int, seed: int = 0) -> Tensor:
    """The same as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(photo(height, width, seed))).permute(2, 0, 1).contiguous()


def write_photos(folder: Path, sizes: Mapping[str, tuple[int, int]]) -> Path:
    """PNG files of these names and (height, width)."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, size) in enumerate(sizes.items()):
        photo(*size, seed=seed).save(folder / f"{name}.png")
    return folder


TRAIN_SIZES = {"0001": (40, 52), "0002": (48, 36), "0003": (37, 41), "0004": (64, 40)}
# At x30 the first image is smaller than the shaved borders, the second is not.
VALID_SIZES = {"0801": (62, 70), "0802": (96, 100)}


def write_data(root: Path) -> Path:
    """A miniature of DIV2K's folders below a data root."""
    write_photos(root / "DIV2K" / "DIV2K_train_HR", TRAIN_SIZES)
    write_photos(root / "DIV2K" / "DIV2K_valid_HR", VALID_SIZES)
    return root


PROFILE: dict[str, Any] = {
    "name": "tiny",
    "summary": "for tests",
    "roles": {"DIV2K_valid": "DIV2K_valid"},
    "networks": {
        "encoder": ENCODERS,
        "decoder": {name: dict(DECODER) for name in ("liif", "lte", "metasr")},
    },
    "training": {
        "dataset": "DIV2K_train",
        "repeat": 4,
        "patch": 8,
        "queries": 32,
        "batch": 4,
        "epochs": 3,
        "milestones": [2],
        "lr": 1e-3,
        "checkpoint_every": 5,
    },
}


def profile_with(**training: Any) -> dict[str, Any]:
    """The tiny profile with other training settings."""
    return {**PROFILE, "training": {**PROFILE["training"], **training}}


def write_profile(path: Path, content: Mapping[str, Any] = PROFILE) -> Path:
    """A profile as a file."""
    path.write_text(yaml.safe_dump(dict(content)))
    return path


class Harness:
    """Runs the command in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.patch = patch
        self.capture = capture

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        self.patch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ending:
            self.run()
        out, err = self.capture.readouterr()
        status = ending.value.code
        return int(status or 0), out, err

    def run(self) -> None:
        """Run the command with the arguments of `sys.argv`."""
        main()

    def good(self, *arguments: object) -> str:
        """Standard output of a command that must succeed."""
        status, out, err = self(*arguments)
        assert status == 0, err
        return out


class Benchmarks(Harness):
    """Runs `python -m benchmarks` in this process."""

    def run(self) -> None:
        """Run it."""
        from benchmarks.__main__ import benchmarks

        main(benchmarks)


PREAMBLE = "import sys; from harness.commands import main; main()"


def start(*arguments: object, code: str = PREAMBLE, threads: int = 1) -> subprocess.Popen[str]:
    """The command in a process, and a process group, of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        start_new_session=True,
    )


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but locks, with its bytes."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".lock" and p.name != "lock"
    }
