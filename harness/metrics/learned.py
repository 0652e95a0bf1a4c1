"""Learned metrics, by pyiqa where it is installed (extra `[iqa]`): LPIPS, DISTS, NIQE, MUSIQ.

Licence and weights are pyiqa's and their authors', and stay outside. A row keeps pyiqa's version
and licence and a hash of the weights; without package or weights it says so, and is tried again
the next time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

import torch
from torch import Tensor

from harness.metrics.base import Metric, NotHereError
from harness.metrics.protocols import checked_border, shave, stored_values


@cache
def _network(name: str) -> Any:
    """Make pyiqa's metric on the CPU; NotHereError where pyiqa or its weights are absent."""
    try:
        create_metric = import_module("pyiqa").create_metric
    except ImportError:
        raise NotHereError("pyiqa is not installed (pip install moeisr-harness[iqa])") from None
    try:
        return create_metric(name, device=torch.device("cpu"))
    except Exception as error:  # pyiqa's and its downloads'
        said = str(error).splitlines()[:1] or [type(error).__name__]
        raise NotHereError(f"weights absent: {said[0]}") from error


def learned(name: str, full: bool, sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Compute a learned metric, by pyiqa's name, of one SR image (3, H, W) in RGB.

    The protocol's rounding and border count. `full`: it is compared with HR.

    Raises:
        NotHereError: it cannot be computed on this installation.
        ValueError: an image is too small.
    """
    border = checked_border(sr, hr, protocol, scale)
    images = (stored_values(sr, protocol), hr) if full else (stored_values(sr, protocol),)
    judge = _network(name)
    with torch.no_grad():
        try:
            found = judge(*(shave(image.float(), border)[None].cpu() for image in images))
        except (RuntimeError, AssertionError) as error:  # layers without a pixel
            raise ValueError(str(error).partition("\n")[0] or "the image is too small") from error
    value: Tensor = found.detach().double().reshape(())
    return value


@cache
def _about(name: str) -> dict[str, str]:
    """Return version and licence of pyiqa, and a hash of the metric's weights."""
    digest = hashlib.sha256()
    for key, value in sorted(_network(name).state_dict().items()):
        digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    known: Mapping[str, Any] = {}
    with suppress(PackageNotFoundError):  # a copy that no package manager installed
        known = metadata("pyiqa").json
    licence = known.get("license_expression") or known.get("license") or "not stated"
    return {
        f"{name}_pyiqa": known.get("version", "unknown"),
        f"{name}_licence": licence.splitlines()[0],
        f"{name}_weights": digest.hexdigest()[:16],
    }


def _metric(name: str, label: str, full: bool, larger: bool, digits: int = 4) -> Metric:
    value: Callable[..., Tensor] = partial(learned, name, full)
    about = partial(_about, name)
    return Metric(name, label, value, digits=digits, larger_is_better=larger, about=about)


METRIC = (
    _metric("lpips", "LPIPS", full=True, larger=False),
    _metric("dists", "DISTS", full=True, larger=False),
    _metric("niqe", "NIQE", full=False, larger=False, digits=3),
    _metric("musiq", "MUSIQ", full=False, larger=True, digits=2),
)
