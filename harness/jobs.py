"""Jobs: an experiment under a profile, with everything found that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from baselines import parse
from harness.data.sets import Dataset, find
from harness.errors import UsageError
from harness.evaluation import Subject, Task
from harness.experiments import ROLES, Experiment
from harness.places import Places
from harness.plan import measurements_dir
from harness.profiles import Profile
from harness.recipe import make_recipe, run_dir
from harness.results import CellFile
from harness.training import Run


@dataclass(frozen=True)
class Job:
    """An experiment under a profile, with its datasets found.

    Attributes:
        methods: of the experiment, those asked for.
        datasets: by role of the paper.
        fingerprints: of the datasets, by role.
        training_set: None when no method needs training.
        training_fingerprint: of its images.
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

    def trained_methods(self) -> list[str]:
        """Methods with a network."""
        return [m for m in self.methods if parse(m).encoder]

    def runs(self) -> list[Run]:
        """Training runs, one for each trained method and seed."""
        if self.training_set is None:
            return []
        found = []
        for method in self.trained_methods():
            for seed in self.profile.seeds:
                recipe = make_recipe(self.profile, method, seed, self.training_fingerprint)
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

    def tasks(self) -> list[Task]:
        """Cells of one method: dataset and scale."""
        return [
            Task(
                dataset=self.datasets[role],
                fingerprint=self.fingerprints[role],
                role=role,
                scale=scale,
                protocol=ROLES[role],
                profile=self.profile.name,
                settings=self.profile.evaluation,
                cache=self.places.lr_cache,
            )
            for role in self.experiment.roles
            for scale in self.experiment.scales
        ]

    def cell_file(self, subject: Subject, task: Task) -> CellFile:
        """Where the rows of a cell lie."""
        folder = measurements_dir(self.places.results, self.profile.name)
        return CellFile(folder / task.cell(subject).relative_path)


def prepare(
    experiment: Experiment,
    profile: Profile,
    places: Places,
    device: torch.device,
    only: Sequence[str] = (),
) -> Job:
    """Find every dataset, so that a missing one is known before the first training step.

    Raises:
        UsageError: a method of `only` that the experiment does not have.
        HarnessError: a dataset that is not there.
    """
    for method in only:
        parse(method)
        if method not in experiment.methods:
            raise UsageError(
                f"{experiment.name} does not compare {method}. "
                f"It has {', '.join(experiment.methods)}."
            )
    chosen = tuple(m for m in experiment.methods if not only or m in only)
    datasets = {
        role: find(profile.dataset_for(role), places.data_root) for role in experiment.roles
    }
    needs_training = any(parse(m).encoder for m in chosen)
    training_set = find(profile.training.dataset, places.data_root) if needs_training else None
    if training_set is not None and profile.training.validation is not None:
        find(profile.training.validation.dataset, places.data_root)
    return Job(
        experiment=experiment,
        profile=profile,
        places=places,
        device=device,
        methods=chosen,
        datasets=datasets,
        fingerprints={role: dataset.fingerprint() for role, dataset in datasets.items()},
        training_set=training_set,
        training_fingerprint=training_set.fingerprint() if training_set else "",
    )
