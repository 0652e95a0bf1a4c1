"""Profiles: the data, network sizes, training length and precision of a run.

A profile is one YAML file; users write their own. Every key is checked, and unknown ones are
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import to_jsonable_python

from baselines import Method, build, parse
from baselines.registry import DECODERS, UPSAMPLERS, encoder_names, every_method, unknown
from baselines.shapes import shapes_only
from harness.common.errors import UsageError
from harness.common.yaml_files import SUFFIXES, key_problems, parse_keys, read_text
from harness.data.roles import ROLES
from harness.data.sets import SPECS
from harness.profiles.sections import Costs, Evaluation, Index, Region, Strict
from harness.profiles.training import Training, Validation

__all__ = [
    "Costs",
    "Evaluation",
    "Networks",
    "Profile",
    "Region",
    "Training",
    "Validation",
    "concerning",
    "load",
    "shipped",
]


class Networks(Strict):
    """Options of `baselines.build`, by part; empty means the paper's sizes."""

    encoder: dict[str, dict[str, Any]] = Field(default_factory=dict)
    decoder: dict[str, dict[str, Any]] = Field(default_factory=dict)
    upsampler: dict[str, dict[str, Any]] = Field(default_factory=dict)
    head: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_built(self) -> Networks:
        for part, given, known in (
            ("encoder", self.encoder, encoder_names()),
            ("decoder", self.decoder, DECODERS),
            ("upsampler", self.upsampler, UPSAMPLERS),
        ):
            for name in given:
                if name not in known:
                    raise ValueError(f"{part}: {unknown(part, name, known)}")
        for name, options in self.upsampler.items():
            if "scales" in options:
                raise ValueError(f"upsampler: {name}: a method's name decides its scales")
        first, tried = encoder_names()[0], set()
        for method in every_method():
            # All that answers queries or makes kernels, over the first encoder; every other encoder
            # that is set, once.
            answers = method.decoder or method.upsampler
            again = method.encoder in tried and not (method.encoder == first and answers)
            if (method.encoder == first or method.encoder in self.encoder) and not again:
                tried.add(method.encoder)
                try:
                    with shapes_only():
                        build(method.name, **self.options(method))
                except (TypeError, ValueError, RuntimeError) as error:
                    raise ValueError(f"{method.name}: {error}") from error
        return self

    def differ(self, method: Method) -> bool:
        """Tell whether a method's network has other sizes or settings than the paper's."""
        return any(self.options(method).values())

    def options(self, method: Method) -> dict[str, Any]:
        """Return the keyword arguments for `baselines.build` of a method."""
        found: dict[str, Any] = {"encoder": self.encoder.get(method.encoder, {})}
        if method.decoder:
            given = self.decoder.get(method.decoder, {})
            found["decoder"] = _without(given, method.changes.decoder)
        if method.upsampler and method.upsampler in self.upsampler:
            found["upsampler"] = self.upsampler[method.upsampler]
        if method.head:
            found["head"] = _without(self.head, method.changes.head)
        return found


def _without(options: dict[str, Any], decided: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the options that an ablation's name decides."""
    return {key: value for key, value in options.items() if key not in decided}


_PAPERS_SIZES = Networks()  # made once: each is tried on some ten networks


class Profile(Strict):
    """Everything a run depends on besides the code and the data root.

    Attributes:
        roles: dataset that is measured for each evaluation set of the paper; of several, the first
            that is at hand.
        trains: whether runs train what is missing unasked. Without it they use the networks that
            come with the package (`harness.checkpoints.reference`).
        regions: regions that figures show, by experiment.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    summary: str
    roles: dict[str, str | Annotated[tuple[str, ...], Field(min_length=1)]]
    trains: bool = True
    networks: Networks = _PAPERS_SIZES
    training: Training
    evaluation: Evaluation = Evaluation()
    costs: Costs = Costs()
    seeds: tuple[Index, ...] = Field(default=(0,), min_length=1)
    regions: dict[str, tuple[Region, ...]] = Field(default_factory=dict)
    data_root: Path | None = None
    _source: str = PrivateAttr(default="")

    def at_precision(self, precision: str | None) -> Profile:
        """Return the same profile with this precision of measurements; its own if None."""
        changed = {"precision": precision} if precision else {}
        return self.model_copy(update={"evaluation": self.evaluation.model_copy(update=changed)})

    @property
    def source(self) -> str:
        """Argument that was given as `--profile`, for hints."""
        return self._source or self.name

    @model_validator(mode="after")
    def _names_exist(self) -> Profile:
        used = [self.training.dataset, *(name for role in self.roles for name in self.sets(role))]
        if self.training.validation is not None:
            used.append(self.training.validation.dataset)
        regions = [region for shown in self.regions.values() for region in shown]
        used += [region.dataset for region in regions if region.dataset is not None]
        shown = [region.role for region in regions]
        for what, names, known in (
            ("role", [*self.roles, *shown], ROLES),
            ("dataset", used, SPECS),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(unknown(what, name, known))
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must differ")
        return self

    def reduced(self, names: Iterable[str]) -> bool:
        """Tell whether sizes, precision or training of some methods differ from the published."""
        return any(
            self.networks.differ(method)
            or self.evaluation.precision != "fp32"
            or self.training.departs(method)
            for method in map(parse, names)
            if method.is_trained
        )

    def numbers(self) -> dict[str, Any]:
        """Return the settings that can change a number; `concerning` selects by method."""
        return {
            "networks": self.networks.model_dump(mode="json"),
            "training": self.training.settings(),
            "precision": self.evaluation.precision,
            "seeds": list(self.seeds),
            "roles": to_jsonable_python(self.roles),
        }

    def sets(self, role: str) -> tuple[str, ...]:
        """List the datasets of which the first at hand is measured for a set of the paper.

        What is no set of the papers is a dataset itself.

        Raises:
            UsageError: the profile names none.
        """
        if role not in ROLES:
            return (role,)
        if role in self.roles:
            named = self.roles[role]
            return (named,) if isinstance(named, str) else named
        raise UsageError(
            f"Profile '{self.name}' names no dataset for {role}. "
            f"Add it under `roles:`; it has {', '.join(self.roles)}."
        )


def concerning(numbers: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Select the part of `Profile.numbers` that can change a number of these methods.

    Stored results are compared by it, so that a profile may gain settings of other methods.
    """
    methods = [parse(name) for name in names]
    networks, training = numbers.get("networks", {}), numbers.get("training", {})
    families = {family for method in methods for family in method.families}
    sizes = {
        **networks,
        "encoder": _only(networks.get("encoder", {}), {method.encoder for method in methods}),
        "decoder": _only(networks.get("decoder", {}), {method.decoder for method in methods}),
        "upsampler": _only(networks.get("upsampler", {}), {method.upsampler for method in methods}),
    }
    return {
        **numbers,
        "networks": {section: options for section, options in sizes.items() if options},
        "training": {**training, "overrides": _only(training.get("overrides", {}), families)},
    }


def _only(options: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


def shipped() -> list[str]:
    """List the names of the profiles that come with the package."""
    folder = files(__package__)
    return sorted(
        p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")
    )


def load(name_or_path: str) -> Profile:
    """Load a shipped profile by name, or one from a YAML file.

    Raises:
        UsageError: the name is unknown, or the file has wrong keys or values (all are listed).
        HarnessError: the file cannot be read.
    """
    is_file = name_or_path.endswith(SUFFIXES)
    if not is_file and name_or_path not in shipped():
        known = unknown("profile", name_or_path, shipped())
        raise UsageError(f"{known}, or the path of a .yaml file.")
    if is_file:
        text = read_text(Path(name_or_path), "profile")
    else:
        text = (files(__package__) / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    content = parse_keys(text, name_or_path, "profile")
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        lines = key_problems(error, Profile, "the profile")
        raise UsageError(f"Profile {name_or_path} is wrong:\n  " + "\n  ".join(lines)) from error
    if is_file and profile.name in shipped():
        raise UsageError(
            f"{name_or_path} is called '{profile.name}', as a profile that comes with the harness; "
            "their results would mix. Change its `name:`."
        )
    profile._source = name_or_path
    return profile
