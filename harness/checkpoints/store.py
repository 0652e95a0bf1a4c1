"""Checkpoints, written atomically and read without executing anything from the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from baselines import methods, parse
from baselines.base import SRModel
from baselines.names import officially_named
from harness.checkpoints import reference
from harness.checkpoints.official.builds import Spec, beyond_weights, build_in_words, method_name
from harness.checkpoints.official.files import Official, read_official
from harness.checkpoints.safetensors_files import SUFFIX, read_safetensors
from harness.checkpoints.state_dicts import DAMAGE, built_to_fit, shapes_of, weights_hash
from harness.checkpoints.torch_files import read_torch, write_torch
from harness.common.errors import HarnessError, UsageError, first_problem
from harness.common.files import plain_name
from harness.profiles.recipe import LARGEST_SEED, Recipe

FORMAT = "moeisr-harness/2"
# Its weights have the names of our modules instead of the official ones.
_FIRST_FORMAT = "moeisr-harness/1"
VALUES = "values"


class _Part(BaseModel):
    """Fields that are read from one of our checkpoints; other fields stay as they are."""

    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


_Count = Annotated[int, Field(ge=0, lt=2**53)]


class _Recipe(_Part):
    method: str
    build: dict[str, Any]
    training: dict[str, Any]
    data: str
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]
    schema_: int = Field(alias="schema")


class TrainedOn(_Part):
    """Training set of a network; `complete` says whether it has all images of the published set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    caption: str
    images: _Count
    complete: bool
    fingerprint: str


class _Memory(_Part):
    """Content that an export writes again; see `Official.memory`."""

    key: str = "params"
    epoch: int = 0
    spec: dict[str, Any] = {}
    construction: int = Field(default=8, ge=1, le=1024)
    rgb_range: float = 1


class _Imported(_Part):
    memory: _Memory = _Memory()


class _Profile(_Part):
    name: str = ""


class _Content(_Part):
    method: str
    build: dict[str, Any] = {}
    state_dict: dict[str, Tensor]
    name: Annotated[str, AfterValidator(plain_name)] | None = None
    origin: str = ""
    recipe: _Recipe | None = None
    recipe_fingerprint: str = ""
    profile: _Profile = _Profile()
    trained_on: TrainedOn | None = None
    imported: _Imported | None = None
    step: _Count = 0
    total_steps: _Count | None = None
    finished: bool | None = None
    seconds: float = 0
    validation: dict[str, Annotated[float, Field(allow_inf_nan=True)]] = {}
    optimizer: dict[str, Any] = {}
    unaveraged: dict[str, Tensor] = {}

    @model_validator(mode="after")
    def _consistent(self) -> _Content:
        if None not in (self.finished, self.total_steps) and self.finished != (
            self.step >= (self.total_steps or 0)
        ):
            raise ValueError("it is finished before its last step, or not after it")
        if self.recipe is not None:
            recipe = Recipe(**self.recipe.model_dump(by_alias=True))
            if (recipe.method, recipe.build) != (self.method, self.build):
                raise ValueError("its recipe is of another network")
            if recipe.fingerprint != self.recipe_fingerprint:
                raise ValueError("its recipe is not that of its fingerprint")
        return self


@dataclass(frozen=True)
class Loaded:
    """Network with what its file says about it.

    Attributes:
        model: network in evaluation mode, on the CPU.
        method: our name; "" for official networks that have none.
        weights: hash of the weights, and of settings that change the results without showing in
            them (colour values, no ensemble); names the checkpoint in measurements.
        meta: everything else in our own format (method and options of `baselines.build`, recipe,
            step, ...). For an official file it is what an import keeps: `imported`, `origin`.
        official: what an official file says about itself; None for our own.
    """

    model: SRModel
    method: str
    weights: str
    meta: dict[str, Any]
    official: Official | None = None


def _identity(network: SRModel, options: Mapping[str, Any]) -> str:
    """Return the weights' hash; with settings that the weights do not show, a hash of both."""
    weights = weights_hash(network.state_dict())
    settings = beyond_weights(options)
    if not settings:
        return weights
    return hashlib.sha256(f"{weights} {json.dumps(settings, sort_keys=True)}".encode()).hexdigest()


def values_hash(content: Mapping[str, Any]) -> str:
    """Compute a hash of every tensor and its place, of which a file's checksums say nothing."""
    return weights_hash(dict(_tensors(content)))


def _tensors(value: Any, place: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _tensors(part, f"{place}/{key}")


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint of our format; the old file stays until the new one is complete."""
    write_torch(path, {**content, "format": FORMAT, VALUES: values_hash(content)})


def read(path: Path) -> dict[str, Any]:
    """Read the dictionary in a checkpoint file; one of our own format has the fields that it needs.

    Raises:
        HarnessError: there is no file, it is no checkpoint, is damaged, or wants to execute code.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], bool]:
    """Read the dictionary, and tell whether checksums cover it."""
    place = reference.located(path)
    if place.suffix == SUFFIX:
        content, checksums = read_safetensors(place), True
    else:
        content, checksums = read_torch(place)
    if not isinstance(content, dict):
        raise HarnessError(f"{path} holds a {type(content).__name__}, not a checkpoint.")
    if "format" in content:
        if not checksums:
            raise _incomplete(path, "it is in PyTorch's format of before 1.6")
        _check_ours(path, content)
        if content["format"] == _FIRST_FORMAT:
            content = _renamed(path, content)
        elif place.suffix != SUFFIX and content.get(VALUES) != values_hash(content):
            raise _incomplete(path, "its weights are not those that were written")
    return content, checksums


def _renamed(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Give the weights of a checkpoint of the first format their official names."""
    try:
        network = shapes_of(content["method"], content["build"], content["state_dict"])
    except DAMAGE as error:
        raise _incomplete(path, str(error)) from error
    states = {"state_dict", "unaveraged"} & content.keys()
    named = {key: officially_named(network, content[key]) for key in states}
    return {**content, **named, "format": FORMAT}


def _check_ours(path: Path, content: dict[str, Any]) -> None:
    if content["format"] not in (FORMAT, _FIRST_FORMAT):
        raise HarnessError(
            f"{path} has format {content['format']!r:.200}, this version reads {FORMAT!r}."
        )
    try:
        _Content.model_validate(content)
    except ValidationError as error:
        raise _incomplete(path, first_problem(error, "the whole")) from error
    except DAMAGE as error:  # of what is compared
        raise _incomplete(path, repr(error)) from error


def _incomplete(path: Path, reason: str) -> HarnessError:
    return HarnessError(
        f"{path} is not a complete checkpoint of ours: {reason:.500}", "Copy or train it again."
    )


def _from_ours(path: Path, content: dict[str, Any], asked: str | None) -> Loaded:
    try:
        method, options = content["method"], content["build"]
        if asked is not None and parse(asked).trained_as == method:
            method = asked  # the same weights, rendered otherwise
        network = built_to_fit(method, options, content["state_dict"], f"checkpoint {path}")
    except DAMAGE as error:
        raise _incomplete(path, str(error)) from error
    # A profile names its networks' sizes; an imported network has the paper's or no name.
    name = method_name(method, options) if content.get("imported") else method
    left_out = {"state_dict", "optimizer", "unaveraged", VALUES}
    meta = {k: v for k, v in content.items() if k not in left_out}
    if meta.get("finished") is False:
        at = f"step {meta.get('step')} of {meta.get('total_steps')}"
        meta["origin"] = f"UNFINISHED, {at}: {meta.get('origin', 'its training is not known')}"
    return Loaded(network.eval(), name, _identity(network, options), meta)


def _from_official(
    path: Path, content: dict[str, Any], checksums: bool, values: str | None, network: Spec | None
) -> Loaded:
    try:
        official = read_official(content, values, network)
    except HarnessError as error:
        raise type(error)(f"{path}: {error}") from error
    except DAMAGE as error:
        raise HarnessError(
            f"{path} is laid out like an official checkpoint, but is damaged: {error!r:.500}"
        ) from error
    if official is None:
        keys = ", ".join(list(map(str, content))[:5])
        raise HarnessError(
            f"{path} is no checkpoint that this version knows (its keys: {keys:.200}, ...).",
            "It reads its own files, those of the LIIF, LTE, LMF, SwinIR, SeemoRe and IGConv "
            "projects, and state dicts of EDSR-baseline and RDN with their own upsamplers.",
        )
    if not checksums:
        notes = [official.note, "in PyTorch's format of before 1.6, which has no checksums"]
        official = replace(official, note="; ".join(filter(None, notes)))
    model, build = official.network, official.build
    weights = _identity(model, build.options)
    return Loaded(model.eval(), build.name, weights, _kept(path, official), official)


def _kept(path: Path, official: Official) -> dict[str, Any]:
    """Select what our format keeps of an official file."""
    layout = f"{path.name}, in the layout of the {official.project}"
    note = f" ({official.note})" if official.note else ""
    return {
        "method": official.build.method.name,
        "build": official.build.options,
        "name": path.name if path.stem in methods() else path.stem,
        "origin": f"{layout}{note}; its training is not known",
        "imported": {
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "layout": official.layout,
            "project": official.project,
            "note": official.note,
            "memory": official.memory,
        },
    }


def _check_belongs(path: Path, loaded: Loaded, method: str) -> None:
    parse(method)
    if loaded.method == method:
        return
    if loaded.method:
        found, remedy = loaded.method, "Name its own method."
    else:
        made = build_in_words(loaded.meta["method"], loaded.meta["build"])
        found, remedy = f"none of the harness's methods ({made})", "Leave the method out."
    raise HarnessError(f"{path} belongs to {found}, not to {method}.", remedy)


def open_checkpoint(
    path: Path | str,
    method: str | None = None,
    scale: float | None = None,
    values: str | None = None,
    network: Spec | None = None,
) -> Loaded:
    """Open the network of one of our checkpoints or of an official one.

    Args:
        path: the file, or `reference:NAME` for a network that comes with the package.
        method: method that the checkpoint must belong to.
        scale: scale that the network must be able to do.
        values: colour values that the layers of an official network see, for files that do not say
            it (state dicts of EDSR and RDN): signed, unit or bytes. None: as the LIIF project's,
            signed.
        network: {"name", "args"} of an official network, for files that do not say them (IGConv's):
            what its project's option file has as `type` and beside it under `network_g`. None: as
            the released files have them.

    Raises:
        HarnessError: the file is unreadable, unknown, damaged or does not fit.
        UnknownMethodError: the method is unknown.
    """
    path = Path(path)
    content, checksums = _read(path)
    if "format" in content:
        if values is not None or network is not None:
            raise UsageError(f"{path} says itself what network it holds.")
        loaded = _from_ours(path, content, method)
    else:
        loaded = _from_official(path, content, checksums, values, network)
    if method is not None:
        _check_belongs(path, loaded, method)
    if scale is not None and (reason := loaded.model.refusal(scale)):
        raise HarnessError(f"{path} {reason}.", "Ask for another scale.")
    return loaded


def load_model(
    path: Path | str,
    method: str | None = None,
    scale: float | None = None,
    network: Spec | None = None,
) -> SRModel:
    """Load the network of a checkpoint, ours or official, in evaluation mode on the CPU.

    It is called as the official network is: LIIF family `model(lr, coord, cell)`, lr (B, 3, h, w)
    and the result (B, Q, 3) in [-1, 1], coord and cell (B, Q, 2) as (y, x); fixed-scale networks
    `model(lr)` (those of the LIIF project on [-1, 1] too, `model.input_range` says it); networks
    for several integer scales `model(lr, scale)` on [0, 1].

    Example:
        >>> load_model("reference:edsr-liif").scales is None  # any scale
        True

    Args, Raises: as `open_checkpoint`.
    """
    return open_checkpoint(path, method, scale, network=network).model
