"""Jobs: an experiment under a profile, with everything found that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial

import torch

from baselines import build, parse
from baselines.shapes import shapes_only
from harness.checkpoints.subject import Subject
from harness.common.errors import HarnessError, UsageError
from harness.data.degrade import lr_size
from harness.data.sets import SPECS, Dataset, ImageItem, find
from harness.data.sets.base import AbsentError
from harness.data.sets.sizes import FIXED_SIZES, published_sizes
from harness.experiments import ROLES, Experiment, methods_of
from harness.measure.evaluate import Task
from harness.measure.pictures import PictureStore
from harness.measure.rows import CellFile
from harness.profiles import Profile, Region
from harness.profiles.places import Places
from harness.profiles.recipe import make_recipe, run_dir
from harness.runs.plan import measurements_dir, pictures_dir
from harness.training.loop import Run
from harness.training.step import check_patch


@dataclass(frozen=True)
class Job:
    """Experiment under a profile, with its datasets found.

    Attributes:
        methods: methods of the experiment that were asked for.
        datasets: datasets by role of the paper.
        fingerprints: fingerprints of the datasets, by role.
        training_set: training set; None when nothing is to be trained.
        training_fingerprint: fingerprint of the training images.
        trains: whether missing networks are trained; else what needs them is left out.
    """

    experiment: Experiment
    profile: Profile
    places: Places
    device: torch.device
    methods: tuple[str, ...]
    datasets: dict[str, Dataset]
    fingerprints: dict[str, str]
    training_set: Dataset | None
    training_fingerprint: str
    trains: bool = True

    def trained_methods(self) -> list[str]:
        """Methods whose weights are needed."""
        return [m for m in self.methods if needs_weights(self.experiment, m)]

    def runs(self) -> list[Run]:
        """List the training runs, one for each trained method and seed."""
        if self.training_set is None:
            return []
        found: list[Run] = []
        for method in self.trained_methods():
            for seed in self.profile.seeds:
                recipe = make_recipe(self.profile, method, seed, self.training_fingerprint)
                if recipe in [run.recipe for run in found]:  # rendered otherwise, the same weights
                    continue
                folder = run_dir(self.places.results, self.profile.name, recipe)
                found.append(
                    Run(
                        recipe,
                        self.profile,
                        folder,
                        self.device,
                        self.places.data_root,
                        self.places.lr_cache,
                    )
                )
        return found

    def absent(self) -> list[str]:
        """Datasets that are absent and of which only the sizes are known (in a dry run)."""
        found = [*self.datasets.values(), *([self.training_set] if self.training_set else [])]
        return sorted({d.name for d in found if d.sizes_of == d.name})

    def regions(self) -> list[Region]:
        """List the regions that figures show of the datasets at hand."""
        at_hand = {role: dataset.name for role, dataset in self.datasets.items()}
        return _regions(self.experiment, self.profile, at_hand)

    def images(self, role: str) -> tuple[str, ...]:
        """List the names of the images of a role that are measured; empty for all of them."""
        if not self.experiment.regions_only:
            return ()
        named = (region.image for region in self.regions() if region.role == role)
        return tuple(sorted(set(named)))

    def items(self, role: str) -> tuple[ImageItem, ...]:
        """List the images of a role that are measured, in the order of the dataset."""
        items, only = self.datasets[role].items, self.images(role)
        return tuple(item for item in items if item.name in only) if only else items

    def scales(self, role: str) -> list[float]:
        """List the scales at which a role is measured."""
        if not self.experiment.regions_only:
            return list(self.experiment.scales)
        shown = {region.scale for region in self.regions() if region.role == role}
        return [scale for scale in self.experiment.scales if scale in shown]

    def shown(self) -> set[tuple[str, float]]:
        """Every (role, scale) that is measured."""
        return {(role, scale) for role in self.datasets for scale in self.scales(role)}

    def cells(self, method: str) -> list[tuple[str, float]]:
        """List the (role, scale) of a method's cells, for the scales that it can do."""
        can_do = parse(method).can_do
        return [(r, s) for r in self.datasets for s in self.scales(r) if can_do(s)]

    def counts(self, method: str) -> list[tuple[str, float]]:
        """List every (fixed size, scale) that a method's costs are counted at."""
        parts = parse(method)
        sizes = dict.fromkeys(c.size for c in self.experiment.counts if parts.encoder)
        return [(n, s) for n in sizes for s in self.experiment.scales if parts.can_do(s)]

    def tasks(self, subject: Subject) -> list[Task]:
        """List the cells of a method, ready to be measured."""
        if subject.published_sizes:
            return [self._count(size, scale) for size, scale in self.counts(subject.method)]
        counts = subject.counts_only or not self.experiment.scores
        return [
            Task(
                dataset=self.datasets[role],
                fingerprint=self.fingerprints[role],
                role=role,
                scale=scale,
                protocol=self.experiment.counting_protocol if counts else ROLES[role],
                profile=self.profile.name,
                settings=self.profile.evaluation,
                cache=self.places.lr_cache,
                images=self.images(role),
                metrics=self.experiment.metrics,
            )
            for role, scale in self.cells(subject.method)
        ]

    def _count(self, size: str, scale: float) -> Task:
        """Make the task of counting at a fixed size, which replaces the set of the paper."""
        dataset = FIXED_SIZES[size]
        return Task(
            dataset=dataset,
            fingerprint=dataset.fingerprint(),
            role=size,
            scale=scale,
            protocol=dataset.protocol,
            profile=self.profile.name,
            settings=self.profile.evaluation,
            cache=None,
        )

    def cell_file(self, subject: Subject, task: Task) -> CellFile:
        """Return the file of a cell's rows."""
        folder = measurements_dir(self.places.results, self.profile.name)
        return CellFile(folder / task.cell(subject).relative_path)

    def pictures(self) -> PictureStore:
        """Return the store of images for the viewer; those that figures show go before others."""
        named = {region.image for shown in self.profile.regions.values() for region in shown}
        folder = pictures_dir(self.places.results, self.profile.name)
        return PictureStore(folder, frozenset(named), self.profile.seeds[0])


def needs_weights(experiment: Experiment, method: str) -> bool:
    """Tell whether an experiment needs a method's weights, and not only its shapes."""
    parts = parse(method)
    return bool(parts.encoder) and (experiment.scores or bool(parts.head))


def choose(experiment: Experiment, only: Sequence[str]) -> tuple[str, ...]:
    """Select the methods of an experiment by name or by pattern (`edsr-*`); all if none is given.

    Raises:
        UsageError: no method of the experiment fits a name or pattern.
    """
    wanted: set[str] = set()
    for name in only:
        found = {m for row in methods_of(name) for m in experiment.methods if fnmatchcase(m, row)}
        if not found:
            if not set(name) & set("*?["):
                parse(name)
            raise UsageError(
                f"{experiment.name} does not compare {name}. "
                f"It has {', '.join(experiment.methods)}."
            )
        wanted |= found
    return tuple(m for m in experiment.methods if not only or m in wanted)


def _regions(experiment: Experiment, profile: Profile, at_hand: Mapping[str, str]) -> list[Region]:
    """List the regions that the profile shows in an experiment of these sets, by role."""
    return [
        region
        for region in profile.regions.get(experiment.name, ())
        if region.dataset in (None, at_hand.get(region.role))
    ]


def _roles(experiment: Experiment, profile: Profile) -> tuple[str, ...]:
    """Select the roles of an experiment; for a figure, those that the profile shows regions of."""
    if not experiment.regions_only:
        return experiment.roles
    shown = {region.role for region in profile.regions.get(experiment.name, ())}
    if not shown:
        raise UsageError(
            f"Profile '{profile.name}' names no regions for {experiment.name}. Add them under "
            f"`regions: {experiment.name}:`."
        )
    for region in profile.regions[experiment.name]:
        if region.role not in experiment.roles or region.scale not in experiment.scales:
            scales = ", ".join(f"x{scale:g}" for scale in experiment.scales)
            raise UsageError(
                f"Profile '{profile.name}' shows {region.image} of {region.role} at "
                f"x{region.scale:g} in {experiment.name}, which takes regions of "
                f"{' and '.join(experiment.roles)} at {scales}."
            )
    return tuple(role for role in experiment.roles if role in shown)


def prepare(
    experiment: Experiment,
    profile: Profile,
    places: Places,
    device: torch.device,
    only: Sequence[str] = (),
    trains: bool = True,
    sizes_suffice: bool = False,
) -> Job:
    """Find every dataset, so that a missing one is known before the first training step.

    Args:
        experiment: the experiment to run.
        profile: data, networks and training.
        places: folders.
        device: device of the networks.
        only: methods or patterns; empty for all.
        trains: whether missing networks are trained.
        sizes_suffice: whether an absent dataset is replaced by its published sizes.

    Raises:
        UsageError: the experiment does not have a method of `only`, or the profile names no regions
            for a figure.
        HarnessError: a dataset or an image of a region is absent.
    """
    chosen = choose(experiment, only)
    # One dataset may be measured for several roles; its images are then the same.
    look = cache(partial(_find, places=places, sizes_suffice=sizes_suffice))
    datasets = {
        role: _first_at_hand(profile.sets(role), places, look)
        for role in _roles(experiment, profile)
    }
    if experiment.regions_only:
        at_hand = {role: dataset.name for role, dataset in datasets.items()}
        shown = {region.role for region in _regions(experiment, profile, at_hand)}
        datasets = {role: dataset for role, dataset in datasets.items() if role in shown}
        if not datasets:
            raise UsageError(
                f"Profile '{profile.name}' names no regions for {experiment.name} of the sets that "
                f"are at hand ({', '.join(at_hand.values())}). Add them under "
                f"`regions: {experiment.name}:`."
            )
    fingerprints = {dataset.name: dataset.fingerprint() for dataset in datasets.values()}
    needs_training = trains and any(needs_weights(experiment, m) for m in chosen)
    training_set = look(profile.training.dataset) if needs_training else None
    if training_set is not None and profile.training.validation is not None:
        look(profile.training.validation.dataset)
    job = Job(
        experiment=experiment,
        profile=profile,
        places=places,
        device=device,
        methods=chosen,
        datasets=datasets,
        fingerprints={role: fingerprints[dataset.name] for role, dataset in datasets.items()},
        training_set=training_set,
        training_fingerprint=training_set.fingerprint() if training_set else "",
        trains=trains,
    )
    for role, dataset in datasets.items():
        for image in set(job.images(role)) - {item.name for item in dataset.items}:
            raise HarnessError(
                f"{dataset.name} has no image {image}, which profile '{profile.name}' shows in "
                f"{experiment.name}.",
                f"Change `regions: {experiment.name}:` in the profile.",
            )
    if experiment.regions_only:
        _check_boxes(job)
    _check_windows(job)
    return job


def _first_at_hand(names: Sequence[str], places: Places, look: Callable[[str], Dataset]) -> Dataset:
    """Find the first of some datasets that is there; if none is, look for the first as `look` does.

    Raises:
        HarnessError: none is there.
    """
    for name in names if len(names) > 1 else ():
        with suppress(AbsentError):
            return find(name, places.data_root)
    return look(names[0])


def _find(name: str, places: Places, sizes_suffice: bool) -> Dataset:
    try:
        return find(name, places.data_root)
    except AbsentError:
        if not sizes_suffice:
            raise
        return published_sizes(SPECS[name])


def _check_boxes(job: Job) -> None:
    """Refuse a region outside its image, which a figure would name but not show."""
    for region in job.regions():
        dataset = job.datasets[region.role]
        if dataset.sizes_of:
            continue
        sizes = {item.name: item.size() for item in dataset.items}
        whole = [round(n * region.scale) for n in lr_size(sizes[region.image], region.scale)]
        top, left, height, width = region.box
        if top + height > whole[0] or left + width > whole[1]:
            raise UsageError(
                f"The region {region.box} of {region.image} at x{region.scale:g} in "
                f"{job.experiment.name} leaves the image ({whole[1]}x{whole[0]}). A box is top, "
                "left, height, width in HR pixels."
            )


def _check_windows(job: Job) -> None:
    """Check patches against windows before the first network is trained."""
    if not job.trains:
        return
    windows: dict[tuple[str, str], int] = {}
    for method in job.trained_methods():
        parts = parse(method)
        kind = (parts.encoder, parts.upsampler)  # IGConv pads its patches itself
        if kind not in windows:
            with shapes_only():
                windows[kind] = build(method, **job.profile.networks.options(parts)).window
        check_patch(method, job.profile.training.for_method(parts).patch, windows[kind])
