"""Making of the networks that come with the package, from finished training runs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness import checkpoints
from harness.checkpoints import Loaded, reference
from harness.checkpoints.reference import About, Shipped
from harness.checkpoints.safetensors_files import SUFFIX, write_safetensors
from harness.common import checksums
from harness.common.errors import HarnessError
from harness.data.sets import SPECS, find
from harness.profiles import Validation
from harness.training.validation import Validator

DATASET = "Set5"
TOLERANCE = 0.002
"""Largest difference in PSNR (dB) between shipped and original weights."""
_PRECISIONS = {"fp16": torch.float16, "fp32": torch.float32}
# What only training needs, and the weights, which are rounded.
_LEFT_OUT = {"state_dict", "optimizer", "unaveraged"}


def ship(path: Path, data_root: Path | None, cache: Path | None) -> About | None:
    """Ship the network of a finished training run, in half precision where PSNR stays the same.

    The log of the training lies beside its checkpoint. None is returned for a run that is not
    finished; a network of the same method and seed is replaced.

    Raises:
        HarnessError: no checkpoint of a training run, its log is damaged, or no precision has the
            PSNR of the original.
    """
    content = checkpoints.read(path)
    if content.get("recipe") is None:
        raise HarnessError(f"{path} does not say how it was trained.", "Name a run of `train`.")
    if not content.get("finished"):
        return None
    original = checkpoints.open_checkpoint(path)
    scale = (original.model.scales or (2,))[0]
    settings = Validation(dataset=DATASET, scale=scale, images=5)
    psnr_of = Validator(settings, find(DATASET, data_root), cache)
    expected = psnr_of(original.model)
    curve = _curve(path.with_name("log.jsonl"))
    kept = {key: value for key, value in content.items() if key not in _LEFT_OUT}
    for precision, dtype in _PRECISIONS.items():
        weights = content["state_dict"].items()
        kept["state_dict"] = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights}
        made = _written(kept)
        psnr = psnr_of(made.model)
        if abs(psnr - expected) > TOLERANCE:
            continue
        facts = Shipped(
            weights=made.weights,
            original_weights=original.weights,
            precision=precision,
            dataset=DATASET,
            scale=scale,
            psnr=round(psnr, 4),
            original_psnr=round(expected, 4),
            curve=curve,
            terms=SPECS[content["recipe"]["training"]["dataset"]].terms,
        )
        name = reference.name_of(original.method, content["recipe"]["seed"])
        target = reference.FOLDER / f"{name}{SUFFIX}"
        write_safetensors(target, {**kept, "shipped": facts.model_dump()})
        return reference.about(name)
    raise HarnessError(
        f"{path}: neither {' nor '.join(_PRECISIONS)} weights have the {expected:.4f} dB of the "
        f"original on {DATASET} at x{scale}.",
        "Say so to the maintainers of the harness: fp32 ones should be the same.",
    )


def _written(content: Mapping[str, Any]) -> Loaded:
    """Write a checkpoint as it would be shipped, and open it again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"trial{SUFFIX}"
        write_safetensors(path, content)
        return checkpoints.open_checkpoint(path)


def _curve(log: Path) -> list[dict[str, float]]:
    """Read loss, L1 and PSNR of the validation by step from a training log."""
    curve: dict[int, dict[str, float]] = {}
    try:
        for line in log.read_bytes().splitlines():
            values: dict[str, Any] = checksums.parse(line)
            point = curve.setdefault(values["step"], {"step": values["step"]})
            for key, name in (("loss", "loss"), ("l1", "l1"), ("validation_psnr", "psnr")):
                if key in values:
                    point[name] = round(values[key], 5)
    except (OSError, ValueError, KeyError) as error:
        raise HarnessError(
            f"The log of the training, {log}, cannot be read: {error}",
            "Take the run's folder as training left it.",
        ) from error
    return [curve[step] for step in sorted(curve)]
