"""Measuring: methods on images, one row each, under the paper's protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.mlp import MLP
from harness import checkpoints, flops, metrics
from harness.data.degrade import Pair, TooSmallError, make_pair, unit
from harness.data.images import pixel_hash
from harness.data.sets import Dataset, ImageItem
from harness.device import PeakMemory, describe, synchronise
from harness.errors import HarnessError
from harness.metrics import too_small
from harness.profiles import Evaluation
from harness.results import CellFile, CellId, Measurement
from harness.upscaling import Upscaled, upscale
from harness.versions import versions


@dataclass(frozen=True)
class Subject:
    """A method ready to be measured.

    Attributes:
        model: in evaluation mode, on its device.
        checkpoint: hash of the weights; "" where there are none (bicubic).
        recipe: fingerprint of how it was trained; "" for official checkpoints and bicubic.
        finished: whether its training reached the last step.
        profile: that it was trained under; "" for official checkpoints and bicubic.
        origin: where it comes from, in words.
    """

    method: str
    model: nn.Module
    device: torch.device
    seed: int = 0
    checkpoint: str = ""
    recipe: str = ""
    trained_steps: int = 0
    finished: bool = True
    profile: str = ""
    origin: str = "nothing is trained"

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def expert_depths(self) -> list[int]:
        """Linear layers of the experts; empty without experts."""
        experts = [m for m in self.model.modules() if isinstance(m, MLP)]
        return [e.depth for e in experts] if len(experts) > 1 else []


def open_subject(path: Path, device: torch.device, method: str | None = None) -> Subject:
    """The subject of a checkpoint.

    Raises:
        HarnessError: see `harness.checkpoints.open_checkpoint`.
    """
    loaded = checkpoints.open_checkpoint(path, method)
    recipe = loaded.meta.get("recipe")
    return Subject(
        method=loaded.method or path.stem,
        model=loaded.model.to(device),
        device=device,
        seed=recipe["seed"] if recipe else 0,
        checkpoint=loaded.weights,
        recipe=loaded.meta.get("recipe_fingerprint", ""),
        trained_steps=loaded.meta.get("step", 0),
        finished=loaded.meta.get("finished", True),
        profile=(loaded.meta.get("profile") or {}).get("name", ""),
        origin=loaded.meta.get(
            "origin",
            f"{path.name}, in the layout of an official checkpoint; its training is not known",
        ),
    )


@dataclass(frozen=True)
class Task:
    """One cell to measure.

    Attributes:
        role: set of the paper that the dataset stands for.
        protocol: PSNR protocol.
    """

    dataset: Dataset
    fingerprint: str
    role: str
    scale: float
    protocol: str
    profile: str
    settings: Evaluation
    cache: Path | None

    @cached_property
    def lr_fingerprint(self) -> str:
        """Of the official LR images; taken once, not for every row."""
        return self.dataset.lr_fingerprint(self.scale)

    def cell(self, subject: Subject) -> CellId:
        """Identity of the cell."""
        return CellId(
            method=subject.method,
            seed=subject.seed,
            checkpoint=subject.checkpoint,
            dataset=self.dataset.name,
            dataset_fingerprint=self.fingerprint,
            scale=self.scale,
            protocol=self.protocol,
            precision=self.settings.precision,
            lr_fingerprint=self.lr_fingerprint,
        )


@dataclass(frozen=True)
class _Timed:
    """An SR image and what making it took."""

    sr: Upscaled
    seconds: float
    peak: int
    memory_kind: str


def _timed_upscale(subject: Subject, pair: Pair, task: Task) -> _Timed:
    memory = PeakMemory(subject.device)
    synchronise(subject.device)
    start = time.perf_counter()
    size = (pair.hr.shape[-2], pair.hr.shape[-1])
    settings = task.settings
    sr = upscale(
        subject.model,
        unit(pair.lr)[None],
        task.scale,
        size,
        precision=settings.precision,
        chunk=settings.chunk,
    )
    synchronise(subject.device)
    return _Timed(sr, time.perf_counter() - start, memory.read(), memory.kind)


def warm_up(subject: Subject, settings: Evaluation) -> None:
    """Enlarge a small image once, so that the first measured one is not charged for start-up."""
    scale = getattr(subject.model, "scale", 2)
    upscale(
        subject.model,
        torch.zeros(1, 3, 16, 16),
        scale,
        precision=settings.precision,
        chunk=settings.chunk,
    )


def _scores(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> tuple[float, float | None, str]:
    """PSNR, SSIM, and why the latter is missing where it is."""
    db = metrics.psnr(sr, hr, protocol, scale).item()
    try:
        return db, metrics.ssim(sr, hr, protocol, scale).item(), ""
    except ValueError as error:
        return db, None, f"no SSIM: {error}"


def measure_image(subject: Subject, item: ImageItem, task: Task) -> Measurement:
    """Measure a method on one image.

    An image that the scale is too large for gets a row without PSNR that says so.

    Args:
        subject: the method.
        item: the image.
        task: dataset, scale and protocol.
    """
    hr = item.load()
    try:
        pair = make_pair(item, hr, task.scale, task.cache)
    except TooSmallError as error:
        return _row(subject, item, task, hr, reason=f"too small: {error}")
    if too_small((pair.hr.shape[-2], pair.hr.shape[-1]), task.protocol, task.scale):
        border = metrics.shaved_border(task.protocol, task.scale)
        reason = f"too small: nothing is left inside a border of {border} pixels"
        return _row(subject, item, task, hr, pair=pair, reason=reason)
    made = _timed_upscale(subject, pair, task)
    db, similarity, reason = _scores(made.sr.image[0], unit(pair.hr), task.protocol, task.scale)
    return _row(subject, item, task, hr, pair, made, db, similarity, reason)


def _row(
    subject: Subject,
    item: ImageItem,
    task: Task,
    hr: Tensor,
    pair: Pair | None = None,
    made: _Timed | None = None,
    psnr: float | None = None,
    ssim: float | None = None,
    reason: str = "",
) -> Measurement:
    macs = None
    if pair is not None and made is not None:
        macs = flops.count(
            subject.model,
            (pair.lr.shape[-2], pair.lr.shape[-1]),
            (pair.hr.shape[-2], pair.hr.shape[-1]),
            made.sr.experts,
        )
    return Measurement(
        method=subject.method,
        seed=subject.seed,
        checkpoint=subject.checkpoint,
        recipe=subject.recipe,
        trained_steps=subject.trained_steps,
        profile=task.profile,
        role=task.role,
        dataset=task.dataset.name,
        dataset_fingerprint=task.fingerprint,
        image=item.name,
        image_sha256=pixel_hash(hr),
        scale=task.scale,
        hr_height=hr.shape[-2] if pair is None else pair.hr.shape[-2],
        hr_width=hr.shape[-1] if pair is None else pair.hr.shape[-1],
        lr_height=0 if pair is None else pair.lr.shape[-2],
        lr_width=0 if pair is None else pair.lr.shape[-1],
        lr_source="" if pair is None else pair.source,
        protocol=task.protocol,
        psnr=psnr,
        ssim=ssim,
        reason=reason,
        decoder_macs=macs.decoder if macs else 0,
        estimator_macs=macs.estimator if macs else 0,
        encoder_macs=macs.encoder if macs else 0,
        parameters=subject.parameters,
        expert_depths=subject.expert_depths,
        expert_shares=list(macs.shares) if macs and subject.expert_depths else [],
        seconds=made.seconds if made else 0.0,
        peak_memory_bytes=made.peak if made else 0,
        memory_kind=made.memory_kind if made else "",
        device=describe(subject.device),
        precision=task.settings.precision,
        lr_fingerprint=task.lr_fingerprint,
        versions=versions(),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def missing_images(file: CellFile, items: Iterable[ImageItem]) -> list[ImageItem]:
    """Images of a cell that have no row yet."""
    done = {row["image"] for row in file.rows()}
    return [item for item in items if item.name not in done]


def measure_cell(
    subject: Subject,
    task: Task,
    file: CellFile,
    wait: bool = False,
    measured: Callable[[Measurement], None] | None = None,
) -> bool:
    """Measure what a cell still lacks, a row at a time.

    Args:
        subject: the method.
        task: the cell.
        file: where its rows go.
        wait: wait for another process that is measuring the cell.
        measured: called after each row.

    Returns:
        False when another process is measuring it.

    Raises:
        HarnessError: an image cannot be read, or the rows cannot be written.
    """
    with file.claimed(wait) as mine:
        if not mine:
            return False
        missing = missing_images(file, task.dataset.items)
        if missing:
            warm_up(subject, task.settings)
        for item in missing:
            row = measure_image(subject, item, task)
            try:
                file.append(row)
            except OSError as error:
                raise HarnessError(
                    f"Cannot write {file.path}: {error.strerror or error}",
                    "Free some space or choose another folder with --results; "
                    "rows written so far are kept.",
                ) from error
            if measured is not None:
                measured(row)
    return True
