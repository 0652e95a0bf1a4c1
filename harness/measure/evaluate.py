"""Measurement of methods on images, one row each, under a protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from baselines.base import Spent, SRModel
from baselines.macs import MacCount
from harness.checkpoints.cmsr_table import Cmsr, prepared
from harness.checkpoints.subject import Subject
from harness.common.device import PeakMemory, describe, synchronise
from harness.common.errors import HarnessError, MethodError
from harness.common.versions import versions
from harness.data.degrade import (
    PIL,
    Pair,
    TooSmallError,
    matlab_imresize,
    pil_resize,
    quantise,
    unit,
)
from harness.data.pairs import PairStore
from harness.data.sets import Dataset, ImageItem
from harness.measure.macs import ACTIVATIONS_AT, COUNTED_INPUT, is_counted, lr_sizes, macs_of_image
from harness.measure.passes import macs_of, make
from harness.measure.rows import (
    FAILED,
    Measurement,
    UnitFile,
    UnitId,
    beside,
    failed,
    known,
    no_value,
)
from harness.measure.texture import FACT, depth_texture
from harness.metrics import METRICS, NOT_HERE, Given, Protocol, find, too_small
from harness.profiles import Evaluation
from harness.upscale.network import Made, upscale


@dataclass(frozen=True)
class Task:
    """Unit to measure.

    Attributes:
        role: set of the paper that the dataset is measured for.
        protocol: PSNR protocol, or the kind of counting where nothing is scored
            (`harness.measure.macs`).
        images: names of those to measure; empty for all. The unit is that of the whole set.
        metrics: names of those that every row is to have.
        rendering: CMSR's tables, where the network is rendered by them.
        ensemble: number of rotations and flips to average, where the protocol itself has none.
        machine: machine that is measured, where costs are.
    """

    dataset: Dataset
    role: str
    scale: float
    protocol: str
    profile: str
    settings: Evaluation
    cache: Path | None
    images: tuple[str, ...] = ()
    rendering: Cmsr | None = None
    metrics: tuple[str, ...] = ("psnr", "ssim")
    ensemble: int = 1
    machine: dict[str, str | int] = field(default_factory=dict)

    @cached_property
    def rule(self) -> Protocol:
        """The protocol, where images are scored."""
        return find(self.protocol)

    @property
    def items(self) -> tuple[ImageItem, ...]:
        """Images to measure."""
        items = self.dataset.items
        return tuple(i for i in items if i.name in self.images) if self.images else items

    @cached_property
    def lr_fingerprint(self) -> str:
        """Fingerprint of the official LR images, where they are read; computed only once."""
        read = not is_counted(self.protocol) and not self.rule.lr.matlab
        return self.dataset.lr_fingerprint(self.scale) if read else ""

    def unit(self, subject: Subject) -> UnitId:
        """Return the identity of the unit."""
        rendering = f"ensemble-{self.ensemble}" if self.ensemble > 1 else ""
        if self.rendering:
            rendering = self.rendering.key(self.scale)
        return UnitId(
            method=subject.method,
            seed=subject.seed,
            checkpoint=subject.weights,
            dataset=self.dataset.name,
            dataset_fingerprint=self.dataset.fingerprint,
            scale=self.scale,
            protocol=self.protocol,
            precision=self.settings.precision,
            lr_fingerprint=self.lr_fingerprint,
            rendering=rendering,
            memory_mib=self.settings.memory_mib,
            machine=self.machine,
        )

    def enlarge(
        self,
        model: SRModel,
        lr: Tensor,
        size: tuple[int, int] | None = None,
        scale: float | None = None,
        tile: tuple[int, int] | None = None,
        memory: int | None = None,
    ) -> Made:
        """Enlarge (1, 3, h, w) in [0, 1] as protocol and settings say, where nothing else is given.

        SR images of others are taken as they are.
        """
        factor, ready = scale or self.scale, model.made == "stored"
        return make(
            model,
            lr,
            factor,
            size or (round(lr.shape[-2] * factor), round(lr.shape[-1] * factor)),
            ensemble=1 if ready else max(self.ensemble, self.rule.ensemble),
            tile=None if ready else tile or self.rule.tiles(factor),
            precision=self.settings.precision,
            memory=memory or self.settings.memory,
        )

    def lacks(self, row: Mapping[str, Any] | None) -> tuple[str, ...]:
        """List the metrics that an image's row lacks: all of them without a row.

        Those that could not be computed where it was measured are among them.
        """
        if row is None:
            return self.metrics
        return tuple(
            name
            for name in self.metrics
            if name not in row["metrics"] or f"{no_value(name)}{NOT_HERE}" in row["reason"]
        )

    def missing(self, found: Mapping[str, Mapping[str, Any]]) -> list[ImageItem]:
        """List the images without a row among those found (by image), or that lack a metric.

        Images that the method failed on are tried again.
        """
        scored = not is_counted(self.protocol)
        return [
            item
            for item in self.items
            if item.name not in found
            or (scored and self.lacks(found[item.name]))
            or failed(found[item.name])
        ]


Keep = Callable[[Subject, Task, ImageItem, Pair, Made], None]
"""Receives each SR image that was measured."""


def _timed(model: SRModel, device: torch.device, pair: Pair, task: Task, kept: int) -> Made:
    """Make an SR image, and say what it took, where the network does not say so itself."""
    memory = PeakMemory(device, beside=kept)
    synchronise(device)
    start = time.perf_counter()
    made = task.enlarge(model, unit(pair.lr)[None], (pair.hr.shape[-2], pair.hr.shape[-1]))
    synchronise(device)
    spent = Spent(time.perf_counter() - start, memory.read(), memory.kind)
    return replace(made, spent=made.spent or spent)


_WARM: WeakKeyDictionary[SRModel, set[str]] = WeakKeyDictionary()
"""Precisions in which living networks have run."""


def warm_up(model: SRModel, settings: Evaluation) -> None:
    """Enlarge a small image, so that the start-up time is not counted for the first image.

    Once is enough for a network and a precision, whatever is measured with it.
    """
    ready = _WARM.setdefault(model, set())
    if settings.precision in ready or model.made != "here":
        return
    scales = model.scales or (2,)
    with suppress(MethodError):  # which the images' own rows will say
        upscale(
            model,
            torch.zeros(1, 3, 16, 16),
            scales[0],
            precision=settings.precision,
            memory=settings.memory,
        )
    ready.add(settings.precision)


def _scores(
    names: Iterable[str], sr: Tensor, hr: Tensor, task: Task, given: Given
) -> tuple[dict[str, float | None], list[str]]:
    """Compute the metrics by name, with the reasons for missing ones."""
    values: dict[str, float | None] = {}
    reasons = []
    for name in names:
        try:
            values[name] = METRICS[name].measure(sr, hr, task.protocol, task.scale, given)
        except (ValueError, MethodError) as error:
            values[name] = None
            reasons.append(f"{no_value(name)}{error}")
    return values, reasons


def _given(subject: Subject, task: Task, pair: Pair, ready: SRModel) -> Given:
    """Return what metrics may look at beside SR and HR: the network is as it made SR."""

    def shrink(image: Tensor) -> Tensor:
        stored, size = quantise(image), (pair.lr.shape[-2], pair.lr.shape[-1])
        if pair.source == PIL:
            return unit(pil_resize(stored, size))
        return unit(matlab_imresize(stored, 1 / task.scale))

    def enlarge(lr: Tensor, scale: float = task.scale, **how: Any) -> Tensor:
        if subject.model.refusal(scale):
            raise ValueError(f"the network {subject.model.refusal(scale)}")
        model = ready if scale == task.scale else prepared(subject, scale, task.rendering)
        return task.enlarge(model, lr[None], scale=scale, **how).image[0]

    stored = subject.model.made == "stored"
    return Given(unit(pair.lr), shrink, None if stored else enlarge)


def measure_image(
    subject: Subject,
    item: ImageItem,
    task: Task,
    pairs: PairStore | None = None,
    ready: SRModel | None = None,
    earlier: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> Measurement:
    """Measure a method on one image; its row says so where the scale is too large for a PSNR.

    Args:
        subject: the method.
        item: the image.
        task: dataset, scale and protocol.
        pairs: images that other measurements have read or made; new ones are added.
        ready: the method's network for this scale, if it was made before (`at_scale`).
        earlier: earlier row of the image; its metrics are kept and the missing ones measured.
        keep: receives the SR image.
    """
    pairs = pairs or PairStore(budget=0)
    if is_counted(task.protocol):
        return _count_image(subject, item, task, pairs)
    hr = pairs.image(item)
    about: dict[str, Any] = {"image": item.name, "image_sha256": hr.sha256}
    try:
        pair = pairs.pair(item, hr, task.scale, task.cache, task.rule.lr)
    except TooSmallError as error:
        about["hr_size"] = (hr.pixels.shape[-2], hr.pixels.shape[-1])
        return make_row(subject, task, **about, reason=f"too small: {error}")
    about["hr_size"] = hr_size = (pair.hr.shape[-2], pair.hr.shape[-1])
    about["lr_size"] = lr_size = (pair.lr.shape[-2], pair.lr.shape[-1])
    about["lr_source"] = "unknown" if subject.model.made == "stored" else pair.source
    if too_small(hr_size, task.protocol, task.scale):
        border = task.rule.shaved(task.scale)
        reason = f"too small: nothing is left inside a border of {border} pixels"
        return make_row(subject, task, **about, reason=reason)
    ready = ready or prepared(subject, task.scale, task.rendering)
    try:
        made = _timed(ready.for_image(item.name), subject.device, pair, task, pairs.bytes)
    except MethodError as error:
        return make_row(subject, task, **about, reason=f"{FAILED}{error}")
    if keep is not None:
        keep(subject, task, item, pair, made)
    rendered = task.rendering.of(subject.model) if task.rendering else subject.model
    macs = macs_of(rendered, made.passes)
    kept = earlier if earlier is not None and not failed(earlier) else None
    wanted, given = task.lacks(kept), _given(subject, task, pair, ready)
    values, reasons = _scores(wanted, made.image[0], unit(pair.hr), task, given)
    facts: dict[str, float | str] = {}
    for name in wanted:
        facts |= METRICS[name].about() if values[name] is not None else {}
    depths = subject.expert_depths
    chosen = made.choice if made.passes[0].lr == lr_size else None
    texture = depth_texture(pair.lr, chosen, depths) if depths and chosen is not None else None
    about |= beside(kept, values, reasons, facts | known({FACT: texture}))
    return make_row(subject, task, macs, made.spent, **about)


def _count_image(subject: Subject, item: ImageItem, task: Task, pairs: PairStore) -> Measurement:
    """Count MACs only; an image without an LR pixel at this scale has none."""
    lr, hr = lr_sizes(item.size(), task.scale, task.protocol)
    source = COUNTED_INPUT[task.protocol]
    about: dict[str, Any] = {"image": item.name, "hr_size": hr, "lr_size": lr, "lr_source": source}
    if min(lr) < 1:
        return make_row(subject, task, **about, reason="too small: no LR pixel is left")
    kept, model = replace(item, load=lambda: pairs.image(item).pixels), subject.model
    macs = macs_of_image(subject, kept, lr, hr, task.scale, task.settings.precision)
    counted = model.activations(lr) if lr == ACTIVATIONS_AT else None
    facts = {} if counted is None else {"activations": float(counted)}
    row = make_row(subject, task, macs, **about, facts=facts)
    return replace(
        row,
        macs={**row.macs, **known({"least_encoder": model.least_encoder_macs(lr)})},
        parameters={**row.parameters, **known({"kernel": model.kernel_values(task.scale)})},
    )


def make_row(
    subject: Subject,
    task: Task,
    macs: MacCount | None = None,
    spent: Spent | None = None,
    **found: Any,
) -> Measurement:
    """Make a row; `found` are fields that describe its image, and what was measured of it."""
    model, spent = subject.model, spent or Spent()
    usual: dict[str, Any] = {"image_sha256": "", "lr_size": (0, 0), "lr_source": "", "reason": ""}
    usual["metrics"] = {} if is_counted(task.protocol) else dict.fromkeys(task.metrics)
    rendered = task.rendering.facts(task.scale) if task.rendering else {}
    return Measurement(
        **asdict(task.unit(subject)),
        **{**usual, **found, "facts": {**found.get("facts", {}), **rendered}},
        recipe=subject.recipe,
        trained_steps=subject.trained_steps,
        profile=task.profile,
        role=task.role,
        macs=(macs or MacCount()).parts if model.counted and not task.machine else {},
        parameters=known({"all": subject.parameters, "encoder": model.encoder_parameters}),
        expert_depths=subject.expert_depths,
        expert_shares=list(macs.shares) if macs and model.expert_count > 1 else [],
        seconds=spent.seconds,
        peak_memory_bytes=spent.memory,
        memory_kind=spent.kind,
        device=describe(subject.device),
        versions=versions(),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def measure_unit(
    subject: Subject,
    task: Task,
    file: UnitFile,
    wait: bool = False,
    measured: Callable[[Measurement], None] | None = None,
    pairs: PairStore | None = None,
    force: bool = False,
    keep: Keep | None = None,
) -> list[dict[str, Any]] | None:
    """Measure what a unit still lacks, one row at a time.

    Args:
        subject: the method.
        task: the unit.
        file: file of its rows.
        wait: whether to wait for another process that is measuring the unit.
        measured: called after each row.
        pairs: see `measure_image`.
        force: whether to measure all images again. Each keeps its row until it has the new one.
        keep: see `measure_image`.

    Returns:
        The row of each image, as found or measured while the unit was held; None when another
        process is measuring it.

    Raises:
        HarnessError: an image cannot be read, or the rows cannot be written, or are damaged.
    """
    with file.claimed(wait) as mine:
        if not mine:
            return None
        found = rows_of_unit(file, task.unit(subject))
        missing = list(task.items) if force else task.missing(found)
        ready = None
        if missing and not is_counted(task.protocol):
            ready = prepared(subject, task.scale, task.rendering)
            warm_up(ready, task.settings)
        try:
            for item in missing:
                earlier = None if force else found.get(item.name)
                row = measure_image(subject, item, task, pairs, ready, earlier, keep)
                file.append(row)
                if measured is not None:
                    measured(row)
        finally:
            file.drop_superseded()
        found = file.by_image()
    return [found[item.name] for item in task.items]


def rows_of_unit(file: UnitFile, expected: UnitId) -> dict[str, dict[str, Any]]:
    """Read the rows of a unit, by image; refuses those of another unit."""
    found = file.by_image()
    for row in found.values():
        other = [name for name, value in asdict(expected).items() if row[name] != value]
        if other:
            raise HarnessError(
                f"{file.path} has rows of another unit: {', '.join(other)}.",
                "Delete the file to measure this unit again.",
            )
    return found
