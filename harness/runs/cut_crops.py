"""Making of samples: the regions a profile names, by every method that was measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from baselines.base import Box, cut
from harness.checkpoints.subject import Subject
from harness.common import checksums
from harness.common.errors import MethodError
from harness.common.files import write_text
from harness.common.progress import say, tracked
from harness.data.degrade import Pair, TooSmallError, make_pair
from harness.data.images import save_png
from harness.measure.crops import MethodSample
from harness.measure.evaluate import Task
from harness.measure.pictures import lr_box, made_region
from harness.profiles import Region
from harness.runs.job import Job
from harness.runs.plan import load_plan, samples_dir


def _method_sample(
    job: Job, subject: Subject, pair: Pair, task: Task, image: str, box: Box, folder: Path
) -> MethodSample:
    """Make the region by one method, and the expert of each LR pixel if it has experts."""
    crop, choice = made_region(subject, task, image, pair, box)
    name = subject.method if subject.seed == 0 else f"{subject.method}-s{subject.seed}"
    save_png(crop, folder / f"{name}.png")
    experts = ""
    if choice is not None:
        experts = f"{name}.experts.png"
        save_png(choice, folder / experts)
    row = job.unit_file(subject, task).by_image().get(image)
    return MethodSample(
        method=subject.method,
        crop=f"{name}.png",
        psnr=row["metrics"].get("psnr") if row else None,
        expert_map=experts,
        expert_depths=tuple(subject.expert_depths),
    )


def _earlier(path: Path, content: dict[str, Any], kept: Collection[str]) -> list[dict[str, Any]]:
    """Find what other methods made of the same region in an earlier run."""
    try:
        old = checksums.parse(path.read_bytes())
        same = ("role", "dataset", "image", "scale", "box", "protocol")
        if any(old[key] != content[key] for key in same):
            return []
        return [method for method in old["methods"] if method["method"] in kept]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _make(
    job: Job,
    region: Region,
    tasks: Sequence[tuple[Subject, Task]],
    kept: Collection[str],
    folder: Path,
) -> str:
    """Write one sample; returns why it could not be made, or an empty string."""
    task = tasks[0][1]
    items = {item.name: item for item in task.dataset.items}
    if region.image not in items:
        return f"{task.dataset.name} has no image {region.image}"
    item, box = items[region.image], Box(*region.box)
    try:
        pair = make_pair(item, item.load(), region.scale, task.cache)
    except TooSmallError as error:
        return str(error)
    height, width = pair.hr.shape[-2:]
    if min(region.box) < 0 or box.top + box.height > height or box.left + box.width > width:
        return f"the region {region.box} leaves the image {region.image} ({width}x{height})"
    images = {
        "hr": pair.hr,
        "hr_crop": cut(pair.hr[None], box),
        "lr": pair.lr,
        "lr_crop": cut(
            pair.lr[None], lr_box(box, region.scale, (pair.lr.shape[-2], pair.lr.shape[-1]))
        ),
    }
    for name, image in images.items():
        save_png(image, folder / f"{name}.png")
    shown = [s for s, _ in tasks if s.seed == job.profile.seeds[0] or not s.weights]
    parts = []
    for subject in shown:
        with suppress(MethodError):  # which the rows say
            parts.append(_method_sample(job, subject, pair, task, item.name, box, folder))
    content: dict[str, Any] = {
        "role": region.role,
        "dataset": task.dataset.name,
        "image": region.image,
        "scale": region.scale,
        "box": list(region.box),
        "protocol": task.protocol,
        **{name: f"{name}.png" for name in images},
    }
    methods = [*map(asdict, parts), *_earlier(folder / "sample.json", content, kept)]
    order = job.experiment.methods.index
    content["methods"] = sorted(methods, key=lambda m: order(m["method"]))
    write_text(
        folder / "sample.json", json.dumps(checksums.with_checksum(content), indent=1) + "\n"
    )
    return ""


def make_samples(job: Job, measured: Sequence[Subject]) -> None:
    """Write the samples of an experiment anew; methods that were left out this time are kept.

    Files are replaced one by one, since other processes may be reading or writing them.

    Args:
        job: the experiment.
        measured: methods, in the experiment's order.
    """
    root = samples_dir(job.places.results, job.profile.name, job.experiment.name)
    plan = load_plan(job.plan_file)
    kept = {unit.method for unit in plan.units} - {method.name for method in job.methods}
    drawn = [s for s in measured if not s.counts_only] if job.experiment.scores else []
    by_method = sorted(drawn, key=lambda s: job.experiment.methods.index(s.method))
    regions = {root / f"{n}-{r.image}_x{r.scale:g}": r for n, r in enumerate(job.regions)}
    for folder, region in tracked("crops for figures", list(regions.items())):
        shown = (region.role, region.scale)
        pairs = [(subject, task) for subject in by_method for task in job.tasks(subject)]
        tasks = [(s, task) for s, task in pairs if (task.role, task.scale) == shown]
        problem = _make(job, region, tasks, kept, folder) if tasks else ""
        if shown not in job.units():
            problem = f"{job.experiment.name} does not measure x{region.scale:g} on {region.role}"
        if problem:
            say(f"Left out of the figures: {problem} (profile {job.profile.name}, regions)")
            shutil.rmtree(folder, ignore_errors=True)
    # Where this run draws nothing of a region, what an earlier one drew of it stays.
    for stale in set(root.glob("*")) - set(regions):
        shutil.rmtree(stale, ignore_errors=True)


def make_pictures(job: Job, measured: Sequence[Subject]) -> None:
    """Make the images of the report's viewer that were not kept when they were measured."""
    store = job.pictures()
    wanted = [(s, t) for s in measured for t in job.tasks(s) if store.wanted(s, t)]
    made = sum(
        store.make_missing(s, t, job.unit_file(s, t).by_image())
        for s, t in tracked("images for the viewer", wanted)
    )
    if made:
        say(f"Made {made} images of earlier measurements again, for the report's viewer")
