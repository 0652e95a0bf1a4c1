"""Jobs: an experiment under a profile, with everything found that it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import torch

from baselines import Method, build, parse
from baselines.shapes import shapes_only
from harness.checkpoints.subject import Subject
from harness.common.errors import HarnessError, UsageError
from harness.data.degrade import lr_size
from harness.data.roles import ROLES
from harness.data.sets import SPECS, Dataset, ImageItem, find
from harness.data.sets.base import AbsentError
from harness.data.sets.sizes import FIXED_SIZES, published_sizes
from harness.measure.evaluate import Task
from harness.measure.pictures import PictureStore
from harness.measure.rows import UnitFile
from harness.metrics.protocols import resolve
from harness.outside.entries import Entry
from harness.outside.methods import check_precision
from harness.profiles import Profile, Region
from harness.profiles.places import Places
from harness.profiles.recipe import make_recipe, run_dir
from harness.runs.added import open_entries, unlisted
from harness.runs.experiment import Experiment, methods_of, with_rows
from harness.runs.plan import AddedRow, measurements_dir, pictures_dir, plan_path
from harness.training.loop import Run
from harness.training.step import check_patch


@dataclass(frozen=True)
class Job:
    """Experiment under a profile, with its datasets found.

    Attributes:
        methods: methods of the experiment that were asked for.
        datasets: datasets by role of the paper.
        regions: regions that figures show of the datasets at hand.
        training_set: training set; None when nothing is to be trained.
        trains: whether missing networks are trained; else what needs them is left out.
        added: rows beside those that the experiment is declared with.
    """

    experiment: Experiment
    profile: Profile
    places: Places
    device: torch.device
    methods: tuple[Method, ...]
    datasets: dict[str, Dataset]
    regions: tuple[Region, ...]
    training_set: Dataset | None
    trains: bool = True
    added: tuple[AddedRow, ...] = ()

    @property
    def plan_file(self) -> Path:
        """File of the stored plan."""
        return plan_path(self.places.results, self.profile.name, self.experiment.name)

    @property
    def logs(self) -> Path:
        """Folder of the output of processes that a launcher starts."""
        return self.plan_file.with_name("launched")

    def trained_methods(self) -> list[Method]:
        """Methods whose weights are needed."""
        return list(filter(self.experiment.needs_weights, self.methods))

    def runs(self) -> list[Run]:
        """List the training runs, one for each trained method and seed."""
        if self.training_set is None:
            return []
        data = self.training_set.fingerprint
        # Methods that only render otherwise have the same weights, and the same run.
        runs = {
            (method.weights, seed): training_run(
                self.profile, self.places, self.device, method.name, seed, data
            )
            for method in self.trained_methods()
            for seed in self.profile.seeds
        }
        return list(runs.values())

    def absent(self) -> list[str]:
        """Datasets that are absent and of which only the sizes are known (in a dry run)."""
        found = [*self.datasets.values(), *([self.training_set] if self.training_set else [])]
        return sorted({d.name for d in found if d.sizes_of == d.name})

    def images(self, role: str) -> tuple[str, ...]:
        """List the names of the images of a role that are measured; empty for all of them."""
        if not self.experiment.regions_only:
            return ()
        return tuple(sorted({region.image for region in self.regions if region.role == role}))

    def items(self, role: str) -> tuple[ImageItem, ...]:
        """List the images of a role that are measured, in the order of the dataset."""
        items, only = self.datasets[role].items, self.images(role)
        return tuple(item for item in items if item.name in only) if only else items

    def units(self, can_do: Callable[[float], bool] = lambda _: True) -> list[tuple[str, float]]:
        """List the (role, scale) of the units of a network that can do some scales, or all."""
        shown = {(region.role, region.scale) for region in self.regions}
        return [
            (role, scale)
            for role in self.datasets
            for scale in self.experiment.scales
            if can_do(scale) and (not self.experiment.regions_only or (role, scale) in shown)
        ]

    def counts(self, can_do: Callable[[float], bool]) -> list[tuple[str, float]]:
        """List every (fixed size, scale) that the costs of such a network are counted at."""
        sizes, scales = self.experiment.sizes, self.experiment.scales
        return [(size, scale) for size in sizes for scale in scales if can_do(scale)]

    def tasks(self, subject: Subject) -> list[Task]:
        """List the units of a network, ready to be measured."""
        experiment, model = self.experiment, subject.model

        def can_do(scale: float) -> bool:
            return not model.refusal(scale)

        counts = subject.counts_only or not experiment.scores
        units, sets = self.units(can_do), self.datasets
        own = {role: ROLES.get(role) or SPECS[role].protocol for role in sets}
        protocols = {role: resolve(experiment.protocol, of).name for role, of in own.items()}
        if subject.published_sizes:  # counted at fixed sizes, which replace the sets of the paper
            units, sets = self.counts(can_do), FIXED_SIZES
            protocols = {size: dataset.protocol for size, dataset in sets.items()}
        elif counts and not model.counted:
            return []
        elif counts:
            protocols = dict.fromkeys(sets, f"macs-{experiment.macs_input}")
        return [
            Task(
                dataset=sets[role],
                role=role,
                scale=scale,
                protocol=protocols[role],
                profile=self.profile.name,
                settings=self.profile.evaluation,
                cache=self.places.lr_cache,
                images=self.images(role),
                metrics=experiment.metrics,
            )
            for role, scale in units
            if model.dataset in ("", sets[role].name)
        ]

    def unit_file(self, subject: Subject, task: Task) -> UnitFile:
        """Return the file of a unit's rows."""
        folder = measurements_dir(self.places.results, self.profile.name)
        return UnitFile(folder / task.unit(subject).relative_path)

    def pictures(self) -> PictureStore:
        """Return the store of images for the viewer; those that figures show go before others."""
        named = {region.image for shown in self.profile.regions.values() for region in shown}
        folder = pictures_dir(self.places.results, self.profile.name)
        return PictureStore(folder, frozenset(named), self.profile.seeds[0])


def training_run(
    profile: Profile, places: Places, device: torch.device, method: str, seed: int, data: str
) -> Run:
    """Make the run that trains a method's weights, on data with this fingerprint."""
    recipe = make_recipe(profile, method, seed, data)
    folder = run_dir(places.results, profile.name, recipe)
    return Run(recipe, profile, folder, device, places.data_root, places.lr_cache)


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


def _shown_roles(experiment: Experiment, profile: Profile) -> tuple[str, ...]:
    """Select the roles of which the profile shows regions in a figure.

    Raises:
        UsageError: it shows none, or one that the figure does not take.
    """
    regions = profile.regions.get(experiment.name, ())
    if not regions:
        raise UsageError(
            f"Profile '{profile.name}' names no regions for {experiment.name}. Add them under "
            f"`regions: {experiment.name}:`."
        )
    for region in regions:
        if region.role not in experiment.roles or region.scale not in experiment.scales:
            scales = ", ".join(f"x{scale:g}" for scale in experiment.scales)
            raise UsageError(
                f"Profile '{profile.name}' shows {region.image} of {region.role} at "
                f"x{region.scale:g} in {experiment.name}, which takes regions of "
                f"{' and '.join(experiment.roles)} at {scales}."
            )
    shown = {region.role for region in regions}
    return tuple(role for role in experiment.roles if role in shown)


def prepare(
    experiment: Experiment,
    profile: Profile,
    places: Places,
    device: torch.device,
    only: Sequence[str] = (),
    trains: bool = True,
    sizes_suffice: bool = False,
    beside: Sequence[Entry] = (),
) -> Job:
    """Find every dataset, so that a missing one is known before the first training step.

    Args:
        experiment: the experiment to run.
        profile: data, networks and training.
        places: folders.
        device: device of the networks.
        only: methods or patterns; empty for all. One that the experiment does not list is added.
        trains: whether missing networks are trained.
        sizes_suffice: whether an absent dataset is replaced by its published sizes.
        beside: methods that are measured beside the experiment's, whatever `only` says, as are
            those from outside that the experiment itself names.

    Raises:
        UsageError: no method fits one of `only`, two methods have one name, or the profile names no
            regions for a figure.
        HarnessError: a dataset or an image of a region is absent.
    """

    @cache  # one dataset may be measured for several roles; its images are then the same
    def look(name: str) -> Dataset:
        try:
            return find(name, places.data_root)
        except AbsentError:
            known = published_sizes(SPECS[name])
            if not (sizes_suffice and known.items):
                raise
            return known

    figure = experiment.regions_only
    roles = _shown_roles(experiment, profile) if figure else experiment.roles
    datasets = {role: _first_at_hand(profile.sets(role), places, look) for role in roles}
    at_hand = {role: dataset.name for role, dataset in datasets.items()}
    regions = tuple(
        region
        for region in profile.regions.get(experiment.name, ())
        if region.dataset in (None, at_hand.get(region.role))
    )
    if figure:
        shown = {region.role for region in regions}
        datasets = {role: dataset for role, dataset in datasets.items() if role in shown}
    if not datasets and figure:
        raise UsageError(
            f"Profile '{profile.name}' names no regions for {experiment.name} of the sets that "
            f"are at hand ({', '.join(at_hand.values())}). Add them under "
            f"`regions: {experiment.name}:`."
        )
    sets = {dataset.name: dataset for dataset in datasets.values()}
    asked = [*experiment.entries, *beside, *unlisted(experiment, only)]
    added, lacking = open_entries(asked, experiment, sets)
    if any(row.outside for row in added):
        check_precision(profile.evaluation.precision)
    whole = with_rows(experiment, [row.method for row in added])
    always = {method for row in added for method in methods_of(row.method)}
    wanted = {*choose(whole, only), *always} - lacking
    chosen = tuple(parse(method) for method in whole.methods if method in wanted)
    needs_training = trains and any(map(experiment.needs_weights, chosen))
    training_set = look(profile.training.dataset) if needs_training else None
    if training_set is not None and profile.training.validation is not None:
        look(profile.training.validation.dataset)
    job = Job(
        experiment=whole,
        profile=profile,
        places=places,
        device=device,
        methods=chosen,
        datasets=datasets,
        regions=regions,
        training_set=training_set,
        trains=trains,
        added=added,
    )
    if figure:
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


def _check_boxes(job: Job) -> None:
    """Refuse a region that a figure would name but not show: of no image, or outside of it."""
    name = job.experiment.name
    for region in job.regions:
        dataset = job.datasets[region.role]
        items = {item.name: item for item in dataset.items}
        if region.image not in items:
            raise HarnessError(
                f"{dataset.name} has no image {region.image}, which profile '{job.profile.name}' "
                f"shows in {name}.",
                f"Change `regions: {name}:` in the profile.",
            )
        if dataset.sizes_of:
            continue
        size = items[region.image].size()
        whole = [round(side * region.scale) for side in lr_size(size, region.scale)]
        top, left, height, width = region.box
        if top + height > whole[0] or left + width > whole[1]:
            raise UsageError(
                f"The region {region.box} of {region.image} at x{region.scale:g} in {name} leaves "
                f"the image ({whole[1]}x{whole[0]}). A box is top, left, height, width in HR "
                "pixels."
            )


def _check_windows(job: Job) -> None:
    """Check patches against windows before the first network is trained."""
    windows: dict[tuple[str, str], int] = {}
    for method in job.trained_methods() if job.trains else ():
        kind = (method.encoder, method.upsampler)  # IGConv pads its patches itself
        if kind not in windows:
            with shapes_only():
                network = build(method.name, **job.profile.networks.options(method))
            windows[kind] = network.window
        patch = job.profile.training.for_method(method).patch
        check_patch(method.name, patch, windows[kind])
